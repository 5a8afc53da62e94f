"""Fitted models on disk, in formats that hold data and no code.

A model's arrays go to ``<name>.safetensors`` and its description to ``<name>.json``; a classifier goes to
one skops file. No pickle is written or read. A skops file names the types it wants to build: it is refused,
before anything is built, unless every one is a type that skops itself trusts (scikit-learn estimators, numpy)
or one of :data:`TRUSTED`, the helpers inside the estimators of :mod:`jmml.models.classifier`.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from hashlib import sha256
from importlib import import_module
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any, Self
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile, ZipInfo

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as dump_arrays
from sklearn.pipeline import Pipeline

from jmml.errors import ModelError, UnsafeFileError
from jmml.files import atomic_path

MODEL = "model"
TRUSTED = (
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.tree._tree.Tree",
)


def save_state(
    folder: Path, name: str, arrays: Mapping[str, npt.NDArray[Any]], meta: Mapping[str, Any]
) -> None:
    """Write a model's ``arrays`` and its ``meta`` (plain JSON values) as two files of ``folder``.

    The JSON file carries the SHA-256 of the arrays' file, so that halves of two models never pass as one.
    """
    payload = dump_arrays({key: np.ascontiguousarray(value) for key, value in arrays.items()})
    text = json.dumps(
        {"arrays_sha256": sha256(payload).hexdigest(), "meta": dict(meta)}, indent=1, allow_nan=False
    )
    with atomic_path(folder / f"{name}.safetensors") as temporary:
        temporary.write_bytes(payload)
    with atomic_path(folder / f"{name}.json") as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def load_state(folder: Path, name: str) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
    """Arrays and description as :func:`save_state` wrote them, the arrays bit-identical.

    Raises
    ------
    ModelError : a file is missing, damaged, or belongs to another model.
    """
    payload = _read(folder / f"{name}.safetensors")
    description = folder / f"{name}.json"
    text = _read(description)
    try:
        stored = json.loads(text)
        meta, expected = stored["meta"], stored["arrays_sha256"]
    except (ValueError, KeyError, TypeError):
        raise ModelError(
            "is not a model description", where=description, fix="train the model again"
        ) from None
    if sha256(payload).hexdigest() != expected:
        raise ModelError(
            "does not hold the arrays its description was written with",
            where=folder / f"{name}.safetensors",
            fix="restore both files, or train the model again",
        )
    try:
        return load_arrays(payload), meta
    except SafetensorError as error:
        raise ModelError(
            f"is not a safetensors file ({error})", where=folder / f"{name}.safetensors"
        ) from None


class Persistent(ABC):
    """``save`` and ``load`` of an estimator that has ``state`` and ``from_state``."""

    @abstractmethod
    def state(self) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
        """All that the fitted estimator is: arrays by name, and plain values."""

    @classmethod
    @abstractmethod
    def from_state(
        cls, arrays: Mapping[str, npt.NDArray[Any]], meta: Mapping[str, Any], *, device: str = "cpu"
    ) -> Self:
        """The estimator whose :meth:`state` that is."""

    def save(self, folder: Path | str) -> None:
        """Write the fitted estimator to ``folder``: ``model.safetensors`` and ``model.json``."""
        arrays, meta = self.state()
        save_state(Path(folder), MODEL, arrays, {"model": type(self).__name__, **meta})

    @classmethod
    def load(cls, folder: Path | str, *, device: str = "cpu") -> Self:
        """The estimator that :meth:`save` wrote; on a CPU it transforms to the same bits.

        Raises
        ------
        ModelError : a file is missing or damaged, or holds another estimator.
        """
        arrays, meta = load_state(Path(folder), MODEL)
        if meta.get("model") != cls.__name__:
            raise ModelError(f"holds a {meta.get('model')}", where=folder, expected=cls.__name__)
        return cls.from_state(arrays, meta, device=device)


def save_classifier(path: Path, classifier: Pipeline) -> None:
    """Write a fitted pipeline as a skops file; :class:`UnsafeFileError` if it could not be loaded again."""
    payload = _canonical(_skops().dumps(classifier))
    _refuse_unknown(payload, path)
    with atomic_path(path) as temporary:
        temporary.write_bytes(payload)


def load_classifier(path: Path) -> Pipeline:
    """The pipeline that :func:`save_classifier` wrote; it predicts to the same bits.

    Raises
    ------
    ModelError : the file is missing, damaged, or holds something else than a pipeline.
    UnsafeFileError : it would build a type that is not trusted. Nothing has been built then.
    """
    payload = _read(path)
    _refuse_unknown(payload, path)
    try:
        classifier = _skops().loads(payload, trusted=list(TRUSTED))
    except (BadZipFile, KeyError, ValueError, TypeError, AttributeError) as error:
        raise _damaged(path, error) from None
    if not isinstance(classifier, Pipeline):
        raise ModelError(f"holds a {type(classifier).__name__}", where=path, expected="a classifier pipeline")
    return classifier


def _skops() -> ModuleType:
    """skops.io, where a classifier is written or read: it imports all of scikit-learn, a third of a worker's start."""
    return import_module("skops.io")


def _canonical(payload: bytes) -> bytes:
    """The same skops file with its parts numbered in order and without the time: equal models, equal bytes.

    skops names the parts of a file by their addresses in memory, in ``__id__`` and ``file`` entries of
    ``schema.json``.
    """
    numbers: dict[str, int] = {}

    def number(old: object) -> int:
        return numbers.setdefault(str(old), len(numbers))

    def renamed(file: str) -> str:
        stem, dot, suffix = file.partition(".")
        return f"{number(stem)}{dot}{suffix}"

    def walk(node: Any) -> Any:
        if isinstance(node, list):
            return [walk(item) for item in node]
        if not isinstance(node, dict):
            return node
        fresh = {key: walk(value) for key, value in node.items()}
        if isinstance(node.get("__id__"), int):
            fresh["__id__"] = number(node["__id__"])
        if isinstance(node.get("file"), str):
            fresh["file"] = renamed(node["file"])
        return fresh

    with ZipFile(BytesIO(payload)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    schema = json.dumps(walk(json.loads(parts.pop("schema.json"))), indent=1).encode()
    renumbered = {renamed(name): content for name, content in parts.items()}
    target = BytesIO()
    with ZipFile(target, "w", ZIP_DEFLATED) as archive:
        for name, content in [("schema.json", schema), *sorted(renumbered.items())]:
            archive.writestr(ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0)), content, ZIP_DEFLATED)
    return target.getvalue()


def _refuse_unknown(payload: bytes, path: Path) -> None:
    # The bytes that were checked are the bytes that are loaded: the file is read once.
    try:
        unknown = sorted(set(_skops().get_untrusted_types(data=payload)) - set(TRUSTED))
    except (BadZipFile, KeyError, ValueError, TypeError, AttributeError, ImportError) as error:
        raise _damaged(path, error) from None
    if unknown:
        raise UnsafeFileError(
            f"names types that are not trusted: {', '.join(unknown)}",
            where=path,
            expected="scikit-learn estimators only",
            fix="load only classifiers that this program wrote",
        )


def _damaged(path: Path, error: Exception) -> ModelError:
    reason = type(error).__name__
    return ModelError(f"is not a readable skops file ({reason})", where=path, fix="train the model again")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ModelError("no such model file", where=path, fix="train the model first") from None
