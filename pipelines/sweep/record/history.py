"""History of a sweep for its report, besides its state: end of each trial in working time, events on the way."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cached_property

from jmml.errors import SweepError
from pipelines.definitions.spaces import Configuration, Dimension, show
from pipelines.sweep.record import journal
from pipelines.sweep.record.folder import SweepFolder, status
from pipelines.sweep.record.journal import Event
from pipelines.sweep.record.state import SweepState, Trial

_KEPT = ("mutate", "differs", "extend", "accept", "refit", "close")


@dataclass
class Record:
    """A sweep, read once.

    Attributes
    ----------
    status : ``running``, ``finished``, ``stopped``, ``failed`` or ``interrupted``.
    now : time of the last event (ms since 1970); a report says what was true then.
    events : what happened besides trials starting, scoring and ending, in order.
    closes : by session, from 0, how it ended; a session that is not in it has not, or died.
    """

    state: SweepState
    status: str = "finished"
    now: int = 0
    events: list[Event] = field(default_factory=list)
    closes: dict[int, Event] = field(default_factory=dict)
    _first: dict[int, Configuration] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: SweepFolder) -> Record:
        """The sweep of a folder.

        Raises
        ------
        SweepError : its journal is missing, damaged, or none of a sweep.
        """
        record = cls(SweepState())
        for event in journal.read(folder.journal):
            record.apply(event)
        if not record.state.id:
            raise SweepError("is not a sweep journal", where=folder.journal, expected="a first event `sweep`")
        record.status = status(folder, record.state)
        return record

    def apply(self, event: Event) -> None:
        """Take in one event."""
        if event["e"] == "mutate":
            self._first.setdefault(event["trial"], self.state.trials[event["trial"]].configuration)
        self.state.apply(event)
        self.now = max(self.now, event["t"])
        if event["e"] in _KEPT:
            self.events.append(event)
        if event["e"] == "close":
            self.closes[len(self.state.sessions) - 1] = event

    def of(self, kind: str) -> list[Event]:
        """Events of one kind, in order."""
        return [event for event in self.events if event["e"] == kind]

    # Trials ---------------------------------------------------------------------------------------

    @cached_property
    def trials(self) -> list[Trial]:
        """All trials, by number."""
        return [self.state.trials[number] for number in sorted(self.state.trials)]

    @cached_property
    def scored(self) -> list[Trial]:
        """Trials with a finite score that did not fail, by number."""
        return [trial for trial in self.trials if trial.status != "failed" and score(trial) is not None]

    @cached_property
    def ranked(self) -> list[Trial]:
        """:attr:`scored`, the best first, the earlier of equals first."""
        return sorted(self.scored, key=lambda trial: (-(trial.best_score or 0.0), trial.number))

    @property
    def best(self) -> Trial | None:
        return self.ranked[0] if self.ranked else None

    @cached_property
    def _mutations(self) -> dict[int, list[Event]]:
        found: dict[int, list[Event]] = {}
        for event in self.of("mutate"):
            found.setdefault(event["trial"], []).append(event)
        return found

    def configuration(self, trial: Trial, epoch: int | None = None) -> Configuration:
        """The settings of a trial at ``epoch``, by default that of its best score; only PBT changes them."""
        epoch = trial.best_epoch if epoch is None else epoch
        changes = self._mutations.get(trial.number, [])
        before = [change["configuration"] for change in changes if change["epoch"] < epoch]
        found: Configuration = before[-1] if before else self._first.get(trial.number, trial.configuration)
        return found

    # Time -----------------------------------------------------------------------------------------

    def worked(self, t: int) -> float:
        """Seconds of work, over all sessions, until ``t`` (ms since 1970)."""
        starts = [session.event["t"] for session in self.state.sessions]
        index = bisect_right(starts, t) - 1
        if index < 0:
            return 0.0
        before = sum(session.seconds for session in self.state.sessions[:index])
        return before + float(min(t, self.state.sessions[index].last) - starts[index]) / 1000

    @cached_property
    def ended(self) -> list[Trial]:
        """Trials that are over, in the order of their ends."""
        over = [trial for trial in self.trials if trial.over]
        return sorted(over, key=lambda trial: (trial.ended or 0, trial.number))

    # Settings -------------------------------------------------------------------------------------

    @cached_property
    def space(self) -> dict[str, Dimension | None]:
        """Every setting that varies: those of the definition, then others that trials of earlier definitions had."""
        found: dict[str, Dimension | None] = dict(self.state.definition.space)
        for trial in self.trials:
            for key in trial.configuration:
                found.setdefault(key, None)
        return found

    @cached_property
    def varying(self) -> list[str]:
        """Settings with more than one value, the definition's or the trials'; all where there is none of these."""
        values = {
            key: {show(t.configuration[key]) for t in self.trials if key in t.configuration}
            for key in self.space
        }
        fixed = {key for key, found in self.space.items() if found is not None and found.size == 1}
        return [key for key in self.space if key not in fixed or len(values[key]) > 1] or list(self.space)

    @property
    def lower_bound(self) -> bool:
        """Whether the score is a lower bound of the UAR, not its mean."""
        return self.state.definition.objective.score == "lower-bound"


def score(trial: Trial) -> float | None:
    """The best score of a trial, None when it has none that is a number."""
    return finite(trial.best_score)


def finite(value: float | None) -> float | None:
    """``value``, None in place of NaN and infinities."""
    return value if value is not None and math.isfinite(value) else None
