"""The cache of the stage ``train``: one folder per fitted model (method, outer fold, seed).

    .jmml/models/<2 hex>/<digest>/cell.json    how it was made, the history of its training
                                  model/       what :meth:`jmml.recogniser.EmotionRecogniser.save` writes

A stage that was stopped finds here what it had finished, and one with another seed or method what stays the same.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from jmml.config import MethodName, Params, digest
from jmml.data.splits import Split
from jmml.errors import DataError
from jmml.recogniser import EmotionRecogniser
from jmml.task import TaskData
from pipelines.cache.cells import Key, shared_parts
from pipelines.cache.content import ContentStore, prune

MODEL = "model"
MOST_BYTES = 2_000_000_000  # kept of models that are no longer asked for


class ModelStore(ContentStore):
    """The fitted models below ``folder``."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, again="run `dvc repro` again: it trains the model anew")

    @classmethod
    def of(cls, root: Path) -> ModelStore:
        """The store of the project in ``root``."""
        return cls(root / ".jmml" / "models")

    def save(self, key: Key, recogniser: EmotionRecogniser) -> None:
        """Keep a fitted model, with its history in the order of its training."""
        record: dict[str, Any] = {
            "method": key.method,
            "fold": key.fold,
            "seed": key.seed,
            "history": recogniser.history,
            "parts": dict(key.parts),
        }
        self.write(record, lambda folder: recogniser.save(folder / MODEL))

    def copy(self, key: Key, target: Path) -> dict[str, list[dict[str, float]]]:
        """Put the files of a model into ``target``, each verified; the history of its training.

        Raises
        ------
        DataError : it is absent or damaged; the message names its folder.
        """
        path = self.path(key.digest)
        record = self.record(key.digest, files=False)
        for name, expected in record["files"].items():
            try:
                content = (path / name).read_bytes()
            except OSError as error:
                raise DataError(f"{name} cannot be read", where=path, **self.damaged) from error
            if hashlib.sha256(content).hexdigest() != expected:
                raise DataError(f"{name} was changed", where=path, **self.damaged)
            file = target / Path(name).relative_to(MODEL)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        os.utime(path)  # used last now
        history: dict[str, list[dict[str, float]]] = record["history"]
        return history

    def prune(self, max_bytes: int = MOST_BYTES) -> int:
        """Delete the models not used for longest, beyond so many bytes; the number of bytes deleted."""
        return prune(self.folder, max_bytes)


def model_keys(
    params: Params, task: TaskData, split: Split, methods: Sequence[MethodName], *, code: str
) -> Iterator[Key]:
    """The models of every method on every outer fold with every seed.

    All methods of the first fold and seed come first: what a method costs, and settings that it cannot be fitted with,
    are known soon. The rest goes method by method, so that workers seldom wait for a stage-1 model that another fits.
    """
    shared = {
        **shared_parts(task, split, [params.method], inner_folds=0, device=params.device, code=code),
        "kept": "model",
        "context": digest(task.context, length=64),
    }
    blocks = [(fold, seed) for fold in range(len(split)) for seed in params.protocol.seeds]
    order = [(method, *blocks[0]) for method in methods]
    order += [(method, *block) for method in methods for block in blocks[1:]]
    for method, fold, seed in order:
        parts = {**shared, "method": method, "fold": fold, "seed": seed}
        yield Key(task=params.task.speech, method=method, fold=fold, seed=seed, parts=parts)
