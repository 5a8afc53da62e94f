"""Following a sweep from any terminal: nothing is asked of its driver, its journal says everything."""

from __future__ import annotations

from rich.console import Console, RenderableType

from pipelines.reporting.follow import await_start, follow
from pipelines.sweep.record.folder import SweepFolder, status
from pipelines.sweep.record.journal import Follower
from pipelines.sweep.record.overview import TrialOverview
from pipelines.sweep.record.state import SweepState, Trial
from pipelines.sweep.record.words import search_over
from pipelines.sweep.show.view import view
from pipelines.sweep.show.words import CLOSING, line

PIPE_HEIGHT = 40  # lines of a frame where no terminal says how many it has


class Watcher:
    """The state of a sweep, kept up to date by reading what its journal has grown by.

    Raises
    ------
    SweepError : the journal is damaged.
    """

    def __init__(self, folder: SweepFolder) -> None:
        self.folder = folder
        self.state = SweepState()
        self.overview = TrialOverview(self.state)
        self.status = "running"
        self._told = False  # that no trial will follow
        self._follower = Follower(folder.journal)

    def look(self) -> list[Trial]:
        """Read what is new; the trials that ended since the last look."""
        held = self.folder.held  # asked first: what a driver wrote before it ended is read below
        for event in self._follower.read():
            self.state.apply(event)
        self.status = "running" if held else status(self.folder, self.state)
        return self.overview.update()

    def news(self) -> list[str]:
        """Look: a line for each trial that has ended, and one when no more will follow."""
        lines = [line(self.state, trial) for trial in self.look()]
        if self.closing and not self._told:
            lines.append(CLOSING)
        self._told = self.closing
        return lines

    def end(self) -> str:
        """How the sweep ended, in a line."""
        text = driver_text(self.folder, self.state, self.status)
        said = text if text.startswith(self.status) else ": ".join(t for t in (self.status, text) if t)
        return f"sweep {self.folder.name} {said}"

    @property
    def over(self) -> bool:
        """Whether nobody drives the sweep any more."""
        return self.status != "running"

    @property
    def closing(self) -> bool:
        """Whether the driver refits, or waits for MLflow: no trial will follow."""
        return not self.over and search_over(self.state, open_trials=bool(self.overview.open))

    def frame(self, console: Console) -> RenderableType:
        """The view of what the last look found."""
        return view(
            self.overview,
            width=console.width,
            height=console.height if console.is_terminal else PIPE_HEIGHT,
            status=self.status,
            driver=driver_text(self.folder, self.state, self.status),
            plain=console.options.ascii_only,
        )


def watch(folder: SweepFolder, console: Console, *, once: bool = False, interval: float = 1.0) -> str:
    """Show a sweep until nobody drives it any more; the status it has then (:func:`pipelines.reporting.follow.follow`).

    Not on a terminal, a line for each trial that ends, one when all are over, and one that says how the sweep ended.
    """
    await_start(folder, console)
    return follow(Watcher(folder), console, once=once, interval=interval)


def driver_text(folder: SweepFolder, state: SweepState, now: str) -> str:
    """Who drives a sweep, or how its last session ended."""
    if now == "running":
        asked = folder.asked_to_stop
        text = f"driven by {folder.holder_text()}"
        if state.sessions and (address := state.sessions[-1].event.get("address")):
            text += f" on the cluster {address}"
        return f"{text}; asked to stop by {asked}" if asked else text
    if now == "interrupted":
        return f"its driver died; go on with `jmml sweep resume {folder.name}`"
    reason = (state.closed or {}).get("reason")
    return f"{now}: {reason}" if reason else ""
