"""Choices for the search: algorithms that propose configurations, schedulers that end trials early.

Names and properties alone, so that a definition is checked without building any of them; how they are built is in
:mod:`pipelines.sweep.decide.search` and :mod:`pipelines.sweep.decide.schedule`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Algorithm:
    """Capabilities of a search algorithm.

    Attributes
    ----------
    finite : it needs a space that can be counted, and takes all of it.
    learns : proposals depend on results.
    objectives : how many it can follow.
    library : the package that makes the proposals; another version may make others.
    """

    finite: bool = False
    learns: bool = False
    objectives: int = 1
    library: str | None = None


ALGORITHMS: dict[str, Algorithm] = {
    "random": Algorithm(objectives=2),
    "grid": Algorithm(finite=True, objectives=2),
    "tpe": Algorithm(learns=True, objectives=2, library="optuna"),
    "cma-es": Algorithm(learns=True, library="cmaes"),
    "pbt": Algorithm(),
}
SCHEDULERS = ("asha", "hyperband", "median", "none")
GRACEFUL = ("asha", "median")  # that leave every trial its first epochs

# Settings with which a training run can go on: of those that jmml.search lets a checkpoint be taken up with
# (ADJUSTABLE there), the ones of this method.
CHANGEABLE = tuple(f"stage2.{name}" for name in ("lr", "weight_decay", "lam_r", "lam_x", "lam_c", "lam_y"))
