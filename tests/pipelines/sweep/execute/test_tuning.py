"""What Tune's loop tells the driver, without Tune: its callbacks called by hand."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from ray.tune.search import Searcher

from jmml.errors import SweepError
from pipelines.sweep.decide.driver import Driver
from pipelines.sweep.decide.rungs import WHOLE, Leg
from pipelines.sweep.decide.search import build_search
from pipelines.sweep.definition.reading import check
from pipelines.sweep.execute import tuning
from pipelines.sweep.execute.trainable import ERROR, LEG, PAYLOAD
from pipelines.sweep.record import journal
from pipelines.sweep.record.journal import Journal
from pipelines.sweep.record.state import SweepState
from tests.pipelines.sweep.simulation import BASE, begin

EPOCHS = 4
SPACE = {"stage2.lr": {"loguniform": [1e-4, 1e-2]}, "stage2.epochs": {"choice": [EPOCHS]}}


class Loop:
    """Tune as far as the driver sees it: trials that are suggested, start, report and end."""

    def __init__(self, path, *, concurrent=2):
        self.definition = check(
            {"name": "s", "algorithm": "random", "scheduler": "none", "trials": 6, "space": SPACE}
        )
        if not path.exists():
            begin(path, self.definition)
        self.journal = Journal(path)
        state = SweepState.read(path)
        search = build_search(self.definition)
        self.driver = Driver(self.journal, state, search, self.definition, BASE, concurrent=concurrent)
        self.numbers, self.stop, self.lines = {}, None, []
        self.proposals = tuning._Proposals(self.driver, self.numbers)
        display = SimpleNamespace(ended=self.lines.append)
        self.room = concurrent
        self.reports = tuning._Reports(
            self.driver,
            self.numbers,
            display,
            lambda: self.stop,
            lambda: self.room,
            path.parent / "checkpoints",
        )

    def suggest(self, trial_id):
        config = self.proposals.suggest(trial_id)
        if not isinstance(config, dict):
            return config
        metadata = SimpleNamespace(
            metric_analysis={1: 1}, metric_n_steps={1: 1}, last_result={1: 1}, num_failures=0
        )
        return SimpleNamespace(
            trial_id=trial_id, config=config, last_result={}, error_file=None, run_metadata=metadata
        )

    def start(self, trial):
        self.reports.on_trial_start(0, [], trial)

    def report(self, trial, epoch, score, **payload):
        result = {
            "epoch": epoch,
            "score": score,
            PAYLOAD: json.dumps({"points": {"val_uar": score}, **payload}),
        }
        trial.last_result = result
        self.reports.on_trial_result(0, [], trial, result)

    def end(self, trial, error=None):
        if error is not None:
            trial.last_result = {ERROR: error}
            self.reports.on_trial_result(0, [], trial, trial.last_result)
        self.reports.on_trial_complete(0, [], trial)
        self.proposals.on_trial_complete(trial.trial_id)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal"


def events(path, kind):
    return [event for event in journal.read(path) if event["e"] == kind]


def test_no_more_are_proposed_than_run_at_a_time_and_the_end_is_said(path):
    loop = Loop(path)
    first, second = loop.suggest("a"), loop.suggest("b")
    assert (first.config["number"], second.config["number"]) == (1, 2)
    assert loop.suggest("c") is None
    loop.start(first)
    loop.end(first)
    assert loop.suggest("c").config["number"] == 3
    loop.room = 4  # a machine has joined
    loop.reports.on_step_end(0, [])
    assert [loop.suggest(name).config["number"] for name in "de"] == [4, 5]
    assert loop.suggest("f") is None
    loop.room = 9
    loop.reports.on_step_end(0, [])
    assert loop.suggest("g").config["number"] == 6
    assert loop.suggest("h") == Searcher.FINISHED


def test_a_report_is_entered_as_it_came_and_what_tune_would_keep_is_let_go(path):
    loop = Loop(path)
    trial = loop.suggest("a")
    loop.start(trial)
    loop.report(trial, 1, 0.1 + 0.2, cost=7.0, memo={"computed": 2, "loaded": 0, "waited": 0})
    loop.end(trial)
    (report,) = events(path, "report")
    assert (report["score"], report["points"], report["cost"]) == (0.1 + 0.2, {"val_uar": 0.1 + 0.2}, 7.0)
    assert report["memo"]["computed"] == 2
    assert [ended.number for ended in loop.lines] == [1]
    assert (trial.run_metadata.last_result, trial.run_metadata.metric_analysis) == ({}, {})


def test_a_trial_that_fails_says_so_in_its_last_report_which_is_no_score(path):
    loop = Loop(path)
    trial = loop.suggest("a")
    loop.start(trial)
    loop.report(trial, 1, 0.5)
    loop.end(trial, error="ModelError: too wide")
    assert len(events(path, "report")) == 1
    (end,) = events(path, "end")
    assert (end["state"], end["error"]) == ("failed", "ModelError: too wide")
    assert loop.driver.state.best is None


def test_a_trial_that_starts_again_from_its_checkpoint_goes_on_in_its_own_count(path):
    loop = Loop(path)
    trial = loop.suggest("a")
    loop.start(trial)
    loop.report(trial, 1, 0.1)
    loop.report(trial, 2, 0.2)
    loop.start(trial)  # its worker died; the checkpoint is that of epoch 1
    loop.report(trial, 2, 0.2)
    loop.report(trial, 3, 0.3)
    assert [event["epoch"] for event in events(path, "report")] == [1, 2, 3]
    assert events(path, "differs") == []


def test_a_trial_that_has_reached_its_rung_waits_and_one_that_has_not_is_over(path):
    loop = Loop(path)
    first, second = loop.suggest("a"), loop.suggest("b")
    for trial in (first, second):
        trial.config[LEG] = Leg(until=2)
        loop.start(trial)
        loop.report(trial, 1, 0.1)
    loop.report(first, 2, 0.2)
    loop.end(first)
    loop.end(second)
    state = loop.driver.state
    assert (state.trials[1].status, state.trials[2].status) == ("waiting", "stopped")
    assert [event.get("rung") for event in events(path, "break")] == [2]
    assert [ended.number for ended in loop.lines] == [2]


def test_a_trial_whose_worker_dies_runs_again_until_that_is_hopeless(path):
    loop = Loop(path)
    for death in range(1, tuning.MAX_DEATHS + 2):
        trial = loop.suggest(str(death))
        assert (trial.config["number"], trial.config[LEG]) == (1, WHOLE)
        loop.start(trial)
        loop.reports.on_trial_error(0, [], trial)
        loop.proposals.on_trial_complete(trial.trial_id, error=True)
        if death <= tuning.MAX_DEATHS:
            assert loop.driver.state.trials[1].status == "waiting"
    (end,) = events(path, "end")
    assert (end["trial"], end["state"]) == (1, "failed")
    assert end["error"].startswith("its workers died")
    assert loop.suggest("next").config["number"] == 2


def test_our_errors_and_requests_leave_the_loop_as_they_are(path, monkeypatch):
    loop = Loop(path)
    trial = loop.suggest("a")
    loop.start(trial)
    full = SweepError("cannot be written: No space left on device", where=path)

    def fail(*args, **values):
        raise full

    monkeypatch.setattr(loop.journal, "append", fail)
    with pytest.raises(tuning.Leave) as caught:
        loop.report(trial, 1, 0.5)
    assert caught.value.cause is full
    assert not isinstance(caught.value, Exception)  # Tune would wrap one
    loop.reports.on_step_end(0, [])
    loop.stop = KeyboardInterrupt()
    with pytest.raises(tuning.Leave) as caught:
        loop.reports.on_step_end(0, [])
    assert caught.value.cause is loop.stop


def test_a_trial_that_fails_before_it_could_start_is_entered_all_the_same(path):
    loop = Loop(path)
    trial = loop.suggest("a")
    loop.end(trial, error="ValueError: x")
    assert [event["trial"] for event in events(path, "start")] == [1]
    assert [event["state"] for event in events(path, "end")] == ["failed"]


def test_tune_is_given_nothing_of_the_driver_to_keep(path):
    loop = Loop(path)
    assert loop.proposals.__getstate__() == loop.reports.__getstate__() == {}
