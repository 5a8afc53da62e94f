"""Ray Tune's schedulers, as a sweep of many trials needs them.

Tune's own choose the next trial by going through all trials there ever were, at every step of its loop, which after
ten thousand of them is a third of the driver's time. Only living ones can be chosen. And a worker that has become free
they give to a trial whose own worker is about to start, which is then called off: where trials take less time than a
worker takes to start, no second worker ever does.

Tune's also begin with nothing when a sweep is resumed or extended. Ours know from its journal what trials have reported
before, and are not asked a second time about an epoch that a trial repeats.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, MedianStoppingRule, TrialScheduler

from pipelines.sweep.decide.search import METRIC, NUMBER, TIME
from pipelines.sweep.record.state import SweepState


class _LivingTrials(TrialScheduler):
    """Chooses among living trials alone: one that waits and has no worker, else one whose worker is to start."""

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        waiting = [trial for trial in tune_controller.get_live_trials() if trial.status == Trial.PENDING]
        alone = (trial for trial in waiting if trial not in tune_controller._trial_to_actor)
        return next(alone, waiting[0] if waiting else None)


class AllToTheEnd(_LivingTrials, FIFOScheduler):
    """Every trial runs to its last epoch."""


class _Remembering(_LivingTrials):
    """Goes on from what a journal has.

    Parameters
    ----------
    state : of the sweep, which the driver keeps up to date.
    """

    def __init__(self, state: SweepState, **options: Any) -> None:
        super().__init__(**options)  # type: ignore[no-untyped-call]
        self._state = state
        self._keys: dict[int, Any] = {number: f"trial {number}" for number in state.trials}

    def __getstate__(self) -> dict[str, Any]:
        """Without the state: Tune writes a file with all it was given, and never reads it."""
        return {key: value for key, value in self.__dict__.items() if key != "_state"}

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        super().on_trial_add(tune_controller, trial)
        number = trial.config[NUMBER]
        if number in self._keys:
            self._rename(self._keys[number], trial)
        self._keys[number] = self._key(trial)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        known = self._state.trials.get(trial.config[NUMBER])
        if known is not None and result.get(TIME, math.inf) <= known.epoch:
            return str(self.CONTINUE)
        return str(super().on_trial_result(tune_controller, trial, result))

    @abstractmethod
    def _key(self, trial: Trial) -> Any:
        """By what Tune's scheduler knows a trial."""

    @abstractmethod
    def _rename(self, old: Any, trial: Trial) -> None:
        """What is known of ``old`` is known of ``trial`` from now on."""


class ASHA(_Remembering, AsyncHyperBandScheduler):
    """Asynchronous successive halving (Li et al. 2020)."""

    def __init__(self, state: SweepState, **options: Any) -> None:
        super().__init__(state, **options)
        for milestone, recorded in self._rungs:
            for number, trial in state.trials.items():
                # One that has just reached it may have been broken off before anything was decided.
                if trial.epoch > milestone or (trial.over and trial.epoch == milestone):
                    recorded[self._keys[number]] = trial.scores[milestone - 1]

    @property
    def _rungs(self) -> list[tuple[int, dict[str, float]]]:
        return [(int(milestone), recorded) for milestone, recorded in self._brackets[0]._rungs]

    def _key(self, trial: Trial) -> str:
        return str(trial.trial_id)

    def _rename(self, old: str, trial: Trial) -> None:
        for _, recorded in self._rungs:
            if old in recorded:
                recorded[self._key(trial)] = recorded.pop(old)


class MedianRule(_Remembering, MedianStoppingRule):
    """The median stopping rule (Golovin et al. 2017); its cost per report grows with the number of trials."""

    def __init__(self, state: SweepState, **options: Any) -> None:
        super().__init__(state, **options)
        for number, trial in state.trials.items():
            if trial.scores:
                reports = [{TIME: epoch, METRIC: score} for epoch, score in enumerate(trial.scores, 1)]
                self._results[self._keys[number]] = reports

    def _key(self, trial: Trial) -> Trial:
        return trial

    def _rename(self, old: Any, trial: Trial) -> None:
        if old in self._results:
            self._results[trial] = self._results.pop(old)

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """Nothing: Tune's rule counts a trial's last report twice, and fails at that of a trial which failed."""

    def _on_insufficient_samples(self, tune_controller: Any, trial: Trial, time: float) -> str:
        """Tune's rule pauses the trial meanwhile, which would have to begin anew."""
        return str(self.CONTINUE)
