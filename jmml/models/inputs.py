"""What every model asks of its input: finite matrices, aligned labels, and features brought to one scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from jmml.errors import ModelError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def check_features(X: npt.ArrayLike, *, where: str, width: int | None = None) -> FloatArray:
    """``X`` as a finite float64 matrix (n, D) with at least one row.

    Raises
    ------
    ModelError : no matrix of numbers, values that are not finite (with their count and first place), or a
        number of columns other than ``width``.
    """
    try:
        matrix = np.asarray(X, dtype=np.float64)
    except (TypeError, ValueError):
        raise ModelError("features are not numbers", where=where, expected="a matrix of numbers") from None
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise ModelError(
            f"features of shape {matrix.shape}", where=where, expected="at least one row and one column"
        )
    if width is not None and matrix.shape[1] != width:
        raise ModelError(
            f"{matrix.shape[1]} features per row",
            where=where,
            expected=f"{width}, as when it was fitted",
            fix="extract the features with the settings of the fitted model",
        )
    bad = ~np.isfinite(matrix)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise ModelError(
            f"{int(bad.sum())} feature values are not finite, first at row {row}, column {column}",
            where=where,
            fix="repair or remove these rows",
        )
    return matrix


def check_labels(y: npt.ArrayLike, n: int, *, where: str) -> tuple[npt.NDArray[Any], IntArray]:
    """Sorted class names and the class number of each of ``n`` rows.

    Raises
    ------
    ModelError : a number of labels other than ``n``, a missing label, or fewer than two classes.
    """
    labels = np.asarray(y)
    if labels.shape != (n,):
        raise ModelError(f"labels of shape {labels.shape} for {n} rows", where=where, expected=f"({n},)")
    missing = sum(value is None or value != value for value in labels.tolist())
    if missing:
        raise ModelError(f"{missing} of {n} labels are missing", where=where, fix="drop these rows")
    # Plain Python values, so that names read from a data frame (object dtype) sort and save like any others.
    classes, codes = np.unique(np.asarray(labels.tolist()), return_inverse=True)
    if len(classes) < 2:
        raise ModelError(
            f"all {n} rows have the class '{classes[0]}'", where=where, expected="at least two classes"
        )
    return classes, codes.astype(np.int64)


def check_same_classes(
    y_speech: npt.ArrayLike, y_eeg: npt.ArrayLike, rows: tuple[int, int], *, where: str
) -> tuple[npt.NDArray[Any], tuple[IntArray, IntArray]]:
    """Class names common to both modalities and the class numbers of their rows.

    Raises
    ------
    ModelError : as :func:`check_labels`, or a class that only one modality has.
    """
    in_speech, codes_s = check_labels(y_speech, rows[0], where=f"{where}, speech")
    in_eeg, codes_e = check_labels(y_eeg, rows[1], where=f"{where}, EEG")
    lone = [f"'{name}' (speech)" for name in sorted(set(in_speech) - set(in_eeg))]
    lone += [f"'{name}' (EEG)" for name in sorted(set(in_eeg) - set(in_speech))]
    if lone:
        raise ModelError(
            f"classes in one modality only: {', '.join(lone)}",
            where=where,
            expected="the same classes in both",
            fix="drop these classes, or choose a label space that both corpora cover",
        )
    return in_speech, (codes_s, codes_e)


@dataclass(frozen=True)
class Standardiser:
    """Column-wise ``(x - mean) / scale`` by the statistics of the training rows; constant columns become
    0."""

    mean: FloatArray
    scale: FloatArray

    @classmethod
    def fit(cls, X: FloatArray) -> Standardiser:
        mean, scale = X.mean(0), X.std(0)
        # A constant column has a deviation of rounding size, by which one must not divide.
        constant = scale <= 10 * np.finfo(np.float64).eps * np.sqrt(len(X)) * np.abs(X).max(0)
        return cls(mean, np.where(constant, 1.0, scale))

    def __call__(self, X: FloatArray) -> FloatArray:
        return (X - self.mean) / self.scale

    def inverse(self, Z: FloatArray) -> FloatArray:
        return Z * self.scale + self.mean
