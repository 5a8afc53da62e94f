"""What the parts of a fold share: people, texts, recordings, files.

For a key :math:`k` (person, text, ...), the samples :math:`T` of the test part and :math:`V` all the others of the
fold, the share is

    |{t in T : k(t) in k(V)}| / |T|,

and with the label the pair :math:`(k(t), y(t))` takes the place of :math:`k(t)`. Samples whose value is not known
cannot be shown to be disjoint and are counted apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

KEYS = ("person", "text", "session", "recording", "device", "path", "content")
SELECTING = "valid"


class Overlap(NamedTuple):
    """What one part of one fold shares with the samples it must not share with.

    Attributes
    ----------
    part : ``test``, against all others of its fold, or ``valid``, against the training part.
    values, shared : distinct values of the key in the part, and those of them that the others have too.
    samples, shared_samples : samples of the part, and those whose value the others have too.
    with_label : samples whose value and label the others have together; None without labels.
    unknown : samples of the part that have no value; all of them where one of the others has none.
    names : the shared values.
    """

    fold: str
    part: str
    key: str
    values: int
    shared: int
    samples: int
    shared_samples: int
    with_label: int | None
    unknown: int
    names: tuple[str, ...]

    @property
    def share(self) -> float:
        """Share of the part's samples, 0 to 1."""
        return self.shared_samples / self.samples if self.samples else 0.0


def overlaps(frame: pd.DataFrame, keys: Sequence[str] | None = None) -> list[Overlap]:
    """Every part of every fold, key by key.

    Parameters
    ----------
    frame : ``fold``, ``part`` (train, valid, test), columns named as the keys, and ``label`` where it is known.
    keys : of :data:`KEYS`; default: those that the frame has.

    Example
    -------
    >>> frame = pd.DataFrame({"fold": "1", "part": ["train", "test", "test"], "person": ["a", "a", "b"]})
    >>> [(found.key, found.shared, found.values, found.share) for found in overlaps(frame)]
    [('person', 1, 2, 0.5)]
    """
    wanted = [key for key in KEYS if key in frame] if keys is None else list(keys)
    found = []
    for fold, rows in frame.groupby("fold", sort=False):
        test = rows["part"] == "test"
        valid = rows["part"] == SELECTING
        sides = [("test", rows[test], rows[~test])]
        if valid.any():
            sides.append((SELECTING, rows[valid], rows[rows["part"] == "train"]))
        found += [
            _overlap(str(fold), part, key, inside, others) for part, inside, others in sides for key in wanted
        ]
    return found


def _overlap(fold: str, part: str, key: str, inside: pd.DataFrame, others: pd.DataFrame) -> Overlap:
    values, elsewhere = inside[key], set(others[key].dropna())
    shared = values.isin(elsewhere)
    with_label = None
    if "label" in inside:
        pairs = set(zip(others[key], others["label"], strict=True))
        with_label = sum(
            known and pair in pairs
            for known, pair in zip(shared, zip(values, inside["label"], strict=True), strict=True)
        )
    return Overlap(
        fold=fold,
        part=part,
        key=key,
        values=int(values.nunique()),
        shared=int(values[shared].nunique()),
        samples=len(inside),
        shared_samples=int(shared.sum()),
        with_label=with_label,
        unknown=len(inside) if others[key].isna().any() else int(values.isna().sum()),
        names=tuple(sorted(set(values[shared]))),
    )
