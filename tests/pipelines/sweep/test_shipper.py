from __future__ import annotations

import contextlib
import json
import math
import multiprocessing
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from jmml.errors import TrackingError
from pipelines.project import Project
from pipelines.store import LastingError, RunGoneError
from pipelines.sweep import shipper as module
from pipelines.sweep.folder import SweepFolder
from pipelines.sweep.shipment import NOTE, Manifest
from pipelines.sweep.shipper import Shipper
from pipelines.tracking import Tracker
from tests.pipelines.sweep import shipping
from tests.pipelines.sweep.shipping import (
    append,
    assert_arrived,
    end,
    open_run,
    opening,
    report,
    session,
    start,
)
from tests.pipelines.tracked import free_port, make_project

RUN = "f" * 32


@pytest.fixture(autouse=True)
def _own_store(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "JMML_SHARED", *module.LIMITS):
        monkeypatch.delenv(name, raising=False)


class Store:
    """Keeps what is written as MLflow does; goes away, refuses and loses runs when told to."""

    uri = "http://eva:secret@host"

    def __init__(self) -> None:
        self.trials: dict[str, str] = {}
        self.points: dict[str, set[Any]] = {}
        self.params: dict[str, dict[str, Any]] = {}
        self.tags: dict[str, dict[str, Any]] = {RUN: {}}
        self.status: dict[str, str] = {}
        self.requests: list[tuple[str, int]] = []
        self.failing: TrackingError | None = None
        self.delay = 0.0
        self.there = True

    def _request(self, what: str, values: int = 0) -> None:
        self.requests.append((what, values))
        time.sleep(self.delay)
        if self.failing is not None:
            raise self.failing

    def start_trial(self, sweep_run_id, trial_id, params, *, started=None):
        self._request("start")
        run_id = self.trials.setdefault(trial_id, f"run-{trial_id}-{len(self.trials)}")
        self.status[run_id] = "RUNNING"
        return run_id

    def find_trial(self, sweep_run_id, trial_id):
        self._request("find")
        return self.trials.get(trial_id)

    def write(self, run_id, *, points=(), params=None, tags=None, size=1000):
        self._request("write", len(points))
        if run_id != RUN and run_id not in self.trials.values():
            raise RunGoneError(f"no run {run_id}")
        self.points.setdefault(run_id, set()).update(points)
        self.params.setdefault(run_id, {}).update(params or {})
        self.tags.setdefault(run_id, {}).update(tags or {})

    def finish(self, run_id, status, *, ended=None):
        self._request("finish")
        self.status[run_id] = status

    def is_active(self, run_id):
        return self.there

    def trial_names(self, run_id, status):
        self._request("names")
        return {run: name for name, run in self.trials.items() if self.status[run] == status}


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def folder(tmp_path: Path) -> SweepFolder:
    found = SweepFolder(tmp_path / "sweeps" / "demo")
    append(found, opening())
    return found


@contextlib.contextmanager
def shipping_to(folder: SweepFolder, runs: Any, run_id: str = RUN, **options: Any) -> Iterator[Shipper]:
    ship = Shipper(folder, runs, run_id, **{"every": 0.02, "pause": 0.05, **options})
    ship.start()
    try:
        yield ship
    finally:
        ship.stop()


def until(condition: Any, seconds: float = 30) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.01)


# What is written -----------------------------------------------------------------------------------------


def test_a_trial_has_its_settings_points_tags_and_status(folder: SweepFolder, store: Store) -> None:
    more = {"points": {"loss": math.nan, "rho": 0.5}, "cost": 12.0, "memo": {"computed": 2}}
    append(
        folder,
        [
            start(1, 2_000, **{"stage1.p": 5}),
            report(1, 1, 2_001, 0.25, history={"s/loss": [3.0, math.inf]}, **more),
            report(1, 2, 2_002, 0.75),
            report(1, 3, 2_003, 0.5),
            end(1, 2_004, "stopped"),
        ],
    )
    with shipping_to(folder, store) as ship:
        ship.drain()
        assert ship.waiting == 0
        assert ship.trial_run(1) == "run-001-0"
    assert store.points["run-001-0"] == {
        ("val_uar", 0.25, 1, 2_001),
        ("rho", 0.5, 1, 2_001),
        ("cost", 12.0, 1, 2_001),
        ("stage1_computed", 2.0, 1, 2_001),
        ("s/loss", 3.0, 1, 2_001),
        ("val_uar", 0.75, 2, 2_002),
        ("val_uar", 0.5, 3, 2_003),
        ("best_val_uar", 0.75, 2, 2_004),
    }
    params = store.params["run-001-0"]
    assert (params["stage1"]["p"], params["seed"], params["outer_fold"]) == (5, 7, 1)
    assert "inner_folds" not in params
    tags = store.tags["run-001-0"]
    assert (tags["jmml.state"], tags["jmml.best_epoch"], tags["jmml.attempt"]) == ("stopped", "2", "1")
    assert (tags["jmml.host"], tags["jmml.not_finite"]) == ("lab3", "loss, s/loss")
    assert store.status == {"run-001-0": "FINISHED"}
    assert store.tags[RUN][NOTE] == (
        "A purpose.\n\n**running**: 1 of 3 trials over (1 stopped); best score 0.7500, trial 1; "
        "last driven by eva on lab3"
    )


def test_a_score_that_is_no_mean_is_a_metric_of_its_own(tmp_path: Path, store: Store) -> None:
    folder = SweepFolder(tmp_path / "low")
    append(folder, opening(objective={"score": "lower-bound"}))
    reports = [report(1, 1, 3, 0.5) | {"score": 0.4}, report(1, 2, 4, 0.6) | {"score": 0.3}]
    append(folder, [start(1, 2), *reports, end(1, 5)])
    with shipping_to(folder, store) as ship:
        ship.drain()
    points = next(iter(store.points[run] for run in store.trials.values()))
    assert {("score", 0.4, 1, 3), ("best_score", 0.4, 1, 5), ("best_val_uar", 0.5, 1, 5)} <= points


def test_a_trial_that_is_broken_off_is_killed_and_runs_on_in_the_same_run(
    folder: SweepFolder, store: Store
) -> None:
    append(folder, [start(1, 2), report(1, 1, 3, 0.5), {"e": "break", "t": 4, "trial": 1}])
    with shipping_to(folder, store) as ship:
        ship.drain()
        assert store.status == {"run-001-0": "KILLED"}
        changed = start(1, 6, attempt=2, **{"stage1.p": 9})
        append(folder, [session(5, "resume"), changed, report(1, 2, 7, 0.25), end(1, 8)])
        ship.drain()
    assert store.status == {"run-001-0": "FINISHED"}
    assert store.params["run-001-0"]["stage1"]["p"] == 4, "parameters are those of the first attempt"
    assert store.tags["run-001-0"]["jmml.attempt"] == "2"
    assert ("best_val_uar", 0.5, 1, 8) in store.points["run-001-0"]


def test_the_next_session_closes_what_a_dead_driver_left_running(folder: SweepFolder, store: Store) -> None:
    append(folder, [start(1, 2), start(2, 3), end(2, 4, "failed", error="x" * 5000), session(5, "resume")])
    with shipping_to(folder, store) as ship:
        ship.drain()
    assert {name: store.status[run] for name, run in store.trials.items()} == {
        "001": "KILLED",
        "002": "FAILED",
    }
    assert len(store.tags[store.trials["002"]]["jmml.error"]) == 2000


def test_changes_of_configuration_are_told_in_the_description(folder: SweepFolder, store: Store) -> None:
    change = {"e": "mutate", "t": 4, "trial": 1, "epoch": 1, "configuration": {"stage2.lr": 0.5}, "source": 3}
    append(folder, [start(1, 2), report(1, 1, 3, 0.5), change, change | {"epoch": 2, "source": None}])
    with shipping_to(folder, store) as ship:
        ship.drain()
    tags = store.tags["run-001-0"]
    assert tags[NOTE] == "After epoch 1 from trial 3: stage2.lr=0.5\n\nAfter epoch 2: stage2.lr=0.5"
    assert json.loads(tags["jmml.configuration"]) == {"stage2.lr": 0.5}


def test_many_reports_are_few_requests(folder: SweepFolder, store: Store) -> None:
    events = [report(trial, epoch, epoch, 0.5) for epoch in range(1, 501) for trial in (1, 2)]
    append(folder, [start(1, 1), start(2, 1), *events])
    with shipping_to(folder, store) as ship:
        ship.drain()
    assert [request for request in store.requests if request[0] == "write"] == [
        ("write", 500),
        ("write", 500),
        ("write", 0),
    ]


def test_what_the_manifest_remembers_can_be_written_down(folder: SweepFolder) -> None:
    events = [start(1, 2), report(1, 1, 3, 0.75, points={"loss": math.nan}), start(2, 3), end(2, 4, "failed")]
    append(folder, events)
    whole = Manifest(folder.journal)
    offset = 0
    follower = module.Follower(folder.journal)
    for event in follower.read():
        whole.apply(event, offset)
        offset = follower.offset
    again = Manifest(folder.journal, json.loads(json.dumps(whole.as_dict())))
    assert again.as_dict() == json.loads(json.dumps(whole.as_dict())) | {"open": again.as_dict()["open"]}
    assert again.open == whole.open
    assert again.note() == whole.note()
    later = [report(1, 2, 5, 0.5), end(1, 6), start(3, 7)]
    whole.clear()
    for manifest in (whole, again):
        for event in later:
            manifest.apply(event, 0)
    assert again.shipments == whole.shipments
    assert ("best_val_uar", 0.75, 1, 6) in again.shipments[1].points


# Faults ------------------------------------------------------------------------------------------------------


def test_while_the_store_is_away_the_journal_keeps_everything(folder: SweepFolder, store: Store) -> None:
    store.failing = TrackingError("cannot reach the tracking server", fix="start it")
    append(folder, [start(1, 2), report(1, 1, 3, 0.5)])
    with shipping_to(folder, store) as ship:
        until(lambda: ship.trouble is not None)
        waiting = ship.waiting
        assert waiting == folder.journal.stat().st_size
        append(folder, [report(1, 2, 4, 0.6), end(1, 5)])
        assert ship.waiting > waiting
        with pytest.raises(
            TrackingError, match=r"bytes of the journal are not in MLflow yet: cannot reach"
        ) as caught:
            ship.drain(patience_s=0.3)
        assert "Start it, then `jmml sweep resume demo`: nothing is lost" in str(caught.value)
        store.failing = None
        ship.drain()
        assert ship.trouble is None
    assert len(store.points["run-001-0"]) == 3


def test_pauses_grow_and_a_refusal_ends_the_wait_at_once(folder: SweepFolder, store: Store) -> None:
    store.failing = LastingError("parameter 'p' has another value")
    append(folder, [start(1, 2)])
    with shipping_to(folder, store, pause=0.1) as ship:
        time.sleep(1.0)
        assert 2 <= len(store.requests) <= 5, "0.1 + 0.2 + 0.4 + 0.8 s"
        with pytest.raises(LastingError, match="parameter 'p' has another value"):
            ship.drain(patience_s=60)


def test_a_store_that_hangs_does_not_keep_anyone(folder: SweepFolder, store: Store) -> None:
    store.delay = 60.0
    append(folder, [start(1, 2)])
    ship = Shipper(folder, store, RUN)
    ship.start()
    until(lambda: store.requests)
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        ship.drain(lambda: True)
    ship.stop()
    assert time.monotonic() - began < 10
    assert not folder.shipped.exists()


def test_the_time_limits_of_requests_hold_while_it_runs_unless_the_user_set_them(
    folder: SweepFolder, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "7")
    with shipping_to(folder, store):
        assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "7"
        assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "0"
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "7"
    assert "MLFLOW_HTTP_REQUEST_MAX_RETRIES" not in os.environ


def test_another_run_store_or_journal_is_filled_from_the_beginning(folder: SweepFolder, store: Store) -> None:
    append(folder, [start(1, 2), report(1, 1, 3, 0.5), end(1, 4)])
    with shipping_to(folder, store) as ship:
        ship.drain()
    place = json.loads(folder.shipped.read_text())
    assert (place["run_id"], place["uri"], place["offset"]) == (
        RUN,
        "http://***@host",
        folder.journal.stat().st_size,
    )
    assert Shipper(folder, store, RUN).waiting == 0
    assert Shipper(folder, store, "e" * 32).waiting == place["offset"]
    other = Store()
    other.uri = "http://elsewhere"
    assert Shipper(folder, other, RUN).waiting == place["offset"]
    for text in ("", "{}", "no json", json.dumps(place | {"offset": place["offset"] - 3}), json.dumps([1])):
        folder.shipped.write_text(text)
        assert Shipper(folder, store, RUN).waiting == place["offset"]
    folder.shipped.write_text(json.dumps(place))
    whole = folder.journal.read_bytes()
    folder.journal.write_bytes(whole[: whole.index(b"\n") + 1])  # an older copy
    assert Shipper(folder, store, RUN).waiting == folder.journal.stat().st_size


def test_a_trial_whose_run_was_deleted_is_written_anew(folder: SweepFolder, store: Store) -> None:
    append(folder, [start(1, 2), start(2, 2), report(1, 1, 3, 0.5), report(2, 1, 3, 0.5)])
    with shipping_to(folder, store) as ship:
        ship.drain()
        del store.trials["001"]
        append(folder, [report(1, 2, 4, 0.6), end(1, 5)])
        ship.drain()
    assert len(store.points[store.trials["001"]]) == 3
    assert len(store.points[store.trials["002"]]) == 1


def test_a_store_without_the_sweep_is_a_lasting_trouble(folder: SweepFolder, store: Store) -> None:
    append(folder, [start(1, 2)])
    with shipping_to(folder, store) as ship:
        ship.drain()
        store.trials.clear()
        store.there = False
        append(folder, [report(1, 1, 3, 0.5)])
        with pytest.raises(LastingError, match=r"run f+ is not in the store any more"):
            ship.drain()
    assert json.loads(folder.shipped.read_text())["offset"] < folder.journal.stat().st_size


def test_a_damaged_journal_is_shipped_up_to_the_damage_and_named(folder: SweepFolder, store: Store) -> None:
    append(folder, [start(1, 2)])
    with folder.journal.open("ab") as handle:
        handle.write(b"00000000 {}\n")
    append(folder, [report(1, 1, 3, 0.5)])
    with shipping_to(folder, store) as ship:
        until(lambda: ship.trouble is not None)
        assert isinstance(ship.trouble, LastingError)
        assert "is damaged at byte" in ship.trouble.what
    assert list(store.trials) == ["001"]


def test_a_request_that_was_carried_out_late_is_undone_at_the_end(folder: SweepFolder, store: Store) -> None:
    append(folder, [start(1, 2), start(2, 2), end(1, 5, "failed")])
    with shipping_to(folder, store) as ship:
        ship.drain()
        store.status[store.trials["001"]] = "RUNNING"
        ship.drain()
    assert {name: store.status[run] for name, run in store.trials.items()} == {
        "001": "FAILED",
        "002": "RUNNING",
    }


def test_a_place_that_cannot_be_noted_is_trouble_and_not_the_end(
    folder: SweepFolder, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path) -> Any:
        raise OSError(28, "No space left on device", str(path))

    append(folder, [start(1, 2)])
    with monkeypatch.context() as patched:
        patched.setattr(module, "atomic_path", full)
        ship = Shipper(folder, store, RUN, every=0.02, pause=0.05)
        ship.start()
        until(lambda: ship.trouble is not None)
        assert "shipped.json: No space left on device" in ship.trouble.what  # type: ignore[union-attr]
    append(folder, [end(1, 3)])
    ship.drain()
    ship.stop()
    assert json.loads(folder.shipped.read_text())["offset"] == folder.journal.stat().st_size
    assert list(store.status.values()) == ["FINISHED"]


# Real stores -------------------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path / "project")


def test_a_real_store_has_exactly_what_the_journal_has(project: Project) -> None:
    folder, tracker = SweepFolder.of(project, "demo"), Tracker.connect(project)
    run_id = open_run(tracker)
    append(folder, [*opening(total=6), *shipping.work(6, 8)])
    with shipping_to(folder, tracker, run_id) as ship:
        ship.drain()
        assert_arrived(tracker, run_id, folder)
        trial = tracker.run(ship.trial_run(1) or "")
        assert (trial.info.start_time, trial.info.run_name) == (2_001, "demo / 001")
        assert trial.data.params["stage1.p"] == "4"
        assert ship.trial_run(99) is None
    folder.shipped.unlink()
    with shipping_to(folder, tracker, run_id) as ship:  # everything once more
        ship.drain()
    assert_arrived(tracker, run_id, folder)
    assert "6 of 6 trials over" in tracker.run(run_id).data.tags[NOTE]


def test_runs_deleted_in_mlflow_come_back_whole(project: Project) -> None:
    folder, tracker = SweepFolder.of(project, "demo"), Tracker.connect(project)
    run_id = open_run(tracker)
    append(folder, [*opening(), start(1, 2), report(1, 1, 3, 0.5)])
    with shipping_to(folder, tracker, run_id) as ship:
        ship.drain()
        tracker.client.delete_run(ship.trial_run(1) or "")
        append(folder, [report(1, 2, 4, 0.25), end(1, 5)])
        ship.drain()
        assert_arrived(tracker, run_id, folder)
        tracker.client.delete_experiment(tracker.experiment().experiment_id)
        append(folder, [start(2, 6)])
        with pytest.raises(LastingError):
            ship.drain()


@pytest.mark.slow
def test_a_shipper_killed_again_and_again_loses_and_doubles_nothing(project: Project) -> None:
    folder, tracker = SweepFolder.of(project, "demo"), Tracker.connect(project)
    events = [*opening(total=12), *shipping.work(12, 30)]
    rng = random.Random(4)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.pipelines.sweep.shipping"])
    rounds, killed = 14, 0
    places = []
    for turn in range(rounds):
        append(folder, events[len(events) * turn // rounds : len(events) * (turn + 1) // rounds])
        ready = context.Event()
        child = context.Process(target=shipping.ship, args=(project.root, "demo", ready, 40))
        child.start()
        assert ready.wait(60)
        time.sleep(rng.uniform(0.0, 0.15))
        assert child.pid is not None
        if child.exitcode is None:
            os.kill(child.pid, signal.SIGKILL)
        child.join(60)
        killed += child.exitcode == -signal.SIGKILL
        places.append(json.loads(folder.shipped.read_text())["offset"] if folder.shipped.exists() else 0)
    assert killed >= 3  # the others had sent all before they were to die
    assert places == sorted(places)
    run_id = open_run(tracker)
    with shipping_to(folder, tracker, run_id) as ship:
        ship.drain()
    assert_arrived(tracker, run_id, folder)
    assert len(tracker.runs()) == 1, "the sweep has one run"


@pytest.mark.slow
def test_two_sweeps_fill_one_store_at_once(project: Project) -> None:
    tracker = Tracker.connect(project)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.pipelines.sweep.shipping"])
    children, ready = [], context.Event()
    for number, name in enumerate(("one", "two")):
        folder = SweepFolder.of(project, name)
        append(folder, [*opening(name, total=8), *shipping.work(8, 40, seed=number)])
        children.append(context.Process(target=shipping.ship, args=(project.root, name, ready, 100)))
    for child in children:
        child.start()
    for child in children:
        child.join(180)
        assert child.exitcode == 0
    for name in ("one", "two"):
        assert_arrived(tracker, open_run(tracker, name), SweepFolder.of(project, name))


def _drain_backlog(root: Path, result: Any) -> None:
    project = Project(root)
    tracker = Tracker.connect(project)
    small, large = SweepFolder.of(project, "small"), SweepFolder.of(project, "large")
    peaks = []
    for folder in (small, large):
        with shipping_to(folder, tracker, open_run(tracker, folder.name)) as ship:
            ship.drain(patience_s=300)
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    result.put(peaks)


@pytest.mark.slow
def test_the_memory_does_not_grow_with_the_backlog(project: Project) -> None:
    for name, trials in (("small", 30), ("large", 125)):
        events = [*opening(name, total=trials), *shipping.work(trials, 100, metrics=5, at_once=4)]
        append(SweepFolder.of(project, name), events)
    points, _ = shipping.expected(SweepFolder.of(project, "large"))
    assert len(points) > 50_000
    context = multiprocessing.get_context("spawn")
    result = context.Queue()
    child = context.Process(target=_drain_backlog, args=(project.root, result))
    child.start()
    small, large = result.get(timeout=540)
    child.join(60)
    assert child.exitcode == 0
    assert large - small < 40 * 1024, "kB; the points alone would take more"
    tracker = Tracker.connect(project)
    assert_arrived(tracker, open_run(tracker, "large"), SweepFolder.of(project, "large"))


class Server:
    """``mlflow server`` on loopback, with one worker, that can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self.command = [
            sys.executable,
            "-m",
            "mlflow",
            "server",
            "--host",
            "127.0.0.1",
            "--port",
            str(self.port),
        ]
        self.command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{folder}/server.db"]
        self.command += ["--artifacts-destination", str(folder / "files")]
        self.log = folder / "server.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log, start_new_session=True)
        limit = time.monotonic() + 120
        while True:
            with contextlib.suppress(requests.RequestException):
                if requests.get(f"{self.uri}/health", timeout=2).ok:
                    return
            assert time.monotonic() < limit, self.log.read_text()[-2000:]
            time.sleep(0.2)

    def kill(self) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)  # a session of its own: the server and its worker
            self.process.wait(30)
            self.process = None


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    made = Server(tmp_path)
    try:
        made.start()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", made.uri)
        yield made
    finally:
        made.kill()


@pytest.mark.slow
def test_a_server_killed_in_the_middle_has_everything_once_when_it_is_back(
    project: Project, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, tracker = SweepFolder.of(project, "demo"), Tracker.connect(project)
    run_id = open_run(tracker)
    monkeypatch.setattr(module, "CHUNK", 100)
    events = [*opening(total=16), *shipping.work(16, 40)]
    third = len(events) // 3
    append(folder, events[: third // 2])
    with shipping_to(folder, tracker, run_id, pause=0.2) as ship:
        for turn in range(2):
            left = ship.waiting
            until(lambda left=left: ship.waiting < left, 60)
            server.kill()
            append(folder, events[turn * third + third // 2 : (turn + 1) * third + third // 2])
            until(lambda: ship.trouble is not None, 60)
            server.start()
        append(folder, events[2 * third + third // 2 :])
        ship.drain()
        assert ship.trouble is None
        assert_arrived(tracker, run_id, folder)
