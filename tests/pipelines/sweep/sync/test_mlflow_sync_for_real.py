"""The shipper with MLflow itself: its SQLite store and its server, killed processes, large backlogs."""

from __future__ import annotations

import json
import os
import random
import signal
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.sweep.record.folder import SweepFolder
from pipelines.sweep.sync import mlflow_sync as module
from pipelines.sweep.sync.run_updates import NOTE
from pipelines.tracking.store import LastingError
from pipelines.tracking.tracker import Tracker
from pipelines.workspace.project import Project
from tests import forked
from tests.faults.servers import Server
from tests.pipelines.sweep import shipping
from tests.pipelines.sweep.shipping import (
    append,
    assert_arrived,
    end,
    open_run,
    opening,
    report,
    shipping_to,
    start,
)
from tests.pipelines.tracked import make_project
from tests.waiting import until


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
        trial = tracker.run(tracker.find_trial(run_id, "001") or "")
        assert (trial.info.start_time, trial.info.run_name) == (2_001, "demo / 001")
        assert trial.data.params["stage1.p"] == "4"
        assert tracker.find_trial(run_id, "099") is None
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
        tracker.client.delete_run(tracker.find_trial(run_id, "001") or "")
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
    events = [*opening(total=8), *shipping.work(8, 24)]
    rng = random.Random(4)
    context = forked.context()
    rounds, killed = 8, 0
    places = []
    for turn in range(rounds):
        append(folder, events[len(events) * turn // rounds : len(events) * (turn + 1) // rounds])
        ready = context.Event()
        child = context.Process(target=shipping.ship, args=(project.root, "demo", ready, 20))
        child.start()
        ready.wait()
        time.sleep(rng.uniform(0.0, 0.15))
        assert child.pid is not None
        if child.exitcode is None:
            os.kill(child.pid, signal.SIGKILL)
        child.join()
        killed += child.exitcode == -signal.SIGKILL
        places.append(json.loads(folder.shipped.read_text())["offset"] if folder.shipped.exists() else 0)
    assert killed >= 2  # the others had sent all before they were to die
    assert places == sorted(places)
    run_id = open_run(tracker)
    with shipping_to(folder, tracker, run_id) as ship:
        ship.drain()
    assert_arrived(tracker, run_id, folder)
    assert len(tracker.runs()) == 1, "the sweep has one run"


@pytest.mark.slow
def test_two_sweeps_fill_one_store_at_once(project: Project) -> None:
    tracker = Tracker.connect(project)
    context = forked.context()
    children, ready = [], context.Event()
    for number, name in enumerate(("one", "two")):
        folder = SweepFolder.of(project, name)
        append(folder, [*opening(name, total=5), *shipping.work(5, 24, seed=number)])
        children.append(context.Process(target=shipping.ship, args=(project.root, name, ready, 40)))
    for child in children:
        child.start()
    for child in children:
        child.join()
        assert child.exitcode == 0
    for name in ("one", "two"):
        assert_arrived(tracker, open_run(tracker, name), SweepFolder.of(project, name))


def peak_of_draining(folder: SweepFolder, *, trials: int) -> int:
    """Bytes that Python has allocated at once while a backlog goes to a store that keeps nothing."""
    append(folder, [*opening(folder.name, total=trials), *shipping.work(trials, 40, metrics=5, at_once=4)])
    points, statuses = shipping.expected(folder)
    store = shipping.Counting()
    tracemalloc.start()
    try:
        with shipping_to(folder, store) as ship:
            ship.drain(patience_s=600)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert store.points == len(points)
    assert {name: store.ended[name] for name in statuses} == statuses
    return peak


def test_the_memory_does_not_grow_with_the_backlog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", 500)
    small = peak_of_draining(SweepFolder(tmp_path / "small"), trials=8)
    large = peak_of_draining(SweepFolder(tmp_path / "large"), trials=64)
    assert large < 1.5 * small, "eight times as much was waiting"


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
    monkeypatch.setattr(module, "CHUNK", 40)
    events = [*opening(total=8), *shipping.work(8, 24)]
    third = len(events) // 3
    append(folder, events[: third // 2])
    with shipping_to(folder, tracker, run_id, pause=0.2) as ship:
        for turn in range(2):
            left = ship.waiting
            until(lambda left=left: ship.waiting < left, "some has arrived")
            server.kill()
            append(folder, events[turn * third + third // 2 : (turn + 1) * third + third // 2])
            until(lambda: ship.trouble is not None, "trouble")
            server.start()
        append(folder, events[2 * third + third // 2 :])
        ship.drain()
        assert ship.trouble is None
        assert_arrived(tracker, run_id, folder)
