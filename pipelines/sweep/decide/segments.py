"""The pieces in which a trial runs, and what every scheduler of a sweep is: a function of definition and journal.

A scheduler (:class:`Rungs`) names the epochs at which a trial is judged, its rungs, and says what it does next: it goes
on, it stops, or it waits, because something that it is compared with is not known yet. A trial that waits gives its
worker back, and goes on from a checkpoint. On one worker or on twenty, undisturbed or killed, a sweep comes out the
same; Ray Tune's own schedulers decide by what happens to be there, and lose their state with their driver.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pipelines.definitions.spaces import Configuration
from pipelines.sweep.record.state import SweepState


@dataclass(frozen=True)
class Segment:
    """A piece of a trial that runs without a break.

    Attributes
    ----------
    start : epoch from whose checkpoint it goes on; 0 at the first epoch.
    until : the rung at which it ends; None when it runs to the trial's last epoch, unless it is judged on the way.
    source : the trial of that checkpoint, which must be there; None for its own, which can be computed again.
    keep : epochs at which a checkpoint is kept, because the trial may have to wait there.
    """

    start: int = 0
    until: int | None = None
    source: int | None = None
    keep: Sequence[int] = ()


WHOLE = Segment()
Verdict = Segment | Literal["wait", "stop"]


@dataclass(frozen=True)
class Change:
    """Replacement of a member of a population by a copy of another one, with settings that differ a little."""

    number: int
    configuration: Configuration
    source: int


class Rungs(ABC):
    """A scheduler: where trials are judged, and what then."""

    @abstractmethod
    def rungs(self, number: int) -> Sequence[int]:
        """The epochs at which trial ``number`` is judged, rising."""

    @abstractmethod
    def verdict(self, state: SweepState, number: int, last: int) -> Verdict:
        """Decision, by the journal, on the next step of trial ``number``; ``last`` is the number of the last trial."""

    def changes(self, state: SweepState, rung: int) -> list[Change]:
        """Changes at a rung that all trials have reached."""
        return []
