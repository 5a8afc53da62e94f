from __future__ import annotations

import pytest

from jmml.errors import SweepError
from pipelines.sweep.definition.model import SweepDefinition
from pipelines.sweep.record.journal import Journal
from pipelines.sweep.record.state import SweepState
from pipelines.sweep.show.words import memo_text
from tests.pipelines.sweep.scripts import DEFINITION, START, Script


def test_the_first_line_says_what_the_sweep_is():
    state = Script(total=7, session=False).state
    assert (state.name, state.user, state.team, state.total, state.created) == (
        "tiny",
        "eva",
        "lab",
        7,
        START,
    )
    assert state.definition == SweepDefinition.model_validate(DEFINITION)
    assert (state.best, state.counts(), state.seconds, state.closed) == (None, {}, 0.0, None)


def test_before_its_first_event_a_sweep_has_no_definition():
    with pytest.raises(SweepError, match="the journal of sweep: has no first event yet"):
        _ = SweepState().definition


def test_a_trial_is_as_good_as_its_best_epoch_and_the_first_of_equals_counts():
    script = Script()
    script.trial(1, [0.3, 0.5, 0.5])
    trial = script.state.trials[1]
    assert (trial.best_score, trial.best_epoch, trial.val_uar, trial.epoch) == (0.5, 2, 0.5, 3)
    assert list(trial.scores) == [0.3, 0.5, 0.5]
    assert trial.seconds(script.now) == 3.0
    assert trial.values(cost=False) == (0.5,)


def test_the_best_trial_is_the_earliest_of_equals_whichever_reports_first():
    script = Script()
    script.trial(1, [0.2])
    script.start(2)
    script.trial(3, [0.5])
    assert script.state.best.number == 3
    script.report(2, 0.5)
    assert script.state.best.number == 2


def test_failed_trials_are_never_the_best():
    script = Script()
    script.trial(1, [0.2])
    script.trial(2, [0.9], "failed", error="ModelError: x")
    state = script.state
    assert (state.best.number, state.trials[2].error) == (1, "ModelError: x")
    assert state.trials[2].values(cost=False) is None
    assert state.front() == []  # there is no cost to weigh against
    script = Script()
    script.trial(1, [0.9], "failed", error="ModelError: x")
    assert script.state.best is None


def test_the_score_may_be_another_figure_than_the_uar():
    script = Script()
    script.start(1)
    script.report(1, 0.30, points={"val_uar": 0.41})
    script.report(1, 0.28, points={"val_uar": 0.45})
    trial = script.state.trials[1]
    assert (trial.best_score, trial.best_val_uar, trial.val_uar, trial.best_epoch) == (0.30, 0.41, 0.45, 1)


def test_counts_by_status():
    script = Script(total=6)
    script.trial(1, [0.1, 0.2, 0.3])
    script.trial(2, [0.1], "stopped")
    script.trial(3, [], "failed", error="x")
    script.start(4)
    script.start(5)
    script("break", trial=5)
    state = script.state
    assert state.counts() == {"running": 1, "waiting": 1, "finished": 1, "stopped": 1, "failed": 1}
    assert (state.over, state.unfinished, [t.number for t in state.running]) == (3, [4, 5], [4])


def test_trials_of_a_driver_that_died_wait_until_they_run_again():
    script = Script()
    script.start(1)
    script.report(1, 0.3)
    script.session("resume", user="anna", after=60)
    trial = script.state.trials[1]
    assert (trial.status, trial.over) == ("waiting", False)
    script.start(1, attempt=2)
    assert (trial.status, trial.attempts, trial.epoch) == ("running", 2, 1)
    script.report(1, 0.4)
    script.end(1, "stopped")
    assert (script.state.over, trial.epoch, trial.best_score) == (1, 2, 0.4)


def test_rate_and_time_left_are_those_of_the_present_session():
    script = Script(total=6)
    assert script.state.trials_per_hour() is None
    assert script.state.eta_seconds() is None
    script.trial(1, [0.1, 0.2])
    script.trial(2, [0.1, 0.2])
    assert script.state.trials_per_hour() == pytest.approx(1800)
    assert script.state.eta_seconds() == pytest.approx(8)
    script("close", state="stopped", reason="asked to")
    script.session("resume", after=1000)
    assert (script.state.closed, script.state.trials_per_hour()) == (None, None)
    script.trial(3, [0.1])
    assert script.state.eta_seconds() == pytest.approx(3)
    assert script.state.seconds == 5.0  # the pause is no work
    assert [session.over for session in script.state.sessions] == [2, 1]


def test_extended_and_accepted_changes():
    script = Script(total=4)
    script("extend", trials=3, user="anna")
    assert script.state.total == 7
    changed = DEFINITION | {"seed": 1}
    script(
        "accept", changes=["seed: 0 -> 1"], definition=changed, base={}, fingerprint={"code": "b"}, total=9
    )
    state = script.state
    assert (state.total, state.definition.seed, state.fingerprint) == (9, 1, {"code": "b"})
    assert state.accepted == [["seed: 0 -> 1"]]


def test_run_refit_mutate_differs_and_close():
    script = Script()
    script("run", run_id="abc")
    script.trial(1, [0.3])
    script("mutate", trial=1, epoch=1, configuration={"stage2.lr": 0.1}, source=2)
    script("differs", trial=1, epoch=1)
    script("refit", trial=1, epoch=1, configuration={}, metrics={}, comparison=[], model_uri="m", opened=1)
    script("close", state="finished", reason="")
    state = script.state
    assert (state.run_id, state.trials[1].configuration) == ("abc", {"stage2.lr": 0.1})
    assert (state.trials[1].differs, len(state.refits), state.closed["state"]) == (1, 1, "finished")


def test_reuse_of_stage_1():
    script = Script()
    assert script.state.hit_rate is None
    script.start(1)
    script.report(1, 0.2, memo={"computed": 4, "loaded": 0, "waited": 0})
    script.report(1, 0.3)
    script.start(2)
    script.report(2, 0.2, memo={"computed": 0, "loaded": 2, "waited": 2})
    assert script.state.memo() == {"computed": 4, "loaded": 2, "waited": 2}
    assert script.state.hit_rate == 0.5


def test_the_front_has_what_nothing_beats_in_score_and_cost():
    script = Script(total=6)
    for number, (score, cost) in enumerate(
        [(0.5, 9.0), (0.4, 4.0), (0.4, 5.0), (0.3, 6.0), (0.2, 1.0), (0.4, 4.0)], 1
    ):
        script.start(number)
        script.report(number, score, cost=cost)
        script.end(number)
    state = script.state
    assert [trial.number for trial in state.front()] == [5, 2, 1]
    for trial in state.trials.values():  # the definition itself
        beaten = any(
            (o.best_score >= trial.best_score and o.cost < trial.cost)
            or (o.best_score > trial.best_score and o.cost <= trial.cost)
            for o in state.trials.values()
        )
        assert beaten or trial in state.front() or trial.number == 6  # 6 is like 2
    assert state.trials[1].values(cost=True) == (0.5, 9.0)


def test_the_curve_rises_with_the_best_also_when_the_leader_improves():
    script = Script()
    script.trial(1, [0.3, 0.2, 0.5])
    script.trial(2, [0.4, 0.6])
    assert script.state.curve == [(1.0, 0, 0.3), (3.0, 0, 0.5), (5.0, 1, 0.6)]


def test_a_state_that_follows_equals_one_that_reads_everything(tmp_path):
    script = Script()
    script.trial(1, [0.3, 0.5])
    script.start(2)
    journal = Journal(tmp_path / "journal")
    for event in script.events:
        journal.append(event["e"], **{key: value for key, value in event.items() if key != "e"})
    journal.close()
    assert SweepState.read(tmp_path / "journal") == script.state


def test_a_file_that_is_no_journal_of_a_sweep(tmp_path):
    path = tmp_path / "journal"
    with pytest.raises(SweepError, match="cannot be read: No such file"):
        SweepState.read(path)
    Journal(path).close()
    with pytest.raises(SweepError, match="is not a sweep journal"):
        SweepState.read(path)


def test_the_number_of_epochs_is_that_of_the_latest_attempt():
    """A definition with other epochs may have been accepted in between."""
    script = Script()
    script.start(1, epochs=5)
    script.session("resume", after=1)
    script.start(1, epochs=2, attempt=2)
    assert script.state.trials[1].epochs == 2


def test_scores_that_are_no_numbers_lead_nowhere():
    script = Script()
    script.trial(1, [float("inf"), float("nan")])
    assert (script.state.best, script.state.trials[1].best_score, script.state.curve) == (None, None, [])
    script.trial(2, [float("nan"), 0.2])
    assert (script.state.best.number, script.state.trials[2].best_epoch) == (2, 2)


def test_the_earliest_of_equals_follows_a_leader_that_failed():
    script = Script()
    script.trial(1, [0.3])
    script.trial(2, [0.5])
    script.trial(3, [0.5])
    script.start(4)
    script.report(4, 0.9)
    assert script.state.best.number == 4
    script.end(4, "failed", error="x")
    assert script.state.best.number == 2


def test_the_settings_of_the_best_epoch_are_kept_when_a_population_moves_on():
    script = Script()
    script.start(1, configuration={"stage2.lr": 0.1})
    script.report(1, 0.5)
    script("mutate", trial=1, epoch=1, configuration={"stage2.lr": 0.2}, source=2)
    script.report(1, 0.4)
    trial = script.state.trials[1]
    assert (trial.best_configuration, trial.configuration) == ({"stage2.lr": 0.1}, {"stage2.lr": 0.2})


def test_a_clock_that_is_set_back_takes_no_time_away():
    script = Script()
    script.start(1)
    script.report(1, 0.3, after=10)
    script.report(1, 0.4, after=-3600)
    assert script.state.seconds == 10
    assert script.state.trials_per_hour() is None


def test_a_trial_that_runs_again_has_no_end_and_no_error():
    script = Script()
    script.start(1)
    script("break", trial=1, after=1)
    script.session("resume", after=1)
    script.start(1, attempt=2)
    trial = script.state.trials[1]
    assert (trial.ended, trial.error, trial.status) == (None, None, "running")


def test_cost_and_reuse_are_told_once_and_kept():
    script = Script()
    script.start(1)
    script.report(1, 0.3, cost=7.0, memo={"computed": 1, "loaded": 0, "waited": 0})
    script.report(1, 0.4)
    script.end(1)
    assert (script.state.trials[1].cost, script.state.memo()["computed"]) == (7.0, 1)


@pytest.mark.parametrize("status", ["finished", "stopped", "failed"])
def test_what_is_over_stays_over_although_its_driver_did_not_know(status):
    """A signal between the line in the journal and its taking in: `broke_off` names it among those at work."""
    script = Script()
    script.start(1)
    script.report(1, 0.3)
    script.end(1, status)
    script("break", trial=1)
    assert (script.state.trials[1].status, script.state.over, script.state.unfinished) == (status, 1, [])


def test_models_that_a_later_leg_needs_again_were_computed_all_the_same():
    script = Script()
    script.start(1)
    script.report(1, 0.3, memo={"computed": 4, "loaded": 2, "waited": 0})
    script("break", trial=1, rung=1)
    script.start(1)
    script.report(1, 0.4, memo={"computed": 0, "loaded": 6, "waited": 0})
    assert script.state.memo() == {"computed": 4, "loaded": 2, "waited": 0}


def test_the_chosen_configuration_is_the_one_that_has_the_best_score():
    script = Script()
    script.start(1, configuration={"stage2.lr": 0.1})
    script.report(1, 0.5)
    script("mutate", trial=1, epoch=1, configuration={"stage2.lr": 0.2}, source=2)
    script.report(1, 0.4)
    trial = script.state.trials[1]
    assert (trial.chosen, trial.configuration) == ({"stage2.lr": 0.1}, {"stage2.lr": 0.2})
    script.report(1, 0.6)
    assert trial.chosen == {"stage2.lr": 0.2}


def test_an_event_of_a_newer_release_is_said_in_a_line():
    script = Script()
    with pytest.raises(
        SweepError, match=r"sweep tiny: has an event of an unknown kind, 'teleport'. Update jmml"
    ):
        script("teleport", trial=1)


def test_models_that_could_not_be_kept_are_counted():
    script = Script()
    script.trial(1, [0.5])
    script.state.trials[1].memo = {"computed": 3, "loaded": 0, "waited": 0, "unsaved": 2}
    assert script.state.unsaved == 2
    assert memo_text(script.state.memo(), script.state.unsaved) == (
        "0 % reused (3 computed, 0 loaded, 0 waited for); "
        "2 could not be kept: the folder is full, or not writable for you"
    )
