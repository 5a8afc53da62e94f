from __future__ import annotations

import io
import sys
from itertools import count

import pytest

from pipelines.reporting.progress import no_progress, progress_bar, progress_lines


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def shown(steps: list[tuple[float, int]], total: int, *, left_s: float | None = None) -> list[str]:
    """The lines of work that has come so far (second of each pair) after these seconds (first)."""
    clock, lines = Clock(), []
    with progress_lines("train", "model", clock=clock, write=lines.append) as show:
        for clock.now, done in steps:
            show(done, total, left_s)
    return lines


def test_lines_say_how_far_it_is_and_how_long_it_takes() -> None:
    assert shown([(30, 10), (60, 20)], 40) == [
        "train: 10 of 40 models, about 2 min left",
        "train: 20 of 40 models, about 60 s left",
    ]


def test_a_better_estimate_than_counting_is_taken() -> None:
    assert shown([(30, 10)], 40, left_s=12.3) == ["train: 10 of 40 models, about 13 s left"]


def test_lines_are_few() -> None:
    assert shown([(second / 10, second) for second in range(99)], 100) == []  # done before one wonders
    assert len(shown([(second, second) for second in range(601)], 600)) == 9  # each a tenth of the work
    assert len(shown([(second, second) for second in range(36001)], 36000)) == 599  # one a minute


def test_what_comes_seldom_is_told_when_it_comes() -> None:
    assert [line.split(",")[0] for line in shown([(5, 1), (500, 2), (505, 3)], 1000)] == [
        "train: 2 of 1000 models"
    ]


def test_a_file_gets_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    with progress_bar("check", "file") as bar, no_progress() as silent:
        bar(1, 2)
        silent(1, 2)
    assert capsys.readouterr() == ("", "")
    with progress_lines("check", "file", clock=clock) as show:
        clock.now = 20.0
        show(1, 2)
    assert capsys.readouterr() == ("", "check: 1 of 2 files, about 20 s left\n")


def test_a_terminal_gets_a_bar_with_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, seconds = io.StringIO(), count()
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr("tqdm.std.time", lambda: float(next(seconds)))
    with progress_bar("train", "model") as show:
        show(1, 4, 75.0)
        show(2, 4, 50.0)
        show(4, 4, 0.0)
    drawn = terminal.getvalue().split("\r")
    for words in ("1/4", "about 75 s left", "2/4", "about 50 s left", "4/4"):
        assert any(words in text for text in drawn)
    assert drawn[-1] == ""  # it goes when the work is done


def test_a_bar_knows_the_whole_before_anything_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    with progress_bar("train", "model") as show:
        show(0, 24)
        assert "| 0/24 [" in terminal.getvalue()
