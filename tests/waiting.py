"""Waiting in tests: for an event, never for a time, and as long as the machine needs.

A limit of ``seconds`` means seconds of a machine that does nothing else. Where others run beside the tests, it grows
with the load, so that what is slow is not taken for what is broken.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable

POLL_S = 0.01
LONGEST_FACTOR = 20.0  # beyond that a machine is not slow but stuck


def slowness() -> float:
    """How many times longer than on an idle machine things take now: processes that want a core, per core.

    At least 2, since the load is an average of the last minute and what is waited for runs beside other tests.
    """
    return min(LONGEST_FACTOR, max(2.0, os.getloadavg()[0] / (os.cpu_count() or 1)))


def until(
    reached: Callable[[], object],
    what: str,
    *,
    seconds: float = 60.0,
    alive: Callable[[], object] | None = None,
    poll_s: float = POLL_S,
) -> None:
    """Wait until ``reached()`` is true.

    Parameters
    ----------
    what : the event, as the failure names it.
    seconds : the limit on an idle machine.
    alive : false once it cannot be reached any more, the process that would bring it about being over, say.

    Raises
    ------
    AssertionError : it was not reached in time, or cannot be any more.
    """
    began = time.monotonic()
    while not reached():
        if alive is not None and not alive() and not reached():
            raise AssertionError(f"over before {what}")
        waited = time.monotonic() - began
        if waited > seconds * slowness():
            raise AssertionError(f"{what}: not after {waited:.0f} s (load {os.getloadavg()[0]:.1f})")
        time.sleep(poll_s)


def finish(process: subprocess.Popen[str], *, seconds: float = 60.0) -> tuple[str, str]:
    """Standard output and error of a process with pipes, once it is over.

    Raises
    ------
    AssertionError : it did not end in time, and was killed.
    """
    began = time.monotonic()
    while True:
        try:
            return process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            waited = time.monotonic() - began
            if waited > seconds * slowness():
                process.kill()
                out, err = process.communicate()
                raise AssertionError(f"has not ended after {waited:.0f} s: {out}{err}") from None
