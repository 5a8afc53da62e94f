"""The name of a new sweep."""

from __future__ import annotations

from jmml.errors import SweepError
from pipelines.sweep.record.folder import SweepFolder
from pipelines.sweep.record.words import kept
from pipelines.workspace.project import Project


def unused(project: Project, name: str, *, exact: bool) -> SweepFolder:
    """A folder for a new sweep of that name, numbered when the name is taken and not asked for.

    Raises
    ------
    SweepError : the name is taken, or the sweep that has it is not finished: it should be resumed.
    """
    folder, number = SweepFolder.of(project, name), 1
    while folder.begun:
        if folder.held:
            raise SweepError(
                f"is being driven by {folder.holder_text()}",
                where=f"sweep {folder.name}",
                fix=f"look with `jmml sweep watch {folder.name}`, or choose another --name",
            )
        state = folder.state()
        over = state.closed["state"] if state.closed else "open"
        if over != "finished" and not (over == "failed" and state.best is None):  # with nothing to go on from
            raise SweepError(
                "was begun and is not finished",
                where=f"sweep {folder.name}",
                fix=f"go on with `jmml sweep resume {folder.name}`, or choose another --name",
            )
        if exact:
            raise SweepError(
                f"exists already: {kept(state)}",
                where=f"sweep {folder.name}",
                fix=f"choose another --name, or add trials with `jmml sweep extend {folder.name} --trials N`",
            )
        number += 1
        folder = SweepFolder.of(project, f"{name}-{number}")
    return folder
