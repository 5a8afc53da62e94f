from __future__ import annotations

import json
import math
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from jmml.errors import TrackingError
from pipelines.sweep.record.folder import SweepFolder
from pipelines.sweep.sync import mlflow_sync as module
from pipelines.sweep.sync.mlflow_sync import Shipper
from pipelines.sweep.sync.run_updates import NOTE, Manifest
from pipelines.tracking.store import LastingError, RunGoneError
from tests.pipelines.sweep.shipping import (
    RUN,
    append,
    end,
    opening,
    report,
    session,
    shipping_to,
    start,
)
from tests.waiting import until


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
        self.answers = threading.Event()
        self.answers.set()
        self.there = True

    def _request(self, what: str, values: int = 0) -> None:
        self.requests.append((what, values))
        self.answers.wait()
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


def test_of_equal_trials_the_first_is_the_best_whichever_ended_first(
    folder: SweepFolder, store: Store
) -> None:
    at_work = [start(1, 2_000), start(2, 2_001), report(1, 1, 2_002, 0.5), report(2, 1, 2_003, 0.5)]
    append(folder, [*at_work, end(2, 2_004), end(1, 2_005)])
    with shipping_to(folder, store) as ship:
        ship.drain()
    assert "best score 0.5000, trial 1;" in store.tags[RUN][NOTE]


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


def test_a_trial_that_is_over_and_then_broken_off_is_over(folder: SweepFolder, store: Store) -> None:
    """As a driver leaves it that was terminated between the line in the journal and its taking in."""
    append(folder, [start(1, 2), report(1, 1, 3, 0.5), end(1, 4), {"e": "break", "t": 5, "trial": 1}])
    append(folder, [start(2, 6), report(2, 1, 7, 0.5), end(2, 8)])
    with shipping_to(folder, store) as ship:
        ship.drain()
        assert ship.trouble is None
    assert store.status == {"run-001-0": "FINISHED", "run-002-1": "FINISHED"}
    assert store.tags["run-001-0"]["jmml.state"] == "finished"


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


def test_it_rests_the_longer_the_longer_a_request_takes(
    folder: SweepFolder, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    rests: list[float] = []
    ship = Shipper(folder, store, RUN, every=1.0)
    took = iter([0.001, 0.02, 30.0])

    def step() -> bool:
        clock[0] += next(took)
        return False

    def rest(seconds: float) -> None:
        rests.append(seconds)
        if len(rests) == 3:
            ship._stopping.set()

    clock = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(ship, "_step", step)
    monkeypatch.setattr(ship, "_rest", rest)
    ship._loop()
    assert rests == [1.0, pytest.approx(2.0), 5.0]


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
        until(lambda: ship.trouble is not None, "trouble")
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


def test_pauses_grow_and_a_refusal_ends_the_wait_at_once(
    folder: SweepFolder, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.failing = LastingError("parameter 'p' has another value")
    append(folder, [start(1, 2)])
    rests: list[float] = []
    ship = Shipper(folder, store, RUN, pause=0.5)

    def rest(seconds: float) -> None:
        rests.append(seconds)
        if len(rests) == 10:
            ship._stopping.set()

    with monkeypatch.context() as patched:
        patched.setattr(ship, "_rest", rest)
        ship._loop()
    assert rests == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]
    with shipping_to(folder, store) as ship, pytest.raises(LastingError, match="'p' has another value"):
        ship.drain(patience_s=600)


def test_a_store_that_hangs_does_not_keep_anyone(
    folder: SweepFolder, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "JOIN_S", 0.1)
    monkeypatch.setattr(module, "FLUSH_S", 0.1)
    store.answers.clear()
    append(folder, [start(1, 2)])
    ship = Shipper(folder, store, RUN)
    ship.start()
    until(lambda: store.requests, "a request")
    with pytest.raises(KeyboardInterrupt):
        ship.drain(lambda: True)
    ship.stop()
    assert ship._thread is not None
    assert ship._thread.is_alive()  # in the request
    assert not folder.shipped.exists()
    store.answers.set()
    ship._thread.join()


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
        until(lambda: ship.trouble is not None, "trouble")
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
        until(lambda: ship.trouble is not None, "trouble")
        assert "shipped.json: No space left on device" in ship.trouble.what  # type: ignore[union-attr]
    append(folder, [end(1, 3)])
    ship.drain()
    ship.stop()
    assert json.loads(folder.shipped.read_text())["offset"] == folder.journal.stat().st_size
    assert list(store.status.values()) == ["FINISHED"]
