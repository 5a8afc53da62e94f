"""Scores of predictions. The main one is UAR: recall averaged over classes, whatever their frequencies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from jmml.errors import ProtocolError

Labels = npt.NDArray[Any] | Sequence[Any]
Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def confusion(y_true: Labels, y_pred: Labels, classes: Sequence[str]) -> Counts:
    """(C, C) samples by true class (rows) and predicted class (columns), in the order of ``classes``.

    Raises
    ------
    ProtocolError
        If a label is none of ``classes``, or the lengths differ.
    """
    true, pred = encode(y_true, classes), encode(y_pred, classes)
    if len(true) != len(pred):
        raise ProtocolError(f"{len(pred)} predictions for {len(true)} labels")
    size = len(classes)
    return np.bincount(true * size + pred, minlength=size * size).reshape(size, size).astype(np.int64)


def encode(y: Labels, classes: Sequence[str]) -> npt.NDArray[np.intp]:
    """(n,) position of each label in ``classes``; :class:`ProtocolError` for a label that is not there."""
    position = {name: code for code, name in enumerate(classes)}
    try:
        return np.fromiter((position[label] for label in y), dtype=np.intp, count=len(y))
    except KeyError as error:
        raise ProtocolError(
            f"label '{error.args[0]}' is none of the classes", expected=f"one of {', '.join(classes)}"
        ) from None


def uar_of(counts: npt.NDArray[Any]) -> Floats:
    """UAR of confusion matrices (..., C, C): mean over the classes present in the rows of n_cc / sum_j n_cj.

    A class without a row has no recall and is left out; nan where no class has one. Returns shape (...).
    """
    support = counts.sum(axis=-1)
    present = support > 0
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    recall = np.divide(hits, support, out=np.zeros(support.shape), where=present)
    n_present = present.sum(axis=-1)
    total = recall.sum(axis=-1)
    mean: Floats = np.divide(total, n_present, out=np.full(total.shape, np.nan), where=n_present > 0)
    return mean


def uar(y_true: Labels, y_pred: Labels) -> float:
    """Unweighted average recall: the mean, over classes present in ``y_true``, of the recall of the class.

    Equals scikit-learn's ``balanced_accuracy_score``. Chance is one over the number of classes, whatever
    the class frequencies.

    Example
    -------
    >>> uar(["sad", "sad", "sad", "happy"], ["sad", "sad", "happy", "happy"])  # (2/3 + 1) / 2
    0.8333333333333333
    """
    return float(uar_of(confusion(y_true, y_pred, _union(y_true, y_pred))))


def per_class_recall(y_true: Labels, y_pred: Labels) -> dict[str, float]:
    """Recall of each class present in ``y_true``, in sorted order of the names."""
    classes = _union(y_true, y_pred)
    counts = confusion(y_true, y_pred, classes)
    support = counts.sum(axis=1)
    return {str(name): float(counts[i, i] / support[i]) for i, name in enumerate(classes) if support[i] > 0}


def accuracy(y_true: Labels, y_pred: Labels) -> float:
    """Share of predictions that are right; nan without any."""
    counts = confusion(y_true, y_pred, _union(y_true, y_pred))
    return float(np.trace(counts) / counts.sum()) if counts.sum() else float("nan")


def macro_f1(y_true: Labels, y_pred: Labels) -> float:
    """Mean over classes of F1 = 2 TP / (2 TP + FP + FN).

    Over the classes that occur in ``y_true`` or ``y_pred``, as scikit-learn's ``f1_score(average="macro")``.
    """
    counts = confusion(y_true, y_pred, _union(y_true, y_pred))
    either = counts.sum(axis=0) + counts.sum(axis=1)
    return float(np.mean(2 * np.diagonal(counts) / either)) if len(either) else float("nan")


def expected_calibration_error(proba: npt.ArrayLike, y: npt.ArrayLike, bins: int = 10) -> float:
    """ECE = sum_b (n_b / n) |accuracy_b - mean confidence_b| over equal-width bins of the top probability.

    Bin b of B holds confidences in (b/B, (b+1)/B], as in Guo et al. (2017), "On calibration of modern neural
    networks", ICML. 0 is perfect; a model that is always sure and always wrong has 1.

    Parameters
    ----------
    proba : (n, C) probabilities.
    y : (n,) true classes as column numbers of ``proba``.
    """
    p = np.asarray(proba, dtype=np.float64)
    if len(p) == 0:
        return float("nan")
    confidence = p.max(axis=1)
    right = p.argmax(axis=1) == np.asarray(y)
    # Rounding guards the edges: 0.3 * 10 is 3.0000000000000004 - and must stay in the bin (0.2, 0.3].
    number = np.clip(np.ceil(np.round(confidence * bins, 9)).astype(int) - 1, 0, bins - 1)
    gap = np.bincount(number, weights=right - confidence, minlength=bins)
    return float(np.abs(gap).sum() / len(p))


def score(y_true: Labels, proba: npt.ArrayLike, classes: Sequence[str]) -> dict[str, float]:
    """All scores of one set of probabilities; the prediction is the most probable class.

    Parameters
    ----------
    y_true : (n,) class names.
    proba : (n, C) probabilities, columns in the order of ``classes``.

    Returns
    -------
    dict with ``uar``, ``accuracy``, ``macro_f1``, ``ece`` and ``recall_<class>`` for each class present.
    """
    p = np.asarray(proba, dtype=np.float64)
    if p.shape != (len(y_true), len(classes)):
        raise ProtocolError(f"probabilities of shape {p.shape}", expected=f"({len(y_true)}, {len(classes)})")
    y_pred = [classes[code] for code in p.argmax(axis=1)]
    return {
        "uar": uar(y_true, y_pred),
        "accuracy": accuracy(y_true, y_pred),
        "macro_f1": macro_f1(y_true, y_pred),
        "ece": expected_calibration_error(p, encode(y_true, classes)),
        **{f"recall_{name}": value for name, value in per_class_recall(y_true, y_pred).items()},
    }


def _union(y_true: Labels, y_pred: Labels) -> list[Any]:
    return sorted({*list(y_true), *list(y_pred)})
