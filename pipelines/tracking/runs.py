"""The life of a tracked run: begun, ended as what it tracks has ended, taken up or closed after a driver died.

Trials of a sweep are no part of it: their runs are filled from the sweep's journal, and closed with the status and at
the time that it has, perhaps by another process and long after (:mod:`pipelines.sweep.sync.mlflow_sync`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

from jmml.errors import TrackingError
from pipelines.tracking.run_tags import ERROR
from pipelines.tracking.tracker import Status, Tracker
from pipelines.workspace.signals import termination_as_exit


def status_of(error: BaseException | None) -> Status:
    """The status of a run whose work has ended with ``error``: an interruption has killed it, nothing else."""
    if error is None:
        return "FINISHED"
    return "FAILED" if isinstance(error, Exception) else "KILLED"


def end(tracker: Tracker, run_id: str, error: BaseException | None = None, *, reason: str = "") -> None:
    """Close a run as its work has ended; why, is its tag ``jmml.error``.

    Raises
    ------
    TrackingError : the store fails, and there is no error that matters more.
    """
    if error is None:
        tracker.finish(run_id, "FINISHED")
        return
    with suppress(TrackingError, KeyboardInterrupt):  # the store may be what failed
        if reason:
            tracker.set_tags(run_id, {ERROR: reason})
        tracker.finish(run_id, status_of(error))


@contextmanager
def recorded(tracker: Tracker, begin: Callable[[], str]) -> Iterator[str]:
    """A run for the length of a block: ``begin`` opens it, and it is closed as the block ends, whatever ends it."""
    with termination_as_exit():
        run_id = begin()
        try:
            yield run_id
            end(tracker, run_id)
        except BaseException as error:
            end(tracker, run_id, error)
            raise


def close_left(tracker: Tracker, run_id: str, *, failed: bool = False) -> None:
    """Close a run that its driver, which died or could not reach the store, has left open, and all below it."""
    tracker.close_children(run_id, "KILLED")
    tracker.finish(run_id, "FAILED" if failed else "KILLED")


def close_left_open(tracker: Tracker, kind: str, identity: Mapping[str, str]) -> int:
    """Close the runs of ``kind`` with these tags that a driver, which died, has left running; how many there were."""
    found = [
        run
        for run in tracker.runs(kind=kind, status="RUNNING")
        if all(run.data.tags.get(key) == value for key, value in identity.items())
    ]
    for run in found:
        close_left(tracker, str(run.info.run_id))
    return len(found)
