"""The decisions of a sweep, apart from Ray: which trial is next, what a report means, when it is over.

Every decision is in the journal before anything follows from it: a trial's end before the search hears of it, a
report before another is asked for. So whatever dies, the journal says what was decided, and a new driver goes on
from there: trials that ended are never run again, trials that did not are run again under their number and
configuration, and what they report a second time is compared with what the journal has instead of being entered twice.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from jmml.config import MethodConfig
from jmml.errors import SweepError
from pipelines.definitions.spaces import Configuration, configure, describe
from pipelines.reporting.wording import many
from pipelines.sweep.decide.proposals import Search, SpaceExhausted
from pipelines.sweep.decide.schedule import build_rungs
from pipelines.sweep.decide.segments import WHOLE, Segment, Verdict
from pipelines.sweep.definition.model import Budget, SweepDefinition
from pipelines.sweep.record.journal import Journal
from pipelines.sweep.record.state import SweepState, Trial

SYNC_SECONDS = 1.0
FAILURES = 3  # from the first trial on: the settings are wrong, not the configuration


@dataclass(frozen=True)
class Assignment:
    """One trial to run, or one segment of it where trials wait for each other."""

    number: int
    configuration: Configuration
    segment: Segment = WHOLE


class Driver:
    """Keeps journal, state and search of one sweep in step; used from one thread.

    Parameters
    ----------
    state : what the journal says at the start.
    base : settings that hold wherever a configuration says nothing.
    """

    def __init__(
        self,
        journal: Journal,
        state: SweepState,
        search: Search,
        definition: SweepDefinition,
        base: MethodConfig,
        *,
        concurrent: int,
    ) -> None:
        self.journal, self.state, self.search = journal, state, search
        self.definition, self.base, self.concurrent = definition, base, concurrent
        self.ended_early: str | None = None  # why fewer trials than wanted will run
        self._used_up = False  # of the budget
        self.rungs = build_rungs(definition, base)
        self._again: deque[Assignment] = deque()
        self._out: dict[int, Segment] = {}  # of those that were handed out
        self._leaving: dict[int, Literal["wait", "stop"]] = {}  # of those, what is to become of them
        self._resting: set[int] = set()  # of those that ended a segment, of all their attempts
        self._changed: set[int] = set()  # rungs whose changes are in the journal
        self._unsettled = self.rungs is not None
        self._proposed = 0
        self._synced = time.monotonic()
        self._restore()

    def _restore(self) -> None:
        """Bring the search to where the journal is; what it proposed and nobody started is proposed again."""
        last = max(self.state.trials, default=0)
        for number in range(1, last + 1):
            trial = self.state.trials.get(number)
            if trial is None:
                self._again.append(Assignment(number, self.search.propose(number)))
            else:
                self.search.restore(number, trial.configuration)
                if trial.over:
                    self._tell(trial)
                else:
                    self._again.append(Assignment(number, trial.configuration))
        self._proposed = last

    # What to run ---------------------------------------------------------------------------------

    def next(self) -> Assignment | Literal["over"] | None:
        """A trial to run; None when one will follow after others have ended; ``"over"`` when none will."""
        if (waiting := self._next_waiting()) is not None:
            return waiting
        if self._proposed >= self.state.total or self.ended_early or self._budget_used():
            return None if self._again or (self.rungs is not None and self._out) else "over"
        number = self._proposed + 1
        if not self.search.ready(number):
            return None
        try:
            configuration = self.search.propose(number)
        except SpaceExhausted as error:
            self.ended_early, self._unsettled = str(error), self.rungs is not None
            return self.next()
        self._proposed = number
        return self._hand_out(Assignment(number, configuration), self._verdict(number))

    def _next_waiting(self) -> Assignment | None:
        """The first of those that run again and need not wait for others."""
        for assignment in self._again:
            verdict = self._verdict(assignment.number)
            if isinstance(verdict, Segment):
                self._again.remove(assignment)
                known = self.state.trials.get(assignment.number)
                if known is not None:  # a member of a population may have changed while it waited
                    assignment = replace(assignment, configuration=known.configuration)
                return self._hand_out(assignment, verdict)
        return None

    def _hand_out(self, assignment: Assignment, segment: Verdict) -> Assignment:
        assert isinstance(segment, Segment)
        self._out[assignment.number] = segment
        return replace(assignment, segment=segment)

    def _verdict(self, number: int) -> Verdict:
        """Decision on a trial's next step; changes at the rung it has reached are in the journal before it goes on."""
        if self.rungs is None:
            return WHOLE
        begun = self.state.trials.get(number)
        if begun is not None and begun.epoch and self._budget_used():
            return "stop"
        last = self._last
        verdict = self.rungs.verdict(self.state, number, last)
        if isinstance(verdict, Segment) and verdict.start and verdict.start not in self._changed:
            self._changed.add(verdict.start)
            # Where one has gone further, all were changed in an earlier session.
            if all(trial.epoch <= verdict.start for trial in self.state.trials.values()):
                for change in self.rungs.changes(self.state, verdict.start):
                    # Once changed is changed: one of the best that has failed since would be no source now.
                    if self.state.trials[change.number].origin[0] != verdict.start:
                        self._write(
                            "mutate",
                            trial=change.number,
                            epoch=verdict.start,
                            configuration=change.configuration,
                            source=change.source,
                        )
                self.sync()
            verdict = self.rungs.verdict(self.state, number, last)
        return verdict

    @property
    def _last(self) -> int:
        """The last trial there will be."""
        return self._proposed if self.ended_early else self.state.total

    def settle(self) -> list[Trial]:
        """End those waiting trials that do not go on from their rung."""
        ended: list[Trial] = []
        while self._unsettled:
            self._unsettled = False
            for assignment in [*self._again]:
                if self._verdict(assignment.number) == "stop":
                    self._again.remove(assignment)
                    ended.append(self.ended(assignment.number))
        return ended

    @property
    def finished(self) -> bool:
        """Whether nothing is left to run."""
        none_follow = (
            self._proposed >= self.state.total or self.ended_early is not None or self._budget_used()
        )
        return not self._again and none_follow

    def _budget_used(self) -> bool:
        """Whether nothing new begins; those who wait at a rung end there."""
        if not self._used_up and (reason := budget_used(self.definition.budget, self.state)):
            self._used_up, self.ended_early = True, reason
            self._unsettled = self.rungs is not None
        return self._used_up

    # What happened -------------------------------------------------------------------------------

    def started(self, number: int, configuration: Configuration, *, host: str = "") -> Trial:
        """A worker has taken a trial, for the first time or again."""
        known = self.state.trials.get(number)
        attempt = 1 if known is None else known.attempts + (number not in self._resting)
        self._resting.discard(number)
        epochs = configure(self.base, configuration).stage2.epochs
        self._write(
            "start", trial=number, configuration=configuration, epochs=epochs, attempt=attempt, host=host
        )
        return self.state.trials[number]

    def reported(self, number: int, epoch: int, payload: Mapping[str, Any]) -> Trial:
        """An epoch has been scored; ``payload`` has ``score``, ``points`` and what else an event holds.

        An epoch that the journal has already, of an earlier attempt, is not entered again.

        Raises
        ------
        SweepError : epochs between the last one and this one are missing.
        """
        trial = self.state.trials[number]
        if epoch <= trial.epoch:
            before, score = trial.scores[epoch - 1], payload["score"]
            if before != score and not (math.isnan(before) and math.isnan(score)):
                self._write("differs", trial=number, epoch=epoch)
        elif epoch > trial.epoch + 1:
            raise SweepError(
                f"trial {number} reported epoch {epoch} after epoch {trial.epoch}: it went on from a checkpoint that "
                "the journal does not know",
                where=f"sweep {self.state.name}",
                fix="delete the checkpoints on the workers' machines, and resume",
            )
        else:
            self._write("report", trial=number, epoch=epoch, **payload)
            if self.rungs is not None and self._again and epoch in self.rungs.rungs(number):
                self._unsettled = True  # others may have waited for it
        return trial

    def leaves(self, number: int, epoch: int) -> bool:
        """Whether a trial leaves its worker after the epoch that it has just reported; then call :meth:`left`.

        One that has been handed out to the next rung and no further leaves by itself.
        """
        trial, segment = self.state.trials[number], self._out.get(number, WHOLE)
        if self.rungs is None or segment.until is not None or not trial.epoch == epoch < trial.epochs:
            return False
        if epoch not in self.rungs.rungs(number):
            return False
        verdict = self.rungs.verdict(self.state, number, self._last)
        if isinstance(verdict, Segment):
            return False
        self._leaving[number] = verdict
        return True

    def left(self, number: int, *, error: str | None = None) -> Trial | None:
        """A trial has left its worker: it waits at a rung, or is over and returned."""
        trial, segment, wanted = (
            self.state.trials[number],
            self._out.get(number),
            self._leaving.pop(number, None),
        )
        at_rung = (
            segment is not None and segment.until is not None and segment.until <= trial.epoch < trial.epochs
        )
        if error is None and (at_rung or wanted == "wait"):
            self.rested(number, trial.epoch)
            return None
        return self.ended(number, error=error)

    def ended(self, number: int, *, error: str | None = None) -> Trial:
        """A trial is over; the search learns of it once the journal is on the disk.

        Raises
        ------
        SweepError : the first trials have all failed, which says that all will.
        """
        trial = self.state.trials[number]
        self._out.pop(number, None)
        self._resting.discard(number)
        self._unsettled = self.rungs is not None
        if error is not None:
            self._write("end", trial=number, state="failed", error=error)
        elif trial.best_score is None:  # none that is a number
            self._write("end", trial=number, state="failed", error="ended without a score")
        else:
            self._write("end", trial=number, state="finished" if trial.epoch >= trial.epochs else "stopped")
        self.sync()
        self._tell(trial)
        self._give_up_if_all_fail()
        return trial

    def _tell(self, trial: Trial) -> None:
        self.search.tell(trial.number, trial.values(cost=self.definition.objective.cost is not None))

    def _give_up_if_all_fail(self) -> None:
        """By the number of trials, and by none that runs beside them: the same on any number of workers."""
        trials = [self.state.trials.get(number) for number in range(1, min(self.state.total, FAILURES) + 1)]
        if any(trial is None or trial.status != "failed" for trial in trials):
            return
        first = self.state.trials[1]
        raise SweepError(
            f"the first {many(len(trials), 'trial')} failed; trial 1 ({describe(first.configuration)}): {first.error}",
            where=f"sweep {self.state.name}",
            fix=f"fix the cause, then start a new sweep; see `jmml sweep show {self.state.name}`",
        )

    def again(self, number: int, configuration: Configuration) -> None:
        """A trial's worker died and nobody took the trial over: it will run again."""
        known = self.state.trials.get(number)
        if known is not None and known.status == "running":
            self._write("break", trial=number)
        self._out.pop(number, None)
        self._leaving.pop(number, None)
        self._unsettled = self.rungs is not None  # it may have died at its rung
        self._again.append(Assignment(number, configuration))

    def rested(self, number: int, rung: int) -> None:
        """A trial has reached a rung, where it waits for others."""
        self._write("break", trial=number, rung=rung)
        self._out.pop(number, None)
        self._resting.add(number)
        self._unsettled = True
        self._again.append(Assignment(number, self.state.trials[number].configuration))

    def broke_off(self) -> None:
        """The driver ends: what runs now is not over, and will run again."""
        for trial in self.state.running:
            self._write("break", trial=trial.number)

    def tick(self) -> None:
        """Called often: what has been written reaches the disk at least once a second."""
        if time.monotonic() - self._synced >= SYNC_SECONDS:
            self.sync()

    def sync(self) -> None:
        """Wait until all is on the disk."""
        self.journal.sync()
        self._synced = time.monotonic()

    def write(self, kind: str, **values: Any) -> None:
        """Enter an event that is about the sweep itself."""
        self._write(kind, **values)
        self.sync()

    def _write(self, kind: str, **values: Any) -> None:
        self.state.apply(self.journal.append(kind, **values))


def budget_used(budget: Budget, state: SweepState) -> str | None:
    """Which budget is used up, in words; None while there is some left."""
    if budget.hours is not None and state.seconds >= 3600 * budget.hours:
        return f"the budget of {budget.hours:g} hours is used up"
    if budget.epochs is not None and state.epochs_done >= budget.epochs:
        return f"the budget of {budget.epochs} epochs is used up"
    return None
