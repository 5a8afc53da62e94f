"""Folds that share neither people nor another key, such as the text.

A key that few people share costs training samples alone: those that share a value with the test part are set aside.
Where that would leave too little to train on, because all actors speak the same sentences, the values are parted too:
each fold then tests its people on one part of the texts and trains the others on the rest. The test parts of all folds
together still hold every sample once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from jmml.data.splits import Fold, Groups, Labels, inner_folds
from jmml.errors import ProtocolError

PARTS = 2  # of the values of a key that many people share: half is trained on, half tested, and the other way round
ENOUGH = 0.5  # share of the other people's samples that must be left to train on, or the key is parted


def disjoint_folds(
    folds: Sequence[Fold],
    groups: Groups,
    y: Labels,
    recordings: Groups,
    keys: Mapping[str, np.ndarray],
    *,
    seed: int,
    crossed: bool = True,
    where: object = None,
) -> list[Fold]:
    """``folds`` of people, made disjoint by further keys as well.

    Parameters
    ----------
    folds : of the people, each tested once.
    groups, y, recordings : (n,) person, class and recording of each row.
    keys : key -> (n,) its value for each row.
    seed : of the parts of values.
    crossed : whether every fold of people meets every part of the values, so that each sample is tested once. Else
        there are as many folds as before, fold ``i`` tests part ``i mod PARTS``, and a key whose values cannot be
        parted is left alone: enough to select by.

    Raises
    ------
    ProtocolError : a row without a value; a class that is absent from a part of a fold; one recording on both sides.

    Example
    -------
    >>> people = [Fold(0, ("b", "c"), ("a",)), Fold(1, ("a", "c"), ("b",)), Fold(2, ("a", "b"), ("c",))]
    >>> groups, text = np.repeat(["a", "b", "c"], 4), np.tile(["x", "y"], 6)
    >>> y, names = np.tile([0, 0, 1, 1], 3), [f"r{number}" for number in range(12)]
    >>> found = disjoint_folds(people, groups, y, names, {"text": text}, seed=0)
    >>> len(found), found[0].test, len(found[0].aside)
    (6, ('a',), 6)
    """
    rows = Rows(groups, y, recordings)
    values = {key: _Values.of(key, column, rows, where) for key, column in keys.items()}
    parted: dict[str, list[np.ndarray]] = {}
    for key in [key for key, of in values.items() if not all(_enough(fold, of, rows) for fold in folds)]:
        try:
            parted[key] = _parts(key, values[key], rows, seed, where)
        except ProtocolError:
            if crossed:
                raise
            del values[key]  # one sentence is left, say: selection is by people alone
    combinations = list(product(range(PARTS), repeat=len(parted)))
    found: list[Fold] = []
    for number, fold in enumerate(folds):
        chosen = combinations if crossed else [combinations[number % len(combinations)]]
        for combination in chosen:
            test, train = rows.of(fold.test), rows.of(fold.train)
            for parts, part in zip(parted.values(), combination, strict=True):
                test, train = test & parts[part], train & ~parts[part]
            for of in values.values():
                train &= ~of.shared_with(test)
            found.append(rows.fold(len(found), train, test, keys=" and ".join(values), where=where))
    return found


class Rows:
    """Person, class and recording of every row (n,)."""

    def __init__(self, groups: Groups, y: Labels, recordings: Groups) -> None:
        # Names once, and a number per row: what is asked for every fold is then asked of the names.
        self.people, self._person = np.unique([str(name) for name in groups], return_inverse=True)
        self.recordings, self._recording = np.unique([str(name) for name in recordings], return_inverse=True)
        self.y = np.asarray(y)
        self.classes = np.unique(self.y)

    def of(self, people: Sequence[str]) -> np.ndarray:
        """(n,) True for the rows of these people."""
        return np.isin(self.people, people)[self._person]

    def recording(self, row: int) -> str:
        """Name of the recording of a row."""
        return str(self.recordings[self._recording[row]])

    def fold(
        self, index: int, train: np.ndarray, test: np.ndarray, *, keys: str = "", where: object = None
    ) -> Fold:
        """The fold whose parts are these rows (n,), with every class in both; the other rows are in neither.

        Raises
        ------
        ProtocolError : a class is absent from a part; a person, or parts of one recording, are on both sides.
        """
        for side, inside in (("train", train), ("test", test)):
            missing = np.setdiff1d(self.classes, self.y[inside])
            if len(missing):
                raise ProtocolError(
                    f"class '{missing[0]}' is absent from the {side} part of fold {index}"
                    + (f" once they share no {keys}" if keys else ""),
                    where=where,
                    expected="every class in both parts of all folds",
                    fix=(
                        "raise protocol.groups_per_fold, leave a key out of protocol.disjoint, or "
                        if keys
                        else ""
                    )
                    + "merge the class with corpora.<name>.labels",
                )
        trained, tested, aside = (
            _marked(self._recording, inside, len(self.recordings))
            for inside in (train, test, ~(train | test))
        )
        torn = (trained & tested) | (aside & (trained | tested))
        if torn.any():
            raise ProtocolError(
                f"parts of recording '{self.recordings[torn][0]}' would be on several sides",
                where=where,
                fix=f"give all its parts one value of {keys}" if keys else "name it in one part alone",
            )
        sides = [_marked(self._person, inside, len(self.people)) for inside in (train, test)]
        # Recordings of people who are in no part any more need no name: no mask of people holds them.
        named = aside & _marked(self._recording, (sides[0] | sides[1])[self._person], len(self.recordings))
        trained_on, tested_on = (tuple(self.people[side].tolist()) for side in sides)
        return Fold(index, trained_on, tested_on, tuple(self.recordings[named].tolist()))


def _marked(numbers: np.ndarray, rows: np.ndarray, count: int) -> np.ndarray:
    """(count,) True for the numbers that occur in these rows."""
    marks = np.zeros(count, dtype=bool)
    marks[numbers[rows]] = True
    return marks


@dataclass(frozen=True)
class _Values:
    """A key: its distinct values, and the number of each row's (n,)."""

    names: np.ndarray
    numbers: np.ndarray

    @classmethod
    def of(cls, key: str, column: np.ndarray, rows: Rows, where: object) -> _Values:
        unknown = np.array([value is None or value != value for value in column], dtype=bool)
        if unknown.any():
            first = rows.recording(int(np.flatnonzero(unknown)[0]))
            raise ProtocolError(
                f"nothing tells the {key} of {int(unknown.sum())} of {len(column)} samples, such as '{first}'",
                where=where,
                expected=f"a {key} for every sample, as protocol.disjoint names it",
                fix=f"take {key} out of protocol.disjoint, or say it in the corpus",
            )
        return cls(*np.unique([str(value) for value in column], return_inverse=True))

    def shared_with(self, inside: np.ndarray) -> np.ndarray:
        """(n,) True for rows that have a value of the rows ``inside``."""
        shared: np.ndarray = _marked(self.numbers, inside, len(self.names))[self.numbers]
        return shared


def _enough(fold: Fold, values: _Values, rows: Rows) -> bool:
    """Whether enough is left to train on, every class included, where what shares a value with the test part is not."""
    test, train = rows.of(fold.test), rows.of(fold.train)
    left = train & ~values.shared_with(test)
    return bool(left.sum() >= ENOUGH * train.sum()) and len(np.unique(rows.y[left])) == len(rows.classes)


def _parts(key: str, values: _Values, rows: Rows, seed: int, where: object) -> list[np.ndarray]:
    """(n,) for each part of the values whether a row has one of them; every part holds every class."""
    fix = f"take {key} out of protocol.disjoint"
    if len(values.names) < PARTS:
        raise ProtocolError(
            f"all samples have the {key} '{values.names[0]}': none is left to train on", where=where, fix=fix
        )
    try:
        drawn = inner_folds(values.names[values.numbers], rows.y, n_folds=PARTS, seed=seed, where=where)
    except ProtocolError as error:
        raise ProtocolError(
            f"no {PARTS} parts of the values of {key} have every class each: {error.what}",
            where=where,
            fix=f"{fix}, or merge classes with corpora.<name>.labels",
        ) from None
    return [np.isin(values.names, fold.test)[values.numbers] for fold in drawn]
