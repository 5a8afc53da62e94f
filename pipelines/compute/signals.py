"""Ctrl-C and SIGTERM where they would do harm: noted, put off, or turned into an exception that closes what is open."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

HEED_SECONDS = 2.0  # in which a loop that runs has seen Ctrl-C


@contextmanager
def termination_as_exit() -> Iterator[None]:
    """Let SIGTERM raise ``SystemExit``, so that runs are closed; Ray's own handler aborts the process."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _exit)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _exit(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


@contextmanager
def first_interrupt() -> Iterator[Callable[[], bool]]:
    """For the length of a block, Ctrl-C is noted instead of raised, for a loop that stops where nothing is half-done.

    The value says whether it was pressed. Pressed again after ``HEED_SECONDS``, which a loop that runs does not
    take, it is raised; sooner it is noted again, as it might be raised where Python can only ignore it.
    """
    pressed = threading.Event()
    first = time.monotonic()
    if threading.current_thread() is not threading.main_thread():
        yield pressed.is_set
        return

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal first
        if pressed.is_set() and time.monotonic() - first >= HEED_SECONDS:
            raise KeyboardInterrupt
        if not pressed.is_set():
            first = time.monotonic()
        pressed.set()

    before = signal.signal(signal.SIGINT, note)
    try:
        yield pressed.is_set
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def later() -> Iterator[None]:
    """Ctrl-C and SIGTERM are taken up at the end of a block; a second one after ``HEED_SECONDS`` at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[tuple[int, float]] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def note(number: int, frame: FrameType | None) -> None:
        came.append((number, time.monotonic()))
        if came[-1][1] - came[0][1] >= HEED_SECONDS:
            restore()
            signal.raise_signal(number)

    for number in before:
        signal.signal(number, note)
    try:
        yield
    finally:
        restore()
    if came:
        signal.raise_signal(came[0][0])
