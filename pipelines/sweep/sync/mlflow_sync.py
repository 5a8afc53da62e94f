"""Brings what the journal of a sweep says into MLflow, beside the search and without ever holding it up.

The journal is the queue: a thread of the driver follows it from the place that ``shipped.json`` has, writes what it
finds in few, large requests, and notes the new place once MLflow has everything before it. What was written and not
noted, because a process or the store died in between, is written again, which changes nothing: a run is looked for
before it is made, and the same point is stored once. So everything arrives, once.

While the store is away the journal grows, on the disk and not in memory, and the search goes on.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from jmml.errors import JMMLError, TrackingError
from jmml.files import atomic_path
from pipelines.sweep.record import journal
from pipelines.sweep.record.folder import SweepFolder
from pipelines.sweep.record.journal import Follower
from pipelines.sweep.sync.run_updates import NOTE, STATUS, Manifest, Point, Shipment, Status, trial_name
from pipelines.tracking.store import LastingError, RunGoneError, redacted

CHUNK = 20_000  # values that are in memory at once, at most
REQUEST, LEAST_REQUEST = 1000, 50  # values per request: what MLflow takes, and what a slow store gets
MAX_PAUSE_S = 60.0
LOCKED_PAUSE_S = 0.5  # when another process writes to the same SQLite file
NOTE_S = 15.0  # between two descriptions of the sweep's run
FLUSH_S, JOIN_S = 2.0, 3.0  # how long stop() waits for what is left, and for the request under way
DOUBTFUL_S = 5.0  # an answer that took longer may have been one to a repeated request
POLL_S = 0.05
SHARE, MAX_REST_S = (
    0.01,
    5.0,
)  # of the time spent on writing while nothing waits; the longest rest for its sake

# MLflow would go on for minutes in one request, and repeat those that made a run. Ours is the loop that tries again.
LIMITS = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "20", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}


class Runs(Protocol):
    """The part of :class:`pipelines.tracking.tracker.Tracker` that the trials of a sweep need."""

    uri: str

    def start_trial(
        self, sweep_run_id: str, trial_id: str, params: Mapping[str, Any], *, started: int | None = None
    ) -> str: ...
    def find_trial(self, sweep_run_id: str, trial_id: str) -> str | None: ...
    def write(
        self,
        run_id: str,
        *,
        points: Sequence[Point] = ...,
        params: Mapping[str, Any] = ...,
        tags: Mapping[str, object] = ...,
        size: int = ...,
    ) -> None: ...
    def finish(self, run_id: str, status: Any, *, ended: int | None = None) -> None: ...
    def is_active(self, run_id: str) -> bool: ...
    def trial_names(self, run_id: str, status: str) -> dict[str, str]: ...


class Shipper:
    """Follows the journal of one sweep; made by the process that holds the sweep.

    Parameters
    ----------
    run_id : run of the sweep, which exists. Where ``shipped.json`` speaks of another run or another store,
        everything is written, from the beginning of the journal on.
    every : seconds between two looks at the journal; more where a request takes long, as few large ones cost less.
    pause : seconds after a failure; it doubles up to a minute.

    Attributes
    ----------
    trouble : why nothing arrives at present; None when all is well.
    """

    def __init__(
        self, folder: SweepFolder, runs: Runs, run_id: str, *, every: float = 1.0, pause: float = 5.0
    ) -> None:
        self.trouble: TrackingError | None = None
        self._folder, self._runs, self._run_id = folder, runs, run_id
        self._every, self._pause = every, pause
        self._ids: dict[int, str] = {}
        self._doubtful: set[int] = set()
        self._request = REQUEST
        self._noted: tuple[float, str] = (0.0, "")
        self._thread: threading.Thread | None = None
        self._stopping, self._wake = threading.Event(), threading.Event()
        self._settling = False
        self._attempts = self._sent = 0  # failures, and shipments that arrived
        self._limits: list[str] = []
        self._shipped, self._manifest = self._recorded()
        self._read = (
            self._shipped
        )  # how far the manifest is; ahead of `_shipped` while a chunk is being written

    # For the driver ----------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin; nothing happens when it has begun."""
        self._stopping.clear()
        if self._thread is None or not self._thread.is_alive():
            self._limits += [name for name in LIMITS if name not in os.environ]
            os.environ.update({name: LIMITS[name] for name in self._limits})
            self._thread = threading.Thread(target=self._loop, name="jmml-shipper", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End within seconds. What has not arrived by then waits in the journal for the next session."""
        if self._thread is None:
            return
        self._settling, until = True, time.monotonic() + FLUSH_S
        while (self.waiting or self._settling) and self.trouble is None and time.monotonic() < until:
            self._wake.set()
            time.sleep(POLL_S)
        self._stopping.set()
        self._wake.set()
        self._thread.join(JOIN_S)
        while self._limits:
            os.environ.pop(self._limits.pop(), None)

    @property
    def waiting(self) -> int:
        """Bytes of the journal that are not in MLflow yet."""
        return Follower(self._folder.journal, self._shipped).behind

    def drain(self, interrupted: Callable[[], bool] = lambda: False, *, patience_s: float = 120.0) -> None:
        """Wait until everything is in MLflow and every trial that is over is closed there, once.

        Parameters
        ----------
        interrupted : whether to give up; asked many times a second.
        patience_s : for how long nothing may arrive.

        Raises
        ------
        KeyboardInterrupt : ``interrupted``.
        TrackingError : nothing has arrived for ``patience_s`` seconds, or the store refuses what it is given; all of
            it is in the journal still.
        """
        self._settling, before = True, self._attempts
        place, since, asked = self._sent, time.monotonic(), 0.0
        while self.waiting or self._settling:
            self.start()
            now = time.monotonic()
            if interrupted():
                raise KeyboardInterrupt
            if self._sent != place:
                place, since = self._sent, now
            trouble = self.trouble
            refused = isinstance(trouble, LastingError) and self._attempts > before
            if refused or now - since > patience_s:
                raise self._gave_up(trouble)
            if trouble is None or now - asked > self._pause:
                asked = now
                self._wake.set()
            time.sleep(POLL_S)

    def _gave_up(self, trouble: TrackingError | None) -> TrackingError:
        why = "it takes too long" if trouble is None else trouble.what
        kind = type(trouble) if isinstance(trouble, LastingError) else TrackingError
        return kind(
            f"{self.waiting:,} bytes of the journal are not in MLflow yet: {why}",
            where=self._folder.journal,
            fix=(trouble.fix if trouble is not None and trouble.fix else "bring the tracking store back")
            + f", then `jmml sweep resume {self._folder.name}`: nothing is lost",
        )

    # The thread --------------------------------------------------------------------------------------

    def _loop(self) -> None:
        pause = self._pause
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                more = self._step()
            except Exception as error:
                self.trouble = _trouble(error)
                self._attempts += 1
                self._request = max(LEAST_REQUEST, self._request // 2)
                self._rest(LOCKED_PAUSE_S if "database is locked" in self.trouble.what else pause)
                pause = min(2 * pause, MAX_PAUSE_S)
            else:
                self.trouble, pause = None, self._pause
                self._request = min(2 * self._request, REQUEST)
                if not more:
                    spent = time.monotonic() - began
                    self._rest(max(self._every, min(spent / SHARE, MAX_REST_S)))

    def _rest(self, seconds: float) -> None:
        self._wake.wait(seconds)
        self._wake.clear()

    def _step(self) -> bool:
        """Bring one chunk of the journal into MLflow; whether there may be more."""
        if not self._manifest.shipments and self._read == self._shipped:
            self._collect()
        shipments = self._manifest.shipments
        for number in list(shipments):
            if self._stopping.is_set():
                return False
            try:
                self._send(number, shipments[number])
            except RunGoneError as error:
                raise self._again_from_the_start(error) from error
            del shipments[number]
            self._sent += 1
        if self._read != self._shipped:
            self._manifest.clear()
            self._shipped = self._read
            self._record()
            return True
        self._describe()
        if self._settling:
            self._settle()
            self._settling = False
        return False

    def _collect(self) -> None:
        """Turn the next events into shipments."""
        follower = Follower(self._folder.journal, self._read)
        try:
            for event in follower.read():
                self._manifest.apply(event, self._read)
                self._read = follower.offset
                if self._manifest.size >= CHUNK:
                    break
        except Exception:
            if self._read == self._shipped:  # else what is before the damage goes first
                raise
        if self._read != self._shipped:
            # A machine that dies must not take from the journal what MLflow has: a point would come twice.
            handle = os.open(self._folder.journal, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)

    def _send(self, number: int, shipment: Shipment) -> None:
        run_id = self._ids.get(number)
        if shipment.started is not None:
            run_id = self._start(number, shipment.started)
        elif run_id is None:
            run_id = self._runs.find_trial(self._run_id, trial_name(number))
            if run_id is None:
                raise RunGoneError(f"trial {number} has no run", where=f"run {self._run_id}")
        self._ids[number] = run_id
        self._runs.write(
            run_id, points=shipment.points, params=shipment.params, tags=shipment.tags, size=self._request
        )
        if shipment.status not in (None, "RUNNING"):
            self._runs.finish(run_id, shipment.status, ended=shipment.at)
        if number not in self._manifest.open:
            self._ids.pop(number, None)

    def _start(self, number: int, started: int) -> str:
        began = time.monotonic()
        try:
            run_id = self._runs.start_trial(self._run_id, trial_name(number), {}, started=started)
        except TrackingError:
            self._doubtful.add(number)
            raise
        if time.monotonic() - began > DOUBTFUL_S:
            self._doubtful.add(number)
        return run_id

    def _again_from_the_start(self, error: RunGoneError) -> TrackingError:
        """The store lost a trial's run, or someone deleted it: all is written anew after a pause."""
        if not self._runs.is_active(self._run_id):
            return LastingError(
                f"the sweep's run {self._run_id} is not in the store any more",
                where=error.where,
                fix="restore the store, or end the sweep",
            )
        self._ids.clear()
        self._shipped = self._read = 0
        self._manifest = Manifest(self._folder.journal)
        return TrackingError(f"{error.what}; everything is written again", where=error.where)

    def _describe(self) -> None:
        """Say on the sweep's run how far it is."""
        note = self._manifest.note()
        at, known = self._noted
        due = self._settling or self._manifest.closed or time.monotonic() - at >= NOTE_S
        if self._shipped and note != known and due:
            self._runs.write(self._run_id, tags={NOTE: note})
            self._noted = (time.monotonic(), note)

    def _settle(self) -> None:
        """Undo what requests did that the store carried out late, after others had been sent in their place."""
        for number in sorted(self._doubtful):
            self._runs.find_trial(self._run_id, trial_name(number))  # leaves one of several
            self._doubtful.discard(number)
        running = {trial_name(number) for number, trial in self._manifest.open.items() if trial.running}
        for name in set(self._runs.trial_names(self._run_id, "RUNNING").values()) - running:
            self._runs.find_trial(
                self._run_id, name
            )  # an earlier session, which was killed, may have doubled it
        strays = {
            name: run_id
            for run_id, name in self._runs.trial_names(self._run_id, "RUNNING").items()
            if name not in running
        }
        if strays:
            wanted: dict[str, tuple[Status, int | None]] = dict.fromkeys(strays, ("KILLED", None))
            for event in journal.read(self._folder.journal):
                if event["e"] in ("end", "break") and trial_name(event["trial"]) in strays:
                    ended_as = STATUS.get(event.get("state", ""), "KILLED")
                    wanted[trial_name(event["trial"])] = (ended_as, event["t"])
            for name, (status, ended) in wanted.items():
                self._runs.finish(strays[name], status, ended=ended)

    # The place ---------------------------------------------------------------------------------------

    def _recorded(self) -> tuple[int, Manifest]:
        """How far this store has the journal."""
        path = self._folder.journal
        try:
            data = json.loads(self._folder.shipped.read_text())
            offset = int(data["offset"])
            same = (data["run_id"], data["uri"]) == (self._run_id, redacted(self._runs.uri))
            if same and _ends_a_line(self._folder, offset):
                return offset, Manifest(path, data["manifest"])
        except (OSError, ValueError, KeyError, TypeError, JMMLError):
            pass  # without a place to go on from, all is written again
        return 0, Manifest(path)

    def _record(self) -> None:
        data = {"run_id": self._run_id, "uri": redacted(self._runs.uri), "offset": self._shipped}
        with atomic_path(self._folder.shipped) as path:
            path.write_text(json.dumps({**data, "manifest": self._manifest.as_dict()}))


def _ends_a_line(folder: SweepFolder, offset: int) -> bool:
    """Whether an event can begin at ``offset``: the journal may be another one, or an older copy."""
    with folder.journal.open("rb") as handle:
        handle.seek(max(0, offset - 1))
        return handle.read(1) == b"\n"


def _trouble(error: Exception) -> TrackingError:
    """The error to report for a failure in the thread."""
    if isinstance(error, TrackingError):
        return error
    if isinstance(error, JMMLError):  # the journal is damaged
        return LastingError(error.what, where=error.where, expected=error.expected, fix=error.fix)
    if isinstance(error, OSError):
        return TrackingError(f"{error.filename}: {error.strerror}")
    line = next(iter(str(error).strip().splitlines()), "no message")
    return LastingError(f"{type(error).__name__}: {line}")
