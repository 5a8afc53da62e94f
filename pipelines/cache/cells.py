"""The cache of a study: one folder per cell (task, method, outer fold, seed), named by what determines it.

    .jmml/cells/<2 hex>/<digest>/cell.json          how it was made, what was chosen, scores, certificate
                                 evidence.parquet   every prediction on the outer fold
                                 embedding.npy      (n, d) float32, rows as the speech rows of the evidence

The digest covers everything that can change a result (:func:`parts`), the code included, so a cell is either
exactly what would be computed or is not found. Studies share cells: neither their name nor that of the task
counts. Cells are written as a whole, by the driver alone, and verified whenever they are read; one that is
damaged counts as absent, is computed again and replaced.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from jmml.cell import CellResult
from jmml.config import MethodConfig, digest, validate
from jmml.data.splits import Split
from jmml.errors import DataError, JMMLError
from jmml.evaluation import evidence
from jmml.evaluation.leakage import Certificate
from jmml.task import TaskData
from pipelines.cache.content import ContentStore
from pipelines.workspace.fingerprint import libraries
from pipelines.workspace.task import fingerprint

EVIDENCE, EMBEDDING = "evidence.parquet", "embedding.npy"


@dataclass(frozen=True)
class Key:
    """One cell of a study; ``task`` is the task's name there, ``parts`` all that determines the result."""

    task: str
    method: str
    fold: int
    seed: int
    parts: Mapping[str, Any] = field(compare=False)

    @cached_property
    def digest(self) -> str:
        """64 hexadecimal digits over ``parts``."""
        return digest(dict(self.parts), length=64)

    def __str__(self) -> str:
        return f"method {self.method}, task {self.task}, fold {self.fold}, seed {self.seed}"


@dataclass(frozen=True)
class Cell(CellResult):
    """A cell as it is read from the cache: its result, and which one it is."""

    method: str
    fold: int
    seed: int


def shared_parts(
    task: TaskData,
    split: Split,
    candidates: Sequence[MethodConfig],
    *,
    inner_folds: int,
    device: str,
    code: str,
) -> dict[str, Any]:
    """Parts of the key that all cells of a task have in common: data, folds, candidates, kind of device, code."""
    return {
        "task": {**fingerprint(task), "normalisation": task.normalisation, "parallel": task.parallel},
        "split": split.digest,
        "candidates": [candidate.model_dump(mode="json") for candidate in candidates],
        "inner_folds": inner_folds,
        "device": device.partition(":")[0],
        "code": code,
        "libraries": libraries(),
    }


def parts(
    shared: Mapping[str, Any], *, method: str, fold: int, seed: int, audited: bool = False
) -> dict[str, Any]:
    """All that determines one cell."""
    return {**shared, "method": method, "fold": fold, "seed": seed, "audited": audited}


class CellStore(ContentStore):
    """The cells of studies below ``folder``."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, again="run the study again: it computes the cell anew")

    @classmethod
    def of(cls, root: Path) -> CellStore:
        """The store of the project in ``root``."""
        return cls(root / ".jmml" / "cells")

    def save(self, key: Key, result: CellResult, *, replace: bool = False) -> None:
        """Write a cell as a whole; a sound one that is there already is kept, unless ``replace``.

        Raises
        ------
        DataError : the evidence is not that of this cell, or the embedding has other rows.
        """
        frame = _matching(evidence.check(result.evidence, where=str(key)), key.parts, where=str(key))
        embedding = np.ascontiguousarray(result.embedding, dtype=np.float32)
        _check_embedding(embedding, frame, where=str(key))
        certificate = result.certificate
        record: dict[str, Any] = {
            "method": key.method,
            "fold": key.fold,
            "seed": key.seed,
            "task": key.parts["task"],
            "config": result.config.model_dump(mode="json"),
            "candidate": int(result.candidate),
            "search": _plain(result.search),
            "metrics": _plain(result.metrics),
            "history": _plain(result.history),
            "certificate": None if certificate is None else json.loads(certificate.to_json()),
            "parts": dict(key.parts),
        }

        def fill(folder: Path) -> None:
            evidence.save(frame, folder / EVIDENCE)
            with (folder / EMBEDDING).open("wb") as handle:
                np.save(handle, embedding, allow_pickle=False)

        self.write(record, fill, replace=replace)

    def load(self, key: Key) -> Cell:
        """Read and verify a cell.

        Raises
        ------
        DataError : it is absent or damaged; the message names its folder.
        ProtocolError : it holds no leakage certificate.
        """
        path = self.path(key.digest)
        record = self.record(key.digest)
        try:
            frame = _matching(evidence.load(path / EVIDENCE), key.parts, where=path)
            with (path / EMBEDDING).open("rb") as handle:
                embedding = np.load(handle, allow_pickle=False)
            _check_embedding(embedding, frame, where=path)
            config = validate(MethodConfig, record["config"], where=path)
        except (JMMLError, ValueError, OSError) as error:
            raise DataError(f"the cell cannot be read: {error}", where=path, **self.damaged) from None
        return Cell(
            method=key.method,
            fold=key.fold,
            seed=key.seed,
            evidence=frame,
            certificate=Certificate.from_json(json.dumps(record["certificate"]), where=f"{key} ({path})"),
            config=config,
            candidate=record["candidate"],
            search=record["search"],
            metrics=record["metrics"],
            history=record["history"],
            embedding=embedding,
        )


def _matching(frame: pd.DataFrame, made_for: Mapping[str, Any], *, where: object) -> pd.DataFrame:
    """``frame`` if all its rows are of the method, fold and seed of the cell, and some are of speech."""
    for column in ("method", "fold", "seed"):
        found = set(frame[column])
        if found != {made_for[column]}:
            raise DataError(
                f"evidence of {column} {', '.join(map(str, sorted(found)))}",
                where=where,
                expected=made_for[column],
            )
    if "speech" not in set(frame["modality"]):
        raise DataError("no evidence from speech", where=where)
    return frame


def _check_embedding(embedding: np.ndarray, frame: pd.DataFrame, *, where: object) -> None:
    rows = int((frame["modality"] == "speech").sum())
    if embedding.ndim != 2 or len(embedding) != rows or embedding.dtype != np.float32:
        raise DataError(
            f"embedding {embedding.dtype} {embedding.shape}", where=where, expected=f"float32 ({rows}, d)"
        )


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.item() if hasattr(value, "item") else value
