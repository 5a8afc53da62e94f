"""The life of a run, on a store of its own."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial

import pytest

from jmml.errors import ModelError, TrackingError
from pipelines.tracking import runs
from pipelines.tracking.run_tags import ERROR, STUDY, STUDY_ID, SWEEP
from pipelines.tracking.tracker import Tracker
from tests.pipelines.tracked import make_lineage, make_project


@pytest.fixture(scope="module")
def tracker(tmp_path_factory: pytest.TempPathFactory) -> Tracker:
    return Tracker.connect(make_project(tmp_path_factory.mktemp("runs") / "project"))


def start(tracker: Tracker, name: str) -> str:
    return tracker.start_study(name, params={}, tags={}, lineage=make_lineage(), study_id=name)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (None, "FINISHED"),
        (ModelError("diverged"), "FAILED"),
        (KeyboardInterrupt(), "KILLED"),
        (SystemExit(143), "KILLED"),
    ],
)
def test_a_run_is_closed_as_its_work_has_ended(tracker, error, status):
    assert runs.status_of(error) == status
    expected = nullcontext() if error is None else pytest.raises(type(error))
    with expected, runs.recorded(tracker, partial(start, tracker, f"recorded-{status}-{error}")) as found:
        assert tracker.run(found).info.status == "RUNNING"
        if error is not None:
            raise error
    assert tracker.run(found).info.status == status


def test_a_store_that_fails_hides_no_other_error(tracker, monkeypatch):
    run_id = start(tracker, "away")

    def away(*arguments, **options):
        raise TrackingError("the store is away")

    with monkeypatch.context() as patch:
        patch.setattr(Tracker, "finish", away)
        with pytest.raises(ModelError), runs.recorded(tracker, lambda: run_id):
            raise ModelError("diverged")
        with pytest.raises(TrackingError), runs.recorded(tracker, lambda: run_id):
            pass
    runs.end(tracker, run_id, ModelError("diverged"), reason="stage 2 diverged")
    run = tracker.run(run_id)
    assert (run.info.status, run.data.tags[ERROR]) == ("FAILED", "stage 2 diverged")


def test_a_run_is_taken_up_again_by_its_identifier(tracker):
    first = start(tracker, "again")
    assert start(tracker, "again") == first
    assert start(tracker, "another") != first
    assert tracker.run(first).data.tags[STUDY_ID] == "again"


def test_only_the_runs_that_were_left_open_are_closed(tracker):
    left, other = start(tracker, "left"), start(tracker, "other")
    assert runs.close_left_open(tracker, SWEEP, {STUDY_ID: "left"}) == 0
    assert runs.close_left_open(tracker, STUDY, {STUDY_ID: "left"}) == 1
    assert [tracker.run(run_id).info.status for run_id in (left, other)] == ["KILLED", "RUNNING"]
    assert runs.close_left_open(tracker, STUDY, {STUDY_ID: "left"}) == 0


@pytest.mark.parametrize(("failed", "status"), [(False, "KILLED"), (True, "FAILED")])
def test_a_run_that_was_left_open_is_closed_with_all_below_it(tracker, failed, status):
    sweep = tracker.start_sweep(f"left-{status}", params={}, tags={}, lineage=make_lineage(), sweep_id=status)
    trials = [tracker.start_trial(sweep, f"{status}-{n}", {}) for n in (1, 2)]
    tracker.finish(trials[0], "FINISHED")
    runs.close_left(tracker, sweep, failed=failed)
    assert [tracker.run(found).info.status for found in (sweep, *trials)] == [status, "FINISHED", "KILLED"]
