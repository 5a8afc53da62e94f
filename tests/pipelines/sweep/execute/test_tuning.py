"""What Tune's loop tells the driver, without Tune: its callbacks called by hand."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from ray.tune.search import Searcher

from jmml.errors import SweepError
from pipelines.sweep.decide.driver import Driver
from pipelines.sweep.decide.search import build_search
from pipelines.sweep.decide.segments import WHOLE, Segment
from pipelines.sweep.definition.reading import check
from pipelines.sweep.execute import tuning
from pipelines.sweep.execute.keys import ERROR, PAYLOAD, SEGMENT
from pipelines.sweep.record import journal
from pipelines.sweep.record.journal import Journal
from pipelines.sweep.record.state import SweepState
from tests.pipelines.sweep.simulation import BASE, begin

EPOCHS = 4
SPACE = {"stage2.lr": {"loguniform": [1e-4, 1e-2]}, "stage2.epochs": {"choice": [EPOCHS]}}


class Loop:
    """Tune as far as the driver sees it: trials that are suggested, start, report and end."""

    def __init__(self, path, *, concurrent=2, scheduler="none"):
        self.definition = check(
            {"name": "s", "algorithm": "random", "scheduler": scheduler, "trials": 6, "space": SPACE}
        )
        if not path.exists():
            begin(path, self.definition)
        self.journal = Journal(path)
        state = SweepState.read(path)
        search = build_search(self.definition)
        self.driver = Driver(self.journal, state, search, self.definition, BASE, concurrent=concurrent)
        self.numbers, self.stop, self.lines = {}, None, []
        self.proposals = tuning.Proposals(self.driver, self.numbers)
        display = SimpleNamespace(ended=self.lines.append)
        self.room = concurrent
        self.reports = tuning.Reports(
            self.driver,
            self.numbers,
            display,
            lambda: self.stop,
            lambda: self.room,
            path.parent / "checkpoints",
        )
        self.leaves = tuning.Verdicts(self.reports)

    def suggest(self, trial_id):
        config = self.proposals.suggest(trial_id)
        if not isinstance(config, dict):
            return config
        return SimpleNamespace(trial_id=trial_id, config=config, last_result={}, error_file=None)

    def start(self, trial):
        self.reports.on_trial_start(0, [], trial)

    def report(self, trial, epoch, score, **payload):
        result = {
            "epoch": epoch,
            "score": score,
            PAYLOAD: json.dumps({"points": {"val_uar": score}, **payload}),
        }
        trial.last_result = result
        return self.leaves(trial.trial_id, result)

    def end(self, trial, error=None):
        if error is not None:
            trial.last_result = {ERROR: error}
            assert not self.leaves(trial.trial_id, trial.last_result)  # it is over by itself
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


def test_a_report_is_entered_as_it_came(path):
    loop = Loop(path)
    trial = loop.suggest("a")
    loop.start(trial)
    loop.report(trial, 1, 0.1 + 0.2, cost=7.0, memo={"computed": 2, "loaded": 0, "waited": 0})
    loop.end(trial)
    (report,) = events(path, "report")
    assert (report["score"], report["points"], report["cost"]) == (0.1 + 0.2, {"val_uar": 0.1 + 0.2}, 7.0)
    assert report["memo"]["computed"] == 2
    assert [ended.number for ended in loop.lines] == [1]


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
    loop = Loop(path, scheduler={"name": "hyperband", "reduction": 2})
    first, second = loop.suggest("a"), loop.suggest("b")
    assert first.config[SEGMENT] == second.config[SEGMENT] == Segment(until=1)
    for trial in (first, second):
        loop.start(trial)
    assert not loop.report(first, 1, 0.2)  # ends by itself there
    loop.end(first)
    loop.end(second)
    state = loop.driver.state
    assert (state.trials[1].status, state.trials[2].status) == ("waiting", "failed")
    assert [event.get("rung") for event in events(path, "break")] == [1]
    assert [ended.number for ended in loop.lines] == [2]


def test_a_trial_leaves_its_worker_where_earlier_ones_have_not_been_and_goes_on_when_they_have(path):
    """The first is slow: the second waits for it, the third is stopped, and so is the second once it can be."""
    loop = Loop(path, concurrent=3, scheduler={"name": "asha", "grace_epochs": 2, "reduction": 2})
    trials = [loop.suggest(name) for name in "abc"]
    assert [trial.config[SEGMENT].keep for trial in trials] == [(), [2, 4], [2, 4]]
    for trial in trials:
        loop.start(trial)
        assert not loop.report(trial, 1, 0.1)
    for trial, score in ((trials[1], 0.3), (trials[2], 0.4)):
        assert loop.report(trial, 2, score)
        loop.end(trial)
    assert [event["rung"] for event in events(path, "break")] == [2, 2]
    loop.reports.on_step_end(0, [])
    assert loop.suggest("d").config["number"] == 4  # a new one, meanwhile
    assert not loop.report(trials[0], 2, 0.35)  # the first to get there, as far as numbers go
    loop.reports.on_step_end(0, [])
    assert [(e["trial"], e["state"]) for e in events(path, "end")] == [(2, "stopped")]
    again = loop.suggest("e").config
    assert (again["number"], again[SEGMENT].start) == (3, 2)
    assert [ended.number for ended in loop.lines] == [2]


def test_a_trial_that_is_stopped_is_over_at_once(path):
    loop = Loop(path, scheduler={"name": "asha", "grace_epochs": 1, "reduction": 2})
    first, second = loop.suggest("a"), loop.suggest("b")
    for trial, score in ((first, 0.5), (second, 0.4)):
        loop.start(trial)
        leaves = loop.report(trial, 1, score)
        assert leaves == (trial is second)
    loop.end(second)
    assert loop.driver.state.trials[2].status == "stopped"
    assert loop.report(first, 2, 0.5) is False


def test_what_a_dead_driver_had_decided_is_said_before_tune_begins(path, monkeypatch):
    """Nothing is left to run: Tune would wait ten minutes for a trial to start."""
    loop = Loop(path, concurrent=6, scheduler={"name": "asha", "grace_epochs": 1, "reduction": 2})
    trials = [loop.suggest(name) for name in "abcdef"]
    for trial, score in zip(trials, (0.9, 0.5, 0.4, 0.3, 0.2, 0.1), strict=True):
        loop.start(trial)
        loop.report(trial, 1, score)
    for epoch in (2, 3, 4):
        loop.report(trials[0], epoch, 0.9)
    loop.end(trials[0])
    loop.journal.close()
    again = Loop(path, scheduler={"name": "asha", "grace_epochs": 1, "reduction": 2})
    monkeypatch.setattr(tuning.tune, "Tuner", None)  # not needed
    tuning.run(
        again.driver,
        None,
        SimpleNamespace(checkpoints=path.parent),
        folder=path.parent / "ray",
        display=SimpleNamespace(ended=lambda trial: None),
        wanted_to_stop=lambda: None,
        room=lambda: 2,
    )
    assert again.driver.state.counts() == {"finished": 1, "stopped": 5}


def test_a_trial_whose_worker_dies_runs_again_until_that_is_hopeless(path):
    loop = Loop(path)
    for death in range(1, tuning.MAX_DEATHS + 2):
        trial = loop.suggest(str(death))
        assert (trial.config["number"], trial.config[SEGMENT]) == (1, WHOLE)
        loop.start(trial)
        loop.reports.on_trial_error(0, [], trial)
        loop.proposals.on_trial_complete(trial.trial_id, error=True)
        if death <= tuning.MAX_DEATHS:
            assert loop.driver.state.trials[1].status == "waiting"
    (end,) = events(path, "end")
    assert (end["trial"], end["state"]) == (1, "failed")
    assert end["error"].startswith(f"its workers died {tuning.MAX_DEATHS + 1} times")
    assert loop.suggest("next").config["number"] == 2


def test_workers_that_tune_has_replaced_count_too(path):
    loop = Loop(path)
    trial = loop.suggest("a")
    loop.start(trial)
    for _ in range(tuning.MAX_DEATHS):
        loop.reports.on_trial_recover(0, [], trial)
    assert loop.driver.state.trials[1].status == "running"
    loop.reports.on_trial_error(0, [], trial)
    (end,) = events(path, "end")
    assert end["error"] == f"its workers died {tuning.MAX_DEATHS + 1} times: no reason given"


def test_after_many_trials_tune_begins_anew(path, monkeypatch):
    monkeypatch.setattr(tuning, "MOST_AT_ONCE", 2)
    loop = Loop(path, concurrent=4)
    assert [loop.suggest(name).config["number"] for name in "ab"] == [1, 2]
    assert loop.suggest("c") == Searcher.FINISHED
    assert not loop.driver.finished


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
    assert loop.proposals.__getstate__() == loop.reports.__getstate__() == loop.leaves.__getstate__() == {}
    assert not loop.leaves.stop_all()


# Which trial gets a worker that is free ------------------------------------------------------------------


class Living:
    """The part of Tune's loop that is asked for trials."""

    def __init__(self, *living):
        self.living = living

    def get_live_trials(self):
        return self.living

    def get_trials(self):
        raise AssertionError("went through all trials there ever were")


def in_state(status):
    return SimpleNamespace(status=status)


def test_a_free_worker_is_for_a_trial_that_has_none():
    """A worker that is about to start is not called off."""
    placement = tuning.Placement()
    running, starting, new = in_state("RUNNING"), in_state("PENDING"), in_state("PENDING")
    loop = Living(running, starting, new)
    placement.on_trial_add(loop, starting)
    assert placement.choose_trial_to_run(loop) is starting  # its worker is requested now
    placement.on_trial_add(loop, new)
    assert placement.choose_trial_to_run(loop) is new
    assert placement.choose_trial_to_run(Living(running, starting)) is starting
    assert placement.choose_trial_to_run(Living(running)) is None


def test_a_trial_that_ended_before_it_was_chosen_gets_no_worker():
    placement = tuning.Placement()
    gone, waiting = in_state("TERMINATED"), in_state("PENDING")
    for each in (gone, waiting):
        placement.on_trial_add(None, each)
    assert placement.choose_trial_to_run(Living(waiting)) is waiting
    assert placement.on_trial_result(None, waiting, {}) == "CONTINUE"  # it stops nobody
