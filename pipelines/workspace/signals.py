"""Ctrl-C and SIGTERM where they would do harm: noted, put off, or turned into an exception that closes what is open."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

HEED_SECONDS = 2.0  # in which a loop that runs has seen Ctrl-C
ASK_SECONDS = 1.0  # between two looks whether someone has asked to stop


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


# Requests of other processes -----------------------------------------------------------------------------


def stop_wanted(
    interrupted: Callable[[], bool], asked: Callable[[], object]
) -> Callable[[], BaseException | None]:
    """A function that says whether to stop: Ctrl-C, or a request, for which ``asked`` is called once a second."""
    looked = time.monotonic()

    def wanted() -> BaseException | None:
        nonlocal looked
        if interrupted():
            return KeyboardInterrupt()
        if time.monotonic() - looked < ASK_SECONDS:
            return None
        looked = time.monotonic()
        return KeyboardInterrupt() if asked() else None

    return wanted


@contextmanager
def heeding(asked: Callable[[], object]) -> Iterator[None]:
    """A request to stop ends the block as Ctrl-C does, wherever it is; ``asked`` is called once a second."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    over = threading.Event()

    def look() -> None:
        while not over.wait(ASK_SECONDS):
            if asked():
                os.kill(os.getpid(), signal.SIGINT)
                return

    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:  # started in the background of a script
        signal.signal(signal.SIGINT, signal.default_int_handler)
    thread = threading.Thread(target=look, name="jmml-requests", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        signal.signal(signal.SIGINT, before)
