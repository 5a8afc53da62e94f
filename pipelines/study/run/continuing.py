"""Resuming a study: its definition, the data and code as they are now, and what has changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from jmml.config import MethodConfig
from jmml.errors import ConfigError
from pipelines.cache.cells import CellStore
from pipelines.cache.content import CELL
from pipelines.definitions.differences import differences
from pipelines.study.define.model import StudyDefinition
from pipelines.study.define.plan import StudyPlan, plan
from pipelines.study.define.reading import change, check, load_definition
from pipelines.study.run.folder import Status, StudyFolder, settings
from pipelines.workspace.project import Project

CLOCKS_S = 0.1  # by which the clock of files may be behind


@dataclass(frozen=True)
class Continuation:
    """A study that is to go on; ``changes``: what differs from when it began, a line each."""

    folder: StudyFolder
    status: Status
    plan: StudyPlan
    workers: int | None
    changes: list[str]


def to_resume(
    project: Project,
    name: str,
    *,
    source: str | Path | None = None,
    overrides: Sequence[str] = (),
    workers: int | None = None,
) -> Continuation:
    """A study with its own definition, or with another one, or with some settings changed.

    Raises
    ------
    SweepError : there is no such study.
    ConfigError, DataError, ProtocolError : what :func:`pipelines.study.define.plan.plan` finds wrong.
    """
    folder = StudyFolder.find(project, name)
    status = folder.status()
    workers = workers or status.workers
    definition = _definition(status, source, overrides, project.params.method)
    planned = plan(project, definition, workers=workers)
    changes = differences(status.definition, planned.definition.plain())
    changes += differences(status.settings, settings(planned))
    if status.recompute and status.state != "finished":
        planned = replace(planned, cached=_computed_anew(CellStore.of(project.root), planned, status.began))
    return Continuation(folder, status, planned, workers, changes)


def check_changes(found: Continuation, *, accepted: bool) -> None:
    """Refuse to go on where something has changed, unless that is accepted.

    Raises
    ------
    ConfigError : the message has every change, and what to do.
    """
    if found.changes and not accepted:
        raise ConfigError(
            [
                *(f"changed since the study began: {change}" for change in found.changes),
                "undo it, run a new study, or go on all the same with --accept-changes",
            ],
            where=f"study {found.status.name}",
        )


def _definition(
    status: Status, source: str | Path | None, overrides: Sequence[str], base: MethodConfig
) -> StudyDefinition:
    if source is not None:
        named = load_definition(source, overrides=overrides, base=base)
        return named.model_copy(update={"name": status.name})
    definition = check(status.definition)
    return change(definition, overrides, base=base) if overrides else definition


def _computed_anew(store: CellStore, planned: StudyPlan, since: float) -> frozenset[str]:
    """Of the cells that are there, those that were written since a time (s since 1970)."""
    since -= CLOCKS_S
    return frozenset(name for name in planned.cached if (store.path(name) / CELL).stat().st_mtime >= since)
