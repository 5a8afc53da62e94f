"""The part of scheduling that is Ray Tune's: which trial gets a worker that is free."""

from __future__ import annotations

from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler


class Placement(FIFOScheduler):
    """Every trial runs, in the order in which it came; which ones stop is decided elsewhere.

    Tune's own schedulers choose the next trial by going through all trials there ever were, at every step of its loop,
    which after ten thousand of them is a third of the driver's time: only living ones can be chosen. And a worker that
    has become free they give to a trial whose own worker is about to start, which is then called off: where trials take
    less time than a worker takes to start, no second worker ever does. Trials that are new, or whose worker died, have
    none; a worker is requested for each of them in the step in which they came.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._new: list[Trial] = []

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Also called when a trial whose worker died is to run again."""
        self._new.append(trial)

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        new, self._new = self._new, []
        for trial in new:
            if trial.status == Trial.PENDING:
                return trial
        living = tune_controller.get_live_trials()
        return next((trial for trial in living if trial.status == Trial.PENDING), None)
