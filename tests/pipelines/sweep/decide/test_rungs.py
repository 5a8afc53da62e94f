"""Brackets and populations, told by journals; what comes of them under a driver is in test_driver."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.definitions import spaces
from pipelines.sweep.decide.rungs import HyperBand
from pipelines.sweep.decide.schedule import build_rungs
from pipelines.sweep.decide.segments import Segment
from pipelines.sweep.definition.reading import check
from tests.pipelines.sweep.projects import definition
from tests.pipelines.sweep.scripts import Script
from tests.pipelines.sweep.simulation import BASE

SPACE = {"stage2.lr": {"loguniform": [1e-4, 1e-2]}, "stage2.lam_y": {"choice": [0.5, 1.0, 2.0]}}


def test_the_brackets_of_the_paper():
    """Table 1 of Li et al. 2018: R = 81, eta = 3."""
    brackets = HyperBand(81, 3)
    firsts, number = [], 1
    while number <= 143:
        members = brackets.members(number, 1000)
        firsts.append((len(members), list(brackets.rungs(number))))
        number += len(members)
    assert firsts == [
        (81, [1, 3, 9, 27]),
        (34, [3, 9, 27]),
        (15, [9, 27]),
        (8, [27]),
        (5, []),
    ]
    assert brackets.members(144, 1000) == range(144, 144 + 81)  # and anew


def test_at_a_rung_the_best_go_on_once_all_are_there():
    script = Script(total=4)
    brackets = HyperBand(4, 2)  # a bracket of four, rungs at 1 and 2
    for number, score in ((1, 0.2), (2, 0.4), (3, 0.4)):
        script.start(number, epochs=4)
        script.report(number, score)
    assert [brackets.verdict(script.state, n, 4) for n in (1, 2, 3, 4)] == ["wait"] * 3 + [Segment(0, 1)]
    assert brackets.verdict(script.state, 1, 3) == "stop"  # where there will be no fourth
    script.start(4, epochs=4)
    script.end(4, "failed", error="ValueError")
    assert [brackets.verdict(script.state, n, 4) for n in (1, 2, 3)] == ["stop", Segment(1, 2), "stop"]
    script.report(2, 0.1, 0.5)
    assert brackets.verdict(script.state, 2, 4) == Segment(2, None)


def test_a_bracket_is_no_larger_than_the_lag_of_an_algorithm_that_learns():
    for algorithm, size in (("random", 27), ("tpe", 6)):
        made = check(
            definition(
                algorithm=algorithm,
                trials=30,
                lag=6,
                scheduler="hyperband",
                space=SPACE | {"stage2.epochs": {"choice": [27]}},
            )
        )
        assert len(build_rungs(made, BASE).members(1, 30)) == size


@pytest.fixture
def population():
    made = check(definition(algorithm="pbt", scheduler=None, trials=8, pbt={"interval": 2}, space=SPACE))
    script = Script(total=8, **made.plain())
    rng = np.random.default_rng(0)
    for number in range(1, 9):
        values = {key: dimension.draw(rng) for key, dimension in made.space.items()}
        script.start(number, epochs=6, configuration=values)
        script.report(number, 0.5, number / 10)
    return made, script, build_rungs(made, BASE.model_copy())


def test_the_worst_quarter_is_replaced_by_copies_of_the_best(population):
    made, script, rungs = population
    changes = rungs.changes(script.state, 2)
    assert changes == rungs.changes(script.state, 2)
    assert [change.number for change in changes] == [1, 2]
    assert {change.source for change in changes} <= {7, 8}
    for change in changes:
        assert spaces.holds(made.space, change.configuration)
        assert change.configuration != script.state.trials[change.source].configuration
        script(
            "mutate", trial=change.number, epoch=2, configuration=change.configuration, source=change.source
        )
    assert rungs.verdict(script.state, 1, 8) == Segment(2, 4, changes[0].source)
    assert rungs.verdict(script.state, 5, 8) == Segment(2, 4, 5)


def test_no_copy_is_made_of_a_member_that_has_failed(population):
    """After its report at the rung, for instance as its worker died over and over: its checkpoint may be gone."""
    _, script, rungs = population
    script.end(8, "failed", error="WorkerDiedError")
    assert [(change.number, change.source) for change in rungs.changes(script.state, 2)] == [(1, 7), (2, 7)]
    script.end(7, "failed", error="WorkerDiedError")
    assert rungs.changes(script.state, 2) == []


def test_every_rung_has_draws_of_its_own(population):
    _, script, rungs = population
    for number in range(1, 9):  # as good at the next rung as at the first
        script.report(number, number / 10, number / 10)
    first, second = rungs.changes(script.state, 2), rungs.changes(script.state, 4)
    assert [change.number for change in first] == [change.number for change in second]
    assert [change.configuration for change in first] != [change.configuration for change in second]


def test_settings_change_a_little_or_are_drawn_anew(population):
    made, script, rungs = population
    ratios = set()
    for seed in range(200):
        rungs._seed = seed
        for change in rungs.changes(script.state, 2):
            assert spaces.holds(made.space, change.configuration)
            before = script.state.trials[change.source].configuration
            ratios.add(round(change.configuration["stage2.lr"] / before["stage2.lr"], 6))
    assert {0.8, 1.2} < ratios
    assert len(ratios) > 20
