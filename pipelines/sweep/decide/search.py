"""How a sweep searches: the algorithms that propose configurations, and the schedulers that end trials early.

An addition is one class or function, one line here and one in :mod:`pipelines.sweep.definition.choices`, from which
definitions, error messages and the plan follow. Ray, Optuna and cmaes are imported when something of theirs is built,
so that a definition can be checked without them.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import TYPE_CHECKING

from jmml import fingerprint as code
from pipelines.definitions import spaces
from pipelines.sweep.decide.cma_es import CMAESSearch
from pipelines.sweep.decide.proposals import ListedSearch, PopulationSearch, Search
from pipelines.sweep.decide.tpe import TPESearch
from pipelines.sweep.definition.choices import ALGORITHMS, GRACEFUL

if TYPE_CHECKING:
    from ray.tune.schedulers import TrialScheduler

    from pipelines.sweep.definition.model import SweepDefinition
    from pipelines.sweep.record.state import SweepState

# What Ray Tune sees of a trial: its score, the larger the better, at an epoch of stage 2; its configuration and number.
METRIC, MODE, TIME = "score", "max", "epoch"
CONFIGURATION, NUMBER = "configuration", "number"


def build_search(definition: SweepDefinition) -> Search:
    """The search of a checked definition, before its first trial."""
    return SEARCHES[definition.algorithm](definition)


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


SEARCHES: dict[str, Callable[[SweepDefinition], Search]] = {
    "random": _random,
    "grid": _grid,
    "tpe": _tpe,
    "cma-es": _cma_es,
    "pbt": _initial,
}


# Schedulers --------------------------------------------------------------------------------------------


def build_scheduler(definition: SweepDefinition, state: SweepState, max_epochs: int) -> TrialScheduler:
    """Ray Tune's scheduler for a checked definition whose trials run ``max_epochs`` of stage 2 at most.

    It knows what the trials of ``state`` have reported. They report :data:`METRIC` at each :data:`TIME`. With several
    trials at a time it depends on their timing which of them ``asha`` and ``median`` stop.
    """
    chosen = definition.scheduler
    return BUILDERS[chosen.name](state, max_epochs, chosen.grace_epochs, chosen.reduction)


def _asha(state: SweepState, max_epochs: int, grace_epochs: int, reduction: int) -> TrialScheduler:
    """Asynchronous successive halving (Li et al. 2020): the worst are stopped at each rung.

    A trial is compared with those that reached its rung before it.
    """
    from pipelines.sweep.decide.schedulers import ASHA

    return ASHA(
        state,
        time_attr=TIME,
        metric=METRIC,
        mode=MODE,
        max_t=max_epochs,
        grace_period=min(grace_epochs, max_epochs),
        reduction_factor=reduction,
    )


def _median(state: SweepState, max_epochs: int, grace_epochs: int, reduction: int) -> TrialScheduler:
    """Median stopping rule (Golovin et al. 2017): below the median of the others' running means at the same epoch."""
    from pipelines.sweep.decide.schedulers import MedianRule

    return MedianRule(
        state, time_attr=TIME, metric=METRIC, mode=MODE, grace_period=min(grace_epochs, max_epochs)
    )


def _none(state: SweepState, max_epochs: int, grace_epochs: int, reduction: int) -> TrialScheduler:
    """Every trial runs to its last epoch."""
    from pipelines.sweep.decide.schedulers import AllToTheEnd

    return AllToTheEnd()  # type: ignore[no-untyped-call]


BUILDERS: dict[str, Callable[[SweepState, int, int, int], TrialScheduler]] = {
    "asha": _asha,
    "hyperband": _none,  # nor does Tune decide anything for a population: see pipelines.sweep.decide.rungs
    "median": _median,
    "none": _none,
}


# What decides ------------------------------------------------------------------------------------------

_DECIDING = (  # what is followed of the imports of this module and of those named first
    "pipelines.sweep.decide.driver",
    "pipelines.sweep.execute.trainable",
    "pipelines.sweep.decide",
    "pipelines.sweep.definition.choices",
    "pipelines.definitions.spaces",
)


def deciding() -> code.Fingerprint:
    """The modules that propose trials, run them and end them."""
    return code.fingerprint(__name__, *_DECIDING[:2], within=_DECIDING)


def fingerprint(definition: SweepDefinition) -> dict[str, str]:
    """The code and the libraries by which a definition's trials are chosen and ended."""
    found = {"code": deciding().code}
    library = ALGORITHMS[definition.algorithm].library
    used = [library] if library else []
    if definition.scheduler.name in GRACEFUL:
        used.append("ray")
    return found | {name: version(name) for name in used}
