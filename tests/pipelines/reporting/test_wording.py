from __future__ import annotations

import pytest

from pipelines.reporting.wording import rough_duration


@pytest.mark.parametrize(("seconds", "text"), [(0.2, "1 s"), (60, "60 s"), (720, "12 min"), (12600, "3.5 h")])
def test_an_estimate_is_as_rough_as_it_is_known(seconds: float, text: str) -> None:
    assert rough_duration(seconds) == text
