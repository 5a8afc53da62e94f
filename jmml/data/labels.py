"""From the labels of each corpus to the classes of one label space.

Arousal and valence of the emotions follow Schuller, B., et al. (2010), Cross-corpus acoustic emotion
recognition: variances and strategies, IEEE Transactions on Affective Computing 1(2), 119-131: low arousal for
boredom, disgust, neutral and sadness, positive valence for happiness, neutral and surprise. Calm, which their
corpora lack, is low in arousal and positive as in Russell, J. A. (1980), A circumplex model of affect.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd

from jmml.data.corpora import get_corpus
from jmml.errors import LabelError, nearest

EMOTIONS = ("anger", "fear", "happiness", "sadness", "surprise", "disgust", "neutral", "calm", "boredom")
LOW_AROUSAL = frozenset({"boredom", "calm", "disgust", "neutral", "sadness"})
POSITIVE_VALENCE = frozenset({"calm", "happiness", "neutral", "surprise"})

#: Label space -> its classes, in the order of every probability and confusion matrix.
SPACES: dict[str, tuple[str, ...]] = {
    "discrete": EMOTIONS,
    "quadrants": ("HVHA", "HVLA", "LVHA", "LVLA"),
    "binary-arousal": ("high", "low"),
    "binary-valence": ("negative", "positive"),
}
#: What the class names of the dimensional spaces stand for.
MEANINGS: dict[str, str] = {
    "HVHA": "positive, aroused",
    "HVLA": "positive, calm",
    "LVHA": "negative, aroused",
    "LVLA": "negative, calm",
    "high": "high arousal",
    "low": "low arousal",
    "negative": "negative valence",
    "positive": "positive valence",
}
_SHOWN = 8


def affect_class(space: str, *, positive: bool, aroused: bool) -> str:
    """Class of a dimensional label space by the signs of valence and arousal.

    Example
    -------
    >>> affect_class("quadrants", positive=False, aroused=True)
    'LVHA'
    """
    if space == "quadrants":
        return f"{'H' if positive else 'L'}V{'H' if aroused else 'L'}A"
    if space == "binary-arousal":
        return "high" if aroused else "low"
    if space == "binary-valence":
        return "positive" if positive else "negative"
    raise LabelError(f"label space '{space}' has no dimensions", expected="quadrants or a binary space")


def emotion_class(emotion: str, space: str) -> str:
    """Class of a canonical emotion: itself in ``discrete``, else by its arousal and valence."""
    if space == "discrete":
        return emotion
    return affect_class(space, positive=emotion in POSITIVE_VALENCE, aroused=emotion not in LOW_AROUSAL)


def map_labels(
    index: pd.DataFrame,
    adapter: str,
    space: str,
    overrides: Mapping[str, str] | None = None,
    unmapped: Literal["error", "drop"] = "error",
    rating_threshold: float = 5.0,
    where: str = "",
) -> np.ndarray:
    """Class name of every row.

    A row with a native label takes, in this order: the override for that label; the adapter's emotion,
    placed in the space; the label itself if it is an emotion of :data:`EMOTIONS` or a class of the space (so
    that tables need no map). A row without a label takes its ratings: above ``rating_threshold`` is high (or
    positive), below is low (or negative), exactly on it has no place.

    Parameters
    ----------
    index : n rows with the columns ``label``, ``valence`` and ``arousal`` (each may be missing per row).
    adapter : name of the corpus adapter.
    space : a key of :data:`SPACES`.
    overrides : native label -> class of the space.
    unmapped : ``"error"``, or ``"drop"`` to give rows without a class as None.
    rating_threshold : midpoint of the ratings' scale.
    where : what messages call the corpus.

    Returns
    -------
    numpy.ndarray
        Object array (n,) of class names, None where dropped.

    Raises
    ------
    LabelError
        For an unknown space, an override that is not a class or whose label does not exist, labels without a
        place (each with its count), and when no row is left.
    """
    if space not in SPACES:
        raise LabelError(f"unknown label space '{space}'; {nearest(space, SPACES)}", where=where or None)
    native = get_corpus(adapter).native_labels
    overrides = dict(overrides or {})
    labels = [None if pd.isna(label) else str(label) for label in index["label"]]
    _check_overrides(overrides, known={*native, *EMOTIONS, *filter(None, labels)}, space=space, where=where)

    places = {label: _place(label, native, overrides, space) for label in {*filter(None, labels)}}
    classes = np.empty(len(index), dtype=object)
    lost: Counter[str] = Counter()
    ratings = zip(index["valence"].astype(float), index["arousal"].astype(float), strict=True)
    for row, (label, (valence, arousal)) in enumerate(zip(labels, ratings, strict=True)):
        if label is not None:
            classes[row], reason = places[label], f"'{label}'"
        else:
            classes[row], reason = _rated(valence, arousal, space, rating_threshold)
        if classes[row] is None:
            lost[reason] += 1
    total = sum(lost.values())
    if total and (unmapped == "error" or total == len(index)):
        raise LabelError(
            f"{total} of {len(index)} rows have no place in label space '{space}': {_listed(lost)}",
            where=where or None,
            expected=f"labels that lead to {', '.join(SPACES[space])}",
            fix="map them under `labels` of the corpus in params.yaml"
            + (", or set `unmapped: drop`" if unmapped == "error" and total < len(index) else ""),
        )
    return classes


def _check_overrides(overrides: dict[str, str], *, known: set[str], space: str, where: str) -> None:
    for label, target in overrides.items():
        if target not in SPACES[space]:
            raise LabelError(
                f"label '{label}' is mapped to '{target}', not a class of '{space}'; "
                f"{nearest(target, SPACES[space])}",
                where=where or None,
            )
        if label not in known:
            raise LabelError(f"no label '{label}' to map; {nearest(label, known)}", where=where or None)


def _place(label: str, native: Mapping[str, str], overrides: dict[str, str], space: str) -> str | None:
    if label in overrides:
        return overrides[label]
    emotion = native.get(label, label)
    if emotion in EMOTIONS:
        return emotion_class(emotion, space)
    return label if label in SPACES[space] else None


def _rated(valence: float, arousal: float, space: str, threshold: float) -> tuple[str | None, str]:
    """Class by ratings, and the reason if there is none."""
    if space == "discrete":
        return None, "no label" if np.isnan(valence) and np.isnan(arousal) else "ratings without a label"
    needed = {"quadrants": (valence, arousal), "binary-arousal": (arousal,), "binary-valence": (valence,)}[
        space
    ]
    if any(np.isnan(rating) for rating in needed):
        return None, "no label, no rating"
    if any(rating == threshold for rating in needed):
        return None, f"rating {threshold}"
    return affect_class(space, positive=valence > threshold, aroused=arousal > threshold), ""


def _listed(lost: Counter[str]) -> str:
    shown = ", ".join(f"{reason} ({count})" for reason, count in lost.most_common(_SHOWN))
    return shown + (f", and {len(lost) - _SHOWN} more labels" if len(lost) > _SHOWN else "")
