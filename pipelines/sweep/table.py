"""What a person sees of a sweep: a live table on a terminal, one line per finished trial elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pipelines.sweep.board import Board, Trial
from pipelines.sweep.spaces import describe

ROWS = 12
STYLES = {"running": "cyan", "finished": "green", "stopped": "yellow", "failed": "red", "killed": "red"}


class Display:
    """Shows a board; used as a context manager around the search.

    Parameters
    ----------
    console : where to; the table needs a terminal. None shows nothing.
    """

    def __init__(self, board: Board, console: Console | None) -> None:
        self.board, self.console = board, console
        self._live: Live | None = None
        self._note = ""
        if console is not None and console.is_terminal:
            self._live = Live(
                get_renderable=self._render, console=console, refresh_per_second=4, transient=False
            )

    def __enter__(self) -> Display:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def finished(self, trial: Trial) -> None:
        """A trial is over: one line where there is no live table."""
        if self.console is not None and self._live is None:
            self.console.print(line(self.board, trial), soft_wrap=True, highlight=False, markup=False)

    def note(self, text: str) -> None:
        """What happens now (starting, refitting), below the table or as a line of its own."""
        self._note = text
        if self.console is not None and self._live is None:
            self.console.print(text, soft_wrap=True, highlight=False, markup=False)

    @contextmanager
    def doing(self, text: str) -> Iterator[None]:
        """``text`` is shown while the block runs."""
        self.note(text)
        yield
        self._note = ""

    def _render(self) -> RenderableType:
        parts: list[RenderableType] = [table(self.board)]
        if self._note:
            parts.append(Text(self._note, style="dim"))
        return Group(*parts)


def line(board: Board, trial: Trial) -> str:
    """``trial 3/8 finished: val_uar 0.412 at epoch 7, 4.1 s (stage2.k=3); best 0.412 (trial 3)``"""
    head = f"trial {trial.number}/{board.total} {trial.state}: "
    if trial.error:
        head += trial.error
    elif trial.best_val_uar is None:
        head += "no epoch reported"
    else:
        head += f"val_uar {trial.best_val_uar:.3f} at epoch {trial.best_epoch}"
    head += f", {trial.seconds(board.clock()):.1f} s ({describe(trial.configuration)})"
    best = board.best
    return head + (f"; best {best.best_val_uar:.3f} (trial {best.number})" if best else "")


def table(board: Board) -> Table:
    """The live table: running trials first, then the best of the others."""
    trials = list(board.trials.values())  # a copy: the search goes on in another thread
    best = board.best
    ranked = sorted(trials, key=lambda t: (t.over, -(t.best_val_uar or -1.0), t.number))
    columns = list(dict.fromkeys(key for trial in trials for key in trial.configuration))
    over = sum(trial.over for trial in trials)
    summary = f"{board.name}: {over} of {board.total} trials, {board.elapsed:.0f} s"
    if best is not None:
        summary += f", best val_uar {best.best_val_uar:.3f} (trial {best.number}, epoch {best.best_epoch})"
    shown = Table(title=summary, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("trial", "state", "epoch", "val_uar", "best", "time"):
        shown.add_column(heading, justify="left" if heading == "state" else "right", no_wrap=True)
    for key in columns:
        shown.add_column(key, justify="right")
    now = board.clock()
    for trial in ranked[:ROWS]:
        shown.add_row(
            f"{trial.number}{'*' if trial is best else ''}",
            Text(trial.state, style=STYLES[trial.state]),
            f"{trial.epoch}/{trial.epochs}" if trial.epoch else "stage 1",
            _score(trial.val_uar),
            _score(trial.best_val_uar),
            f"{trial.seconds(now):.0f} s",
            *(describe({"": trial.configuration.get(key, "")}).lstrip("=") for key in columns),
        )
    if len(ranked) > ROWS:
        shown.caption = f"{len(ranked) - ROWS} more trials, lower val_uar"
    return shown


def _score(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
