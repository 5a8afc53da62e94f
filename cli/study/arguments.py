"""Arguments and options that several commands of `jmml study` have, and their completion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.definitions import names_and_files
from cli.driving import submit_option

if TYPE_CHECKING:
    from pipelines.study.run.folder import StudyFolder


def definitions(incomplete: str) -> list[str]:
    """Ready-made definitions and YAML files, by their beginning."""
    return names_and_files("study", incomplete)


def studies(incomplete: str) -> list[str]:
    """Names of studies that have begun here."""
    from jmml.errors import JMMLError
    from pipelines.study.run.folder import StudyFolder
    from pipelines.workspace.project import Project

    try:
        return [f.name for f in StudyFolder.all(Project.find()) if f.name.startswith(incomplete)]
    except (JMMLError, OSError):
        return []


def finished(incomplete: str) -> list[str]:
    """Names of studies that have results."""
    from jmml.errors import JMMLError
    from pipelines.study.publish.summary import finished as published
    from pipelines.workspace.project import Project

    try:
        return [study.name for study in published(Project.find()) if study.name.startswith(incomplete)]
    except JMMLError:
        return []


def settings(incomplete: str) -> list[str]:
    """Completions of settings that begin with ``incomplete``."""
    from pipelines.study.define.reading import KEYS

    return [f"{name}=" for name in KEYS.completions() if name.startswith(incomplete)]


def found(name: str) -> StudyFolder:
    """The study of that name, one that only starts too; :class:`SweepError` has the nearest one."""
    from pipelines.study.run.folder import StudyFolder
    from pipelines.workspace.project import Project

    return StudyFolder.find(Project.find(), name, starting=True)


Name = Annotated[str, typer.Argument(metavar="NAME", help="A study that has begun.", autocompletion=studies)]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        "-s",
        help="Override one entry, as in seeds=0,1 or tuning.trials=1. Repeatable.",
        autocompletion=settings,
    ),
]
Workers = Annotated[
    int | None, typer.Option("--workers", min=1, help="Cells at the same time; default: one per CPU.")
]
Submit = Annotated[bool, submit_option("study")]
