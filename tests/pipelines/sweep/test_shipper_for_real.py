"""The shipper with MLflow itself: its SQLite store and its server, killed processes, large backlogs."""

from __future__ import annotations

import contextlib
import json
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

from pipelines.project import Project
from pipelines.store import LastingError
from pipelines.sweep import shipper as module
from pipelines.sweep.folder import SweepFolder
from pipelines.sweep.shipment import NOTE
from pipelines.tracking import Tracker
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
    until,
)
from tests.pipelines.tracked import free_port, make_project


@pytest.fixture(autouse=True)
def _own_store(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "JMML_SHARED", *module.LIMITS):
        monkeypatch.delenv(name, raising=False)


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
