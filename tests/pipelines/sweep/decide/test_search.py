from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from pipelines.definitions import spaces
from pipelines.definitions.spaces import Configuration
from pipelines.sweep.decide.proposals import Search, SpaceExhausted
from pipelines.sweep.decide.schedule import SCHEDULES
from pipelines.sweep.decide.search import SEARCHES, build_search
from pipelines.sweep.decide.tpe import TPESearch, _best
from pipelines.sweep.definition.choices import ALGORITHMS, SCHEDULERS
from pipelines.sweep.definition.model import SweepDefinition
from pipelines.sweep.definition.reading import check

LAG = 4
ORDERED = {
    "stage1.alpha": {"loguniform": [0.1, 10.0]},
    "stage1.r": {"int": [8, 24]},
    "stage1.hidden": {"logint": [16, 128]},
    "stage2.lam_x": {"uniform": [0.0, 2.0]},
    "stage2.k": {"int": [4, 4]},
}
MIXED = ORDERED | {"classifier.name": {"choice": ["linear-svm", "logistic-regression"]}}
CHANGING = {"stage2.lr": {"loguniform": [1e-4, 1e-2]}, "stage2.lam_y": {"choice": [0.0, 0.5, 1.0]}}
FINITE = {"stage1.r": {"int": [3, 6]}, "stage2.k": {"int": [2, 3]}, "stage1.p": {"int": [3, 5]}}  # 24


def define(algorithm: str, *, trials: int | None = 20, **changes: Any) -> SweepDefinition:
    space = {"cma-es": ORDERED, "pbt": CHANGING, "grid": FINITE}.get(algorithm, MIXED)
    data = {"name": "tiny", "algorithm": algorithm, "scheduler": "none", "lag": LAG, "space": space}
    return check({**data, "budget": {"trials": None if algorithm == "grid" else trials}, **changes})


def score(configuration: Configuration) -> tuple[float, ...] | None:
    """Smooth, best at alpha 2, r 18, hidden 40, lam_x 0.5; one in seven configurations fails."""
    r = configuration.get("stage1.r", 18)
    if configuration.get("stage1.hidden", 1) % 7 == 0:
        return None
    value = -(math.log(configuration.get("stage1.alpha", 2.0) / 2) ** 2) - ((r - 18) / 8) ** 2
    value -= math.log(configuration.get("stage1.hidden", 40) / 40) ** 2
    return (value - (configuration.get("stage2.lam_x", 0.5) - 0.5) ** 2,)


def go_on(
    search: Search, first: int, last: int, rng: np.random.Generator | None = None
) -> list[Configuration]:
    """Propose trials first to last; results are told at once, or as late and disordered as the lag allows."""
    proposed, waiting = {}, []
    for number in range(first, last + 1):
        while not search.ready(number):
            waiting.sort()
            done = waiting.pop(0 if rng is None else int(rng.integers(len(waiting))))
            search.tell(done, score(proposed[done]))
        proposed[number] = search.propose(number)
        if rng is None:
            search.tell(number, score(proposed[number]))
        else:
            waiting.append(number)
    for number in waiting:
        search.tell(number, score(proposed[number]))
    return list(proposed.values())


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_same_seed_gives_the_same_trials_whatever_the_order_of_the_results(algorithm):
    straight = go_on(build_search(define(algorithm)), 1, 20)
    for seed in range(2):
        shuffled = go_on(build_search(define(algorithm)), 1, 20, np.random.default_rng(seed))
        assert shuffled == straight
    assert all(spaces.holds(define(algorithm).space, configuration) for configuration in straight)
    if algorithm != "grid":
        assert go_on(build_search(define(algorithm, seed=1)), 1, 20) != straight


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("told_first", [True, False])
def test_a_restored_search_goes_on_as_if_nothing_had_been(algorithm, told_first):
    straight = go_on(build_search(define(algorithm)), 1, 20)
    search = build_search(define(algorithm))
    results = [(number, score(straight[number - 1])) for number in range(1, 8)]
    np.random.default_rng(0).shuffle(results)
    for number in range(1, 8):
        if told_first:
            search.tell(number, score(straight[number - 1]))
        search.restore(number, dict(straight[number - 1]))
    if not told_first:
        for number, values in results:
            search.tell(number, values)
    assert go_on(search, 8, 20) == straight[7:]


@pytest.mark.parametrize("algorithm", ["tpe", "cma-es"])
def test_a_finite_space_is_used_up_and_nothing_is_tried_twice(algorithm):
    definition = define(algorithm, trials=24, space=FINITE, lag=2)
    search = build_search(definition)
    straight = go_on(search, 1, 24)
    assert len({tuple(c.values()) for c in straight}) == 24
    with pytest.raises(SpaceExhausted):
        search.propose(25)
    again = build_search(definition)
    for number in range(1, 21):  # several of these were drawn again, or at random
        again.restore(number, straight[number - 1])
        again.tell(number, score(straight[number - 1]))
    assert go_on(again, 21, 24) == straight[20:]


@pytest.mark.parametrize("algorithm", ["random", "grid"])
def test_a_list_ends_with_the_space(algorithm):
    search = build_search(define(algorithm, trials=24, space=FINITE))
    assert len({tuple(c.values()) for c in go_on(search, 1, 24)}) == 24
    with pytest.raises(SpaceExhausted):
        search.propose(25)


@pytest.mark.parametrize("algorithm", ["random", "tpe", "cma-es"])
def test_more_trials_go_on_with_the_same_search(algorithm):
    """`extend` keeps the definition, so that the random start of TPE keeps its length."""
    search = build_search(define(algorithm, trials=12))
    assert go_on(search, 1, 12) + go_on(search, 13, 20) == go_on(
        build_search(define(algorithm, trials=12)), 1, 20
    )


@pytest.mark.parametrize("algorithm", ["random", "tpe"])
def test_proposals_lie_in_the_space_and_have_its_types(algorithm):
    space = {"stage1.p": {"int": [2, 9]}, "stage2.lr": {"loguniform": [1e-4, 1e-2]}}
    space |= {"stage2.imagined": {"choice": [True, False]}, "stage1.hidden": {"logint": [8, 64]}}
    for proposed in go_on(build_search(define(algorithm, space=space)), 1, 15):
        assert list(proposed) == ["stage1.p", "stage2.lr", "stage2.imagined", "stage1.hidden"]
        assert 2 <= proposed["stage1.p"] <= 9
        assert isinstance(proposed["stage1.p"], int)
        assert 1e-4 <= proposed["stage2.lr"] <= 1e-2
        assert isinstance(proposed["stage2.imagined"], bool)
        assert 8 <= proposed["stage1.hidden"] <= 64
        assert isinstance(proposed["stage1.hidden"], int)


def test_random_draws_are_those_of_the_studies():
    definition = define("random")
    assert go_on(build_search(definition), 1, 20) == spaces.draw(definition.space, 20, seed=0)


@pytest.mark.parametrize("algorithm", ["tpe", "cma-es"])
def test_learning_finds_better_configurations_than_chance(algorithm):
    def median_best(name: str) -> float:
        bests = []
        for seed in range(3):
            tried = go_on(build_search(define(name, trials=60, seed=seed, space=ORDERED)), 1, 60)
            bests.append(max(found[0] for c in tried if (found := score(c)) is not None))
        return float(np.median(bests))

    assert median_best(algorithm) > median_best("random") + 0.1


def test_cma_es_climbs():
    """Its population moves to the optimum, which lies off the middle where it begins."""

    def distance(configuration: Configuration) -> float:
        found = [(configuration["stage2.lam_x"] - 1.7) / 2, (configuration["stage1.r"] - 22) / 16]
        return float(np.hypot(*found))

    for seed in range(3):
        search = build_search(define("cma-es", trials=90, seed=seed, space=ORDERED))
        distances = []
        for number in range(1, 91):
            configuration = search.propose(number)
            distances.append(distance(configuration))
            search.tell(number, (-distances[-1],))
        assert np.mean(distances[-20:]) < 0.5 * np.mean(distances[:20])


def test_a_search_takes_the_seed_of_its_definition():
    for algorithm in ("random", "tpe", "cma-es", "pbt"):
        first = [build_search(define(algorithm, seed=seed)).propose(1) for seed in (0, 1)]
        assert first[0] != first[1]


@pytest.mark.parametrize("algorithm", ["tpe", "cma-es"])
def test_a_proposal_depends_on_results_up_to_the_lag_and_on_no_later_one(algorithm):
    def twentieth(changed: int) -> Configuration:
        search = build_search(define(algorithm))
        for number in range(1, 21):
            configuration = search.propose(number)
            search.tell(number, (100.0,) if number == changed else (configuration["stage1.alpha"],))
        return configuration

    assert twentieth(17) == twentieth(19) == twentieth(0)
    # Not every result changes something: what was the best stays the best, and CMA-ES moves with whole populations.
    assert any(twentieth(changed) != twentieth(0) for changed in range(1, 9))
    if algorithm == "tpe":
        assert twentieth(16) != twentieth(0)


@pytest.mark.parametrize("algorithm", ["tpe", "cma-es"])
def test_a_proposal_waits_for_the_results_that_it_needs(algorithm):
    search = build_search(define(algorithm))
    for number in range(1, LAG + 1):
        assert search.ready(number)
        search.propose(number)
    search.tell(2, (0.5,))
    assert not search.ready(LAG + 1)
    with pytest.raises(ValueError, match="before the result of trial 1"):
        search.propose(LAG + 1)
    search.tell(1, (math.nan,))  # as good as failed
    assert search.ready(LAG + 2)
    search.propose(LAG + 1)
    with pytest.raises(ValueError, match="in order"):
        search.propose(LAG + 1)


@pytest.mark.parametrize("algorithm", ["tpe", "cma-es"])
def test_the_first_result_of_a_trial_is_the_one_that_counts(algorithm):
    """A journal read again tells results again."""
    proposed = []
    for again in (False, True):
        search = build_search(define(algorithm))
        for number in range(1, 13):
            configuration = search.propose(number)
            search.tell(number, (math.log(configuration["stage1.alpha"]),))
            if again:
                search.tell(number, (-100.0,))
        proposed.append(configuration)
    assert proposed[0] == proposed[1]


def test_cma_es_starts_anew_elsewhere_once_it_has_shrunk_to_a_point():
    space = {"stage2.lam_x": {"uniform": [0.0, 2.0]}, "stage2.lam_c": {"uniform": [0.1, 3.0]}}
    search = build_search(define("cma-es", trials=600, space=space))
    population, places = search._optimiser.population_size, []
    for number in range(1, 601):
        c = search.propose(number)
        places.append((c["stage2.lam_x"], c["stage2.lam_c"]))
        search.tell(number, (-((places[-1][0] - 1.3) ** 2) - (places[-1][1] - 2.0) ** 2,))
    spread = [np.ptp(places[i : i + 20], axis=0).max() for i in range(0, 600, 20)]
    shrunk = int(np.argmin(spread))
    assert spread[shrunk] < 1e-4
    assert max(spread[shrunk:]) > 0.3
    assert search._optimiser.population_size == 2 * population


@pytest.mark.parametrize("algorithm", ["random", "grid", "pbt"])
def test_lists_never_wait(algorithm):
    search = build_search(define(algorithm))
    assert search.ready(1000)


@pytest.mark.parametrize("algorithm", ["random", "grid", "tpe"])
def test_two_objectives(algorithm):
    search = build_search(define(algorithm, objective={"cost": "inference"}, trials=30))
    tried = []
    for number in range(1, 25):
        tried.append(search.propose(number))
        search.tell(number, (0.5, float(tried[-1]["stage1.r"])))
    assert len(tried) == 24
    if algorithm == "tpe":  # among equals of score the cheap ones are preferred
        assert np.mean([c["stage1.r"] for c in tried[14:]]) < np.mean([c["stage1.r"] for c in tried[:10]])


@pytest.mark.parametrize("algorithm", ["random", "tpe", "cma-es"])
def test_trials_of_another_space_are_remembered_and_do_no_harm(algorithm):
    """After `resume --accept-changes` the journal holds configurations that the space does not."""
    search = build_search(define(algorithm))
    for number in range(1, 11):
        search.restore(number, {"stage1.p": number})
        search.tell(number, (0.1 * number,))
    assert len(go_on(search, 11, 20)) == 10


def test_a_grid_tries_what_a_changed_definition_added():
    wider = define("grid", space={"stage2.k": {"int": [2, 5]}})
    search = build_search(wider)
    search.restore(1, {"stage2.k": 3})
    assert [c["stage2.k"] for c in go_on(search, 2, 4)] == [2, 4, 5]


def test_members_of_a_population_that_were_changed_have_had_their_draw():
    straight = go_on(build_search(define("pbt")), 1, 8)
    search = build_search(define("pbt"))
    for number in range(1, 5):
        search.restore(number, straight[number - 1] | {"stage2.lr": 0.005})
    assert go_on(search, 5, 8) == straight[4:]


def test_every_choice_of_a_definition_can_be_built():
    assert set(SEARCHES) == set(ALGORITHMS)
    assert set(SCHEDULES) == set(SCHEDULERS)


# What the estimator forgets --------------------------------------------------------------------------------


def with_cost(configuration: Configuration, score: Any = score) -> tuple[float, ...] | None:
    values = score(configuration)
    return None if values is None else (*values, float(configuration["stage1.hidden"]))


@pytest.mark.parametrize("costs", [False, True])
def test_forgetting_does_not_depend_on_timing_or_restarts(monkeypatch, costs):
    for name, value in {"BEST": 6, "LATEST": 8, "EVERY": 5}.items():
        monkeypatch.setattr(TPESearch, name, value)
    if costs:
        monkeypatch.setitem(globals(), "score", with_cost)
    definition = define("tpe", trials=60, objective={"cost": "inference" if costs else None})
    first = build_search(definition)
    straight = go_on(first, 1, 60)
    assert len(first._known) <= 6 + 8 + 5 + 6 * costs + LAG  # the last front is kept as a whole
    assert go_on(build_search(definition), 1, 60, np.random.default_rng(0)) == straight
    again = build_search(definition)
    for number in range(1, 41):
        again.restore(number, straight[number - 1])
        again.tell(number, score(straight[number - 1]))
    assert go_on(again, 41, 60) == straight[40:]


def score_of(configuration: Configuration) -> float:
    return (score(configuration) or (-math.inf,))[0]


def test_forgetting_keeps_the_best_and_the_latest(monkeypatch):
    for name, value in {"BEST": 6, "LATEST": 8, "EVERY": 5}.items():
        monkeypatch.setattr(TPESearch, name, value)
    search = build_search(define("tpe", trials=60))
    proposed = go_on(search, 1, 60)
    ranked = sorted(range(1, 57), key=lambda number: -score_of(proposed[number - 1]))
    assert set(ranked[:6]) <= set(search._values)
    assert {n for n in range(50, 57) if score(proposed[n - 1])} <= set(search._values)
    assert len(search._study.get_trials(deepcopy=False)) <= 6 + 8 + 5 + LAG


def test_the_best_of_two_objectives_are_the_first_fronts():
    values = {1: (0.9, 5.0), 2: (0.8, 1.0), 3: (0.7, 2.0), 4: (0.9, 6.0), 5: (0.1, 9.0)}
    assert _best(values, 2) == [1, 2]
    assert _best(values, 3) == [1, 2, 4, 3]
    assert _best({n: v[:1] for n, v in values.items()}, 2) == [1, 4]
