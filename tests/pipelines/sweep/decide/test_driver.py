"""The decisions of a sweep: the same whatever the workers' timing, and wherever the driver is cut off."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jmml.errors import SweepError
from pipelines.sweep.decide.driver import Driver
from pipelines.sweep.decide.search import build_search
from pipelines.sweep.decide.segments import Segment
from pipelines.sweep.definition.reading import check
from pipelines.sweep.record import journal
from pipelines.sweep.record.journal import Journal
from pipelines.sweep.record.state import SweepState
from tests.pipelines.sweep.simulation import BASE, CutOffError, begin, drive, outcome

ALGORITHMS = ("random", "grid", "tpe", "cma-es")


def define(algorithm: str, trials: int = 9, **changes):
    space = {"stage2.lr": {"loguniform": [1e-4, 1e-2]}, "stage2.lam_c": {"uniform": [0.0, 2.0]}}
    if algorithm == "grid":
        space = {"stage2.k": {"choice": [2, 3, 4]}, "stage1.p": {"choice": [4, 8, 16]}}
    space["stage2.epochs"] = {"choice": [3]} if algorithm != "cma-es" else {"int": [3, 5]}
    budget = {} if algorithm == "grid" else {"trials": trials}
    data = {"name": "s", "algorithm": algorithm, "scheduler": "none", "lag": 3, "budget": budget}
    return check(data | {"space": space} | changes)


SPACE_OF_NINE = {
    "stage2.lr": {"loguniform": [1e-4, 1e-2]},
    "stage2.lam_c": {"uniform": [0.0, 2.0]},
    "stage2.epochs": {"choice": [9]},
}


def undisturbed(folder, definition):
    path = folder / "undisturbed"
    begin(path, definition)
    drive(path, definition, seed=0, workers=1)
    return outcome(path)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_timing_and_the_number_of_workers_change_nothing(tmp_path, algorithm):
    definition = define(algorithm)
    expected = undisturbed(tmp_path, definition)
    assert len(expected) == 9
    assert {entry[2] for entry in expected.values()} == {"finished"}
    for seed, workers in ((1, 2), (2, 3), (3, 3)):
        path = tmp_path / f"seed{seed}"
        begin(path, definition)
        drive(path, definition, seed=seed, workers=workers)
        assert outcome(path) == expected


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_driver_that_dies_anywhere_and_again_changes_nothing(tmp_path, algorithm):
    """Cut off before every tenth event or so, in turn, until the sweep is through."""
    definition = define(algorithm)
    expected = undisturbed(tmp_path, definition)
    for seed in range(3):
        rng = np.random.default_rng(seed)
        path = tmp_path / f"seed{seed}"
        begin(path, definition)
        deaths = 0
        while True:
            try:
                drive(path, definition, seed=deaths, workers=3, events=int(rng.integers(2, 20)))
                break
            except CutOffError:
                deaths += 1
        assert deaths > 2
        assert outcome(path) == expected
        events = list(journal.read(path))
        reports = [(event["trial"], event["epoch"]) for event in events if event["e"] == "report"]
        assert len(reports) == len(set(reports)) == sum(len(entry[1]) for entry in expected.values())
        ends = [event["trial"] for event in events if event["e"] == "end"]
        assert sorted(ends) == sorted(expected)  # none repeated
        assert not any(event["e"] == "differs" for event in events)


STEPS = {
    "hyperband": {"scheduler": {"name": "hyperband", "reduction": 2}},
    "hyperband, tpe": {"algorithm": "tpe", "scheduler": {"name": "hyperband", "reduction": 2}},
    "pbt": {"algorithm": "pbt", "pbt": {"interval": 2}},
    "asha": {"scheduler": {"name": "asha", "grace_epochs": 2, "reduction": 2}},
    "asha, cma-es": {"algorithm": "cma-es", "scheduler": {"name": "asha", "grace_epochs": 2, "reduction": 2}},
    "median": {"scheduler": {"name": "median", "grace_epochs": 2}},
    "median, tpe": {"algorithm": "tpe", "scheduler": {"name": "median", "grace_epochs": 2}},
}


@pytest.mark.parametrize("steps", STEPS)
def test_trials_that_wait_for_each_other_do_the_same_whatever_happens(tmp_path, steps):
    """Any workers, and a driver that is cut off again and again: whatever the scheduler, it comes out the same."""
    space = {"stage2.lr": {"loguniform": [1e-4, 1e-2]}, "stage2.lam_c": {"uniform": [0.0, 2.0]}}
    if steps != "pbt":
        space["stage2.epochs"] = {"choice": [9]}
    definition = define(**{"algorithm": "random", "trials": 13, "space": space} | STEPS[steps])
    longest = 30 if steps != "pbt" else 150  # events of one driver: a population has more of them
    expected = undisturbed(tmp_path, definition)
    assert len(expected) == 13
    if steps == "pbt":
        assert {entry[2] for entry in expected.values()} == {"finished"}
        assert any("mutate" in event["e"] for event in journal.read(tmp_path / "undisturbed"))
    else:
        assert {entry[2] for entry in expected.values()} == {"finished", "stopped"}
    for seed in range(3):
        rng = np.random.default_rng(seed)
        path, deaths, checkpoints = tmp_path / f"seed{seed}", 0, {}
        begin(path, definition)
        while True:
            try:
                drive(
                    path,
                    definition,
                    seed=deaths,
                    workers=seed + 2,
                    events=int(rng.integers(2, longest)) if seed else None,
                    checkpoints=checkpoints if seed or steps == "pbt" else None,
                )
                break
            except CutOffError:
                deaths += 1
        assert bool(deaths) == bool(seed)
        assert outcome(path) == expected
        events = list(journal.read(path))
        reports = [(event["trial"], event["epoch"]) for event in events if event["e"] == "report"]
        assert len(reports) == len(set(reports)) == sum(len(entry[1]) for entry in expected.values())
        changes = [(event["trial"], event["epoch"]) for event in events if event["e"] == "mutate"]
        assert len(changes) == len(set(changes))
        assert not any(event["e"] == "differs" for event in events)


@cache
def one_by_one(steps, fails):
    space = {"stage2.lr": {"loguniform": [1e-4, 1e-2]}, "stage2.lam_c": {"uniform": [0.0, 2.0]}}
    epochs = {"int": [5, 9]} if "cma-es" in steps else {"choice": [9, 5]}  # trials of different lengths
    definition = define(
        **{"algorithm": "random", "trials": 11, "space": space | {"stage2.epochs": epochs}} | STEPS[steps]
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal"
        begin(path, definition)
        drive(path, definition, seed=0, workers=1, fails=dict(fails))
        return definition, outcome(path)


@settings(max_examples=30, deadline=None)
@example(  # a worker that dies at the rung at which its trial is to end
    steps="hyperband, tpe", fails=(), orders=[1, 2, 19], cuts=[5, 24], deaths=0.05, with_checkpoints=False
)
@given(
    steps=st.sampled_from([steps for steps in STEPS if steps != "pbt"]),
    fails=st.sampled_from([(), ((1, 0), (4, 3)), ((2, 2), (3, 8), (7, 1), (9, 4))]),
    orders=st.lists(st.integers(0, 10_000), min_size=1, max_size=6),
    cuts=st.lists(st.integers(2, 80), max_size=5),
    deaths=st.sampled_from([0.0, 0.05, 0.2]),
    with_checkpoints=st.booleans(),
)
def test_no_order_no_number_of_workers_no_failure_and_no_kill_changes_what_is_decided(
    steps, fails, orders, cuts, deaths, with_checkpoints
):
    definition, expected = one_by_one(steps, fails)
    with tempfile.TemporaryDirectory() as folder:
        path, checkpoints = Path(folder) / "journal", {}
        begin(path, definition)
        for turn, events in enumerate([*cuts, None]):
            order = orders[turn % len(orders)]
            try:
                drive(
                    path,
                    definition,
                    seed=order,
                    workers=1 + order % 7,
                    events=events,
                    checkpoints=checkpoints if with_checkpoints else None,
                    fails=dict(fails),
                    deaths=deaths,
                )
                break
            except CutOffError:
                continue
        assert outcome(path) == expected
        assert not any(event["e"] == "differs" for event in journal.read(path))


def test_a_slow_trial_holds_up_those_that_are_compared_with_it_and_no_worker(tmp_path):
    """The first trial reports nothing: the others wait at their rung, and the workers take new ones."""
    definition = define(
        "random", space=SPACE_OF_NINE, scheduler={"name": "asha", "grace_epochs": 2, "reduction": 2}
    )
    driver = opened(tmp_path / "journal", definition, concurrent=2)
    driver.started(1, dict(driver.next().configuration))
    for number in range(2, 10):
        proposal = driver.next()
        assert (proposal.number, proposal.segment) == (number, Segment(keep=[2, 4, 8]))
        driver.started(number, dict(proposal.configuration))
        for epoch in (1, 2):
            driver.reported(number, epoch, {"score": number / 20, "points": {}})
            assert driver.leaves(number, epoch) == (epoch == 2)
        assert driver.left(number) is None
        assert driver.settle() == []
    assert driver.next() is None
    assert not driver.finished
    for epoch in (1, 2):
        driver.reported(1, epoch, {"score": 0.9, "points": {}})
    assert not driver.leaves(1, 2)
    assert [trial.number for trial in driver.settle()] == [
        2,
        3,
    ]  # of 4 the score is above the median of 0.9, 0.1, 0.15
    going_on = [driver.next() for _ in range(6)]
    assert [(found.number, found.segment.start) for found in going_on] == [
        (number, 2) for number in range(4, 10)
    ]
    assert driver.next() is None  # they may have to wait again
    assert {trial.attempts for trial in driver.state.trials.values()} == {1}


@pytest.mark.parametrize("scheduler", ["asha", "median"])
def test_what_is_added_to_a_sweep_is_compared_with_what_was_there(tmp_path, scheduler):
    chosen = {"name": scheduler, "grace_epochs": 2, "reduction": 2}
    short, long = (
        define("random", trials=trials, space=SPACE_OF_NINE, scheduler=chosen) for trials in (6, 12)
    )
    path = tmp_path / "extended"
    begin(path, short)
    drive(path, short, seed=0, workers=3)
    writer = Journal(path)
    writer.append("extend", trials=6, user="eva")
    writer.close()
    drive(path, short, seed=1, workers=2)
    assert outcome(path) == undisturbed(tmp_path, long)


@pytest.mark.parametrize("algorithm", ["random", "tpe", "cma-es"])
def test_more_trials_continue_as_if_they_had_been_wanted_at_first(tmp_path, algorithm):
    short, long = define(algorithm, trials=6), define(algorithm, trials=8)  # two random ones in both
    path = tmp_path / "extended"
    begin(path, short)
    drive(path, short, seed=0, workers=2)
    first = outcome(path)
    writer = Journal(path)
    writer.append("extend", trials=2, user="eva")
    writer.close()
    drive(path, short, seed=1, workers=2)
    assert {number: outcome(path)[number] for number in first} == first
    assert sorted(outcome(path)) == list(range(1, 9))
    assert outcome(path) == undisturbed(tmp_path, long)


def opened(path, definition, concurrent=2):
    begin(path, definition)
    writer = Journal(path)
    return Driver(
        writer, SweepState.read(path), build_search(definition), definition, BASE, concurrent=concurrent
    )


def test_a_trial_that_is_repeated_is_compared_and_not_entered_twice(tmp_path):
    path = tmp_path / "journal"
    driver = opened(path, define("random"))
    proposal = driver.next()
    driver.started(1, dict(proposal.configuration))
    driver.reported(1, 1, {"score": 0.5, "points": {"val_uar": 0.5}})
    driver.started(1, dict(proposal.configuration))  # its worker died
    driver.reported(1, 1, {"score": 0.5, "points": {"val_uar": 0.5}})
    assert driver.state.trials[1].differs == 0
    driver.started(1, dict(proposal.configuration))
    trial = driver.reported(1, 1, {"score": 0.75, "points": {"val_uar": 0.75}})
    assert (trial.differs, trial.attempts, list(trial.scores)) == (1, 3, [0.5])
    kinds = [event["e"] for event in journal.read(path)]
    assert kinds == ["sweep", "start", "report", "start", "start", "differs"]


def test_the_budget_of_epochs_ends_a_sweep_early(tmp_path):
    definition = define("random", budget={"trials": 9, "epochs": 7})
    path = tmp_path / "journal"
    begin(path, definition)
    state = drive(path, definition, seed=0, workers=1)
    assert len(state.trials) == 3  # three epochs each
    assert state.closed["reason"] == "the budget of 7 epochs is used up"


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("workers", [1, 3])
def test_a_used_up_budget_ends_trials_that_wait_at_a_rung(tmp_path, steps, workers):
    space = {"stage2.lr": {"loguniform": [1e-4, 1e-2]}, "stage2.lam_c": {"uniform": [0.0, 2.0]}}
    if steps != "pbt":
        space["stage2.epochs"] = {"choice": [9]}
    budget = {"trials": 8, "epochs": 12}
    changes = {"algorithm": "random", "space": space} | STEPS[steps]
    if steps == "pbt":
        budget["epochs"] = 45  # of 8 x 40; no less than one trial's
    definition = define(**changes | {"budget": budget, "trials": 8})
    path = tmp_path / "journal"
    begin(path, definition)
    state = drive(path, definition, seed=0, workers=workers)
    assert "epochs is used up" in state.closed["reason"]
    longest = 9 if steps != "pbt" else 2  # what was at work goes on to its next rung, or its end
    assert budget["epochs"] <= state.epochs_done < budget["epochs"] + workers * longest
    assert {trial.status for trial in state.trials.values()} <= {"finished", "stopped"}
    assert state.over == len(state.trials)


def test_a_member_that_fails_after_an_exchange_does_not_change_it_when_the_driver_dies(tmp_path):
    space = {"stage2.lr": {"loguniform": [1e-4, 1e-2]}, "stage2.lam_c": {"uniform": [0.0, 2.0]}}
    definition = define("pbt", trials=16, space=space, pbt={"interval": 2})
    driver = opened(tmp_path / "journal", definition)
    for number in range(1, 17):
        proposal = driver.next()
        driver.started(number, dict(proposal.configuration))
        for epoch in (1, 2):
            driver.reported(number, epoch, {"score": number / 20, "points": {"val_uar": number / 20}})
        driver.rested(number, 2)
    driver.settle()
    assert driver.next() is not None  # the rung is settled now
    changes = [e for e in journal.read(tmp_path / "journal") if e["e"] == "mutate"]
    assert len(changes) == 4
    for source in {change["source"] for change in changes}:
        driver.started(source, dict(driver.state.trials[source].configuration))
        driver.ended(source, error="ModelError: diverged")
    driver.journal.close()
    state = SweepState.read(tmp_path / "journal")
    again = Driver(
        Journal(tmp_path / "journal"), state, build_search(definition), definition, BASE, concurrent=2
    )
    again.settle()
    assert again.next() is not None
    assert [e for e in journal.read(tmp_path / "journal") if e["e"] == "mutate"] == changes


def test_a_trial_that_goes_on_from_a_rung_has_not_been_attempted_twice(tmp_path):
    space = {"stage2.lr": {"loguniform": [1e-4, 1e-2]}, "stage2.lam_c": {"uniform": [0.0, 2.0]}}
    driver = opened(
        tmp_path / "journal", define("pbt", trials=8, space=space, pbt={"interval": 2}), concurrent=8
    )
    for number in range(1, 9):
        driver.started(number, dict(driver.next().configuration))
        for epoch in (1, 2):
            driver.reported(number, epoch, {"score": number / 20, "points": {"val_uar": number / 20}})
        driver.rested(number, 2)
    first = driver.next()
    assert first.segment.start == 2
    assert driver.started(first.number, dict(first.configuration)).attempts == 1
    driver.again(first.number, first.configuration)  # now its worker died
    again = next(found for found in iter(driver.next, None) if found.number == first.number)
    assert driver.started(again.number, dict(again.configuration)).attempts == 2


def test_a_sweep_whose_every_trial_fails_stops_early_with_the_first_error(tmp_path):
    driver = opened(tmp_path / "journal", define("random"))
    for number in (1, 2):
        driver.started(number, dict(driver.next().configuration))
        driver.ended(number, error=f"ValueError: number {number}")
    driver.started(3, dict(driver.next().configuration))
    with pytest.raises(SweepError, match=r"the first 3 trials failed; trial 1 \(.*\): ValueError: number 1"):
        driver.ended(3, error="ValueError: number 3")


def test_one_success_and_a_sweep_goes_on_however_many_fail(tmp_path):
    driver = opened(tmp_path / "journal", define("random"))
    for number in range(1, 10):
        driver.started(number, dict(driver.next().configuration))
        if number == 2:
            driver.reported(2, 1, {"score": 0.5, "points": {}})
        driver.ended(number, error=None if number == 2 else "ValueError")
    assert driver.next() == "over"
    assert driver.state.counts() == {"stopped": 1, "failed": 8}
    assert driver.state.best.number == 2


def test_a_full_disk_ends_the_turn_and_keeps_what_was_written(tmp_path, monkeypatch):
    definition = define("random")
    path = tmp_path / "journal"
    driver = opened(path, definition)
    driver.started(1, dict(driver.next().configuration))
    driver.reported(1, 1, {"score": 0.5, "points": {}})
    write, before = journal.os.write, path.read_bytes()

    def full(file, data):
        return write(file, data[: len(data) // 2])

    monkeypatch.setattr(journal.os, "write", full)
    with pytest.raises(journal.JournalFullError, match="Free space on that disk"):
        driver.reported(1, 2, {"score": 0.6, "points": {}})
    assert path.read_bytes() == before
    assert list(driver.state.trials[1].scores) == [0.5]
    monkeypatch.undo()
    driver.reported(1, 2, {"score": 0.6, "points": {}})
    assert list(SweepState.read(path).trials[1].scores) == [0.5, 0.6]


def test_the_budget_of_hours_counts_the_work_of_all_sessions_and_no_pause(tmp_path, monkeypatch):
    clock = [1_800_000_000.0]
    monkeypatch.setattr(journal.time, "time", lambda: clock[0])
    driver = opened(tmp_path / "journal", define("random", budget={"trials": 9, "hours": 1.0}))

    def session(minutes):
        driver.write(
            "session", user="eva", host="h", pid=1, mode="run", concurrent=1, cpus=1, gpus=0, address=None
        )
        clock[0] += 60 * minutes
        driver.write("run", run_id="r")

    session(30)
    clock[0] += 36_000
    session(29)
    assert driver.next().number == 1
    assert driver.ended_early is None
    session(1)
    assert driver.next() == "over"
    assert driver.finished
    assert driver.ended_early == "the budget of 1 hours is used up"


@pytest.mark.parametrize("scores", [(), (float("nan"), float("inf"))])
def test_a_trial_without_a_score_that_is_a_number_has_failed(tmp_path, scores):
    driver = opened(tmp_path / "journal", define("random"))
    told = []
    driver.search.tell = lambda number, values: told.append((number, values))
    driver.started(1, dict(driver.next().configuration))
    for epoch, score in enumerate(scores, 1):
        driver.reported(1, epoch, {"score": score, "points": {"val_uar": score}})
    trial = driver.ended(1)
    assert (trial.status, trial.error) == ("failed", "ended without a score")
    assert told == [(1, None)]


@pytest.mark.parametrize("scheduler", ["none", "asha", "hyperband"])
@pytest.mark.parametrize(
    ("failing", "given_up"), [((1, 2, 3), True), ((2, 3, 4), False), ((1, 3, 4, 5), False)]
)
def test_a_sweep_is_given_up_for_its_first_trials_on_any_number_of_workers(
    tmp_path, scheduler, failing, given_up
):
    definition = define("random", scheduler=scheduler)
    outcomes = []
    for workers in (1, 2, 5):
        path = tmp_path / str(workers)
        begin(path, definition)
        fails = dict.fromkeys(failing, 0)
        if given_up:
            with pytest.raises(SweepError, match="the first 3 trials failed"):
                drive(path, definition, seed=workers, workers=workers, fails=fails, checkpoints={})
        else:
            drive(path, definition, seed=workers, workers=workers, fails=fails, checkpoints={})
            outcomes.append(outcome(path))
    assert all(found == outcomes[0] for found in outcomes)


def test_what_was_at_work_when_a_driver_leaves_comes_first_in_the_next_turn(tmp_path):
    definition = define("random")
    driver = opened(tmp_path / "journal", definition)
    proposals = [driver.next() for _ in range(3)]
    for proposal in proposals:
        driver.started(proposal.number, dict(proposal.configuration))
    driver.reported(2, 1, {"score": 0.5, "points": {}})
    driver.ended(2)
    driver.broke_off()
    driver.journal.close()
    kinds = [(event["e"], event.get("trial")) for event in journal.read(tmp_path / "journal")]
    assert kinds[-2:] == [("break", 1), ("break", 3)]
    state = SweepState.read(tmp_path / "journal")
    assert state.counts() == {"waiting": 2, "stopped": 1}
    again = Driver(
        Journal(tmp_path / "journal"), state, build_search(definition), definition, BASE, concurrent=2
    )
    assert not again.finished
    assert [again.next().number for _ in range(3)] == [1, 3, 4]


def test_a_sweep_is_not_finished_while_a_trial_has_to_run_again(tmp_path):
    """Also where all have been proposed, and where the budget is used up."""
    definition = define("random", trials=2, budget={"trials": 2, "epochs": 3})
    driver = opened(tmp_path / "journal", definition)
    for proposal in [driver.next(), driver.next()]:
        driver.started(proposal.number, dict(proposal.configuration))
    for epoch in (1, 2, 3):
        driver.reported(1, epoch, {"score": 0.5, "points": {}})
    driver.ended(1)
    state = SweepState.of(journal.read(tmp_path / "journal"))
    again = Driver(driver.journal, state, build_search(definition), definition, BASE, concurrent=2)
    assert not again.finished
    assert again.next().number == 2
    assert again.next() == "over"
    assert again.finished


def test_a_space_that_is_used_up_ends_a_sweep_with_a_note(tmp_path):
    space = {"stage2.k": {"choice": [2, 3]}}
    definition = check({"name": "s", "algorithm": "random", "scheduler": "none", "trials": 2, "space": space})
    begin(tmp_path / "journal", definition)
    writer = Journal(tmp_path / "journal")
    writer.append("extend", trials=1, user="eva")
    state = SweepState.read(tmp_path / "journal")
    driver = Driver(writer, state, build_search(definition), definition, BASE, concurrent=2)
    assert [driver.next().number, driver.next().number, driver.next()] == [1, 2, "over"]
    assert driver.finished
    assert driver.ended_early == "every configuration of the space has been tried"


def test_the_end_of_a_trial_is_on_the_disk_before_the_search_hears_of_it(tmp_path, monkeypatch):
    driver = opened(tmp_path / "journal", define("tpe", objective={"cost": "inference"}))
    order = []
    fsync = journal.os.fsync
    monkeypatch.setattr(journal.os, "fsync", lambda file: (order.append("disk"), fsync(file))[1])
    driver.search.tell = lambda number, values: order.append(values)
    driver.started(1, dict(driver.next().configuration))
    driver.reported(1, 1, {"score": 0.5, "points": {}, "cost": 3.0})
    driver.ended(1)
    assert order == ["disk", (0.5, 3.0)]


def test_reports_reach_the_disk_once_a_second(tmp_path, monkeypatch):
    driver = opened(tmp_path / "journal", define("random"))
    now = [driver._synced]
    monkeypatch.setattr("pipelines.sweep.decide.driver.time.monotonic", lambda: now[0])
    synced = []
    monkeypatch.setattr(journal.os, "fsync", synced.append)
    driver.started(1, dict(driver.next().configuration))
    driver.tick()
    assert synced == []
    now[0] += 1
    driver.tick()
    driver.tick()
    assert len(synced) == 1


def test_epochs_that_the_journal_lacks_are_no_epochs_of_the_trial(tmp_path):
    """As from a checkpoint that the journal has not heard of."""
    driver = begun(tmp_path)
    driver.reported(1, 1, {"score": 0.5, "points": {}})
    with pytest.raises(SweepError, match=r"trial 1 reported epoch 3 after epoch 1.*Delete the checkpoints"):
        driver.reported(1, 3, {"score": 0.5, "points": {}})
    assert list(driver.state.trials[1].scores) == [0.5]


def test_a_score_that_is_no_number_can_be_repeated(tmp_path):
    driver = begun(tmp_path)
    for score in (float("nan"), float("nan"), 0.5):
        driver.reported(1, 1, {"score": score, "points": {}})
    assert driver.state.trials[1].differs == 1  # 0.5 is another one


def begun(tmp_path):
    """A driver whose first trial is at work."""
    definition = define("random")
    path = tmp_path / "journal"
    begin(path, definition)
    driver = Driver(
        Journal(path), SweepState.read(path), build_search(definition), definition, BASE, concurrent=1
    )
    proposal = driver.next()
    driver.started(proposal.number, proposal.configuration)
    return driver
