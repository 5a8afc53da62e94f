"""How a sweep searches: the algorithms that propose configurations.

An addition is one class or function, one line here and one in :mod:`pipelines.sweep.definition.choices`, from which
definitions, error messages and the plan follow. Optuna and cmaes are imported when something of theirs is built, so
that a definition can be checked without them.
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
from pipelines.sweep.definition.choices import ALGORITHMS

if TYPE_CHECKING:
    from pipelines.sweep.definition.model import SweepDefinition


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


# What decides ------------------------------------------------------------------------------------------

_DECIDING = (  # what is followed of the imports of this module and of those named first
    "pipelines.sweep.decide.driver",
    "pipelines.sweep.execute.trainable",
    "pipelines.sweep.decide",
    "pipelines.sweep.definition.choices",
    "pipelines.sweep.definition.model",
    "pipelines.sweep.record.state",
    "pipelines.definitions.spaces",
)


def deciding() -> code.Fingerprint:
    """The modules that propose trials, run them and end them."""
    return code.fingerprint(__name__, *_DECIDING[:2], within=_DECIDING)


def fingerprint(definition: SweepDefinition) -> dict[str, str]:
    """The code and the libraries by which a definition's trials are chosen and ended."""
    found = {"code": deciding().code}
    library = ALGORITHMS[definition.algorithm].library
    return found | ({library: version(library)} if library else {})
