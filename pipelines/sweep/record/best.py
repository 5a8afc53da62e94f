"""The best trial of a sweep, and what it says to programs."""

from __future__ import annotations

from typing import Any

from jmml.config import MethodConfig
from jmml.errors import SweepError
from pipelines.definitions.spaces import configure
from pipelines.sweep.record.state import SweepState, Trial


def best_method(state: SweepState) -> tuple[Trial, MethodConfig]:
    """The best trial, and the settings that train it to its best epoch.

    Raises
    ------
    SweepError : no trial has a score yet.
    """
    best = state.best
    if best is None:
        raise SweepError(
            "no trial has a score yet",
            where=f"sweep {state.name}",
            fix=f"look at it with `jmml sweep show {state.name}`",
        )
    return best, method_of(state, best)


def method_of(state: SweepState, trial: Trial) -> MethodConfig:
    """The settings of a trial, with its best epoch as the epochs of stage 2."""
    base = MethodConfig.model_validate(state.base)
    return configure(base, {**trial.chosen, "stage2.epochs": trial.best_epoch})


def trial_dict(trial: Trial) -> dict[str, Any]:
    """A trial as JSON."""
    return {
        "trial": trial.number,
        "state": trial.status,
        "configuration": trial.chosen,
        "epoch": trial.epoch,
        "epochs": trial.epochs,
        "val_uar": trial.val_uar,
        "best_score": trial.best_score,
        "best_val_uar": trial.best_val_uar,
        "best_epoch": trial.best_epoch,
        "cost": trial.cost,
        "seconds": None if trial.ended is None else (trial.ended - trial.started) / 1000,
        "attempts": trial.attempts,
        "host": trial.host,
        "stage1": trial.memo,
        "error": trial.error,
    }
