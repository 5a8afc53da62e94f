"""Covariance matrix adaptation evolution strategy: cmaes, fed in the order of the trials."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from pipelines.definitions.spaces import Configuration, Dimension, Scalar, Space
from pipelines.sweep.decide.proposals import ATTEMPTS, LearningSearch, seed_of

if TYPE_CHECKING:
    from cmaes import CMAwM


class CMAESSearch(LearningSearch):
    """Covariance matrix adaptation (Hansen 2016) by cmaes, with margin for integers (Hamano et al. 2022).

    Every ``population`` results in the order of their numbers move the distribution, whichever generation they were
    drawn from: a result that comes ``lag`` trials late is old, not wrong. Where the distribution has shrunk to a point
    the search starts anew elsewhere with twice the population (IPOP, Auger & Hansen 2005). Settings are scaled to
    [0, 1], logarithmic ones in their logarithm.
    """

    START, WIDTH = 0.5, 0.3  # mean and standard deviation at first; Hansen recommends 0.3 of the range

    def __init__(self, space: Space, *, seed: int, lag: int) -> None:
        super().__init__(space, seed=seed, lag=lag)
        self._varying = [key for key, dimension in space.items() if dimension.size > 1]
        self._restarts = 0
        self._optimiser = self._new_optimiser(np.full(len(self._varying), self.START), population=None)
        self._point: np.ndarray | None = None  # the latest suggestion
        self._suggested: Configuration = {}
        self._points: dict[int, np.ndarray] = {}
        self._pool: list[tuple[np.ndarray, float]] = []

    def _suggest(self, number: int, attempt: int) -> Configuration:
        self._optimiser.reseed_rng(seed_of(self._seed, number, attempt))
        evaluated, self._point = self._optimiser.ask()
        places = dict(zip(self._varying, evaluated.tolist(), strict=True))
        self._suggested = {
            key: _at(dimension, places[key]) if key in places else dimension.all_values()[0]
            for key, dimension in self._space.items()
        }
        return self._suggested

    def _take(self, number: int, configuration: Configuration) -> None:
        if configuration == self._suggested:
            assert self._point is not None
            self._points[number] = self._point

    def _recall(self, number: int, configuration: Configuration) -> None:
        for attempt in range(ATTEMPTS):
            if self._suggest(number, attempt) == configuration:
                self._take(number, configuration)
                return

    def _learn(self, number: int, values: tuple[float, ...] | None) -> None:
        point = self._points.pop(number, None)
        if point is None or values is None:
            return
        self._pool.append((point, -values[0]))
        if len(self._pool) < self._optimiser.population_size:
            return
        self._optimiser.tell(self._pool)
        self._pool = []
        if self._optimiser.should_stop():
            self._restarts += 1
            mean = np.random.default_rng(seed_of(self._seed, 0, self._restarts)).random(len(self._varying))
            self._optimiser = self._new_optimiser(mean, population=2 * self._optimiser.population_size)

    def _new_optimiser(self, mean: np.ndarray, *, population: int | None) -> CMAwM:
        from cmaes import CMAwM

        steps = [
            1 / (d.size - 1) if d.kind == "int" else 0.0 for d in map(self._space.__getitem__, self._varying)
        ]
        bounds = np.tile([0.0, 1.0], (len(self._varying), 1))
        return CMAwM(
            mean=mean, sigma=self.WIDTH, bounds=bounds, steps=np.array(steps), population_size=population
        )


def _at(dimension: Dimension, place: float) -> Scalar:
    """The value at a place in [0, 1] of a range."""
    low, high = dimension.bounds
    place = min(max(place, 0.0), 1.0)
    if dimension.kind == "int":
        return int(low) + round(place * (high - low))
    if dimension.kind == "uniform":
        return min(max(low + place * (high - low), low), high)
    if dimension.kind == "logint":
        low, high = low - 0.5, high + 0.5
    value = math.exp(math.log(low) + place * (math.log(high) - math.log(low)))
    return dimension.clipped(round(value) if dimension.kind == "logint" else value)
