"""Checks of the input that every model shares: finite matrices, aligned labels; and standardisation of features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import issparse
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import column_or_1d, validate_data

from jmml.errors import ModelError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
SIZES = ("p", "r", "k", "hidden", "epochs", "batch_size")


class UnfittedError(ModelError, NotFittedError):  # type: ignore[misc]
    """A model is applied before it was fitted; also scikit-learn's ``NotFittedError``."""


class FeatureTypeError(ModelError, TypeError):
    """Features of a type that is not numeric; also a ``TypeError``, which is what scikit-learn raises for it."""


def check_features(
    X: npt.ArrayLike, *, where: str, width: int | None = None, rows: int = 1, vector: bool = False
) -> FloatArray:
    """``X`` as a finite float64 matrix (n, D) with at least ``rows`` rows; a ``vector``, if allowed, is one column.

    The messages hold the phrases by which scikit-learn's ``check_estimator`` knows them.

    Raises
    ------
    ModelError : no dense matrix of real numbers, too few rows, values that are not finite (with their count and
        first place), or a number of columns other than ``width``.
    """
    if issparse(X):
        raise ModelError("sparse features", where=where, expected="a dense matrix", fix="use X.toarray()")
    try:
        raw = np.asarray(X)
        if np.iscomplexobj(raw):
            raise ModelError("Complex data not supported", where=where, expected="a matrix of real numbers")
        matrix = raw.astype(np.float64, copy=False)
    except TypeError as error:
        raise FeatureTypeError(
            f"features are not numbers ({error})", where=where, expected="a matrix of numbers"
        ) from None
    except ValueError as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(
            f"features are not numbers ({error})", where=where, expected="a matrix of numbers"
        ) from None
    if vector and matrix.ndim == 1:
        matrix = matrix[:, None]
    if matrix.ndim != 2:
        raise ModelError(
            f"features of shape {matrix.shape}",
            where=where,
            expected="one row per sample and one column per feature",
            fix="reshape your data with X.reshape(1, -1) if it is one sample, X.reshape(-1, 1) if one feature",
        )
    for count, least, unit in zip(matrix.shape, (rows, 1), ("sample", "feature"), strict=True):
        if count < least:
            raise ModelError(
                f"{count} {unit}(s) (shape={matrix.shape}) while a minimum of {least} is required",
                where=where,
                fix="give more data",
            )
    if width is not None and matrix.shape[1] != width:
        raise ModelError(
            f"X has {matrix.shape[1]} features",
            where=where,
            expected=f"{width}, as when it was fitted",
            fix="extract the features with the settings of the fitted model",
        )
    bad = ~np.isfinite(matrix)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise ModelError(
            f"{int(bad.sum())} feature values are not finite (NaN or inf), first at row {row}, column {column}",
            where=where,
            fix="repair or remove these rows",
        )
    return matrix


def check_input(model: BaseEstimator, X: npt.ArrayLike, *, where: str, fitting: bool) -> FloatArray:
    """:func:`check_features` of the input of a scikit-learn estimator.

    When ``fitting``, at least two rows are required and ``n_features_in_`` and, for a data frame, ``feature_names_in_``
    are set. Otherwise names and number of columns are compared with those: a :class:`ModelError` when they differ.
    """
    matrix = check_features(X, where=where, rows=2 if fitting else 1)
    try:
        validate_data(model, X, reset=fitting, skip_check_array=True)
    except ValueError as error:
        raise ModelError(
            str(error).rstrip("."),
            where=where,
            fix="extract the features with the settings of the fitted model",
        ) from None
    return matrix


def check_settings(model: BaseEstimator, *, where: str) -> None:
    """:class:`ModelError` for a size or count that is not a positive integer, or a learning rate that is not positive.

    The width of a code, ``k`` or ``r``, may be left to the data: ``None``.
    """
    for name, value in model.get_params().items():
        if value is None and name in ("k", "r"):
            continue
        if name in SIZES and not (isinstance(value, int | np.integer) and value >= 1):
            raise ModelError(f"{name} = {value!r}", where=where, expected="a whole number of at least 1")
        if name == "lr" and not value > 0:
            raise ModelError(f"lr = {value!r}", where=where, expected="a learning rate above 0")


def plain_settings(model: BaseEstimator) -> dict[str, Any]:
    """The parameters of a model as values that JSON can hold: a search may have set numpy's numbers."""
    return {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in model.get_params().items()
    }


def feature_names(model: BaseEstimator) -> list[str] | None:
    """The names of the columns a model was fitted on, if it was fitted on a data frame."""
    names = getattr(model, "feature_names_in_", None)
    return None if names is None else [str(name) for name in names]


def remember_features(model: BaseEstimator, width: int, names: Sequence[str] | None) -> None:
    """Set on a model that was loaded what :func:`check_input` set when it was fitted."""
    model.n_features_in_ = width
    if names is not None:
        model.feature_names_in_ = np.asarray(names, dtype=object)


def check_labels(y: npt.ArrayLike | None, n: int, *, where: str) -> tuple[npt.NDArray[Any], IntArray]:
    """Sorted class names and the class number of each of ``n`` rows.

    Raises
    ------
    ModelError : a number of labels other than ``n``, a missing label, numbers that name no classes, or fewer than
        two classes. A single column is taken as a vector, with scikit-learn's ``DataConversionWarning``.
    """
    if y is None:
        raise ModelError("this requires y to be passed, but the target y is None", where=where)
    labels = np.asarray(y)
    if labels.shape == (n, 1):
        labels = column_or_1d(labels, warn=True)
    if labels.shape != (n,):
        raise ModelError(f"labels of shape {labels.shape} for {n} rows", where=where, expected=f"({n},)")
    values = labels.tolist()
    missing = sum(value is None or value != value for value in values)
    if missing:
        raise ModelError(f"{missing} of {n} labels are missing", where=where, fix="drop these rows")
    # Plain Python values, so that names read from a data frame (object dtype) sort and save like any others.
    labels = np.asarray(values)
    if labels.dtype.kind == "f" and not (np.isfinite(labels) & (labels == np.round(labels))).all():
        raise ModelError(
            "Unknown label type: the labels are continuous", where=where, expected="names or whole numbers"
        )
    classes, codes = np.unique(labels, return_inverse=True)
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
    lone = [
        f"'{name}' ({int((codes == number).sum())} {modality} rows)"
        for modality, classes, codes, other in (
            ("speech", in_speech, codes_s, in_eeg),
            ("EEG", in_eeg, codes_e, in_speech),
        )
        for number, name in enumerate(classes)
        if name not in other
    ]
    if lone:
        common = len(set(in_speech) & set(in_eeg))
        raise ModelError(
            f"classes in one modality only: {', '.join(lone)}; {common or 'none'} in both",
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
