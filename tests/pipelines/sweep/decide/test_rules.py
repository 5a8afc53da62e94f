"""ASHA and median stopping, told by journals; what comes of them under a driver is in test_driver."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray.tune.schedulers import AsyncHyperBandScheduler, MedianStoppingRule

from pipelines.sweep.decide.rules import ASHA, MedianRule
from pipelines.sweep.decide.schedule import build_rungs
from pipelines.sweep.decide.segments import WHOLE, Segment
from pipelines.sweep.definition.reading import check
from tests.pipelines.sweep.projects import definition
from tests.pipelines.sweep.scripts import Script
from tests.pipelines.sweep.simulation import BASE

GRACE, EPOCHS = 3, 9
nan, inf = float("nan"), float("inf")


def make(name, epochs=EPOCHS, grace=GRACE, reduction=3, **options):
    return (
        MedianRule(epochs, grace, **options)
        if name == "median"
        else ASHA(epochs, grace, reduction, **options)
    )


def one_after_another(rule, scores, epochs):
    """How many epochs each trial runs, when it begins after the one before it is over."""
    script, ran = Script(total=len(scores)), []
    for number, row in enumerate(scores, 1):
        script.start(number, epochs=epochs)
        assert rule.verdict(script.state, number, len(scores)) == WHOLE
        for score in row:
            script.report(number, float(score))
            said = rule.verdict(script.state, number, len(scores))
            if said == "stop":
                break
            assert isinstance(said, Segment)  # nothing to wait for
        ran.append(script.state.trials[number].epoch)
        script.end(number, "finished" if ran[-1] == epochs else "stopped")
    return ran


class Tune:
    """Ray Tune's own scheduler, told what its loop would tell it."""

    loop = SimpleNamespace(get_live_trials=list)

    def __init__(self, name, epochs):
        common = {"time_attr": "epoch", "metric": "score", "mode": "max", "grace_period": GRACE}
        if name == "median":
            self.rule = MedianStoppingRule(**common)
        else:
            self.rule = AsyncHyperBandScheduler(**common, max_t=epochs, reduction_factor=3)
        self.trials = {}

    def stops(self, number, epoch, score):
        if number not in self.trials:
            self.trials[number] = Named(str(number))
            self.rule.on_trial_add(self.loop, self.trials[number])
        result = {"epoch": epoch, "score": float(score)}
        return self.rule.on_trial_result(self.loop, self.trials[number], result) == "STOP"


class Named:
    def __init__(self, name):
        self.trial_id = name


def tunes_own(name, scores, epochs):
    """The same by Ray Tune's own scheduler."""
    tune, ran = Tune(name, epochs), []
    for number, row in enumerate(scores, 1):
        ran.append(next((e for e, score in enumerate(row, 1) if tune.stops(number, e, score)), epochs))
    return ran


@pytest.mark.parametrize("name", ["asha", "median"])
def test_on_one_worker_they_are_the_rules_of_tune(name):
    rng = np.random.default_rng(0)
    for epochs in (9, 10, 27):
        scores = (
            rng.uniform(0.3, 0.7, (40, 1)) + np.linspace(0, 0.1, epochs) + rng.normal(0, 0.05, (40, epochs))
        )
        expected = tunes_own(name, scores, epochs)
        assert one_after_another(make(name, epochs), scores, epochs) == expected
        assert 5 < sum(ran < epochs for ran in expected) < 40


@pytest.mark.parametrize("name", ["asha", "median"])
def test_where_nobody_waits_they_are_the_rules_of_tune_in_any_order(name):
    rng = np.random.default_rng(1)
    script, rule, tune = Script(total=30), make(name, wait=False), Tune(name, EPOCHS)
    curves = {n: rng.uniform(0.3, 0.7) + rng.normal(0, 0.05, EPOCHS) for n in range(1, 31)}
    at_work, said = [], []
    while curves or at_work:
        while curves and len(at_work) < 7:
            number = min(curves)
            at_work.append((number, curves.pop(number)))
            script.start(number, epochs=EPOCHS)
            assert rule.verdict(script.state, number, 30) == WHOLE
        number, curve = at_work[rng.integers(len(at_work))]
        epoch = script.state.trials[number].epoch + 1
        script.report(number, float(curve[epoch - 1]))
        stops = rule.verdict(script.state, number, 30) == "stop"
        if epoch < EPOCHS:  # at the last one Tune's says that it is over
            assert stops == tune.stops(number, epoch, curve[epoch - 1])
            said.append(stops)
        else:
            tune.stops(number, epoch, curve[epoch - 1])
        if stops or epoch == EPOCHS:
            at_work = [(other, curve) for other, curve in at_work if other != number]
            script.end(number, "stopped" if stops else "finished")
    assert 5 < sum(said) < 30


@pytest.mark.parametrize("name", ["asha", "median"])
def test_no_trial_is_stopped_before_its_grace(name):
    """Every trial is worse than all before it."""
    scores = [[0.9 - 0.1 * number] * EPOCHS for number in range(6)]
    first = 1 if name == "asha" else 3  # the rule wants three others
    assert one_after_another(make(name), scores, EPOCHS) == [EPOCHS] * first + [GRACE] * (6 - first)


def test_the_best_third_goes_on():
    """At the rung of epoch 3, one after another: scores that rise by rank 1, 3, 2, 6, 4, 5 of what was there."""
    scores = [[score] * EPOCHS for score in (0.6, 0.5, 0.7, 0.65, 0.1, 0.66, 0.64)]
    # 2/3 quantiles of the scores before: 0.6, 0.567, 0.633, 0.65, 0.633 (again), 0.653
    assert one_after_another(make("asha"), scores, EPOCHS) == [9, 3, 9, 9, 3, 9, 3]


def test_a_trial_waits_for_earlier_ones_and_for_no_later_one():
    script, rule = Script(total=4), make("asha")
    for number in (1, 2, 4):
        script.start(number, epochs=EPOCHS)
    script.report(2, 0.1, 0.2)
    assert rule.verdict(script.state, 2, 4) == Segment(0, keep=[3, 9])  # it may have to wait, and not here
    script.report(2, 0.3)
    script.report(4, 0.1, 0.2, 0.9)
    assert [rule.verdict(script.state, number, 4) for number in (2, 4)] == ["wait", "wait"]
    script.report(1, 0.1, 0.2, 0.25)
    assert rule.verdict(script.state, 1, 4) == Segment(3)
    assert rule.verdict(script.state, 2, 4) == Segment(3, keep=[9])
    assert rule.verdict(script.state, 4, 4) == "wait"  # the third has been proposed, and has not begun
    script.start(3, epochs=EPOCHS)
    script.end(3, "failed", error="ValueError")
    assert rule.verdict(script.state, 4, 4) == Segment(3, keep=[9])


def test_the_score_of_a_trial_counts_where_it_failed_later_and_not_where_it_failed_before():
    for failed_at, expected in ((3, "stop"), (2, Segment(3))):
        script, rule = Script(total=2), make("asha")
        script.trial(1, [0.5] * failed_at, "failed", epochs=EPOCHS, error="ValueError")
        script.start(2, epochs=EPOCHS)
        script.report(2, 0.4, 0.4, 0.4)
        assert rule.verdict(script.state, 2, 2) == expected


@pytest.mark.parametrize("name", ["asha", "median"])
@pytest.mark.parametrize("bad", [nan, inf, -inf])
def test_a_score_that_is_no_number_is_the_worst(name, bad):
    script, rule = Script(total=6), make(name)
    for number in (1, 2, 3):
        script.trial(number, [bad] * EPOCHS, epochs=EPOCHS)
    script.start(4, epochs=EPOCHS)
    script.report(4, bad, bad, 0.1)
    assert isinstance(rule.verdict(script.state, 4, 6), Segment)
    for number in (4, 5, 6):
        if number > 4:
            script.start(number, epochs=EPOCHS)
        script.report(number, *[0.2] * (EPOCHS - script.state.trials[number].epoch))
        script.end(number)
    script.start(7, epochs=EPOCHS)
    script.report(7, bad, bad, bad)
    assert rule.verdict(script.state, 7, 7) == "stop"


def test_a_trial_that_ends_at_a_rung_is_not_judged_there():
    script, rule = Script(total=2), make("asha")
    script.trial(1, [0.9] * EPOCHS, epochs=EPOCHS)
    script.start(2, epochs=GRACE)
    script.report(2, 0.1, 0.1, 0.1)
    assert rule.verdict(script.state, 2, 2) == Segment(3)


def test_the_rungs_follow_from_the_definition():
    def rungs(name, epochs, **scheduler):
        space = {"stage2.lr": {"loguniform": [1e-4, 1e-2]}, "stage2.epochs": {"choice": [epochs]}}
        made = check(definition(algorithm="random", scheduler={"name": name, **scheduler}, space=space))
        built = build_rungs(made, BASE)
        return built and list(built.rungs(1))

    assert rungs("asha", 45) == [5, 15, 45]
    assert rungs("asha", 44, grace_epochs=4, reduction=2) == [4, 8, 16, 32]
    assert rungs("median", 7, grace_epochs=5) == [5, 6, 7]
    assert rungs("none", 7) is None


def test_a_definition_says_only_that_nobody_waits():
    written = check(definition(scheduler={"name": "asha", "wait": False}))
    assert written.plain()["scheduler"]["wait"] is False
    assert build_rungs(written, BASE)._wait is False
    assert "wait" not in check(definition(scheduler="asha")).plain()["scheduler"]  # as in version 0.1.0


@given(data=st.data(), name=st.sampled_from(["asha", "median"]))
def test_what_is_decided_does_not_depend_on_who_came_first(data, name):
    """Any trial that may go on reports next: the same epochs are run as one after another; and someone always may."""
    draw = data.draw
    trials = draw(st.integers(2, 7))
    score = st.sampled_from([0.1, 0.2, 0.3, 0.4, nan])
    scores = draw(st.lists(st.lists(score, min_size=6, max_size=6), min_size=trials, max_size=trials))
    expected = one_after_another(make(name, 6, 2, 2), scores, 6)
    script, rule = Script(total=trials), make(name, 6, 2, 2)
    left = set(range(1, trials + 1))
    while left:
        may = [number for number in sorted(left) if rule.verdict(script.state, number, trials) != "wait"]
        assert min(left) in may
        number = draw(st.sampled_from(may))
        if number not in script.state.trials:
            script.start(number, epochs=6)
        script.report(number, scores[number - 1][script.state.trials[number].epoch])
        epoch, said = script.state.trials[number].epoch, rule.verdict(script.state, number, trials)
        if epoch == 6 or said == "stop":
            script.end(number, "finished" if epoch == 6 else "stopped")
            left.discard(number)
        for waiting in sorted(left):  # as the driver settles those that waited
            if waiting in script.state.trials and rule.verdict(script.state, waiting, trials) == "stop":
                script.end(waiting, "stopped")
                left.discard(waiting)
    assert [trial.epoch for trial in script.state.trials.values()] == expected
