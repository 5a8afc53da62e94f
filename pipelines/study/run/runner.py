"""A study from start to end: its missing cells on Ray, every certificate, then what is published.

Each finished cell is saved before it is counted, so a study that is stopped, or whose machine is lost, goes
on where it was when it is run again. Nothing is tracked before everything is computed and certified.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from jmml.cell import CellResult, run_cell
from jmml.errors import SweepError, TrackingError
from pipelines.cache.cells import CellStore, Key
from pipelines.cache.content import prune
from pipelines.corpora.confounding import refuse
from pipelines.reporting.terminal import PlainConsole
from pipelines.reporting.wording import many, rough_duration
from pipelines.study.define.model import StudyDefinition
from pipelines.study.define.plan import StudyPlan, plan
from pipelines.study.publish import certificates, record
from pipelines.study.publish.record import Published
from pipelines.study.run.continuing import check_changes, to_resume
from pipelines.study.run.display import Display
from pipelines.study.run.folder import Progress, Status, StudyFolder
from pipelines.tracking import runs
from pipelines.tracking.run_tags import STUDY, STUDY_ID
from pipelines.tracking.tracker import Tracker
from pipelines.workspace import lineage
from pipelines.workspace.environment import stage1_limit
from pipelines.workspace.project import Project
from pipelines.workspace.signals import heeding
from pipelines.workspace.team import share_with_team, stage1_folder


class InterruptedStudyError(SweepError):
    """Ended by Ctrl-C, a termination signal or `jmml study stop`; finished cells are kept."""

    exit_code = 130  # 128 + SIGINT, as shells have it


@dataclass(frozen=True)
class StudyRun:
    """Result of running a study."""

    plan: StudyPlan
    published: Published
    computed: int
    seconds: float

    @property
    def kept(self) -> int:
        """Cells that were there."""
        return len(self.plan.cells) - self.computed

    def lines(self) -> list[str]:
        """The outcome in words."""
        return [
            f"{many(self.computed, 'cell')} computed, {self.kept} cached, in {rough_duration(self.seconds)}",
            *self.published.lines(),
        ]

    def as_dict(self) -> dict[str, Any]:
        """The outcome as JSON."""
        return {
            "study": self.plan.definition.name,
            "digest": self.plan.digest,
            "cells": {"total": len(self.plan.cells), "computed": self.computed, "kept": self.kept},
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
    accept_confound: bool = False,
    address: str | None = None,
    quiet: bool = False,
    console: Console | None = None,
    cell: Callable[..., CellResult] = run_cell,
) -> StudyRun:
    """Compute what is missing of a study, then verify, report and track all of it.

    Parameters
    ----------
    source, overrides, workers, recompute : see :func:`pipelines.study.define.plan.plan`.
    again : track the study once more although a finished run of the same digest is there.
    accept_confound : claim what the study finds although labels go along with something else; the report says so.
    address : of a Ray cluster; default: ``RAY_ADDRESS``, else this machine.
    quiet : show no progress.
    console : where progress is shown; default: the standard error output.
    cell : computes one cell; exchanged in tests.

    Raises
    ------
    ConfigError, DataError, ProtocolError : before anything starts, see :func:`pipelines.study.define.plan.plan`;
        ProtocolError also when a cell's leakage certificate fails, and for confounds that are not accepted.
    ProjectError : the stages have not been run, or their outputs were changed since.
    TrackingError : the tracking store cannot be reached or written.
    SweepError : somebody else drives the study, Ray cannot start, or workers keep dying;
        :class:`InterruptedStudyError` after Ctrl-C or a request to stop.
    """
    planned = plan(project, source, overrides=overrides, workers=workers, recompute=recompute)
    refuse_confounds(planned, accepted=accept_confound)
    folder = StudyFolder.of(project, planned.definition.name)
    return _Session(
        project,
        planned,
        folder,
        workers=workers,
        recompute=recompute,
        again=again,
        address=address,
        quiet=quiet,
        console=console,
        cell=cell,
    ).run()


def refuse_confounds(planned: StudyPlan, *, accepted: bool) -> None:
    """:class:`ProtocolError` where labels go along with something else in the corpora, and nobody accepts it."""
    lines = (line for task in planned.tasks.values() for line in task.confounds)
    refuse(lines, accepted=accepted, where=f"study {planned.definition.name}")


def resume_study(
    project: Project,
    name: str,
    *,
    source: str | Path | None = None,
    overrides: Sequence[str] = (),
    accept_changes: bool = False,
    workers: int | None = None,
    address: str | None = None,
    quiet: bool = False,
    console: Console | None = None,
    cell: Callable[..., CellResult] = run_cell,
) -> StudyRun:
    """Go on with a study that was stopped, failed or was killed: cells that are finished stay, the others are computed.

    Parameters
    ----------
    source, overrides : a changed definition; default: the study's own.
    accept_changes : go on although definition, settings, data or code have changed since it began.
    workers : default: as when it began.

    Raises
    ------
    SweepError : there is no such study, or somebody drives it.
    ConfigError : something has changed and is not accepted. Others: see :func:`run_study`.
    """
    found = to_resume(project, name, source=source, overrides=overrides, workers=workers)
    check_changes(found, accepted=accept_changes)
    return _Session(
        project,
        found.plan,
        found.folder,
        workers=found.workers,
        recompute=found.status.recompute and found.status.state != "finished",
        again=False,
        address=address,
        quiet=quiet,
        console=console,
        cell=cell,
        began=found.status.began,
    ).run()


@dataclass
class _Session:
    """One driver's session with a study, from taking its lock to giving it back.

    Attributes
    ----------
    began : when the study did (s since 1970); None for one that begins now.
    """

    project: Project
    plan: StudyPlan
    folder: StudyFolder
    _: KW_ONLY
    workers: int | None
    recompute: bool
    again: bool
    address: str | None
    quiet: bool
    console: Console | None
    cell: Callable[..., CellResult]
    began: float | None = None

    def run(self) -> StudyRun:
        """Compute, verify and publish."""
        began = time.monotonic()
        stage1_limit()  # a wrong setting is said now, not at the end
        with self.folder.hold():
            tracker = Tracker.connect(self.project)
            origin = lineage.collect(self.project, self.plan.corpora)
            before = self._before()
            adopted = self._adopted(tracker, before)
            progress = Progress.of(
                self.folder,
                self.plan,
                id=adopted,
                began=self.began,
                recompute=self.recompute,
                workers=self.workers,
                address=self.address,
            )
            try:
                with progress.closing():
                    published = self._work(progress, tracker, origin)
            except BaseException as error:
                if adopted is not None:  # nobody may have written into its run
                    with suppress(TrackingError, KeyboardInterrupt):
                        self._close(tracker, adopted)
                if isinstance(error, KeyboardInterrupt | SystemExit):
                    raise self._interrupted(progress.status) from None
                raise
        prune(stage1_folder(self.project), stage1_limit())
        return StudyRun(self.plan, published, len(self.plan.missing), time.monotonic() - began)

    def _work(self, progress: Progress, tracker: Tracker, origin: lineage.Lineage) -> Published:
        store = CellStore.of(self.project.root)
        if self.plan.missing:
            shown = None if self.quiet else self.console or PlainConsole(stderr=True)
            with Display(self.plan, shown, address=self.address) as display:
                self._compute(progress, store, display)
        else:
            progress.begin()
        with heeding(lambda: self.folder.asked_to_stop):
            cells = {key: store.load(key) for key in self.plan.cells}
            certificates.verify(self.plan, cells)
            progress.note(state="publishing")
            return record.publish(
                self.project,
                tracker,
                self.plan,
                cells,
                lineage=origin,
                again=self.again,
                study_id=progress.status.id,
            )

    def _compute(self, progress: Progress, store: CellStore, display: Display) -> None:
        from pipelines.study.run.workers import (
            compute,  # Ray is imported, and started, only when it is needed
        )

        def finished(key: Key, result: CellResult) -> None:
            certificates.verify_cell(self.plan.tasks[key.task], key, result)
            store.save(key, result, replace=self.recompute)
            display.finished(key, result)
            progress.note(done=progress.status.done + 1, last=display.last, left=display.left_text)

        stage1 = stage1_folder(self.project)
        share_with_team(stage1.parent)
        compute(
            self.plan,
            self.cell,
            finished,
            stage1=stage1,
            address=self.address,
            workers=self.workers,
            asked=lambda: self.folder.asked_to_stop,
            begin=progress.begin,
            on_death=lambda reason: self._ray_died(reason, progress.status),
            note=display.note,
            at_work=display.at_work,
        )

    # What was before ---------------------------------------------------------------------------------

    def _before(self) -> Status | None:
        """The record of the driver before this one; None where there is none that can be read."""
        with suppress(SweepError):
            return self.folder.status()
        return None

    def _goes_on(self, before: Status) -> bool:
        return before.state != "finished" and before.digest == self.plan.digest

    def _adopted(self, tracker: Tracker, before: Status | None) -> str | None:
        """The identifier of a study whose driver died, with which its open run in MLflow is taken up again.

        Where the study is another one now, that run is closed.
        """
        if before is None or before.state != "publishing":
            return None
        if self._goes_on(before):
            return before.id
        self._close(tracker, before.id)
        return None

    @staticmethod
    def _close(tracker: Tracker, study_id: str) -> None:
        runs.close_left_open(tracker, STUDY, {STUDY_ID: study_id})

    # Its end -----------------------------------------------------------------------------------------

    def _interrupted(self, status: Status) -> InterruptedStudyError:
        return InterruptedStudyError(
            f"{status.reason or 'interrupted while Ray was starting'}; {status.cells}",
            where=self.folder,
            fix=f"go on with `jmml study resume {self.folder.name}`",
        )

    def _ray_died(self, reason: str, status: Status) -> None:
        """Ray's own end takes this process with it within seconds: say so in time, and leave."""
        message = SweepError(
            f"{reason}; {status.cells}",
            where=self.folder,
            fix=f"go on with `jmml study resume {self.folder.name}`",
        )
        os.write(2, f"error: {message}\n".encode())
        os._exit(message.exit_code)
