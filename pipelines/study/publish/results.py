"""Results of a study as plain data: everything its report shows, computed once from the cells."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from jmml.config import MethodConfig, Modality
from jmml.errors import ProtocolError
from jmml.evaluation.contrast import BASELINE, LABEL_ONLY, label_only, order, primary, study_table
from jmml.evaluation.evidence import check, classes_of
from jmml.evaluation.leakage import Certificate
from jmml.evaluation.plots import Embedding
from pipelines.study.define.tasks import TaskText

_INNER = re.compile(r"^search/fold\d+/")


class LoadedCell(Protocol):
    """One computed cell: a method, fold and seed with its ``jmml.cell.CellResult``."""

    @property
    def method(self) -> str: ...
    @property
    def fold(self) -> int: ...
    @property
    def seed(self) -> int: ...
    @property
    def evidence(self) -> pd.DataFrame: ...
    @property
    def certificate(self) -> Certificate: ...
    @property
    def config(self) -> MethodConfig: ...
    @property
    def candidate(self) -> int: ...
    @property
    def search(self) -> Sequence[Mapping[str, float]]: ...
    @property
    def metrics(self) -> Mapping[str, float]: ...
    @property
    def history(self) -> Sequence[Mapping[str, float]]: ...
    @property
    def embedding(self) -> npt.NDArray[Any]: ...


@dataclass(frozen=True)
class CellSummary:
    """How one cell came about; ``epochs`` is 0 for a method without any."""

    method: str
    fold: int
    seed: int
    candidate: int
    epochs: int
    val_uar: float
    n_parameters: int
    metrics: dict[str, float]
    seconds: float


@dataclass(frozen=True)
class CertificateSummary:
    """Summary of the leakage certificates of all cells.

    Attributes
    ----------
    cells : number of certificates, each checked against the people its cell was evaluated on.
    audited : how many cells were also fitted with the evaluated people's data spoilt, without a change.
    objects : per fitted object (name, modality) the number of cells it occurs in; inner folds count together.
    transductive : whether recordings of evaluated people were used without labels (per-speaker normalisation).
    """

    cells: int
    audited: int
    objects: dict[tuple[str, str], int]
    transductive: bool


@dataclass(frozen=True)
class TaskResults:
    """One task of a study.

    Attributes
    ----------
    description : what a reader should know of the data, as name and value.
    evidence : every prediction, those of the composite ``label-only`` included.
    table, primary : of :mod:`jmml.evaluation.contrast`.
    chosen : the label-only control that the composite is a copy of, by outer fold.
    cells : in the order of method, fold, seed.
    histories : method, fold, seed, epoch and the correlations of the two codes; may be empty.
    embeddings : the first fold and seed of the methods worth seeing, by method.
    """

    name: str
    title: str
    description: dict[str, str]
    classes: tuple[str, ...]
    evidence: pd.DataFrame
    table: pd.DataFrame
    primary: dict[str, Any]
    chosen: dict[int, str]
    cells: list[CellSummary]
    histories: pd.DataFrame
    embeddings: dict[str, Embedding]
    certificate: CertificateSummary

    @property
    def chance(self) -> float:
        """UAR of guessing."""
        return 1 / len(self.classes)


@dataclass(frozen=True)
class StudyResults:
    """A whole study; ``provenance`` is shown as name and value, ``settings`` as YAML."""

    name: str
    description: str
    claim: str
    tasks: tuple[TaskResults, ...]
    settings: dict[str, Any]
    digest: str
    provenance: dict[str, str]
    seconds: float
    bootstrap: int
    confidence: float

    @property
    def n_cells(self) -> int:
        return sum(len(task.cells) for task in self.tasks)

    @property
    def chance(self) -> dict[str, float]:
        """UAR of guessing, by task."""
        return {task.name: task.chance for task in self.tasks}


def gather(
    name: str,
    description: str,
    settings: Mapping[str, Any],
    tasks: Mapping[str, Sequence[LoadedCell]],
    *,
    claim: str = "jmml",
    bootstrap: int = 10_000,
    confidence: float = 0.95,
    digest: str = "",
    provenance: Mapping[str, str] | None = None,
    texts: Mapping[str, TaskText] | None = None,
    seconds: float | None = None,
) -> StudyResults:
    """Tables, contrasts and everything else that is reported of a finished study.

    Parameters
    ----------
    settings : the study's definition as plain values.
    tasks : all cells of each task.
    texts : titles and descriptions by task.
    seconds : of computation; default: the sum over cells.

    Raises
    ------
    ProtocolError
        If a task has no cell, a certificate does not hold, or the cells do not make a comparison.
    """
    texts = texts or {}
    found = tuple(
        _task(
            task, cells, texts.get(task, TaskText()), claim=claim, bootstrap=bootstrap, confidence=confidence
        )
        for task, cells in tasks.items()
    )
    spent = sum(cell.seconds for task in found for cell in task.cells)
    return StudyResults(
        name=name,
        description=description,
        claim=claim,
        tasks=found,
        settings=dict(settings),
        digest=digest,
        provenance=dict(provenance or {}),
        seconds=spent if seconds is None else seconds,
        bootstrap=bootstrap,
        confidence=confidence,
    )


def _task(
    name: str, cells: Sequence[LoadedCell], text: TaskText, *, claim: str, bootstrap: int, confidence: float
) -> TaskResults:
    if not cells:
        raise ProtocolError("no cell was computed", where=f"task {name}", fix="run the study to its end")
    place = {method: number for number, method in enumerate(order())}
    cells = sorted(cells, key=lambda cell: (place[cell.method], cell.fold, cell.seed))
    certificate = _certificates(name, cells)
    summaries = [_summary(cell) for cell in cells]
    val_uar = {(cell.method, cell.fold, cell.seed): cell.val_uar for cell in summaries}
    evidence = check(pd.concat([cell.evidence for cell in cells], ignore_index=True), where=f"task {name}")
    table = study_table(evidence, val_uar=val_uar, claim=claim, bootstrap=bootstrap, confidence=confidence)
    chosen: dict[int, str] = {}
    if LABEL_ONLY in set(table["method"]):
        rows, chosen = label_only(evidence, val_uar)
        evidence = pd.concat([evidence, rows], ignore_index=True)
    return TaskResults(
        name=name,
        title=text.title or name,
        description=dict(text.description),
        classes=classes_of(evidence),
        evidence=evidence,
        table=table,
        primary=primary(table, confidence=confidence),
        chosen=chosen,
        cells=summaries,
        histories=_histories(cells),
        embeddings=_embeddings(cells, claim, chosen),
        certificate=certificate,
    )


def _summary(cell: LoadedCell) -> CellSummary:
    metrics = {key: float(value) for key, value in cell.metrics.items()}
    best = next((row for row in cell.search if int(row["candidate"]) == cell.candidate), {})
    return CellSummary(
        method=cell.method,
        fold=int(cell.fold),
        seed=int(cell.seed),
        candidate=int(cell.candidate),
        epochs=int(best.get("epoch", 0)),
        val_uar=metrics.get("val_uar", float("nan")),
        n_parameters=int(metrics.get("n_parameters", 0)),
        metrics=metrics,
        seconds=metrics.get("seconds", 0.0),
    )


def _certificates(name: str, cells: Sequence[LoadedCell]) -> CertificateSummary:
    """Every certificate checked against the people evaluated; a name that occurs in both corpora means one person."""
    objects: dict[tuple[str, str], int] = {}
    for cell in cells:
        people: dict[Modality, set[str]] = {}
        for modality, rows in cell.evidence.groupby("modality"):
            people.setdefault("eeg" if modality == "eeg" else "speech", set()).update(map(str, rows["group"]))
        try:
            cell.certificate.check(people, parallel=True)
        except ProtocolError as error:
            where = f"task {name}, {cell.method}, fold {cell.fold}, seed {cell.seed}"
            raise ProtocolError(str(error), where=where) from None
        for key in {(_INNER.sub("", entry.name), str(entry.modality)) for entry in cell.certificate.entries}:
            objects[key] = objects.get(key, 0) + 1
    return CertificateSummary(
        cells=len(cells),
        audited=sum(cell.metrics.get("audited", 0.0) > 0 for cell in cells),
        objects=objects,
        transductive=any(cell.certificate.transductive for cell in cells),
    )


def _histories(cells: Sequence[LoadedCell]) -> pd.DataFrame:
    """The correlations by epoch of all cells that have them."""
    rows = [
        {"method": cell.method, "fold": cell.fold, "seed": cell.seed, "epoch": int(record["epoch"]), **rho}
        for cell in cells
        for record in cell.history
        if (rho := {key: float(value) for key, value in record.items() if key.startswith("rho_")})
    ]
    return pd.DataFrame(rows, columns=None if rows else ["method", "fold", "seed", "epoch"])


def _embeddings(cells: Sequence[LoadedCell], claim: str, chosen: Mapping[int, str]) -> dict[str, Embedding]:
    """Raw speech, stage 1, the claim and the label-only control it is measured against, in one fold and seed."""
    fold = min(cell.fold for cell in cells)
    seed = min(cell.seed for cell in cells)
    wanted = dict.fromkeys([BASELINE, "jec-ssl", claim, chosen.get(fold, "")])
    here = {cell.method: cell for cell in cells if (cell.fold, cell.seed) == (fold, seed)}
    found = {}
    for method in wanted:
        if method in here and here[method].embedding.ndim == 2 and here[method].embedding.shape[1]:
            rows = here[method].evidence
            rows = rows[rows["modality"] == "speech"]
            values = np.asarray(here[method].embedding, dtype=np.float32)
            found[method] = Embedding(values, rows["y_true"].tolist(), rows["group"].tolist(), int(fold))
    return found
