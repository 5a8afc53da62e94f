"""The state of a running sweep: what every trial does, and the best so far. Knows neither Ray nor MLflow."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from pipelines.sweep.spaces import Configuration

State = Literal["running", "finished", "stopped", "failed", "killed"]


@dataclass
class Trial:
    """One trial.

    Attributes
    ----------
    number : from 1, in the order in which the search proposed them.
    state : ``finished`` ran to its last epoch, ``stopped`` was ended early by the scheduler.
    epoch : last stage-2 epoch reported; 0 while stage 1 trains.
    epochs : stage-2 epochs of its configuration.
    val_uar : inner-fold UAR of the last epoch; ``best_val_uar`` of ``best_epoch``, the first of the best.
    error : why it failed, one line.
    dropped : metrics of which a value was not finite and could not be tracked.
    history : all metrics of each stage-2 epoch, mean over inner folds, with ``epoch``.
    """

    id: str
    number: int
    configuration: Configuration
    epochs: int
    started: float
    state: State = "running"
    epoch: int = 0
    val_uar: float | None = None
    best_val_uar: float | None = None
    best_epoch: int = 0
    ended: float | None = None
    error: str | None = None
    dropped: set[str] = field(default_factory=set)
    history: list[dict[str, float]] = field(default_factory=list)

    @property
    def over(self) -> bool:
        return self.state != "running"

    def seconds(self, now: float) -> float:
        return (self.ended or now) - self.started


@dataclass
class Board:
    """All trials of a sweep, by identifier.

    Parameters
    ----------
    total : trials planned.
    clock : seconds; exchanged in tests.
    """

    name: str
    total: int
    clock: Callable[[], float] = time.monotonic
    trials: dict[str, Trial] = field(default_factory=dict)
    started: float = field(init=False)

    def __post_init__(self) -> None:
        self.started = self.clock()

    def start(self, trial_id: str, number: int, configuration: Configuration, epochs: int) -> Trial:
        """Enter a trial; one that starts again (after a lost worker) continues its entry."""
        known = self.trials.get(trial_id)
        if known is None:
            known = Trial(trial_id, number, configuration, epochs, self.clock())
            self.trials[trial_id] = known
        known.state, known.ended, known.error, known.history = "running", None, None, []
        return known

    def report(
        self, trial_id: str, epoch: int, val_uar: float, points: Mapping[str, float] | None = None
    ) -> Trial:
        """Enter the score of an epoch, with its other metrics."""
        trial = self.trials[trial_id]
        trial.history.append({**(points or {}), "epoch": epoch})
        trial.epoch, trial.val_uar = epoch, val_uar
        if trial.best_val_uar is None or val_uar > trial.best_val_uar:
            trial.best_val_uar, trial.best_epoch = val_uar, epoch
        return trial

    def end(self, trial_id: str, state: State | None = None, *, error: str | None = None) -> Trial:
        """Close a trial; without ``state``, by whether it reached its last epoch."""
        trial = self.trials[trial_id]
        trial.state = state or ("finished" if trial.epoch >= trial.epochs else "stopped")
        trial.error, trial.ended = error, self.clock()
        return trial

    @property
    def over(self) -> list[Trial]:
        return [trial for trial in self.trials.values() if trial.over]

    @property
    def running(self) -> list[Trial]:
        return [trial for trial in self.trials.values() if not trial.over]

    @property
    def failed(self) -> list[Trial]:
        return [trial for trial in self.trials.values() if trial.state == "failed"]

    @property
    def best(self) -> Trial | None:
        """The trial with the highest inner-fold UAR at any epoch, the earliest of equals.

        Failed trials do not count: their configuration cannot be refitted with confidence.
        """
        scored = [t for t in self.trials.values() if t.best_val_uar is not None and t.state != "failed"]
        return max(scored, key=lambda t: (t.best_val_uar, -t.number), default=None)

    @property
    def elapsed(self) -> float:
        return self.clock() - self.started
