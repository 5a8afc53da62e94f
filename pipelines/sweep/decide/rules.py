"""Schedulers that stop a trial by what earlier trials have reached: ASHA, and the median stopping rule.

Both were made to decide at once, by whatever is there. Here trial n is compared, at each rung, with what the trials 1
to n - :data:`LAG` have reached at that rung, and with no other. Where one of them has not got there yet and is not
over, trial n waits. So the decision does not depend on who came first; and nobody waits for a later trial, so that the
earliest trial that is not over can always go on. On one worker both are the rules of Ray Tune, and so they are on many
where a definition says that nobody waits.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from array import array
from bisect import bisect_right
from collections.abc import Sequence

import numpy as np

from pipelines.sweep.decide.segments import Rungs, Segment, Verdict
from pipelines.sweep.record.state import SweepState

LAG = 1
ENOUGH = 3  # other trials, for a median
WORST = -1e300  # of a score that is not a number; finite, so that quantiles can be computed


class EarlierTrials(Rungs):
    """A scheduler by which trials are compared with earlier ones.

    Parameters
    ----------
    rungs : the epochs at which a trial is judged, rising. One that ends there anyway is not.
    wait : until it is known what all earlier ones have reached; else whatever trials are there are compared with.
    """

    def __init__(self, rungs: Sequence[int], *, wait: bool) -> None:
        self._rungs, self._wait = rungs, wait
        self._state: SweepState | None = None  # of which the following is known
        self._known: dict[int, _Known] = {}  # by rung
        self._over = 0  # the trials 1 to this one are

    @abstractmethod
    def figure(self, scores: Sequence[float], rung: int) -> float:
        """The figure at a rung that others are compared with, of a trial with these scores, epoch by epoch."""

    @abstractmethod
    def goes_on(self, scores: Sequence[float], others: np.ndarray) -> bool:
        """Whether a trial with these scores so far goes on, by the figures of the earlier trials at its last epoch."""

    def rungs(self, number: int) -> Sequence[int]:
        return self._rungs

    def verdict(self, state: SweepState, number: int, last: int) -> Verdict:
        if state is not self._state:
            self._state, self._known, self._over = state, {}, 0
        trial = state.trials.get(number)
        epoch = 0 if trial is None else trial.epoch
        passed = bisect_right(self._rungs, epoch)
        rung = self._rungs[passed - 1] if passed else 0
        if trial is not None and rung and rung == epoch < trial.epochs:
            others = self._others(state, number, rung) if self._wait else self._there(state, number, rung)
            if others is None:
                return "wait"
            if not self.goes_on(trial.scores, others):
                return "stop"
        may_wait = self._wait and not self._all_over(state, number - LAG)
        return Segment(rung, keep=self._rungs[passed:] if may_wait else ())

    def _there(self, state: SweepState, number: int, rung: int) -> np.ndarray:
        """The figures of all other trials that have reached a rung so far."""
        others = (trial for trial in state.trials.values() if trial.number != number and trial.epoch >= rung)
        return np.array([self.figure(trial.scores, rung) for trial in others])

    def _others(self, state: SweepState, number: int, rung: int) -> np.ndarray | None:
        """The figures of the earlier trials that have reached a rung; None while one of them may still get there."""
        known = self._known.setdefault(rung, _Known())
        while (trial := state.trials.get(known.until + 1)) is not None:
            if trial.epoch >= rung:
                known.numbers.append(trial.number)
                known.figures.append(self.figure(trial.scores, rung))
            elif not trial.over:
                break
            known.until += 1
        if known.until < number - LAG:
            return None
        return np.array(known.figures[: bisect_right(known.numbers, number - LAG)])

    def _all_over(self, state: SweepState, last: int) -> bool:
        """Whether the trials 1 to ``last`` are, so that nothing is left to wait for."""
        while (trial := state.trials.get(self._over + 1)) is not None and trial.over:
            self._over += 1
        return self._over >= last


class _Known:
    """Knowledge at a rung: all of the trials 1 to ``until``, and the figures of those that have reached it."""

    def __init__(self) -> None:
        self.until = 0
        self.numbers: list[int] = []
        self.figures = array("d")


class ASHA(EarlierTrials):
    """Asynchronous successive halving (Li et al. 2020): of the trials at a rung, the best 1/eta go on.

    The rungs are at r, r eta, r eta^2, ... epochs. A trial stops whose score is below the 1 - 1/eta quantile of the
    scores that earlier trials had there; the first to get there goes on.

    Parameters
    ----------
    epochs : the most that a trial can run.
    grace_epochs : r.
    reduction : eta.
    """

    def __init__(self, epochs: int, grace_epochs: int, reduction: int, *, wait: bool = True) -> None:
        rungs, rung = [], min(grace_epochs, epochs)
        while rung <= epochs:
            rungs.append(rung)
            rung *= reduction
        super().__init__(rungs, wait=wait)
        self._quantile = 1 - 1 / reduction

    def figure(self, scores: Sequence[float], rung: int) -> float:
        return _ranked(scores[rung - 1])

    def goes_on(self, scores: Sequence[float], others: np.ndarray) -> bool:
        return not others.size or _ranked(scores[-1]) >= np.quantile(others, self._quantile)


class MedianRule(EarlierTrials):
    """Median stopping rule (Golovin et al. 2017).

    After its first epochs, a trial stops whose best score so far is below the median, over three earlier trials or
    more, of their mean scores from the end of the grace to the same epoch.

    Parameters
    ----------
    epochs : the most that a trial can run.
    grace_epochs : at the last of these it is judged for the first time.
    """

    def __init__(self, epochs: int, grace_epochs: int, *, wait: bool = True) -> None:
        self._grace = min(grace_epochs, epochs)
        super().__init__(range(self._grace, epochs + 1), wait=wait)

    def figure(self, scores: Sequence[float], rung: int) -> float:
        window = scores[self._grace - 1 : rung]
        return sum(window) / len(window)

    def goes_on(self, scores: Sequence[float], others: np.ndarray) -> bool:
        others = others[np.isfinite(others)]
        return len(others) < ENOUGH or max(map(_ranked, scores)) >= np.median(others)


def _ranked(score: float) -> float:
    """A score that is not a number is worse than any other."""
    return score if math.isfinite(score) else WORST
