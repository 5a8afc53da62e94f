"""Writes the trials of a sweep to the tracking store, in order and without holding up the search.

Trials never write themselves: the driver is the one writer. What is to be written waits in a queue that is
emptied about once a second, in few requests. While the store cannot be reached the queue grows and the search
goes on; at the end everything must be written, or the sweep says what is missing.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from jmml.errors import TrackingError

Point = tuple[str, float, int, int]  # key, value, step, milliseconds


class Runs(Protocol):
    """The part of :class:`pipelines.tracking.Tracker` that a sweep's trials need."""

    def start_trial(self, sweep_run_id: str, trial_id: str, params: Mapping[str, Any]) -> str: ...
    def log_points(self, run_id: str, points: list[Point]) -> None: ...
    def set_tags(self, run_id: str, tags: Mapping[str, object]) -> None: ...
    def finish(self, run_id: str, status: Any) -> None: ...


class TrialWriter:
    """A queue of writes for the trials of one sweep run.

    Parameters
    ----------
    every : seconds between two writes.
    pause : seconds to wait after a failed one.
    """

    def __init__(
        self,
        runs: Runs,
        sweep_run_id: str,
        *,
        every: float = 1.0,
        pause: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._runs, self._sweep, self._clock = runs, sweep_run_id, clock
        self._every, self._pause = every, pause
        self._queue: deque[tuple[str, str, Any]] = deque()
        self._run_ids: dict[str, str] = {}
        self._open: dict[str, None] = {}
        self._next = 0.0
        self.trouble: TrackingError | None = None

    def start(self, trial_id: str, params: Mapping[str, Any]) -> None:
        self._open[trial_id] = None
        self._queue.append(("start", trial_id, params))

    def points(self, trial_id: str, points: list[Point]) -> None:
        self._queue.append(("points", trial_id, points))

    def finish(self, trial_id: str, status: str, tags: Mapping[str, object]) -> None:
        self._open.pop(trial_id, None)
        self._queue.append(("finish", trial_id, (status, tags)))

    def run_id(self, trial_id: str) -> str | None:
        """The tracked run of a trial, once it has been written."""
        return self._run_ids.get(trial_id)

    def tick(self) -> None:
        """Write what waits, when it is time; a store that cannot be reached is tried again later."""
        if not self._queue or self._clock() < self._next:
            return
        try:
            self._drain()
        except TrackingError as error:
            self.trouble, self._next = error, self._clock() + self._pause
        else:
            self.trouble, self._next = None, self._clock() + self._every

    def close(self) -> None:
        """Mark trials that were never finished KILLED, and write everything that waits.

        Raises
        ------
        TrackingError : the store cannot be reached; the message says how much is missing.
        """
        for trial_id in list(self._open):
            self.finish(trial_id, "KILLED", {})
        try:
            self._drain()
        except TrackingError as error:
            trials = len({trial_id for _, trial_id, _ in self._queue})
            raise TrackingError(
                f"the results of {trials} trials could not be written: {error.what}",
                where=error.where,
                fix="bring the tracking store back and run the sweep again",
            ) from error

    def _drain(self) -> None:
        while self._queue:
            action, trial_id, payload = self._queue[0]
            taken = 1
            if action == "start":
                self._run_ids[trial_id] = self._runs.start_trial(self._sweep, trial_id, payload)
            elif action == "points":
                # Reports of several epochs, of other trials in between or not, go out in one request.
                batch = list(payload)
                while taken < len(self._queue) and self._queue[taken][:2] == ("points", trial_id):
                    batch += self._queue[taken][2]
                    taken += 1
                self._runs.log_points(self._run_ids[trial_id], batch)
            else:
                status, tags = payload
                if tags:
                    self._runs.set_tags(self._run_ids[trial_id], tags)
                self._runs.finish(self._run_ids[trial_id], status)
            # Only now: a write that failed stays at the head of the queue and is repeated.
            for _ in range(taken):
                self._queue.popleft()
