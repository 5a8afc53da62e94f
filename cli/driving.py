"""Common parts of `jmml sweep` and `jmml study` for driving work, here or on a cluster."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.output import print_json, say

if TYPE_CHECKING:
    from pipelines.workspace.driven import DrivenFolder
    from pipelines.workspace.project import Project

Address = Annotated[
    str | None,
    typer.Option(
        "--address",
        envvar="RAY_ADDRESS",
        help="A Ray cluster (jmml cluster up), HOST:PORT; Ray on this machine if not given.",
        show_default=False,
    ),
]
AcceptConfound = Annotated[
    bool,
    typer.Option(
        "--accept-confound",
        help="Claim it although labels go along with something else in the data (`jmml data show`).",
    ),
]
AcceptChanges = Annotated[
    bool, typer.Option("--accept-changes", help="Go on although definition, data or code changed.")
]
DataRev = Annotated[
    str | None,
    typer.Option(
        "--data-rev",
        metavar="REV",
        help="Read the corpora as they were at this git revision or tag; the work tree stays as it is.",
        show_default=False,
    ),
]
Wait = Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait for its end.")]
Once = Annotated[bool, typer.Option("--once", help="Print what there is now and stop.")]
Interval = Annotated[float, typer.Option("--interval", min=0.2, max=3600, help="Seconds between two looks.")]


def submit_option(kind: str) -> typer.models.OptionInfo:
    """``--submit`` of a command that drives a ``kind``."""
    found: typer.models.OptionInfo = typer.Option(
        "--submit", help=f"Let the cluster drive the {kind}, so that this terminal may be closed."
    )
    return found


def submit(
    project: Project,
    words: list[str],
    folder: DrivenFolder,
    begun: Callable[[], bool],
    address: str | None,
    json: bool,
) -> None:
    """Hand a command to the cluster and wait until it has begun; how to follow and end it.

    Parameters
    ----------
    words : the command's, after ``jmml sweep`` or ``jmml study``.
    folder : of what it drives.
    begun : whether its driver has made an entry there.
    """
    from pipelines.compute import jobs

    job = jobs.submit(project.root, [folder.kind, *words], name=folder.name, address=address)
    if not json:
        say(f"submitted as job {job}; this terminal may be closed")
    try:
        has = jobs.await_start(job, begun, what=folder.kind, address=address)
    except KeyboardInterrupt:
        has = False
    if json:
        print_json({"job": job, "name": folder.name, "begun": begun()})
        return
    if has and not begun():
        say(f"{folder}: nothing was left to do")
        return
    say(
        f"{folder} has begun"
        if has
        else f"{folder} has not begun yet, as far as is seen from here; the job goes on"
    )
    say(f"watch it: jmml {folder.kind} watch {folder.name}; end it: jmml {folder.kind} stop {folder.name}")


def whole(definition: str) -> str:
    """A file by its full path: the job runs in the project's folder."""
    path = Path(definition)
    return str(path.resolve()) if path.is_file() else definition


def repeated(settings: list[str] | None) -> list[str]:
    """``-s`` as often as there are settings."""
    return [word for text in settings or [] for word in ("-s", text)]


def option(flag: str, value: object) -> list[str]:
    """An option with a value, unless there is none; a flag where the value is true."""
    if value is None or value is False:
        return []
    return [flag] if value is True else [flag, str(value)]
