"""Tree-structured Parzen estimator: Optuna's sampler, asked anew for every proposal."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

from pipelines.definitions import spaces
from pipelines.definitions.spaces import Configuration, Dimension, Space
from pipelines.sweep.decide.proposals import LearningSearch, seed_of

if TYPE_CHECKING:
    import optuna


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
            self._distributions, seed=seed_of(self._seed, number, attempt), startup=self._startup
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
