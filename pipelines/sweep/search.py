"""How a sweep searches: the algorithms that propose configurations, and the schedulers that end trials early.

A search knows nothing of Ray, of time or of workers. Proposal n is a function of the definition, of n, of the
proposals before it and of the results of the trials 1 to n - lag: whatever runs where and how long it takes, the same
seed gives the same sweep, also after a restart (:meth:`Search.restore`). No configuration is proposed twice.

An addition is one class or function and one line in its registry; definitions, error messages and the plan follow from
there. Ray, Optuna and cmaes are imported when something of theirs is built, so that a definition can be checked without
them.
"""

from __future__ import annotations

import math
import warnings
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from pipelines.sweep import spaces
from pipelines.sweep.spaces import Configuration, Dimension, Scalar, Space

if TYPE_CHECKING:
    import optuna
    from cmaes import CMAwM
    from ray.tune.schedulers import TrialScheduler

    from pipelines.sweep.definition import SweepDefinition

# What Ray Tune sees of a trial: its score, the larger the better, at an epoch of stage 2; its configuration and number.
METRIC, MODE, TIME = "score", "max", "epoch"
CONFIGURATION, NUMBER = "configuration", "number"

# Settings with which a training run can go on: of those that jmml.search lets a checkpoint be taken up with
# (ADJUSTABLE there), the ones of this method.
CHANGEABLE = tuple(f"stage2.{name}" for name in ("lr", "weight_decay", "lam_r", "lam_x", "lam_c", "lam_y"))

_ATTEMPTS = 10  # to propose something new before any configuration that was not tried will do


class SpaceExhausted(Exception):  # noqa: N818 - no error: the sweep ends early, with a note
    """Every configuration of the space has been proposed."""


class Search(Protocol):
    """Proposes the configurations of one sweep; the calls come in one thread."""

    def ready(self, number: int) -> bool:
        """Whether trial ``number`` can be proposed now; else results of earlier trials have to be told first."""
        ...

    def propose(self, number: int) -> Configuration:
        """The configuration of a trial; trials are numbered from 1 and proposed in order.

        Raises
        ------
        SpaceExhausted : nothing is left to try.
        """
        ...

    def tell(self, number: int, values: tuple[float, ...] | None) -> None:
        """The result of a trial that is over, (score,) or (score, cost), None if it failed; in any order."""
        ...

    def restore(self, number: int, configuration: Configuration) -> None:
        """In place of :meth:`propose`, for a trial that was proposed before; results are told as ever."""
        ...


class _NeverTwice:
    """What has been proposed, in order, and what at random has not."""

    def __init__(self, source: Iterator[Configuration]) -> None:
        self._source = source
        self._proposed: set[Hashable] = set()
        self._last = 0

    def restore(self, number: int, configuration: Configuration) -> None:
        self._enter(number, configuration)

    def _enter(self, number: int, configuration: Configuration) -> None:
        self._check_next(number)
        self._last = number
        self._proposed.add(_key(configuration))

    def _check_next(self, number: int) -> None:
        if number != self._last + 1:
            raise ValueError(f"trial {number} after trial {self._last}; expected them in order")

    def _is_new(self, configuration: Configuration) -> bool:
        return _key(configuration) not in self._proposed

    def _next_new(self) -> Configuration:
        for configuration in self._source:
            if self._is_new(configuration):
                return configuration
        raise SpaceExhausted("every configuration of the space has been tried")


class ListedSearch(_NeverTwice):
    """Configurations in an order that does not depend on results: the whole grid, or random draws."""

    def ready(self, number: int) -> bool:
        return True

    def propose(self, number: int) -> Configuration:
        self._check_next(number)
        configuration = self._next_new()
        self._enter(number, configuration)
        return configuration

    def tell(self, number: int, values: tuple[float, ...] | None) -> None:
        pass


class PopulationSearch(ListedSearch):
    """Random draws that are changed later: those who were restored have had their draws, whatever became of them."""

    def restore(self, number: int, configuration: Configuration) -> None:
        self._proposed.add(_key(self._next_new()))
        super().restore(number, configuration)


class LearningSearch(_NeverTwice):
    """Base of the algorithms that learn from results, which are taken in by number, up to ``lag`` trials behind.

    A restored trial is taken in with the next proposal, when the results that its own proposal knew are there.
    """

    def __init__(self, space: Space, *, seed: int, lag: int) -> None:
        super().__init__(spaces.stream(space, seed=_seed(seed)))
        self._space, self._seed, self._lag = space, seed, lag
        self._results: dict[int, tuple[float, ...] | None] = {}
        self._told = 0  # the results of the trials 1 to this one are there
        self._learnt = 0  # and those up to this one are taken in
        self._restored: deque[tuple[int, Configuration]] = deque()

    def ready(self, number: int) -> bool:
        return self._told >= number - self._lag

    def propose(self, number: int) -> Configuration:
        self._check_next(number)
        if not self.ready(number):
            raise ValueError(f"trial {number} before the result of trial {self._told + 1}")
        while self._restored:
            earlier, configuration = self._restored.popleft()
            self._learn_until(earlier - self._lag)
            self._recall(earlier, configuration)
        self._learn_until(number - self._lag)
        for attempt in range(_ATTEMPTS):
            configuration = self._suggest(number, attempt)
            if self._is_new(configuration):
                break
        else:
            configuration = self._next_new()
        self._enter(number, configuration)
        self._take(number, configuration)
        return configuration

    def tell(self, number: int, values: tuple[float, ...] | None) -> None:
        if values is not None and not all(math.isfinite(value) for value in values):
            values = None
        self._results.setdefault(number, values)
        while self._told + 1 in self._results:
            self._told += 1

    def restore(self, number: int, configuration: Configuration) -> None:
        super().restore(number, configuration)
        self._restored.append((number, configuration))

    def _learn_until(self, number: int) -> None:
        while self._learnt < number:
            self._learnt += 1
            self._learn(self._learnt, self._results[self._learnt])

    # What an algorithm says ------------------------------------------------------------------------

    def _suggest(self, number: int, attempt: int) -> Configuration:
        """A configuration by what has been learnt; another one in another attempt. Changes nothing else."""
        raise NotImplementedError

    def _take(self, number: int, configuration: Configuration) -> None:
        """Trial ``number`` has this configuration: the latest one suggested, or one at random."""
        raise NotImplementedError

    def _recall(self, number: int, configuration: Configuration) -> None:
        """Trial ``number`` has this configuration, which was suggested in an earlier session or is foreign."""
        raise NotImplementedError

    def _learn(self, number: int, values: tuple[float, ...] | None) -> None:
        """Take in a result."""
        raise NotImplementedError


class TPESearch(LearningSearch):
    """Tree-structured Parzen estimator (Bergstra et al. 2011) by Optuna, multivariate: settings are modelled jointly.

    The first third of the ``trials``, ten at most, are random, which also serves small sweeps. Trials whose results are
    not known yet count as bad ones, so that neighbours of theirs are not tried at the same time. With a cost the
    score is maximised and the cost minimised (Ozaki et al. 2022).

    A proposal takes time in proportion to the trials it knows. The estimator models at most 25 good ones apart from the
    others, so that beyond a few hundred nothing is lost with most of them: every :attr:`EVERY` results all but the
    :attr:`BEST` best (by fronts, with a cost) and the :attr:`LATEST` latest are forgotten.
    """

    BEST, LATEST, EVERY = 250, 1000, 500

    def __init__(self, space: Space, *, seed: int, lag: int, trials: int, costs: bool) -> None:
        super().__init__(space, seed=seed, lag=lag)
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._startup = min(10, max(2, trials // 3))
        self._distributions = {key: _distribution(dim) for key, dim in space.items() if dim.size > 1}
        self._constants = {key: dim.all_values()[0] for key, dim in space.items() if dim.size == 1}
        up, down = optuna.study.StudyDirection.MAXIMIZE, optuna.study.StudyDirection.MINIMIZE
        self._directions = [up, down] if costs else [up]
        self._study = self._new_study()
        self._count = 0  # trials of the study, those among them that were not new
        self._numbers: dict[int, int] = {}  # trial of the sweep whose result is to come -> of the study
        self._known: dict[int, Configuration] = {}  # of the trials that are not forgotten
        self._values: dict[int, tuple[float, ...]] = {}
        self._open: optuna.Trial | None = None

    def _suggest(self, number: int, attempt: int) -> Configuration:
        self._discard()
        self._study.sampler = _tpe_sampler(
            self._distributions, seed=_seed(self._seed, number, attempt), startup=self._startup
        )
        self._open = self._study.ask(self._distributions)
        self._count += 1
        found = {**self._constants, **self._open.params}
        return {key: found[key] for key in self._space}

    def _take(self, number: int, configuration: Configuration) -> None:
        assert self._open is not None
        if all(configuration[key] == value for key, value in self._open.params.items()):
            self._numbers[number], self._open = self._open.number, None
            self._known[number] = configuration
        else:
            self._discard()
            self._recall(number, configuration)

    def _discard(self) -> None:
        """Forget the latest suggestion, which was not new."""
        import optuna

        if self._open is not None:
            self._study.tell(self._open, state=optuna.trial.TrialState.FAIL)
            self._open = None

    def _recall(self, number: int, configuration: Configuration) -> None:

        if not spaces.holds(self._space, configuration):
            return  # of a definition that was changed since
        self._known[number] = configuration
        self._add(number)

    def _learn(self, number: int, values: tuple[float, ...] | None) -> None:
        import optuna

        if number in self._numbers:
            state = optuna.trial.TrialState.FAIL if values is None else optuna.trial.TrialState.COMPLETE
            self._study.tell(self._numbers.pop(number), values, state=state)
            if values is None:
                del self._known[number]
            else:
                self._values[number] = values
        if number % self.EVERY == 0 and len(self._values) > self.BEST + self.LATEST:
            self._forget()

    def _forget(self) -> None:
        """Begin a new study with the best and the latest trials, and those whose results are to come."""
        kept = {*_best(self._values, self.BEST), *sorted(self._values)[-self.LATEST :]}
        self._values = {number: values for number, values in self._values.items() if number in kept}
        self._known = {n: c for n, c in self._known.items() if n in kept or n in self._numbers}
        self._study, self._count, self._numbers = self._new_study(), 0, {}
        for number in sorted(self._known):
            self._add(number)

    def _new_study(self) -> optuna.Study:
        import optuna

        return optuna.create_study(storage=optuna.storages.InMemoryStorage(), directions=self._directions)

    def _add(self, number: int) -> None:
        """Enter a known trial into the study, with its result if there is one."""
        import optuna

        values, states = self._values.get(number), optuna.trial.TrialState
        self._study.add_trial(
            optuna.trial.create_trial(
                state=states.RUNNING if values is None else states.COMPLETE,
                params={key: self._known[number][key] for key in self._distributions},
                distributions=self._distributions,
                values=values,
            )
        )
        if values is None:
            self._numbers[number] = self._count
        self._count += 1


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
        self._optimiser.reseed_rng(_seed(self._seed, number, attempt))
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
        for attempt in range(_ATTEMPTS):
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
            mean = np.random.default_rng(_seed(self._seed, 0, self._restarts)).random(len(self._varying))
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


@dataclass(frozen=True)
class Algorithm:
    """How a search is built, and what it can do.

    Attributes
    ----------
    finite : it needs a space that can be counted, and takes all of it.
    learns : proposals depend on results.
    objectives : how many it can follow.
    """

    build: Callable[[SweepDefinition], Search]
    finite: bool = False
    learns: bool = False
    objectives: int = 1


def build_search(definition: SweepDefinition) -> Search:
    """The search of a checked definition, before its first trial."""
    return ALGORITHMS[definition.algorithm].build(definition)


def _random(d: SweepDefinition) -> Search:
    """Independent draws without repeats; more trials go on with the same list."""
    return ListedSearch(spaces.stream(d.space, seed=d.seed))


def _initial(d: SweepDefinition) -> Search:
    """The population to begin with; the scheduler does the rest."""
    return PopulationSearch(spaces.stream(d.space, seed=d.seed))


def _grid(d: SweepDefinition) -> Search:
    """Every configuration once."""
    return ListedSearch(spaces.grid(d.space))


def _tpe(d: SweepDefinition) -> Search:
    return TPESearch(d.space, seed=d.seed, lag=d.lag, trials=d.n_trials(), costs=d.objective.cost is not None)


def _cma_es(d: SweepDefinition) -> Search:
    return CMAESSearch(d.space, seed=d.seed, lag=d.lag)


ALGORITHMS: dict[str, Algorithm] = {
    "random": Algorithm(_random, objectives=2),
    "grid": Algorithm(_grid, finite=True, objectives=2),
    "tpe": Algorithm(_tpe, learns=True, objectives=2),
    "cma-es": Algorithm(_cma_es, learns=True),
    "pbt": Algorithm(_initial),
}


# Schedulers --------------------------------------------------------------------------------------------


def build_scheduler(definition: SweepDefinition, max_epochs: int) -> TrialScheduler:
    """Ray Tune's scheduler for a checked definition whose trials run ``max_epochs`` of stage 2 at most.

    Trials report :data:`METRIC` at each :data:`TIME`. With several trials at a time it depends on their timing which
    of them ``asha`` and ``median`` stop.
    """
    chosen = definition.scheduler
    return SCHEDULERS[chosen.name](max_epochs, chosen.grace_epochs, chosen.reduction)


def _asha(max_epochs: int, grace_epochs: int, reduction: int) -> TrialScheduler:
    """Asynchronous successive halving (Li et al. 2020): the worst are stopped at each rung.

    A trial is compared with those that reached its rung before it.
    """
    from pipelines.sweep.schedulers import ASHA

    return ASHA(
        time_attr=TIME,
        metric=METRIC,
        mode=MODE,
        max_t=max_epochs,
        grace_period=min(grace_epochs, max_epochs),
        reduction_factor=reduction,
    )


def _median(max_epochs: int, grace_epochs: int, reduction: int) -> TrialScheduler:
    """Median stopping rule (Golovin et al. 2017): below the median of the others' running means at the same epoch."""
    from pipelines.sweep.schedulers import MedianRule

    return MedianRule(time_attr=TIME, metric=METRIC, mode=MODE, grace_period=min(grace_epochs, max_epochs))


def _none(max_epochs: int, grace_epochs: int, reduction: int) -> TrialScheduler:
    """Every trial runs to its last epoch."""
    from pipelines.sweep.schedulers import AllToTheEnd

    return AllToTheEnd()


SCHEDULERS: dict[str, Callable[[int, int, int], TrialScheduler]] = {
    "asha": _asha,
    "hyperband": _none,  # nor does Tune decide anything for a population: see pipelines.sweep.rungs
    "median": _median,
    "none": _none,
}
GRACEFUL = ("asha", "median")  # that leave every trial its first epochs


# Helpers -----------------------------------------------------------------------------------------------


def _seed(*parts: int) -> int:
    """32 bits that depend on all of ``parts``."""
    return int(np.random.SeedSequence(parts).generate_state(1)[0])


def _key(configuration: Configuration) -> Hashable:
    return tuple(sorted(configuration.items(), key=lambda item: item[0]))


def _best(values: dict[int, tuple[float, ...]], count: int) -> list[int]:
    """The trials of the highest scores; with costs those of the first fronts, whole ones until there are ``count``."""
    left = sorted(values, key=lambda number: (-values[number][0], *values[number][1:], number))
    if left and len(values[left[0]]) == 1:
        return left[:count]
    best: list[int] = []
    while left and len(best) < count:
        least, dominated = math.inf, []
        for number in left:
            if values[number][1] < least:
                least = values[number][1]
                best.append(number)
            else:
                dominated.append(number)
        left = dominated
    return best


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


def _distribution(dimension: Dimension) -> optuna.distributions.BaseDistribution:
    from optuna import distributions as d

    if dimension.kind == "choice":
        return d.CategoricalDistribution(dimension.values)
    low, high = dimension.bounds
    log = dimension.kind in ("logint", "loguniform")
    if dimension.kind in ("int", "logint"):
        return d.IntDistribution(int(low), int(high), log=log)
    return d.FloatDistribution(low, high, log=log)


def _tpe_sampler(
    distributions: dict[str, optuna.distributions.BaseDistribution], *, seed: int, startup: int
) -> optuna.samplers.TPESampler:
    """A sampler for one proposal, which knows the space instead of finding it in all trials before."""
    import optuna

    class Sampler(optuna.samplers.TPESampler):
        def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, Any]:
            return distributions

    with warnings.catch_warnings():  # options that are marked experimental
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return Sampler(seed=seed, multivariate=True, constant_liar=True, n_startup_trials=startup)
