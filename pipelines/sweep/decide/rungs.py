"""Schedulers for which trials wait for each other: HyperBand's brackets, and populations.

At a rung, an epoch of stage 2, a trial's segment ends; once all trials of its group have got there or are over, it
is stopped, or goes on from a checkpoint of its own or of another trial.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence

import numpy as np

from pipelines.definitions.spaces import Dimension, Scalar
from pipelines.sweep.decide.segments import Change, Rungs, Segment, Verdict
from pipelines.sweep.definition.model import SweepDefinition
from pipelines.sweep.record.state import SweepState

QUANTILE = 4  # of a population, one in so many is replaced at a rung
RESAMPLED, FACTORS = 0.25, (0.8, 1.2)  # as Jaderberg et al. 2017


class Waiting(Rungs):
    """A scheduler whose trials end a segment at every rung, and wait there for all of their group."""

    @abstractmethod
    def members(self, number: int, last: int) -> range:
        """The trials that it waits for, itself included, when ``last`` is the last trial there will be."""

    @abstractmethod
    def goes_on(self, number: int, scores: dict[int, float]) -> bool:
        """Whether it goes on from a rung at which the trials have these scores."""

    def source(self, state: SweepState, number: int, rung: int) -> int | None:
        """The trial from whose checkpoint at ``rung`` it goes on, see :class:`Segment`."""
        return None

    def verdict(self, state: SweepState, number: int, last: int) -> Verdict:
        trial = state.trials.get(number)
        epoch = 0 if trial is None else trial.epoch
        passed = 0
        until = None
        for rung in self.rungs(number):
            if rung > epoch:
                until = rung
                break
            passed = rung
        if passed and passed == epoch:
            scores: dict[int, float] = {}
            for other in self.members(number, last):
                known = state.trials.get(other)
                if known is not None and known.epoch >= passed:
                    score = known.scores[passed - 1]
                    scores[other] = score if math.isfinite(score) else -math.inf
                elif known is None or not known.over:
                    return "wait"
            if not self.goes_on(number, scores):
                return "stop"
        return Segment(passed, until, self.source(state, number, passed) if passed else None)


class HyperBand(Waiting):
    """HyperBand (Li et al. 2018): brackets of trials, of which the best 1/eta go on at each rung.

    With R epochs at most and s_max = floor(log_eta R), bracket s = s_max, ..., 1, 0 has ceil((s_max + 1) / (s + 1)
    eta^s) trials in the order of their numbers and its rungs at R eta^-s, ..., R eta^-1; then it begins anew. Where an
    algorithm waits for results of trials that far back, no bracket is larger than ``lag``.

    Parameters
    ----------
    epochs : R.
    reduction : eta.
    largest : the most trials in a bracket.
    """

    def __init__(self, epochs: int, reduction: int, *, largest: int | None = None) -> None:
        self._reduction = reduction
        top = 0
        while reduction ** (top + 1) <= epochs:
            top += 1
        self._brackets: list[tuple[int, list[int]]] = []  # trials, rungs
        for s in range(top, -1, -1):
            size = math.ceil((top + 1) / (s + 1) * reduction**s)
            rungs = sorted({max(1, round(epochs / reduction**i)) for i in range(1, s + 1)} - {epochs})
            self._brackets.append((min(size, largest or size), rungs))
        self._band = sum(size for size, _ in self._brackets)

    def _bracket(self, number: int) -> tuple[int, int, list[int]]:
        """Number of its first trial, how many there are, their rungs."""
        first = number - (number - 1) % self._band
        for size, rungs in self._brackets:
            if number < first + size:
                return first, size, rungs
            first += size
        raise AssertionError("brackets fill a band")

    def rungs(self, number: int) -> Sequence[int]:
        return self._bracket(number)[2]

    def members(self, number: int, last: int) -> range:
        first, size, _ = self._bracket(number)
        return range(first, min(first + size - 1, last) + 1)

    def goes_on(self, number: int, scores: dict[int, float]) -> bool:
        ranked = sorted(scores, key=lambda other: (-scores[other], other))
        return number in ranked[: max(1, len(ranked) // self._reduction)]


class Population(Waiting):
    """Population based training (Jaderberg et al. 2017), all members in step.

    Every ``interval`` epochs the worst quarter goes on from copies of members of the best quarter, drawn at random.
    Each setting of a copy is drawn anew with probability 1/4 and otherwise multiplied by 0.8 or 1.2; of a choice the
    neighbouring value is taken.
    """

    def __init__(self, definition: SweepDefinition, epochs: int) -> None:
        assert definition.pbt is not None
        self._space, self._seed = definition.space, definition.seed
        self._rungs = range(definition.pbt.interval, epochs, definition.pbt.interval)

    def rungs(self, number: int) -> Sequence[int]:
        return self._rungs

    def members(self, number: int, last: int) -> range:
        return range(1, last + 1)

    def goes_on(self, number: int, scores: dict[int, float]) -> bool:
        return True

    def source(self, state: SweepState, number: int, rung: int) -> int | None:
        epoch, source = state.trials[number].origin
        return source if epoch == rung else number

    def changes(self, state: SweepState, rung: int) -> list[Change]:
        scores = {
            trial.number: trial.scores[rung - 1]
            for trial in state.trials.values()
            if trial.epoch >= rung and math.isfinite(trial.scores[rung - 1])
        }
        ranked = sorted(scores, key=lambda number: (-scores[number], number))
        count = min(math.ceil(len(ranked) / QUANTILE), len(ranked) // 2)
        best = [number for number in ranked[:count] if state.trials[number].status != "failed"]
        changes = []
        for number in sorted(ranked[len(ranked) - count :]):
            if not best or state.trials[number].over:
                continue
            rng = np.random.default_rng([self._seed, rung, number])
            source = best[int(rng.integers(len(best)))]
            explored = {
                key: _explored(self._space[key], value, rng) if key in self._space else value
                for key, value in state.trials[source].configuration.items()
            }
            changes.append(Change(number, explored, source))
        return changes


def _explored(dimension: Dimension, value: Scalar, rng: np.random.Generator) -> Scalar:
    """A value near ``value``, or any."""
    if rng.random() < RESAMPLED:
        return dimension.draw(rng)
    up = int(rng.integers(2))
    if dimension.kind == "choice":
        place = dimension.values.index(value) + (1 if up else -1)
        return dimension.values[min(max(place, 0), len(dimension.values) - 1)]
    assert isinstance(value, int | float)
    return dimension.clipped(value * FACTORS[up])
