"""A study from start to end: its missing cells on Ray, every certificate, then what is published.

Each finished cell is saved before it is counted, so a study that is stopped, or whose machine is lost, goes
on where it was when it is run again. Nothing is tracked before everything is computed and certified.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from jmml.cell import CellResult, run_cell
from jmml.errors import SweepError
from pipelines.cache.cells import CellStore, Key
from pipelines.reporting.terminal import PlainConsole
from pipelines.reporting.wording import rough_duration
from pipelines.study.define.model import StudyDefinition
from pipelines.study.define.plan import StudyPlan, plan
from pipelines.study.publish import certificates, record
from pipelines.study.publish.record import Published
from pipelines.study.run.display import Display
from pipelines.tracking.tracker import Tracker
from pipelines.workspace import lineage
from pipelines.workspace.project import Project


class InterruptedStudyError(SweepError):
    """Stopped by Ctrl-C or a termination signal; finished cells are kept."""

    exit_code = 130  # 128 + SIGINT, as shells have it


@dataclass(frozen=True)
class StudyRun:
    """What a run of a study came to."""

    plan: StudyPlan
    published: Published
    computed: int
    seconds: float

    def lines(self) -> list[str]:
        """The outcome in words."""
        shared = len(self.plan.cells) - self.computed
        return [
            f"{self.computed} cells computed, {shared} cached, in {rough_duration(self.seconds)}",
            *self.published.lines(),
        ]

    def as_dict(self) -> dict[str, Any]:
        """The outcome for machines."""
        return {
            "study": self.plan.definition.name,
            "digest": self.plan.digest,
            "cells": {"total": len(self.plan.cells), "computed": self.computed},
            "seconds": self.seconds,
            **self.published.as_dict(),
        }


def run_study(
    project: Project,
    source: str | Path | StudyDefinition,
    *,
    overrides: Sequence[str] = (),
    workers: int | None = None,
    recompute: bool = False,
    again: bool = False,
    quiet: bool = False,
    console: Console | None = None,
    cell: Callable[..., CellResult] = run_cell,
) -> StudyRun:
    """Compute what is missing of a study, then verify, report and track all of it.

    Parameters
    ----------
    source, overrides, workers, recompute : see :func:`pipelines.study.define.plan.plan`.
    again : track the study once more although a finished run of the same digest is there.
    quiet : show no progress.
    console : where progress is shown; default: the standard error output.
    cell : computes one cell; exchanged in tests.

    Raises
    ------
    ConfigError, DataError, ProtocolError : before anything starts, see :func:`pipelines.study.define.plan.plan`;
        ProtocolError also when a cell's leakage certificate fails.
    ProjectError : the stages have not been run, or their outputs were changed since.
    TrackingError : the tracking store cannot be reached or written.
    SweepError : Ray cannot start, or workers keep dying; :class:`InterruptedStudyError` after Ctrl-C.
    """
    began = time.monotonic()
    planned = plan(project, source, overrides=overrides, workers=workers, recompute=recompute)
    tracker = Tracker.connect(project)
    origin = lineage.collect(project, planned.corpora)
    store = CellStore.of(project.root)
    shown = None if quiet else console or PlainConsole(stderr=True)
    missing = len(planned.missing)
    if missing:
        with Display(planned, shown) as display:
            _compute_missing(planned, store, display, cell, replace=recompute)
    cells = {key: store.load(key) for key in planned.cells}
    certificates.verify(planned, cells)
    published = record.publish(project, tracker, planned, cells, lineage=origin, again=again)
    return StudyRun(planned, published, missing, time.monotonic() - began)


def _compute_missing(
    planned: StudyPlan, store: CellStore, display: Display, cell: Callable[..., CellResult], *, replace: bool
) -> None:
    from pipelines.study.run.workers import compute  # Ray is imported, and started, only when it is needed

    done = 0

    def finished(key: Key, result: CellResult) -> None:
        nonlocal done
        certificates.verify_cell(planned.tasks[key.task], key, result)
        store.save(key, result, replace=replace)
        done += 1
        display.finished(key, result)

    try:
        compute(planned, cell, finished, note=display.note)
    except (KeyboardInterrupt, SystemExit):
        total = len(planned.missing)
        raise InterruptedStudyError(
            f"interrupted after {done} of {total} cells, which are kept",
            where=f"study {planned.definition.name}",
            fix="run the same command again to go on",
        ) from None
