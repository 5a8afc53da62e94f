"""Ray Tune's schedulers, as a sweep of many trials needs them.

Tune's own choose the next trial by going through all trials there ever were, at every step of its loop, which after
ten thousand of them is a third of the driver's time. Only living ones can be chosen. And a worker that has become free
they give to a trial whose own worker is about to start, which is then called off: where trials take less time than a
worker takes to start, no second worker ever does.
"""

from __future__ import annotations

from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, MedianStoppingRule


class _LivingTrials:
    """Chooses among living trials alone: one that waits and has no worker, else one whose worker is to start."""

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        waiting = [trial for trial in tune_controller.get_live_trials() if trial.status == Trial.PENDING]
        alone = (trial for trial in waiting if trial not in tune_controller._trial_to_actor)
        return next(alone, waiting[0] if waiting else None)


class AllToTheEnd(_LivingTrials, FIFOScheduler):  # type: ignore[misc]
    """Every trial runs to its last epoch."""


class ASHA(_LivingTrials, AsyncHyperBandScheduler):  # type: ignore[misc]
    """Asynchronous successive halving (Li et al. 2020)."""


class MedianRule(_LivingTrials, MedianStoppingRule):  # type: ignore[misc]
    """The median stopping rule (Golovin et al. 2017); its cost per report grows with the number of trials."""

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """Nothing: Tune's rule counts a trial's last report twice, and fails at that of a trial which failed."""

    def _on_insufficient_samples(self, tune_controller: Any, trial: Trial, time: float) -> str:
        """Tune's rule pauses the trial meanwhile, which would have to begin anew."""
        return str(self.CONTINUE)
