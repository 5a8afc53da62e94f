"""Summary of a finished study, as the terminal shows it; kept as ``study.json`` beside its report.

``study.json`` also holds the SHA-256 of every published file and a seal over itself, so that damage is noticed.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from jmml.errors import DataError, ProjectError, nearest
from jmml.evaluation.contrast import LABEL_ONLY, label_of
from jmml.evaluation.wording import MINUS, number
from jmml.files import atomic_path, sha256_file
from pipelines.reporting.comparison import ComparisonTable
from pipelines.study.define.reading import READY_MADE
from pipelines.study.publish.results import StudyResults, TaskResults
from pipelines.study.publish.verdict import difference, words
from pipelines.workspace.project import Project

FILE = "study.json"
REPORT = "report.html"
ROW = (
    "method", "label", "kind", "uar", "ci_low", "ci_high", "diff", "diff_low", "diff_high", "p", "p_holm", "dz",
    "reference", "note",
)  # fmt: skip

COLUMNS = ("method", "uar", "interval", "gain", "difference_interval", "p", "p_holm", "dz")


@dataclass(frozen=True)
class TaskSummary:
    """One task: its table, and the primary contrast (:mod:`jmml.evaluation.contrast`)."""

    name: str
    chance: float
    rows: list[dict[str, Any]]
    primary: dict[str, Any]
    chosen: dict[str, str]

    def table(self, confidence: float) -> ComparisonTable:
        """One row per method; empty where nothing is compared."""
        rows = [{**row, "n_groups": self.primary["n_groups"]} for row in self.rows]
        claim = self.primary["claim"]
        return ComparisonTable.of(rows, COLUMNS, confidence=confidence, claim=claim, primary=True)

    def headline(self, confidence: float = 0.95) -> str:
        """The primary contrast in one line."""
        found = self.primary
        if found["reference"] is None:
            return f"{self.name}: {found['verdict']}"
        text = (
            f"{self.name}: {found['claim_label']} {number(found['uar'])}, {found['reference_label']} "
            f"{number(found['reference_uar'])}, difference {difference(found, confidence)}: {words(found, confidence)}"
        )
        return text.replace(MINUS, "-")

    def footnote(self) -> str:
        """How the primary contrast is decided, and what stands behind the composite reference."""
        if self.primary["reference"] is None:
            return ""
        text = (
            "* primary contrast, fixed beforehand: its own interval and p decide, both; Holm p is for all comparisons "
            "of the table; nothing is corrected across tasks"
        )
        if chosen := sorted(set(self.chosen.values())):
            names = ", ".join(label_of(name) for name in chosen)
            text += f". {label_of(LABEL_ONLY)}: chosen on inner folds in each outer fold ({names})"
        return text


@dataclass(frozen=True)
class Summary:
    """A finished study; ``run_id`` is empty until it is tracked, ``files`` holds the SHA-256 of each published file."""

    name: str
    description: str
    digest: str
    created: str
    cells: int
    confidence: float
    tasks: list[TaskSummary]
    run_id: str = ""
    files: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, results: StudyResults, *, created: str) -> Summary:
        """The summary of what was gathered."""
        return cls(
            name=results.name,
            description=results.description,
            digest=results.digest,
            created=created,
            cells=results.n_cells,
            confidence=results.confidence,
            tasks=[_task(task) for task in results.tasks],
        )

    def task(self, name: str) -> TaskSummary:
        """One task by name; :class:`DataError` lists the names."""
        for task in self.tasks:
            if task.name == name:
                return task
        raise DataError(
            f"no task '{name}'; {nearest(name, [t.name for t in self.tasks])}", where=f"study {self.name}"
        )

    def only(self, name: str) -> Summary:
        """The summary of one task."""
        return replace(self, tasks=[self.task(name)])

    def metrics(self) -> Iterator[tuple[str, float]]:
        """``task/method/figure`` and value, the finite ones; those of the contrast as method ``primary``."""
        for task in self.tasks:
            for row in task.rows:
                for figure in (
                    "uar",
                    "ci_low",
                    "ci_high",
                    "diff",
                    "diff_low",
                    "diff_high",
                    "p",
                    "p_holm",
                    "dz",
                ):
                    yield from _finite(f"{task.name}/{row['method']}/{figure}", row[figure])
            for figure in ("uar", "reference_uar", "diff", "low", "high", "p", "p_holm", "dz"):
                yield from _finite(f"{task.name}/primary/{figure}", task.primary[figure])

    def as_dict(self) -> dict[str, Any]:
        """Plain values without the files; figures that do not exist are NaN."""
        return {name: value for name, value in asdict(self).items() if name != "files"}

    def intact(self, folder: Path) -> bool:
        """Whether every published file lies in ``folder`` as it was written."""
        try:
            return bool(self.files) and all(sha256_file(folder / n) == h for n, h in self.files.items())
        except OSError:
            return False

    def save(self, folder: Path) -> None:
        """Write into the study's folder; figures that do not exist become null."""
        record = _without_nan(asdict(self))
        text = json.dumps({**record, "seal": _seal(record)}, indent=1, allow_nan=False) + "\n"
        with atomic_path(folder / FILE) as temporary:
            temporary.write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Summary:
        """Read what :meth:`save` wrote; :class:`DataError` for anything else."""
        path = folder / FILE
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            if data.pop("seal") != _seal(data):
                raise ValueError("it was changed")
            data["tasks"] = [TaskSummary(**task) for task in data["tasks"]]
            return cls(**data)
        except (OSError, ValueError, KeyError, TypeError):
            raise DataError(
                "is not a study summary, or was changed",
                where=path,
                fix="run the study again, which writes it anew",
            ) from None


def folder_of(project: Project, name: str) -> Path:
    """Where the report of a study lies."""
    return project.results_dir / "studies" / name


def finished(project: Project) -> list[Summary]:
    """All studies with a report, by name; unreadable ones are left out."""
    found = []
    for path in sorted((project.results_dir / "studies").glob(f"*/{FILE}")):
        try:
            found.append(Summary.load(path.parent))
        except DataError:
            continue
    return found


def read(project: Project, name: str) -> Summary:
    """A finished study.

    Raises
    ------
    ProjectError : it has not been run to its end; the message lists the finished ones.
    DataError : its summary is damaged.
    """
    folder = folder_of(project, name)
    if not (folder / FILE).is_file():
        known = [summary.name for summary in finished(project)]
        others = nearest(name, known) if known else "none is finished yet"
        if name in READY_MADE:
            raise ProjectError(
                f"study '{name}' has not been run to its end", fix=f"run `jmml study run {name}`"
            )
        raise ProjectError(f"no finished study '{name}'; {others}", fix="see `jmml study list`")
    return Summary.load(folder)


def _task(task: TaskResults) -> TaskSummary:
    rows = [
        {str(k): _plain(v) for k, v in row.items()} for row in task.table.loc[:, list(ROW)].to_dict("records")
    ]
    return TaskSummary(
        name=task.name,
        chance=task.chance,
        rows=rows,
        primary={key: _plain(value) for key, value in task.primary.items()},
        chosen={str(fold): method for fold, method in task.chosen.items()},
    )


def _seal(record: Mapping[str, Any]) -> str:
    """SHA-256 over all that a summary's file says."""
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def _plain(value: Any) -> Any:
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _without_nan(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_without_nan(item) for item in value]
    return _plain(value)


def _finite(name: str, value: float | None) -> Iterator[tuple[str, float]]:
    if value is not None and math.isfinite(value):
        yield name, float(value)
