"""Dry runs of `jmml study run` and `resume`: nothing is started or written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from jmml.errors import ConfigError, JMMLError, SweepError
from pipelines.definitions import spaces
from pipelines.definitions.dry_run import DryRun, in_columns
from pipelines.reporting.wording import many
from pipelines.study.define.model import StudyDefinition
from pipelines.study.define.plan import StudyPlan, plan
from pipelines.study.publish.folders import kept_as
from pipelines.study.publish.summary import folder_of
from pipelines.study.run.continuing import check_changes, to_resume
from pipelines.study.run.folder import StudyFolder
from pipelines.workspace.project import Project


def would_run(
    project: Project,
    definition: StudyDefinition,
    *,
    workers: int | None = None,
    recompute: bool = False,
    address: str | None = None,
    submitted: bool = False,
) -> DryRun:
    """The plan of a study, and under which name a report of other settings is going to be kept.

    Parameters
    ----------
    workers, recompute : as of :func:`pipelines.study.define.plan.plan`.
    address : of a cluster; whether this machine may work on it is part of the answer.
    submitted : whether the cluster would drive the study: this machine need not be a part of it.

    Raises
    ------
    ConfigError, DataError, ProtocolError : what :func:`pipelines.study.define.plan.plan` finds wrong.
    """
    planned = plan(project, definition, workers=workers, recompute=recompute)
    refusal = None if submitted else _not_admitted(address)
    return _would(project, planned, StudyFolder.of(project, definition.name), refusal)


def would_resume(
    project: Project,
    name: str,
    *,
    source: str | Path | None = None,
    overrides: Sequence[str] = (),
    accept_changes: bool = False,
    workers: int | None = None,
    address: str | None = None,
    submitted: bool = False,
) -> DryRun:
    """The plan of a study that goes on, with what has changed since it began.

    Raises
    ------
    SweepError : there is no such study. Others: see :func:`pipelines.study.run.continuing.to_resume`.
    """
    found = to_resume(project, name, source=source, overrides=overrides, workers=workers)
    refusal = None if submitted else _not_admitted(address)
    try:
        check_changes(found, accepted=accept_changes)
    except ConfigError as error:
        refusal = error
    return _would(project, found.plan, found.folder, refusal, found.changes)


def _not_admitted(address: str | None) -> JMMLError | None:
    """Why this machine cannot drive anything on a cluster; None without one."""
    if not address:
        return None
    from pipelines.compute.cluster_info import origin, resolve
    from pipelines.compute.ray_session import admitted

    try:
        if resolved := resolve(address):
            admitted(resolved, origin(address))
    except SweepError as error:
        return error
    return None


def _would(
    project: Project,
    planned: StudyPlan,
    folder: StudyFolder,
    refusal: JMMLError | None = None,
    changes: Sequence[str] = (),
) -> DryRun:
    kept = kept_as(folder_of(project, planned.definition.name), planned.digest)
    rows = [*_rows(planned, kept), *(("changed", change) for change in changes)]
    values = _values(planned, kept) | ({"changes": list(changes)} if changes else {})
    return DryRun(tuple(in_columns(rows)), values, folder.taken() if folder.held else refusal)


def _values(plan: StudyPlan, kept: str) -> dict[str, Any]:
    missing = plan.missing
    expected = plan.expected_seconds(missing)
    return {
        "definition": yaml.safe_load(plan.definition.to_yaml()),
        "digest": plan.digest,
        "tasks": {
            name: {
                "rows": {
                    "speech": len(task.data.speech),
                    "eeg": len(task.data.eeg) if task.data.eeg else 0,
                },
                "classes": list(task.data.classes),
                "parallel": task.data.parallel,
                "folds": [list(fold.test) for fold in task.split.speech],
                "candidates": [candidate.model_dump(mode="json") for candidate in task.candidates],
            }
            for name, task in plan.tasks.items()
        },
        "cells": {
            "total": len(plan.cells),
            "cached": sum(key.digest in plan.cached for key in plan.cells),
            "damaged": len(plan.damaged),
            "missing": len(missing),
        },
        "kept_as": kept or None,
        "workers": plan.workers,
        "expected_cpu_seconds": expected,
    }


def _rows(plan: StudyPlan, kept: str) -> Iterator[tuple[str, str]]:
    d = plan.definition
    yield "study", f"{d.name}: {d.description}" if d.description else d.name
    for name, task in plan.tasks.items():
        yield f"task {name}", str(task)
    yield "methods", f"{len(d.methods)}: {', '.join(d.methods)}"
    yield "claim", f"{d.claim} minus the best label-only control"
    yield "seeds", ", ".join(map(str, d.seeds))
    budget = f"{many(d.tuning.trials, 'candidate')}{', the defaults' if d.tuning.trials == 1 else ''}"
    yield "tuning", f"{budget}, {plan.inner_folds} inner folds, the same for every method"
    for number, values in enumerate(plan.drawn, 1):
        yield f"  candidate {number}", spaces.describe(values)
    cached = sum(key.digest in plan.cached for key in plan.cells)
    cells = f"{len(plan.cells)}: {cached} cached, {len(plan.missing)} to compute"
    if plan.damaged:
        cells += f" ({len(plan.damaged)} of them damaged)"
    yield "cells", cells
    yield "time", plan.time
    if kept:
        yield (
            "results",
            f"a report of other settings lies under {d.name}; it will be kept as {kept}",
        )
