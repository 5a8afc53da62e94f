"""Checks of a sweep's definition beyond its form: parts that contradict each other."""

from __future__ import annotations

import math

from pipelines.definitions import spaces
from pipelines.reporting.wording import many
from pipelines.sweep.definition.choices import ALGORITHMS, CHANGEABLE
from pipelines.sweep.definition.model import SweepDefinition

SMALLEST_POPULATION = 4


def contradictions(definition: SweepDefinition) -> list[str]:
    """Contradictions in a definition, whatever the data."""
    checks = (_enough_trials, _counts, _grid, _cma_es, _two_objectives, _population, _lag)
    return [problem for check in checks for problem in check(definition)]


def _enough_trials(d: SweepDefinition) -> list[str]:
    return trials_missing(d.algorithm, d.budget.trials)


def trials_missing(algorithm: str, trials: object) -> list[str]:
    """That no number of trials is named, where the algorithm has none of its own."""
    if trials is not None or ALGORITHMS[algorithm].finite:
        return []
    return [f"budget.trials: missing; say how many configurations {algorithm} may try at most"]


def _counts(d: SweepDefinition) -> list[str]:
    total, trials = spaces.size(d.space), d.budget.trials
    if ALGORITHMS[d.algorithm].finite or trials is None or trials <= total:
        return []
    return [
        f"trials: {trials}, but the space holds {many(total, 'configuration')}; "
        f"set budget.trials to {total:g} or less, or widen the space"
    ]


def _grid(d: SweepDefinition) -> list[str]:
    if not ALGORITHMS[d.algorithm].finite:
        return []
    endless = [key for key, dimension in d.space.items() if dimension.size == math.inf]
    if endless:
        return [
            f"algorithm: {d.algorithm} cannot enumerate {', '.join(endless)}; "
            "use choice or int there, or algorithm random or tpe"
        ]
    total = spaces.size(d.space)
    if d.budget.trials is not None and d.budget.trials < total:
        return [
            f"trials: {d.budget.trials} is less than the grid of {many(total, 'configuration')}; "
            f"leave budget.trials out, set it to {total:g}, or use algorithm random"
        ]
    return []


def _cma_es(d: SweepDefinition) -> list[str]:
    if d.algorithm != "cma-es":
        return []
    choices = [key for key, dimension in d.space.items() if dimension.kind == "choice" and dimension.size > 1]
    if choices:
        return [
            f"algorithm: cma-es needs ordered settings, and {', '.join(choices)} "
            f"{'is a choice' if len(choices) == 1 else 'are choices'}; "
            "give ranges (int, logint, uniform, loguniform), or use algorithm tpe"
        ]
    if sum(dimension.size > 1 for dimension in d.space.values()) < 2:
        return ["algorithm: cma-es needs two settings that vary; use algorithm tpe or random"]
    return []


def _two_objectives(d: SweepDefinition) -> list[str]:
    if d.objective.cost is None or ALGORITHMS[d.algorithm].objectives > 1:
        return []
    others = [name for name, algorithm in ALGORITHMS.items() if algorithm.objectives > 1]
    return [
        f"objective.cost: {d.algorithm} has one objective; "
        f"use algorithm {', '.join(others)}, or set objective.cost to null"
    ]


def _population(d: SweepDefinition) -> list[str]:
    if d.algorithm != "pbt":
        return [] if d.pbt is None else [f"pbt: belongs to algorithm pbt, not to {d.algorithm}"]
    found = []
    if d.scheduler.name != "none":
        found.append(
            f"scheduler: pbt decides itself which trials go on, so that there is none beside it, got "
            f"'{d.scheduler.name}'; write scheduler: none"
        )
    fixed = [key for key in d.space if key not in CHANGEABLE]
    if fixed:
        found.append(
            f"space: pbt changes settings during training, which {', '.join(fixed)} cannot; "
            f"valid: {', '.join(CHANGEABLE)}"
        )
    if d.budget.trials is not None and d.budget.trials < SMALLEST_POPULATION:
        found.append(
            f"trials: {d.budget.trials} are too few for a population; pbt needs {SMALLEST_POPULATION} or more"
        )
    return found


def _lag(d: SweepDefinition) -> list[str]:
    if not ALGORITHMS[d.algorithm].learns or d.concurrent is None or d.concurrent <= d.lag:
        return []
    return [
        f"lag: {d.lag} is less than concurrent: {d.concurrent}; {d.algorithm} proposes trial n once the trials up to "
        f"n - lag are over, so that no more than {d.lag} run at a time; set lag to {d.concurrent} or more"
    ]
