"""The scheduler of a sweep, built from its definition: one line for each name in definition/choices.py."""

from __future__ import annotations

from collections.abc import Callable

from jmml.config import MethodConfig
from pipelines.sweep.decide.rules import ASHA, MedianRule
from pipelines.sweep.decide.rungs import HyperBand, Population
from pipelines.sweep.decide.segments import Rungs
from pipelines.sweep.definition.choices import ALGORITHMS
from pipelines.sweep.definition.model import SweepDefinition


def build_rungs(definition: SweepDefinition, base: MethodConfig) -> Rungs | None:
    """The scheduler of a checked definition; None where every trial runs to its last epoch."""
    epochs = definition.max_epochs(base)
    if definition.pbt is not None:
        return Population(definition, epochs)
    return SCHEDULES[definition.scheduler.name](definition, epochs)


def _asha(d: SweepDefinition, epochs: int) -> Rungs:
    return ASHA(epochs, d.scheduler.grace_epochs, d.scheduler.reduction, wait=d.scheduler.wait)


def _hyperband(d: SweepDefinition, epochs: int) -> Rungs:
    learns = ALGORITHMS[d.algorithm].learns
    return HyperBand(epochs, d.scheduler.reduction, largest=d.lag if learns else None)


def _median(d: SweepDefinition, epochs: int) -> Rungs:
    return MedianRule(epochs, d.scheduler.grace_epochs, wait=d.scheduler.wait)


def _none(d: SweepDefinition, epochs: int) -> None:
    return None


SCHEDULES: dict[str, Callable[[SweepDefinition, int], Rungs | None]] = {
    "asha": _asha,
    "hyperband": _hyperband,
    "median": _median,
    "none": _none,
}
