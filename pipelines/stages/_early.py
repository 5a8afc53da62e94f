"""Ctrl-C and SIGTERM while a stage imports its libraries, which takes seconds: one line and an exit code.

An exception is no way to end there: it would come up anywhere in the modules of others, some of which take it for a
failed import. Nothing is open yet, so the process ends at once.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

PACKAGE = __package__
NEXT = "run `dvc repro` to go on, `dvc checkout` for the earlier outputs"


def end_in_one_line() -> None:
    """From now on, where this process was started to run a stage; until something else is made of a signal."""
    if stage() is None:
        return
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as for what runs in the background of a script
            signal.signal(number, _end)


@contextmanager
def interrupt_raised() -> Iterator[None]:
    """For the length of a block, Ctrl-C raises ``KeyboardInterrupt`` again."""
    if ours := signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGINT, _end)


def stage() -> str | None:
    """The stage for which Python was started: ``python -m pipelines.stages.NAME``; None in any other process."""
    words = sys.orig_argv
    place = words.index("-m") + 1 if "-m" in words else len(words)
    package, _, name = words[place].rpartition(".") if place < len(words) else ("", "", "")
    return name if package == PACKAGE else None


def ended(name: str, number: int) -> str:
    """The last line of a stage that a signal has ended."""
    how = "interrupted" if number == signal.SIGINT else "ended before it was done"
    return f"{name}: {how}; {NEXT}"


def _end(number: int, frame: FrameType | None) -> None:
    with suppress(OSError):  # nobody listens any more
        # Not through sys.stderr, in which the process may be at this moment.
        os.write(2, f"{ended(stage() or PACKAGE, number)}\n".encode())
    os._exit(128 + number)
