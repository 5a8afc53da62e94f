from __future__ import annotations

from typing import Any

import pytest

from jmml.errors import TrackingError
from pipelines.sweep.writer import TrialWriter


class Store:
    """Keeps what is written, as MLflow does: a point is a set member, a run has one status."""

    def __init__(self) -> None:
        self.params: dict[str, Any] = {}
        self.points: dict[str, list[Any]] = {}
        self.status: dict[str, str] = {}
        self.tags: dict[str, Any] = {}
        self.requests = 0
        self.down = False

    def _request(self) -> None:
        if self.down:
            raise TrackingError("cannot reach the tracking server", where="http://localhost")
        self.requests += 1

    def start_trial(self, sweep_run_id, trial_id, params):
        self._request()
        run_id = f"{sweep_run_id}/{trial_id}"
        self.params[run_id], self.status[run_id] = params, "RUNNING"
        return run_id

    def log_points(self, run_id, points):
        self._request()
        self.points.setdefault(run_id, []).extend(points)

    def set_tags(self, run_id, tags):
        self._request()
        self.tags[run_id] = tags

    def finish(self, run_id, status):
        self._request()
        self.status[run_id] = status


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store():
    return Store()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def writer(store, clock):
    return TrialWriter(store, "sweep", clock=clock)


def point(step: int) -> tuple[str, float, int, int]:
    return ("val_uar", step / 10, step, 1000 + step)


def test_reports_wait_and_go_out_in_one_request(store, clock, writer):
    writer.start("001", {"k": 3})
    writer.tick()
    for step in range(1, 6):
        writer.points("001", [point(step)])
        writer.tick()
    assert store.points == {}
    clock.now = 1.5
    before = store.requests
    writer.tick()
    assert store.requests == before + 1
    assert store.points["sweep/001"] == [point(step) for step in range(1, 6)]


def test_runs_are_written_in_order(store, writer):
    writer.start("001", {"k": 3})
    writer.points("001", [point(1)])
    writer.finish("001", "FINISHED", {"jmml.state": "finished"})
    writer.close()
    assert store.status == {"sweep/001": "FINISHED"}
    assert store.tags == {"sweep/001": {"jmml.state": "finished"}}
    assert writer.run_id("001") == "sweep/001"
    assert writer.run_id("002") is None


def test_an_outage_loses_nothing_and_does_not_stop_the_search(store, clock, writer):
    writer.start("001", {})
    writer.points("001", [point(1)])
    store.down = True
    writer.tick()
    assert writer.trouble is not None
    writer.points("001", [point(2)])
    writer.finish("001", "FINISHED", {})
    clock.now = 1.5
    store.down = False
    writer.tick()  # still inside the pause after a failure
    assert store.status == {}
    clock.now = 6
    writer.tick()
    assert writer.trouble is None
    assert store.status == {"sweep/001": "FINISHED"}
    assert store.points["sweep/001"] == [point(1), point(2)]


def test_open_trials_are_killed_at_the_end(store, writer):
    for trial in ("001", "002"):
        writer.start(trial, {})
    writer.finish("001", "FAILED", {"jmml.error": "x"})
    writer.close()
    writer.close()
    assert store.status == {"sweep/001": "FAILED", "sweep/002": "KILLED"}


def test_what_cannot_be_written_at_the_end_is_an_error(store, writer):
    writer.start("001", {})
    writer.start("002", {})
    store.down = True
    with pytest.raises(TrackingError, match="the results of 2 trials could not be written"):
        writer.close()
    store.down = False
    writer.close()
    assert set(store.status.values()) == {"KILLED"}
