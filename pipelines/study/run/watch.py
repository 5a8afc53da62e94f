"""Following a study from any terminal that sees the project."""

from __future__ import annotations

from rich.console import Console, Group, RenderableType

from jmml.errors import ProjectError
from pipelines.reporting.follow import await_start, follow
from pipelines.reporting.terminal import plain_text
from pipelines.reporting.wording import many
from pipelines.study.publish.summary import FILE, Summary, folder_of, read
from pipelines.study.run.folder import Status, StudyFolder
from pipelines.workspace.project import Project

PUBLISHING = "all cells are there; the report is written and tracked"


class Watcher:
    """The record of a study, read anew at each look."""

    def __init__(self, folder: StudyFolder) -> None:
        self.folder = folder
        self.status = "running"
        self.record: Status | None = None

    @property
    def over(self) -> bool:
        return self.status != "running"

    def news(self) -> list[str]:
        """Look: a line when cells are finished, and one when all are."""
        held = self.folder.held  # asked first: what a driver wrote before it ended is read below
        before, now = self.record, self.folder.status()
        self.record = now
        self.status = "running" if held else self.folder.state(now)
        if before is None:
            return []
        lines = [self._cells(now)] if now.done > before.done else []
        if now.state == "publishing" and before.state != now.state:
            lines.append(PUBLISHING)
        return lines

    def frame(self, console: Console) -> RenderableType:
        """Who drives it, how far it is."""
        now = self._known
        lines = [f"study {self.folder.name}  {self._driver()}", self._cells(now)]
        if now.state == "publishing" and not self.over:
            lines.append(PUBLISHING)
        return Group(*map(plain_text, lines))

    def end(self) -> str:
        """How the study ended, in a line."""
        return f"study {self.folder.name} {self._driver()}"

    def unfinished(self) -> ProjectError:
        """Why there are no results yet."""
        self.news()
        fix = f"follow it with `jmml study watch {self.folder.name}`" if not self.over else None
        return ProjectError(f"no results yet; {self._driver()}", where=f"study {self.folder.name}", fix=fix)

    @property
    def _known(self) -> Status:
        assert self.record is not None  # after the first look
        return self.record

    def _cells(self, now: Status) -> str:
        text = f"{now.kept + now.done} of {many(now.total, 'cell')}"
        if now.kept:
            text += f" ({now.kept} kept from before)"
        if now.left:
            text += f", {now.left}"
        return f"{text}; last: {now.last}" if now.last else text

    def _driver(self) -> str:
        """Who drives it, or how its last session ended."""
        now = self._known
        if self.status == "running":
            text = f"running, driven by {self.folder.holder_text()}"
            if now.address:
                text += f" on the cluster {now.address}"
            asked = self.folder.asked_to_stop
            return f"{text}; asked to stop by {asked}" if asked else text
        if self.status == "interrupted":
            return f"interrupted: its driver died; go on with `jmml study resume {self.folder.name}`"
        return f"{self.status}: {now.reason}" if now.reason else self.status


def watch(folder: StudyFolder, console: Console, *, once: bool = False, interval: float = 1.0) -> str:
    """Show a study until nobody drives it any more (:mod:`pipelines.reporting.follow`); the status it has then."""
    await_start(folder, console)
    return follow(Watcher(folder), console, once=once, interval=interval)


def results(project: Project, name: str) -> Summary:
    """The results of a finished study.

    Raises
    ------
    ProjectError : it has not been run to its end; the message says how far it is.
    """
    folder = StudyFolder.of(project, name)
    if folder.begun and not (folder_of(project, name) / FILE).is_file():
        raise Watcher(folder).unfinished()
    return read(project, name)
