"""Progress bars on stderr, for people: nothing is drawn when stderr is no terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

Progress = Callable[[int, int], None]


@contextmanager
def progress_bar(label: str, unit: str) -> Iterator[Progress]:
    """A callable ``(done, total)`` that draws the state of some work."""
    with tqdm(desc=label, unit=unit, disable=None, leave=False, file=sys.stderr) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show
