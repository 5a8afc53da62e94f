"""Columns of a feature table that say who, which or what a sample is, and not how it sounds.

An index, an id, a rating or a code of the label among the features lets a model read the answer off the table. Columns
are known by their names and by their values; what counts as evidence are people, where a column has one value for each,
and recordings elsewhere, as windows of one recording agree by themselves.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from math import lgamma, log

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from jmml.data.listing.columns import field_of

CHANCE = 1e-8  # below it, that a column of measurements tells so much is no chance
COUNTED = 6  # rows that go up in equal steps
SORTED = 8  # different values along the rows
MANY, SIDE = 100, 30  # recordings, in all and on each side of a border that no measurement draws
FEW_PEOPLE, SOME_PEOPLE = 3, 6  # as many people as two or five voices may well have apart

# Fields of lists that may be features.
_HARMLESS = ("gender", "language")
_OTHERWISE = frozenset({"cv"})  # the coefficient of variation
_INDEX = frozenset(
    ("index", "idx", "row", "rowid", "rownumber", "no", "nr", "num", "number", "n", "level0", "trial", "window",
     "segment", "epoch", "block", "run", "order", "position", "rank", "time", "timestamp", "date", "repetition", "take")
)  # fmt: skip
_LABEL = frozenset(("y", "ytrue", "gt", "truth", "groundtruth", "quadrant"))
_PARTS = frozenset(
    ("id", "ids", "uid", "uuid", "label", "labels", "emotion", "emotions", "emo", "rating", "ratings", "rated",
     "valence", "arousal", "dominance", "liking", "familiarity", "sam", "speaker", "subject", "participant", "person",
     "actor", "patient", "target", "category", "annotation", "annotator")
)  # fmt: skip
_COUNTS = re.compile(
    r"(row|trial|sample|window|segment|clip|file|item|record|recording)s?[ _.-]*(index|idx|no|nr|num|number|n)"
)
_NAMELESS = re.compile(r"(unnamed: ?\d+.*|__index_level_\d+__)?", re.IGNORECASE)
_SPLIT = re.compile(r"[^A-Za-z]+|(?<=[a-z])(?=[A-Z])")

Values = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Rows:
    """What is known of the rows of a table, in its order: codes of people and recordings, and of labels (-1: none)."""

    people: Codes
    recordings: Codes
    labels: Codes

    @classmethod
    def of(cls, index: pd.DataFrame, threshold: float = 5.0) -> Rows:
        """Rows by the index of a feature table; ratings count by the sides of their threshold they are on."""
        labels = index["label"].astype(object).copy()
        rated = index["label"].isna() & index["valence"].notna() & index["arousal"].notna()
        sides = (index["valence"] > threshold).astype(str) + (index["arousal"] > threshold).astype(str)
        labels[rated] = sides[rated]
        people, recordings = (
            np.asarray(pd.factorize(index[key].astype(str))[0], np.int64) for key in ("group", "recording")
        )
        return cls(people, recordings, np.asarray(pd.factorize(labels)[0], np.int64))


def by_name(column: str) -> str | None:
    """What a column is by its name; None for one that may be a feature.

    Example
    -------
    >>> by_name("Unnamed: 0"), by_name("emotion_code"), by_name("hammarbergIndex"), by_name("f0_mean")
    ('has no name', 'is called like a label', None, None)
    """
    name = column.strip()
    if _NAMELESS.fullmatch(name):
        return "has no name"
    plain = re.sub(r"[ _.\-]", "", name.casefold())
    field = field_of(name)
    if plain in _LABEL:
        return "is called like a label"
    if plain in _INDEX or _COUNTS.fullmatch(name.casefold()):
        return "is called like an index"
    parts = {part.casefold() for part in _SPLIT.split(name) if part}
    found = sorted(parts & _PARTS)
    if field is not None and field not in _HARMLESS and plain not in _OTHERWISE:
        return f"is called like {_article(_FIELDS.get(field, field))}"
    if found:
        return f"is called like {_article(_WORDS.get(found[0], found[0]))}"
    return None


_FIELDS = {"path": "id", "start_s": "time", "end_s": "time", "part": "split", "valence": "rating", "arousal": "rating",
           "dominance": "rating"}  # fmt: skip
_WORDS = {
    **dict.fromkeys(("ids", "uid", "uuid"), "id"),
    **dict.fromkeys(("labels", "emotion", "emotions", "emo", "target", "category", "annotation"), "label"),
    **dict.fromkeys(
        ("ratings", "rated", "valence", "arousal", "dominance", "liking", "familiarity", "sam", "annotator"),
        "rating",
    ),
    **dict.fromkeys(("speaker", "subject", "participant", "actor", "patient"), "person"),
}


def _article(word: str) -> str:
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def by_values(values: Values, rows: Rows) -> str | None:
    """What a column is by its values (n,); None for one that may be a feature.

    In this order: it counts the rows, or those of each person or recording; it goes up (or down) from each row to the
    next; its values stand for people; they stand for labels, or a border between them parts labels.
    """
    known = np.isfinite(values)
    if len(values) < FEW_PEOPLE or not known.all() or np.ptp(values) == 0:
        return None
    tests: tuple[Callable[[Values, Rows], str | None], ...] = (_counts, _sorted, _of_people, _of_labels)
    return next((what for test in tests if (what := test(values, rows)) is not None), None)


def _counts(values: Values, rows: Rows) -> str | None:
    ordered = np.sort(values)
    enough = COUNTED if (np.diff(values) > 0).all() else 2 * COUNTED
    if len(values) >= enough and _equal_steps(ordered) is not None:
        return "counts the rows"
    whole = bool((ordered == np.round(ordered)).all() and (np.diff(ordered) > 0).all())
    if whole and len(values) >= 2 * COUNTED and np.ptp(ordered) < 2 * len(values):
        return "counts the rows, with gaps"
    for groups, what in ((rows.people, "each person"), (rows.recordings, "each recording")):
        order = np.lexsort((values, groups))
        within = np.diff(groups[order]) == 0
        steps = np.diff(values[order])[within]
        # Two rows always have equal steps: those beyond them are evidence.
        several = int((np.bincount(groups) > 1).sum())
        if len(steps) - several >= COUNTED and steps.min() > 0 and np.ptp(steps) <= 1e-6 * steps[0]:
            return f"counts the rows of {what}"
    return None


def _equal_steps(ordered: Values) -> float | None:
    steps = np.diff(ordered)
    step = float(steps.mean())
    return step if step > 0 and float(np.ptp(steps)) <= 1e-6 * step else None


def _sorted(values: Values, rows: Rows) -> str | None:
    steps = np.diff(values)
    up = bool((steps >= 0).all() or (steps <= 0).all())
    if not up or len(np.unique(values)) < SORTED or _constant(values, rows.people):
        return None
    return "is in the order of the rows"


def _of_people(values: Values, rows: Rows) -> str | None:
    people = int(rows.people.max()) + 1
    different, code = np.unique(values, return_inverse=True)
    if people < FEW_PEOPLE:
        return None
    if _constant(values, rows.people):
        again = np.bincount(rows.people).min() > 1
        return "has one value for each person" if len(different) == people and again else None
    if people < SOME_PEOPLE:
        return None
    owners = _pairs(code, rows.people)
    once = len(owners) == len(different)
    if once and _log_chance(code, rows.people, rows.recordings) < log(CHANCE):
        return "tells who it is"
    by_value = rows.people[np.argsort(values, kind="stable")]
    blocks = 1 + int(np.count_nonzero(np.diff(by_value)))
    enough = np.bincount(_pairs(rows.people, rows.recordings)[:, 0]).min() >= SOME_PEOPLE - 1
    return "parts the people in blocks" if once and blocks == people and enough else None


def _of_labels(values: Values, rows: Rows) -> str | None:
    labelled = rows.labels >= 0
    if not labelled.any():
        return None
    labels = np.unique(rows.labels[labelled], return_inverse=True)[1]
    n_labels = int(labels.max()) + 1
    different, code = np.unique(values[labelled], return_inverse=True)
    if n_labels < 2 or len(different) < 2:
        return None
    per_person = _constant(values, rows.people)
    units = (rows.people if per_person else rows.recordings)[labelled]
    # Values and labels that occur together are joined: of several heaps, values tell the labels of one from another's.
    met = _pairs(code, labels)
    size = len(different) + n_labels
    graph = coo_array((np.ones(len(met)), (met[:, 0], met[:, 1] + len(different))), shape=(size, size))
    heaps, heap = connected_components(graph, directed=False)
    if heaps < 2:
        return None
    whole = "the label" if heaps == n_labels else "some labels"
    of_label = heap[len(different) :][labels].astype(np.intp)
    if _log_chance(code, of_label, units) < log(CHANCE):
        return f"determines {whole}"
    # Measurements that never repeat: a border that no label crosses, with many recordings on both sides.
    for border in _borders(heap[: len(different)].astype(np.intp)):
        below = len(np.unique(units[code < border]))
        above = len(np.unique(units[code >= border]))
        if below + above >= MANY and min(below, above) >= SIDE and _border(below, above) < log(CHANCE):
            return "has the labels on two sides of a border"
    return None


def _borders(kinds: npt.NDArray[np.intp]) -> list[int]:
    """Places in a row of kinds, before each of which there is nothing of what is behind it."""
    last = np.zeros(int(kinds.max()) + 1, dtype=np.int64)
    last[kinds] = np.arange(len(kinds))  # of equal places the last one is written
    reach = np.maximum.accumulate(last[kinds])
    return [int(place) + 1 for place in np.flatnonzero(reach == np.arange(len(kinds)))[:-1]]


def _constant(values: Values, groups: Codes) -> bool:
    """Whether each group has one value."""
    return len(_pairs(np.unique(values, return_inverse=True)[1], groups)) == int(groups.max()) + 1


def _pairs(a: npt.NDArray[np.intp], b: npt.NDArray[np.intp]) -> npt.NDArray[np.int64]:
    """Different pairs of codes, (pairs, 2)."""
    width = int(b.max()) + 1
    joined = np.unique(a.astype(np.int64) * width + b)
    return np.stack(np.divmod(joined, width), axis=1)


def _log_chance(code: npt.NDArray[np.intp], told: npt.NDArray[np.intp], units: npt.NDArray[np.intp]) -> float:
    """Log of the chance that units with equal values always agree in what is told, if the values said nothing.

    Where m units have a value, they agree with chance sum_s q(s)^m, q(s) the share of s; values that occur once say
    nothing.
    """
    shares = np.bincount(told) / len(told)
    shares = shares[shares > 0]
    sizes = np.bincount(_pairs(code, units)[:, 0])
    return float(sum(log(float((shares**m).sum())) for m in sizes[sizes > 1]))


def _border(below: int, above: int) -> float:
    """Log of the chance that units of two kinds are sorted into two blocks."""
    return log(2) + lgamma(below + 1) + lgamma(above + 1) - lgamma(below + above + 1)
