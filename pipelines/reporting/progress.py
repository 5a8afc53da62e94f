"""How far long work is, on standard error: a bar on a terminal; elsewhere nothing, or a plain line now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from tqdm import tqdm

from jmml.printable import printable
from pipelines.reporting.wording import rough_duration

Progress = Callable[[int, int], None]

BAR = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]"
# Between two lines: at least so long, and then a tenth of the work, or so long that one wonders.
SOONEST_S, LATEST_S, STEP = 10.0, 60.0, 0.1


class Shown(Protocol):
    """Shows that ``done`` of ``total`` are done; ``left_s``: seconds left, where more is known than counts."""

    def __call__(self, done: int, total: int, left_s: float | None = None) -> None: ...


@contextmanager
def progress_bar(label: str, unit: str) -> Iterator[Shown]:
    """A bar with the time left; nothing where standard error is not a terminal."""
    with tqdm(
        desc=printable(label),
        unit=unit,
        unit_scale=unit == "B",  # 1.2G
        disable=None,
        leave=False,
        file=sys.stderr,
        bar_format=BAR,
    ) as bar:
        began = time.monotonic()

        def show(done: int, total: int, left_s: float | None = None) -> None:
            fresh, bar.total = bar.total != total, total
            bar.set_postfix_str(_left(done, total, time.monotonic() - began, left_s), refresh=fresh)
            bar.update(done - bar.n)

        yield show


@contextmanager
def progress_lines(
    label: str,
    unit: str,
    *,
    clock: Callable[[], float] = time.monotonic,
    write: Callable[[str], None] | None = None,
) -> Iterator[Shown]:
    """``train: 12 of 48 models, about 2 min left``: a few plain lines, for a file or a pipe."""
    began = last = clock()
    shown = 0.0
    write = write or _to_stderr

    def show(done: int, total: int, left_s: float | None = None) -> None:
        nonlocal last, shown
        now, share = clock(), done / total
        if done < total and now - last >= SOONEST_S and (share - shown >= STEP or now - last >= LATEST_S):
            last, shown = now, share
            write(f"{label}: {done} of {total} {unit}s, {_left(done, total, now - began, left_s)}")

    yield show


@contextmanager
def no_progress() -> Iterator[Shown]:
    """Nothing is shown."""

    def show(done: int, total: int, left_s: float | None = None) -> None:
        pass

    yield show


def _left(done: int, total: int, elapsed_s: float, left_s: float | None) -> str:
    """``about 40 s left``; without an estimate of the caller's, the rest takes as long for each as those done."""
    if left_s is None:
        left_s = elapsed_s / done * (total - done) if done else None
    return "" if left_s is None or done == total else f"about {rough_duration(left_s)} left"


def _to_stderr(text: str) -> None:
    print(printable(text), file=sys.stderr, flush=True)
