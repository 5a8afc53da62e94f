"""Summary of a sweep's trials for its views, kept up to date at the cost of what changed."""

from __future__ import annotations

import heapq
import math
from collections import Counter

from pipelines.sweep.record.state import OVER, SweepState, Trial

KEPT = 64  # ended trials that a view can show at most


class TrialOverview:
    """Counts, reuse of stage 1 and the leading trials of a state.

    A trial that is over changes no more, so each is taken in once, and only the others are looked at again: a
    refresh costs the same in a sweep of ten trials and of ten thousand. Another thread may apply events meanwhile.

    Attributes
    ----------
    open : trials that are not over, in the order of their start.
    """

    def __init__(self, state: SweepState) -> None:
        self.state = state
        self.open: list[Trial] = []
        self.first_failure: Trial | None = None
        self._known: set[int] = set()
        self._over: Counter[str] = Counter()
        self._memo: Counter[str] = Counter()
        self._leaders: list[tuple[float, int, Trial]] = []  # a heap, the worst first

    def update(self) -> list[Trial]:
        """Take in what happened since the last call; the trials that ended since, in the order of their end."""
        candidates = self.open
        if len(self.state.trials) > len(self._known):
            trials = list(self.state.trials.values())  # a copy of references, in one step
            # By number: one whose worker was slow to start comes in between.
            candidates = candidates + [trial for trial in trials if trial.number not in self._known]
            self._known.update(trial.number for trial in candidates)
        ended = sorted((t for t in candidates if t.over), key=lambda t: (t.ended or 0, t.number))
        self.open = [trial for trial in candidates if not trial.over]
        for trial in ended:
            self._take(trial)
        return ended

    def _take(self, trial: Trial) -> None:
        self._over[trial.status] += 1
        self._memo.update(trial.memo)
        failed = trial.status == "failed"
        if failed and (self.first_failure is None or trial.number < self.first_failure.number):
            self.first_failure = trial
        score = -math.inf if failed or trial.best_score is None else trial.best_score
        entry = (score, -trial.number, trial)
        if len(self._leaders) < KEPT:
            heapq.heappush(self._leaders, entry)
        else:
            heapq.heappushpop(self._leaders, entry)

    @property
    def over(self) -> int:
        """Trials that are over."""
        return sum(self._over.values())

    def counts(self) -> dict[str, int]:
        """Number of trials by status; only statuses that occur."""
        found = Counter(trial.status for trial in self.open) + self._over
        return {status: found[status] for status in ("running", "waiting", *OVER) if found[status]}

    def memo(self) -> dict[str, int]:
        """Stage-1 models ``computed``, ``loaded`` and ``waited`` for."""
        total = self._memos()
        return {key: total[key] for key in ("computed", "loaded", "waited")}

    @property
    def unsaved(self) -> int:
        """Stage-1 models that could not be kept for others."""
        return self._memos()["unsaved"]

    def _memos(self) -> Counter[str]:
        total = self._memo.copy()
        for trial in self.open:
            total.update(trial.memo)
        return total

    def leaders(self, count: int) -> list[Trial]:
        """The best trials that are over, best first; failed ones are the last."""
        return [trial for _, _, trial in heapq.nlargest(count, self._leaders)]

    def rows(self, count: int) -> list[Trial]:
        """Trials for a table of ``count`` rows: those at work, those that wait, then the best of those over."""
        room = max(count - len(self.open), min(count // 2, 4))
        best = self.leaders(min(count, room))
        at_work = heapq.nsmallest(
            count - len(best), self.open, key=lambda t: (t.status != "running", t.number)
        )
        return at_work + best
