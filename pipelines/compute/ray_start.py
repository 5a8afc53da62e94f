"""``ray.init`` and ``ray.shutdown`` as a command line needs them: whole, quiet, and with nothing left behind.

Its services are found by the names of their processes, and none of its handlers is replaced: both once took
private interfaces of Ray.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import psutil
import ray

from jmml.errors import SweepError
from pipelines.compute.private_ray import no_dumps
from pipelines.workspace.signals import later, termination_as_exit

_LEAVE_SECONDS = 1.0  # for what Ray has started to go by itself
_SERVICES = ("raylet", "gcs_server")  # without which a session is lost
_TRIES = 3  # to start Ray on a busy machine
_TOO_SLOW = "timed out during startup"  # what Ray says of a node that was not there in time


@contextmanager
def started(options: Mapping[str, Any], cluster: str | None, note: Callable[[str], None]) -> Iterator[None]:
    """Ray for the length of a block, with SIGTERM as ``SystemExit`` in it.

    Parameters
    ----------
    options : of ``ray.init``.
    cluster : where the address of a cluster came from, for messages; ``None`` for a session of our own.
    note : is told, in a line, what is waited for when a start takes longer than usual.

    Raises
    ------
    SweepError : Ray does not start, or does not join the cluster.
    """
    thread: _Starting | None = None
    with no_dumps():
        try:
            with termination_as_exit():
                thread = _start(options, cluster, note)
                yield
        finally:
            with suppress(KeyboardInterrupt, SystemExit), later():  # it ends as it is
                _end()
            if thread is not None:
                thread.release()


def services() -> list[psutil.Process]:
    """Services of Ray that this process has started and a session cannot do without; none where it joined a cluster."""
    found = []
    for child in psutil.Process().children():
        with suppress(psutil.Error):
            if child.name() in _SERVICES and child.status() != psutil.STATUS_ZOMBIE:
                found.append(child)
    return found


class _Starting(threading.Thread):
    """``ray.init`` in a thread of its own, which stays until it is released.

    Ray sets a handler for SIGTERM that would raise ``SystemExit`` in the middle of ``ray.init``. Python lets the main
    thread alone set one, and Ray does without in any other. The thread stays because the kernel ends Ray's services
    with the thread that started them, as Ray has asked it to.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(name="ray", daemon=True)
        self._options = options
        self._failure: BaseException | None = None
        self._there, self._over = threading.Event(), threading.Event()

    def run(self) -> None:
        try:
            ray.init(**self._options)
        except BaseException as error:
            self._failure = error
        self._there.set()
        self._over.wait()

    def wait(self) -> None:
        """Until Ray is there; raises what ``ray.init`` has raised."""
        self._there.wait()
        if self._failure is not None:
            raise self._failure

    def release(self) -> None:
        self._over.set()


def _start(options: Mapping[str, Any], cluster: str | None, note: Callable[[str], None]) -> _Starting:
    """``ray.init``, whole: broken off half-way it leaves processes behind, or ends this one with a crash.

    Ray gives a node of its own half a minute to come up, whatever else the machine does, and has no setting for it.
    Another try finds Ray's files in memory, and the machine perhaps less busy.
    """
    for left in range(_TRIES - 1, -1, -1):
        before = {child.pid for child in psutil.Process().children()}
        thread = _Starting(options)
        try:
            with later(), _no_errors_shown():
                thread.start()
                thread.wait()
            return thread
        except BaseException as error:  # of `Exception` itself, where a part of Ray does not come up
            _discard(before)
            thread.release()
            if not isinstance(error, Exception):
                raise
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            if cluster is not None:
                raise SweepError(
                    f"cannot join the Ray cluster: {reason}",
                    where=cluster,
                    fix="look at `jmml cluster status`",
                ) from error
            if _TOO_SLOW not in reason or not left:
                raise SweepError(
                    f"cannot start Ray: {reason}", fix="free memory or disk, try again"
                ) from error
            load = os.getloadavg()[0]
            note(f"waiting for Ray, which did not start within 30 s (load {load:.0f}); trying again")
    raise AssertionError("unreachable")


def _discard(before: set[int]) -> None:
    """End what a start that failed has left, which belongs to no session that could be shut down."""
    ray.shutdown()
    left: list[psutil.Process] = []
    for child in psutil.Process().children():
        if child.pid not in before:
            with suppress(psutil.Error):
                left += [child, *child.children(recursive=True)]
    for process in left:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(left, timeout=_LEAVE_SECONDS)


def _end() -> None:
    """``ray.shutdown``, and the end of what the raylet of a session of our own has started.

    Ray gives a raylet a second to end its agents and workers, then kills it. On a busy machine that is too little, and
    the agents look for the raylet for a minute.
    """
    below: list[psutil.Process] = []
    for service in services():
        with suppress(psutil.Error):
            below += service.children(recursive=True)
    ray.shutdown()
    _, left = psutil.wait_procs(below, timeout=_LEAVE_SECONDS)
    for process in left:
        with suppress(psutil.Error):
            process.kill()


@contextmanager
def _no_errors_shown() -> Iterator[None]:
    """Nothing from this process on the error output: Ray's native part repeats every failed attempt there."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - a device, not a path
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
