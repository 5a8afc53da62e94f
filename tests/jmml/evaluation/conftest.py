"""Figures that were saved, for tests that look into them."""

from __future__ import annotations

import pytest
from matplotlib.figure import Figure

from jmml.evaluation.plots import _style


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that were saved, kept for inspection."""
    kept: list[Figure] = []
    save = _style.write
    monkeypatch.setattr(_style, "write", lambda figure, path: (kept.append(figure), save(figure, path))[1])
    return kept
