"""How a sweep searches: the registries of algorithms and schedulers.

An addition is one function and one line in its registry; definitions, error messages and the plan follow
from there. Ray and Optuna are imported when a search is built, so that a definition can be checked without
them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipelines.sweep import spaces
from pipelines.sweep.spaces import Configuration, Space

if TYPE_CHECKING:
    from ray.tune.schedulers import TrialScheduler

# A scheduler ranks trials by their latest score; a search learns from the best epoch, the one refitted.
METRIC, BEST, MODE, TIME = "val_uar", "best_val_uar", "max", "epoch"
FIXED = "configuration"  # key of a trial whose configuration was drawn before the search


@dataclass(frozen=True)
class Search:
    """Arguments for Ray Tune: either every configuration in advance, or a searcher that proposes them."""

    param_space: dict[str, Any]
    searcher: Any = None
    num_samples: int = 1


@dataclass(frozen=True)
class Algorithm:
    """``build(space, trials, seed)`` makes the search; ``finite`` ones need a space that can be counted."""

    build: Callable[[Space, int, int], Search]
    finite: bool = False


def configuration_of(config: dict[str, Any]) -> Configuration:
    """The searched settings of a trial, from Ray's ``config``."""
    return dict(config.get(FIXED, config))


def _in_advance(configurations: list[Configuration]) -> Search:
    from ray import tune

    return Search({FIXED: tune.grid_search(configurations)})


def _random(space: Space, trials: int, seed: int) -> Search:
    """Independent draws without repeats: the whole list depends on the seed alone."""
    return _in_advance(spaces.draw(space, trials, seed=seed))


def _grid(space: Space, trials: int, seed: int) -> Search:
    """Every configuration once."""
    return _in_advance(list(spaces.grid(space)))


def _optuna(space: Space, trials: int, seed: int) -> Search:
    """Tree-structured Parzen estimator (Bergstra et al. 2011), multivariate: it models settings jointly.

    The first third of the trials, ten at most, are random, which also serves small sweeps. Trials run in
    parallel, so that which results a proposal knows depends on timing: the same seed does not give the same
    sweep (``random`` does).
    """
    import optuna
    from optuna import distributions as d
    from ray.tune.search.optuna import OptunaSearch

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    kinds: dict[str, Callable[..., Any]] = {
        "choice": lambda *values: d.CategoricalDistribution(values),
        "int": d.IntDistribution,
        "logint": lambda low, high: d.IntDistribution(low, high, log=True),
        "uniform": d.FloatDistribution,
        "loguniform": lambda low, high: d.FloatDistribution(low, high, log=True),
    }
    with warnings.catch_warnings():  # both options are marked experimental
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(
            seed=seed,
            multivariate=True,
            constant_liar=True,
            n_startup_trials=min(10, max(2, trials // 3)),
        )
    searcher = OptunaSearch(
        {key: kinds[dimension.kind](*dimension.values) for key, dimension in space.items()},
        metric=BEST,
        mode=MODE,
        sampler=sampler,
    )
    return Search({}, searcher, trials)


def _asha(max_epochs: int, grace_epochs: int, reduction: int) -> TrialScheduler:
    """Asynchronous successive halving (Li et al. 2020): the worst are stopped at each rung.

    A trial is compared with those that reached its rung before it, so that with several trials at a time it
    depends on timing which ones are stopped.
    """
    from ray.tune.schedulers import AsyncHyperBandScheduler

    return AsyncHyperBandScheduler(
        time_attr=TIME,
        metric=METRIC,
        mode=MODE,
        max_t=max_epochs,
        grace_period=min(grace_epochs, max_epochs),
        reduction_factor=reduction,
    )


def _none(max_epochs: int, grace_epochs: int, reduction: int) -> None:
    """Every trial runs to its last epoch."""


ALGORITHMS: dict[str, Algorithm] = {
    "random": Algorithm(_random),
    "grid": Algorithm(_grid, finite=True),
    "optuna": Algorithm(_optuna),
}
SCHEDULERS: dict[str, Callable[[int, int, int], TrialScheduler | None]] = {"asha": _asha, "none": _none}
