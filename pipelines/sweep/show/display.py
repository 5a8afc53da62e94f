"""Progress of a sweep for the person who started it: a live view on a terminal, one line per ended trial elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

from rich.console import Console, RenderableType
from rich.live import Live

from pipelines.sweep.record.overview import TrialOverview
from pipelines.sweep.record.state import SweepState, Trial
from pipelines.sweep.show.view import view
from pipelines.sweep.show.words import line

REFRESHES = 2  # per second


class Display:
    """Shows the state of a sweep while it runs; used as a context manager around the search.

    Parameters
    ----------
    console : where to; the live view needs a terminal. None shows nothing.
    trouble : what is wrong at the moment and does not stop the sweep, None while nothing is.
    """

    def __init__(
        self,
        state: SweepState,
        console: Console | None,
        *,
        trouble: Callable[[], str | None] = lambda: None,
    ) -> None:
        self.state, self.console, self.trouble = state, console, trouble
        self._overview = TrialOverview(state)
        self._note, self._status = "", "running"
        self._told = False  # of the trouble that there is
        self._live: Live | None = None
        if console is not None and console.is_terminal:
            self._live = Live(get_renderable=self._render, console=console, refresh_per_second=REFRESHES)

    def __enter__(self) -> Display:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._note = ""
            self._status = str(self.state.closed["state"]) if self.state.closed else "interrupted"
            self._live.stop()

    def ended(self, trial: Trial) -> None:
        """A trial is over: one line where there is no live view, and one when trouble begins."""
        if self.console is None or self._live is not None:
            return
        self._say(line(self.state, trial))
        trouble = self.trouble()
        if trouble and not self._told:
            self._say(trouble)
        self._told = trouble is not None

    def note(self, text: str) -> None:
        """Show the current activity (refitting, writing to MLflow), above the table or as a line of its own."""
        self._note = text
        if self._live is None:
            self._say(text)

    def _say(self, text: str) -> None:
        if self.console is not None:
            self.console.print(text, soft_wrap=True, highlight=False, markup=False)

    def _render(self) -> RenderableType:
        assert self.console is not None
        self._overview.update()
        return view(
            self._overview,
            width=self.console.width,
            height=self.console.height,
            status=self._status,
            note=self._note,
            below=[text for text in (self.trouble(),) if text],
            plain=self.console.options.ascii_only,
        )
