"""State of a sweep and of each of its trials, as the sum of the events of its journal.

The driver and everyone who watches build the same state from the same events (:meth:`SweepState.apply`); nothing
else changes it. Metrics of single epochs are not kept here but for the scores: a sweep of ten thousand trials fits
into little memory, and the journal has the rest.

Events, with their keys besides ``e`` (the kind) and ``t`` (ms since 1970):

    sweep    id name definition base fingerprint user team version total     the first line
    session  user host pid mode concurrent cpus gpus address                 a driver takes the sweep
    extend   trials user                                                     more trials are wanted
    accept   changes definition base fingerprint total                       resumed although something changed
    run      run_id                                                          the sweep's run in MLflow
    start    trial configuration epochs attempt host                         a worker takes a trial
    report   trial epoch score points [val_uar cost history memo]            an epoch of stage 2 has been scored
    mutate   trial epoch configuration source                                training went on from another trial
    end      trial state [error]                                             finished, stopped by the scheduler, failed
    break    trial [rung]                                                    its driver ended, or it waits at a rung
    differs  trial epoch                                                     a repeated epoch had another score
    refit    trial epoch configuration metrics comparison model_uri opened   the outer fold was opened, with these
             settings                                                        (digest of protocol, data and code)
    close    state reason                                                    finished, stopped or failed
"""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from jmml.errors import SweepError
from pipelines.definitions.spaces import Configuration
from pipelines.sweep.definition.model import SweepDefinition
from pipelines.sweep.definition.recorded import recorded
from pipelines.sweep.record import journal
from pipelines.sweep.record.journal import Event

TrialStatus = Literal["running", "waiting", "finished", "stopped", "failed"]
OVER: tuple[TrialStatus, ...] = ("finished", "stopped", "failed")


@dataclass(slots=True)
class Trial:
    """One trial.

    Attributes
    ----------
    number : from 1, in the order in which the search proposed them.
    status : ``finished`` ran to its last epoch, ``stopped`` was ended early by the scheduler, ``waiting`` was broken
        off with its driver, or waits for others at a rung, and will run again.
    epochs : stage-2 epochs of its configuration.
    scores : the objective by epoch, from epoch 1.
    best_score : the highest of them, first reached at ``best_epoch``; ``best_val_uar`` is the UAR there, and
        ``best_configuration`` what the settings were: those of a population change on the way.
    cost : multiply-adds per utterance, where the definition asks for them.
    started, ended : ms since 1970; of the latest attempt.
    attempts : how often a worker took it.
    memo : how many stage-1 models were ``computed``, ``loaded``, or ``waited`` for.
    differs : epochs that had another score when they were repeated.
    origin : of a member of a population, the epoch from which it last went on from a copy, and of which trial.
    """

    number: int
    configuration: Configuration
    epochs: int
    status: TrialStatus = "running"
    scores: array[float] = field(default_factory=lambda: array("d"))
    val_uar: float | None = None
    best_score: float | None = None
    best_val_uar: float | None = None
    best_epoch: int = 0
    best_configuration: Configuration | None = None
    cost: float | None = None
    error: str | None = None
    started: int = 0
    ended: int | None = None
    attempts: int = 1
    memo: dict[str, int] = field(default_factory=dict)
    differs: int = 0
    origin: tuple[int, int | None] = (0, None)
    host: str = ""

    @property
    def epoch(self) -> int:
        """The last epoch reported; 0 while stage 1 trains."""
        return len(self.scores)

    @property
    def over(self) -> bool:
        return self.status in OVER

    @property
    def chosen(self) -> Configuration:
        """The configuration that has the best score: a member of a population may have changed since."""
        return self.best_configuration or self.configuration

    def seconds(self, now_ms: int) -> float:
        """Duration of the latest attempt."""
        return ((self.ended or now_ms) - self.started) / 1000

    def values(self, *, cost: bool) -> tuple[float, ...] | None:
        """Values for the search: the best score, and the cost where that is an objective; None if it failed."""
        if self.status == "failed" or self.best_score is None:
            return None
        return (self.best_score, self.cost or 0.0) if cost else (self.best_score,)


@dataclass
class Session:
    """One driver's session: from its ``session`` event to the last event before the next one."""

    event: Event
    last: int
    over: int = 0

    @property
    def seconds(self) -> float:
        return float(self.last - self.event["t"]) / 1000


@dataclass
class SweepState:
    """A sweep as its journal has it.

    Attributes
    ----------
    total : trials wanted, extensions included.
    trials : by number.
    curve : ``(seconds of work, trials over, best score)`` at each improvement.
    closed : how the last session ended; None while one is at work, or when it died.
    """

    id: str = ""
    name: str = ""
    base: dict[str, Any] = field(default_factory=dict)
    fingerprint: dict[str, Any] = field(default_factory=dict)
    user: str = ""
    team: str = ""
    created: int = 0
    total: int = 0
    run_id: str | None = None
    trials: dict[int, Trial] = field(default_factory=dict)
    sessions: list[Session] = field(default_factory=list)
    accepted: list[list[str]] = field(default_factory=list)
    refits: list[Event] = field(default_factory=list)
    curve: list[tuple[float, int, float]] = field(default_factory=list)
    closed: Event | None = None
    over: int = 0
    epochs_done: int = 0
    _best: Trial | None = None
    _definition: SweepDefinition | None = field(default=None, repr=False)

    @classmethod
    def of(cls, events: Iterable[Event]) -> SweepState:
        """The state after ``events``."""
        state = cls()
        for event in events:
            state.apply(event)
        return state

    @classmethod
    def read(cls, path: Path) -> SweepState:
        """The state that a journal describes.

        Raises
        ------
        SweepError : there is no journal, it is damaged, or it is not that of a sweep.
        """
        state = cls.of(journal.read(path))
        if not state.id:
            raise SweepError("is not a sweep journal", where=path, expected="a first event `sweep`")
        return state

    def apply(self, event: Event) -> None:
        """Take in one event."""
        if self.sessions and event["e"] != "session":
            self.sessions[-1].last = max(self.sessions[-1].last, event["t"])
        take_in = getattr(self, f"_on_{event['e']}", None)
        if take_in is None:
            raise SweepError(
                f"has an event of an unknown kind, '{event['e']}'",
                where=f"the journal of sweep {self.name}",
                fix="update jmml: a newer release drives this sweep",
            )
        take_in(event)

    @property
    def definition(self) -> SweepDefinition:
        """The definition of the first event, or the changed one that was accepted last.

        Raises
        ------
        SweepError : there has been no event yet.
        """
        if self._definition is None:
            raise SweepError("has no first event yet", where=f"the journal of sweep {self.name}".rstrip())
        return self._definition

    # What follows from the events -----------------------------------------------------------------

    @property
    def best(self) -> Trial | None:
        """The trial with the highest score at any epoch, the earliest of equals; failed ones do not count."""
        return self._best

    @property
    def running(self) -> list[Trial]:
        return [trial for trial in self.trials.values() if trial.status == "running"]

    @property
    def unfinished(self) -> list[int]:
        """Numbers of trials that were proposed and are not over, in order."""
        return sorted(number for number, trial in self.trials.items() if not trial.over)

    def counts(self) -> dict[str, int]:
        """Number of trials by status; only statuses that occur."""
        found = Counter(trial.status for trial in self.trials.values())
        return {status: found[status] for status in ("running", "waiting", *OVER) if found[status]}

    def memo(self) -> dict[str, int]:
        """Stage-1 models ``computed``, ``loaded`` and ``waited`` for, over all trials."""
        total: Counter[str] = Counter()
        for trial in self.trials.values():
            total.update(trial.memo)
        return {key: total[key] for key in ("computed", "loaded", "waited")}

    @property
    def unsaved(self) -> int:
        """Stage-1 models that were computed and could not be kept for others: their folder is full or not writable."""
        return sum(trial.memo.get("unsaved", 0) for trial in self.trials.values())

    @property
    def hit_rate(self) -> float | None:
        """Part of the stage-1 models that did not have to be computed; None when none was needed."""
        memo = self.memo()
        needed = sum(memo.values())
        return None if not needed else 1 - memo["computed"] / needed

    @property
    def seconds(self) -> float:
        """Time at work, all sessions together."""
        return sum(session.seconds for session in self.sessions)

    def trials_per_hour(self) -> float | None:
        """Trials that came to an end per hour of the present session; None before the first."""
        if not self.sessions or not self.sessions[-1].over or self.sessions[-1].seconds <= 0:
            return None
        return 3600 * self.sessions[-1].over / self.sessions[-1].seconds

    def eta_seconds(self) -> float | None:
        """Time until the last trial at the present rate; None before the first end."""
        rate = self.trials_per_hour()
        return None if rate is None else 3600 * max(0, self.total - self.over) / rate

    def front(self) -> list[Trial]:
        """Trials of which no other has both a score as high and a cost as low, cheapest first (Pareto)."""
        scored = [
            (trial.cost, -trial.best_score, trial.number)
            for trial in self.trials.values()
            if trial.cost is not None and trial.best_score is not None and trial.status != "failed"
        ]
        chosen: list[Trial] = []
        highest = -math.inf
        for _, negative, number in sorted(scored):
            if -negative > highest:
                chosen.append(self.trials[number])
                highest = -negative
        return chosen

    # One method per kind of event -------------------------------------------------------------------

    def _on_sweep(self, event: Event) -> None:
        self.id, self.name, self.created = event["id"], event["name"], event["t"]
        self.user, self.team, self.total = event["user"], event["team"], event["total"]
        self._settings(event)

    def _settings(self, event: Event) -> None:
        self._definition = recorded(event["definition"], sweep=self.name)
        self.base, self.fingerprint = event["base"], event["fingerprint"]

    def _on_session(self, event: Event) -> None:
        self.sessions.append(Session(event, event["t"]))
        self.closed = None
        for trial in self.trials.values():  # of a driver that died
            if trial.status == "running":
                trial.status, trial.ended = "waiting", None

    def _on_extend(self, event: Event) -> None:
        self.total += event["trials"]

    def _on_accept(self, event: Event) -> None:
        self.accepted.append(event["changes"])
        self.total = event["total"]
        self._settings(event)

    def _on_run(self, event: Event) -> None:
        self.run_id = event["run_id"]

    def _on_start(self, event: Event) -> None:
        number = event["trial"]
        trial = self.trials.get(number)
        if trial is None:
            late = bool(self.trials) and number < next(reversed(self.trials))
            trial = self.trials[number] = Trial(number, event["configuration"], event["epochs"])
            if late:  # its worker took longer to start than those of later trials
                self.trials = dict(sorted(self.trials.items()))
        trial.status, trial.error, trial.ended = "running", None, None
        trial.epochs = event["epochs"]  # others where a changed definition was accepted
        trial.started, trial.attempts, trial.host = event["t"], event["attempt"], event["host"]

    def _on_report(self, event: Event) -> None:
        trial = self.trials[event["trial"]]
        score = event["score"]
        trial.scores.append(score)
        self.epochs_done += 1
        trial.val_uar = event["points"].get("val_uar", score)
        trial.cost = event.get("cost", trial.cost)
        trial.memo = trial.memo or event.get("memo", {})  # those that go on need the same models again
        if math.isfinite(score) and (trial.best_score is None or score > trial.best_score):
            trial.best_score, trial.best_epoch = score, trial.epoch
            trial.best_val_uar, trial.best_configuration = trial.val_uar, trial.configuration
            self._challenge(trial)

    def _challenge(self, trial: Trial) -> None:
        """Whether ``trial``, whose best score just rose, leads now."""
        best = self._best
        assert trial.best_score is not None
        if best is None or best is trial or best.best_score is None:
            ahead = True
        else:
            ahead = (trial.best_score, -trial.number) > (best.best_score, -best.number)
        if ahead:
            self._best = trial
            self.curve.append((self.seconds, self.over, trial.best_score))

    def _on_mutate(self, event: Event) -> None:
        trial = self.trials[event["trial"]]
        trial.configuration, trial.origin = event["configuration"], (event["epoch"], event["source"])

    def _on_end(self, event: Event) -> None:
        trial = self.trials[event["trial"]]
        trial.status, trial.error, trial.ended = event["state"], event.get("error"), event["t"]
        self.over += 1
        if self.sessions:
            self.sessions[-1].over += 1
        if trial.status == "failed" and trial is self._best:
            scored = [t for t in self.trials.values() if t.best_score is not None and t.status != "failed"]
            self._best = max(scored, key=lambda t: (t.best_score, -t.number), default=None)

    def _on_break(self, event: Event) -> None:
        trial = self.trials[event["trial"]]
        if not trial.over:  # a driver that was terminated just then did not know of the end it had written
            trial.status, trial.ended = "waiting", event["t"]

    def _on_differs(self, event: Event) -> None:
        self.trials[event["trial"]].differs += 1

    def _on_refit(self, event: Event) -> None:
        self.refits.append(event)

    def _on_close(self, event: Event) -> None:
        self.closed = event
