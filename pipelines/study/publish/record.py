"""Record of a finished study: a folder with its report, and one tracked run with the same files.

Called with certified cells alone (:mod:`pipelines.study.publish.certificates`). The run is opened when everything is
at hand, so a study that failed or was interrupted leaves none.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock

from jmml.errors import DataError
from jmml.evaluation import evidence
from jmml.evaluation.contrast import LABEL_ONLY
from jmml.files import atomic_folder
from pipelines.cache.cells import Cell, Key
from pipelines.study.define.plan import StudyPlan
from pipelines.study.publish import certificates
from pipelines.study.publish.folders import checksums, keep, kept_as
from pipelines.study.publish.report import write_report
from pipelines.study.publish.results import StudyResults, gather
from pipelines.study.publish.summary import FILE, REPORT, Summary, folder_of
from pipelines.tracking import runs
from pipelines.tracking.run_tags import STUDY
from pipelines.tracking.tracker import Tracker
from pipelines.workspace.lineage import Lineage
from pipelines.workspace.project import Project

DIGEST = "jmml.study_digest"
DEFINITION, CERTIFICATE, EVIDENCE = "definition.yaml", "certificate.json", "evidence"


@dataclass(frozen=True)
class Published:
    """Where a study's results are.

    Attributes
    ----------
    tracked_now : false when an earlier run holds them already.
    written_now : false when the folder holds them already, every file as it was written.
    kept_as : the name under which a report of other settings, which lay there, was kept; empty where there was none.
    """

    summary: Summary
    folder: Path
    tracked_now: bool
    written_now: bool
    kept_as: str = ""

    def lines(self) -> list[str]:
        """In words."""
        run = self.summary.run_id
        tracked = f"tracked as run {run}"
        if not self.tracked_now:
            state = "the report was written anew" if self.written_now else "nothing changed"
            tracked = f"already {tracked}; {state}"
        kept = f"the report of other settings that lay there is kept as {self.kept_as}"
        return [*([kept] if self.kept_as else []), tracked, f"report: {self.folder / REPORT}"]

    def as_dict(self) -> dict[str, Any]:
        """The record as JSON."""
        data = self.summary.as_dict()
        return {
            "run_id": data["run_id"],
            "tracked_now": self.tracked_now,
            "written_now": self.written_now,
            "kept_as": self.kept_as or None,
            "report": str(self.folder / REPORT),
            "tasks": data["tasks"],
        }


def publish(
    project: Project,
    tracker: Tracker,
    plan: StudyPlan,
    cells: Mapping[Key, Cell],
    *,
    lineage: Lineage,
    again: bool = False,
    study_id: str | None = None,
) -> Published:
    """Write the report of a study and track it, unless both have been done for the same digest and evidence.

    A report of another digest that lies in its place is renamed first, never overwritten.

    Parameters
    ----------
    study_id : by which the run is found again when this process dies before the run is closed; the process that goes
        on writes into the same run.

    Raises
    ------
    ProtocolError : the cells do not make a comparison.
    TrackingError : the store fails; the report is kept, and the run that was opened is closed FAILED.
    """
    folder = folder_of(project, plan.definition.name)
    # One process after another, so that the second one finds the run of the first.
    with FileLock(project.root / ".jmml" / "publish.lock"):
        summary = _current(folder, plan.digest)
        if again or (summary is not None and not _says(folder, plan, cells)):
            run_id = summary = None
        else:
            run_id = _tracked(tracker, plan.digest, summary)
        written_now = summary is None
        kept = kept_as(folder, plan.digest)
        if summary is None:
            results = _gather(plan, cells, lineage)
            summary = Summary.of(results, created=datetime.now(UTC).isoformat(timespec="seconds"))
            with atomic_folder(folder) as temporary:
                _write(temporary, plan, cells, results)
                summary = replace(summary, files=checksums(temporary))
                summary.save(temporary)
                if kept:
                    keep(folder, kept)
        tracked_now = run_id is None
        if run_id is None:
            run_id = _track(tracker, plan, summary, folder, lineage, study_id)
        if summary.run_id != run_id:
            summary = replace(summary, run_id=run_id)
            summary.save(folder)
        return Published(summary, folder, tracked_now, written_now, kept)


def _tracked(tracker: Tracker, digest: str, summary: Summary | None) -> str | None:
    """The finished run that holds these results: that of the report, when there are several."""
    found = [
        str(run.info.run_id)
        for run in tracker.runs(kind=STUDY, status="FINISHED")
        if run.data.tags.get(DIGEST) == digest
    ]
    if summary is not None and summary.run_id in found:
        return summary.run_id
    return next(iter(found), None)


def _current(folder: Path, digest: str) -> Summary | None:
    """The summary of a report of the same digest, when there is one and every file is as it was written."""
    with suppress(DataError):
        found = Summary.load(folder)
        if found.digest == digest and found.intact(folder):
            return found
    return None


def _says(folder: Path, plan: StudyPlan, cells: Mapping[Key, Cell]) -> bool:
    """Whether the evidence in ``folder`` is that of ``cells``: computed anew, a cell may come out different."""
    order = ["method", "fold", "seed", "modality", "id"]

    def sorted_rows(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.sort_values(order, ignore_index=True)

    for name in plan.tasks:
        published = evidence.load(folder / EVIDENCE / f"{name}.parquet")
        own = published[published["method"] != LABEL_ONLY]
        fresh = pd.concat([cells[key].evidence for key in plan.cells if key.task == name])
        if not sorted_rows(own).equals(sorted_rows(fresh)[own.columns]):
            return False
    return True


def _gather(plan: StudyPlan, cells: Mapping[Key, Cell], lineage: Lineage) -> StudyResults:
    definition = plan.definition
    by_task: dict[str, list[Cell]] = {name: [] for name in plan.tasks}
    for key in plan.cells:
        by_task[key.task].append(cells[key])
    return gather(
        definition.name,
        definition.description,
        definition.plain(),
        by_task,
        claim=definition.claim,
        bootstrap=definition.bootstrap,
        confidence=definition.confidence,
        digest=plan.digest,
        provenance={
            "code": f"jmml {lineage.jmml}, {plan.code[:16]}",
            "commit": lineage.git_sha + (", with changes" if lineage.git_dirty else ""),
            "python": f"{lineage.python}, {lineage.platform}",
            "device": plan.params.device,
            **{ref.name: ref.dvc_hash for ref in lineage.datasets},
        },
        texts={name: task.text for name, task in plan.tasks.items()},
    )


def _write(folder: Path, plan: StudyPlan, cells: Mapping[Key, Cell], results: StudyResults) -> None:
    write_report(folder, results)
    (folder / DEFINITION).write_text(plan.definition.to_yaml(), encoding="utf-8")
    (folder / CERTIFICATE).write_text(certificates.to_json(plan, cells), encoding="utf-8")
    (folder / EVIDENCE).mkdir(exist_ok=True)
    for task in results.tasks:
        evidence.save(task.evidence, folder / EVIDENCE / f"{task.name}.parquet")


def _track(
    tracker: Tracker, plan: StudyPlan, summary: Summary, folder: Path, lineage: Lineage, study_id: str | None
) -> str:
    """One finished run with parameters, lineage, figures and every file of the report."""
    audited = sum(bool(key.parts["audited"]) for key in plan.cells)
    tags = {
        DIGEST: plan.digest,
        "jmml.code_digest": plan.code,
        "jmml.cells": str(len(plan.cells)),
        "jmml.audited_cells": str(audited),
    }
    begin = partial(
        tracker.start_study,
        plan.definition.name,
        params=_params(plan),
        tags=tags,
        lineage=lineage,
        study_id=study_id,
    )
    with runs.recorded(tracker, begin) as run_id:
        # The same time when it is written once more, so that the same points are.
        written = int(1000 * datetime.fromisoformat(summary.created).timestamp())
        tracker.log_points(run_id, [(name, value, 0, written) for name, value in summary.metrics()])
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.name != FILE:
                below = path.parent.relative_to(folder).as_posix()
                tracker.log_file(run_id, path, None if below == "." else below)
        replace(summary, run_id=run_id).save(folder)
        tracker.log_file(run_id, folder / FILE)
    return run_id


def _params(plan: StudyPlan) -> dict[str, Any]:
    """Parameters of the run: the definition, and what it left to ``params.yaml``."""
    data = plan.definition.plain()
    listed = {name: ", ".join(map(str, data.pop(name))) for name in ("methods", "seeds")}
    data["tuning"]["space"] = {key: str(dimension) for key, dimension in plan.definition.tuning.space.items()}
    data["tuning"]["inner_folds"] = plan.inner_folds
    dropped = ("name", "description")
    return {**{k: v for k, v in data.items() if k not in dropped}, **listed, "device": plan.params.device}
