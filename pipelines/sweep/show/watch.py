"""Following a sweep from any terminal: nothing is asked of its driver, its journal says everything."""

from __future__ import annotations

import time
from collections.abc import Iterator

from rich.console import Console, RenderableType
from rich.live import Live

from jmml.errors import SweepError
from pipelines.sweep.record.folder import SweepFolder, status
from pipelines.sweep.record.journal import Follower
from pipelines.sweep.record.state import SweepState, Trial
from pipelines.sweep.record.tally import Tally
from pipelines.sweep.record.words import search_over
from pipelines.sweep.show.view import view
from pipelines.sweep.show.words import CLOSING, line

SHORTEST = 0.2  # s between two looks
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
        self.tally = Tally(self.state)
        self.status = "running"
        self._follower = Follower(folder.journal)

    def look(self) -> list[Trial]:
        """Read what is new; the trials that ended since the last look."""
        held = self.folder.held  # asked first: what a driver wrote before it ended is read below
        for event in self._follower.read():
            self.state.apply(event)
        self.status = "running" if held else status(self.folder, self.state)
        return self.tally.update()

    @property
    def over(self) -> bool:
        """Whether nobody drives the sweep any more."""
        return self.status != "running"

    @property
    def closing(self) -> bool:
        """Whether the driver refits, or waits for MLflow: no trial will follow."""
        return not self.over and search_over(self.state, open_trials=bool(self.tally.open))

    def frame(self, console: Console) -> RenderableType:
        """The view of what the last look found."""
        return view(
            self.tally,
            width=console.width,
            height=console.height if console.is_terminal else PIPE_HEIGHT,
            status=self.status,
            driver=driver_text(self.folder, self.state, self.status),
            plain=console.options.ascii_only,
        )


def watch(folder: SweepFolder, console: Console, *, once: bool = False, interval: float = 1.0) -> str:
    """Show a sweep until nobody drives it any more; the status it has then.

    On a terminal the view is drawn anew; elsewhere it is printed once, and then a line for each trial that ends, one
    when all are over, and one that says how the sweep ended.

    Parameters
    ----------
    once : print one frame and return.
    interval : s between two looks.
    """
    _await_start(folder, console)
    watcher = Watcher(folder)
    watcher.look()
    if once or not console.is_terminal:
        console.print(watcher.frame(console))
        if not once and not watcher.over:
            for text in _following(watcher, interval):
                console.print(text, soft_wrap=True, highlight=False, markup=False)
        return watcher.status
    with Live(watcher.frame(console), console=console, auto_refresh=False) as live:
        while not watcher.over:
            time.sleep(max(interval, SHORTEST))
            watcher.look()
            live.update(watcher.frame(console), refresh=True)
    return watcher.status


def _await_start(folder: SweepFolder, console: Console) -> None:
    """Wait while its driver starts Ray, before the journal's first event.

    Raises
    ------
    SweepError : it ended without one.
    """
    if not folder.begun and folder.held:
        text = f"sweep {folder.name} is being started by {folder.holder_text()}"
        console.print(text, soft_wrap=True, highlight=False, markup=False)
    while not folder.begun:
        if not folder.held and not folder.begun:
            raise SweepError(
                "ended before it began", where=f"sweep {folder.name}", fix="see where it was started"
            )
        time.sleep(SHORTEST)


def _following(watcher: Watcher, interval: float) -> Iterator[str]:
    """A line for each thing that happens, until nobody drives the sweep any more; the last says why."""
    told = watcher.closing  # by the frame
    while not watcher.over:
        time.sleep(max(interval, SHORTEST))
        for trial in watcher.look():
            yield line(watcher.state, trial)
        if watcher.closing and not told:
            yield CLOSING
        told = watcher.closing
    text = driver_text(watcher.folder, watcher.state, watcher.status)
    said = text if text.startswith(watcher.status) else ": ".join(t for t in (watcher.status, text) if t)
    yield f"sweep {watcher.folder.name} {said}"


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
