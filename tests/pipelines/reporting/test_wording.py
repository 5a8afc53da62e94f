from __future__ import annotations

import math

import pytest

from pipelines.reporting.wording import many, rough_duration


@pytest.mark.parametrize(("seconds", "text"), [(0.2, "1 s"), (60, "60 s"), (720, "12 min"), (12600, "3.5 h")])
def test_an_estimate_is_as_rough_as_it_is_known(seconds: float, text: str) -> None:
    assert rough_duration(seconds) == text


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ((1, "seed"), "1 seed"),
        ((0, "seed"), "0 seeds"),
        ((1.0, "CPU"), "1 CPU"),
        ((0.5, "CPU"), "0.5 CPUs"),
        ((1, "person", "people"), "1 person"),
        ((9, "person", "people"), "9 people"),
        ((12400, "trial"), "12\N{NARROW NO-BREAK SPACE}400 trials"),
        ((4e30, "configuration"), "4e+30 configurations"),
        ((math.inf, "configuration"), "inf configurations"),
    ],
)
def test_a_count_agrees_with_its_noun(words, text: str) -> None:
    assert many(*words) == text
