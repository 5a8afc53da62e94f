"""Interface of a running sweep to its display; how anything is shown is not the concern of execution."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from rich.console import Console

from pipelines.sweep.record.state import SweepState, Trial


class Progress(Protocol):
    """Hears of a sweep while it runs."""

    def ended(self, trial: Trial) -> None:
        """A trial is over."""

    def note(self, text: str) -> None:
        """The current activity: refitting, writing to MLflow."""


class Display(Protocol):
    """Shows the state of a sweep for as long as it is entered."""

    def __call__(
        self, state: SweepState, console: Console | None, *, trouble: Callable[[], str | None]
    ) -> AbstractContextManager[Progress]: ...
