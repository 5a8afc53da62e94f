"""Arguments and options that several commands of `jmml sweep` have, and their completion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.definitions import names_and_files
from cli.driving import submit_option

if TYPE_CHECKING:
    from pipelines.sweep.record.folder import SweepFolder


def definitions(incomplete: str) -> list[str]:
    """Ready-made definitions and YAML files, by their beginning."""
    return names_and_files("sweep", incomplete)


def sweeps(incomplete: str) -> list[str]:
    """Names of sweeps that there are."""
    from jmml.errors import JMMLError
    from pipelines.sweep.record.folder import SweepFolder
    from pipelines.workspace.project import Project

    try:
        return [f.name for f in SweepFolder.all(Project.find()) if f.name.startswith(incomplete)]
    except (JMMLError, OSError):
        return []


def settings(incomplete: str) -> list[str]:
    """Completions of settings that begin with ``incomplete``: parts of a definition and settings of the method."""
    from pipelines.sweep.definition.reading import KEYS

    return [f"{name}=" for name in KEYS.completions() if name.startswith(incomplete)]


def found(name: str, *, starting: bool = False) -> SweepFolder:
    """The sweep of that name, one that only ``starting`` where asked for; :class:`SweepError` has the nearest one."""
    from pipelines.sweep.record.folder import SweepFolder
    from pipelines.workspace.project import Project

    return SweepFolder.find(Project.find(), name, starting=starting)


def free(name: str, *, dry_run: bool = False) -> None:
    """Raise :class:`SweepError` at once, before anything heavy is loaded, unless the sweep is there to be driven."""
    folder = found(name)
    if folder.held and not dry_run:
        raise folder.taken()


Name = Annotated[str, typer.Argument(metavar="NAME", help="A sweep.", autocompletion=sweeps)]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        "-s",
        help="Override one entry: trials=20, stage2.k=3,4,8, or stage2.k=null to take it from the space. Repeatable.",
        autocompletion=settings,
    ),
]
Submit = Annotated[bool, submit_option("sweep")]
