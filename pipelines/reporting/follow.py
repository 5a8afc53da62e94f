"""Following a long job from any terminal: nothing is asked of its driver, its record on disk says everything."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Protocol

from rich.console import Console, RenderableType
from rich.live import Live

from jmml.errors import SweepError
from pipelines.workspace.driven import DrivenFolder

SHORTEST = 0.2  # s between two looks


class Followed(Protocol):
    """A sweep or study that is being followed, kept up to date by :meth:`news`."""

    @property
    def over(self) -> bool:
        """Whether nobody drives it any more, as of the last look."""
        ...

    @property
    def status(self) -> str:
        """In a word."""
        ...

    def news(self) -> list[str]:
        """Look, and a line for each thing that has happened since the last look."""
        ...

    def frame(self, console: Console) -> RenderableType:
        """The view of what the last look found."""
        ...

    def end(self) -> str:
        """How it ended, in a line."""
        ...


def follow(followed: Followed, console: Console, *, once: bool = False, interval: float = 1.0) -> str:
    """Show something until nobody drives it any more; the status it has then.

    On a terminal the view is drawn anew; elsewhere it is printed once, and then a line for each thing that happens and
    one that says how it ended.

    Parameters
    ----------
    once : print one frame and return.
    interval : s between two looks.
    """
    followed.news()
    if once or not console.is_terminal:
        console.print(followed.frame(console))
        if not once and not followed.over:
            for text in _following(followed, interval):
                console.print(text, soft_wrap=True, highlight=False, markup=False)
        return followed.status
    with Live(followed.frame(console), console=console, auto_refresh=False) as live:
        while not followed.over:
            time.sleep(max(interval, SHORTEST))
            followed.news()
            live.update(followed.frame(console), refresh=True)
    return followed.status


def _following(followed: Followed, interval: float) -> Iterator[str]:
    while not followed.over:
        time.sleep(max(interval, SHORTEST))
        yield from followed.news()
    yield followed.end()


def await_start(folder: DrivenFolder, console: Console) -> None:
    """Wait while its driver starts Ray, before its first entry.

    Raises
    ------
    SweepError : it ended without one.
    """
    if not folder.begun and folder.held:
        text = f"{folder} is being started by {folder.holder_text()}"
        console.print(text, soft_wrap=True, highlight=False, markup=False)
    while not folder.begun:
        if not folder.held and not folder.begun:
            raise SweepError("ended before it began", where=folder, fix="see where it was started")
        time.sleep(SHORTEST)
