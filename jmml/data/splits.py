"""Grouped folds: no speaker or subject is ever on both sides of a split.

Folds are lists of group names, not of rows, so that they survive a change of features or windows. All folds
are class complete: a class that occurs in the data occurs in the training and in the test part of each fold,
because recall of an absent class is undefined and a classifier cannot predict a class it never saw.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from jmml.config import digest
from jmml.errors import ProtocolError
from jmml.files import atomic_path

Groups = npt.NDArray[Any] | Sequence[str]
Labels = npt.NDArray[Any] | Sequence[Any]
Side = Literal["train", "test"]

# Random partitions tried per call. The first of the best is kept: drawing more only helps corpora in which
# some speakers lack a class, and 256 draws of 100 speakers take a few milliseconds.
_DRAWS = 256


@dataclass(frozen=True)
class Fold:
    """One split of the groups of one modality into a training and a test part.

    Attributes
    ----------
    aside : recordings of these groups that are in neither part, because they share something else that the parts must
        not share, or because published lists leave them out; sorted.

    Raises
    ------
    ProtocolError
        If a part is empty, or a group is in both.
    """

    index: int
    train: tuple[str, ...]
    test: tuple[str, ...]
    aside: tuple[str, ...] = ()

    def rows(self, side: Side, groups: Groups, recordings: Groups) -> npt.NDArray[np.bool_]:
        """(n,) True where a row, by its group and recording, is in the part ``side``."""
        inside = mask(groups, getattr(self, side))
        return inside & ~mask(recordings, self.aside) if self.aside else inside

    def __post_init__(self) -> None:
        shared = sorted(set(self.train) & set(self.test))
        if shared:
            raise ProtocolError(f"groups {_names(shared)} are in both parts", where=f"fold {self.index}")
        for part in ("train", "test"):
            if not getattr(self, part):
                raise ProtocolError(f"the {part} part has no group", where=f"fold {self.index}")


@dataclass(frozen=True)
class Split:
    """The outer folds of a task; ``eeg`` is empty when the task has no EEG.

    Speech fold ``i`` is trained with the training part of EEG fold ``i mod len(eeg)``: the two corpora hold
    different people, so which EEG fold meets which speech fold is arbitrary, but fixed. A parallel corpus
    (same people in both modalities) takes the same folds on both sides: ``Split(folds, folds)``.
    """

    speech: tuple[Fold, ...]
    eeg: tuple[Fold, ...] = ()

    def __post_init__(self) -> None:
        if not self.speech:
            raise ProtocolError("a split needs at least one speech fold")

    def __len__(self) -> int:
        return len(self.speech)

    def fold(self, index: int) -> tuple[Fold, Fold | None]:
        """Speech fold ``index`` and the EEG fold that goes with it (None without EEG)."""
        if not 0 <= index < len(self.speech):
            raise ProtocolError(f"no fold {index}", expected=f"0 to {len(self.speech) - 1}")
        return self.speech[index], self.eeg[index % len(self.eeg)] if self.eeg else None

    def check(self, speech_groups: Groups, eeg_groups: Groups | None = None) -> None:
        """Refuse to use this split for other groups than those it was made of.

        Raises
        ------
        ProtocolError
            If a group of the data is in no fold, or a fold names a group the data does not have.
        """
        for modality, folds, groups in (
            ("speech", self.speech, speech_groups),
            ("eeg", self.eeg, eeg_groups),
        ):
            known = {name for fold in folds for name in (*fold.train, *fold.test)}
            present = set() if groups is None else {str(group) for group in groups}
            if known != present:
                raise ProtocolError(
                    f"the split was made for other data: groups {_names(sorted(known ^ present))} are in "
                    "only one of the two",
                    where=modality,
                    fix="run `dvc repro split`",
                )

    @property
    def digest(self) -> str:
        """16 hexadecimal digits that change with any change of any fold."""
        return digest(self._folds())

    def to_json(self) -> str:
        return json.dumps({"digest": self.digest, **self._folds()}, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str, *, where: object = None) -> Split:
        """The inverse of :meth:`to_json`.

        Raises
        ------
        ProtocolError
            If ``text`` is not a split, or was changed after it was written (its digest no longer agrees).
        """
        fix = "run `dvc repro split`"
        try:
            data = json.loads(text)
            speech, eeg = (
                tuple(
                    Fold(int(f["index"]), tuple(f["train"]), tuple(f["test"]), tuple(f.get("aside", ())))
                    for f in data[modality]
                )
                for modality in ("speech", "eeg")
            )
            written = data["digest"]
        except (ValueError, KeyError, TypeError):
            raise ProtocolError("is not a split", where=where, fix=fix) from None
        split = cls(speech, eeg)
        if split.digest != written:
            raise ProtocolError("the split was edited after it was drawn", where=where, fix=fix)
        return split

    def save(self, path: Path) -> None:
        """Write as JSON, atomically."""
        with atomic_path(path) as temporary:
            temporary.write_text(self.to_json(), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Split:
        """Read what :meth:`save` wrote; :class:`ProtocolError` for anything else."""
        try:
            return cls.from_json(path.read_text(encoding="utf-8"), where=path)
        except FileNotFoundError:
            raise ProtocolError("no such split", where=path, fix="run `dvc repro split`") from None

    def _folds(self) -> dict[str, Any]:
        return {
            modality: [
                {k: v if k == "index" else list(v) for k, v in asdict(fold).items() if k != "aside" or v}
                for fold in folds
            ]
            for modality, folds in (("speech", self.speech), ("eeg", self.eeg))
        }


def outer_folds(
    groups: Groups,
    y: Labels,
    *,
    groups_per_fold: int,
    seed: int = 0,
    content: Groups | None = None,
    where: object = None,
) -> list[Fold]:
    """Leave-``groups_per_fold``-groups-out: ``ceil(G / groups_per_fold)`` folds, every group tested once.

    Where the number of groups G does not divide, the last folds test one group fewer. Of 256 random
    partitions, the one that misses the fewest classes, then the one with the most even row counts, is kept.

    Parameters
    ----------
    groups : (n,) speaker or subject of each row.
    y : (n,) class of each row, used to keep every fold class complete.
    groups_per_fold : groups in the test part of each fold.
    seed : of the random partitions.
    content : (n,) a hash of what each row holds. With it, who shares a fold depends on what people said and not on how
        they are called: names can be changed, or made up, without drawing other folds.
    where : what the error messages name, for example the corpus.

    Raises
    ------
    ProtocolError
        With a single group; when no group is left to train on; when a class is absent from a part of a fold.

    Example
    -------
    >>> folds = outer_folds(["a", "b", "c"] * 2, [0, 0, 0, 1, 1, 1], groups_per_fold=1)
    >>> sorted(fold.test for fold in folds)
    [('a',), ('b',), ('c',)]
    """
    names, counts, classes = _count(groups, y, where, content)
    if groups_per_fold < 1 or groups_per_fold >= len(names):
        raise ProtocolError(
            f"groups_per_fold {groups_per_fold} leaves no group to train on, there are {len(names)}",
            where=where,
            expected=f"1 to {len(names) - 1}",
            fix="lower protocol.groups_per_fold or add speakers",
        )
    n_folds = -(-len(names) // groups_per_fold)
    return _partition(names, counts, classes, n_folds, seed, where, "raise protocol.groups_per_fold")


def inner_folds(
    groups: Groups,
    y: Labels,
    *,
    n_folds: int,
    seed: int = 0,
    content: Groups | None = None,
    where: object = None,
) -> list[Fold]:
    """Grouped k-fold inside one outer training part, for search and early stopping.

    Drawn as :func:`outer_folds` draws; the numbers of groups per fold differ by one at most.

    Raises
    ------
    ProtocolError
        With a single group; with fewer groups than folds; when a class is absent from a part of a fold.
    """
    names, counts, classes = _count(groups, y, where, content)
    if not 2 <= n_folds <= len(names):
        raise ProtocolError(
            f"{n_folds} inner folds cannot be drawn from {len(names)} groups ({_names(names)})",
            where=where,
            expected=f"2 to {len(names)} folds" if len(names) > 2 else "2 folds",
            fix="lower protocol.inner_folds or protocol.groups_per_fold, or add speakers",
        )
    return _partition(names, counts, classes, n_folds, seed, where, "lower protocol.inner_folds")


def mask(groups: Groups, names: Iterable[str]) -> npt.NDArray[np.bool_]:
    """(n,) True where the row's group is one of ``names``."""
    wanted = set(names)
    return np.fromiter((str(group) in wanted for group in groups), dtype=bool, count=len(groups))


def _count(
    groups: Groups, y: Labels, where: object, content: Groups | None
) -> tuple[list[str], npt.NDArray[np.int64], list[str]]:
    """Group names (G) by what their rows hold, or else sorted; rows per group and class (G, C); class names (C)."""
    if len(groups) != len(y):
        raise ProtocolError(f"{len(groups)} groups for {len(y)} labels", where=where)
    names, group_code = np.unique([str(group) for group in groups], return_inverse=True)
    classes, class_code = np.unique([str(label) for label in y], return_inverse=True)
    if len(names) < 2:
        raise ProtocolError(
            ("no group" if not names.size else f"only one group ('{names[0]}')")
            + ": nothing can be left out",
            where=where,
            expected="at least two speakers or subjects",
            fix="add recordings of other people",
        )
    counts = np.zeros((len(names), len(classes)), dtype=np.int64)
    np.add.at(counts, (group_code, class_code), 1)
    if content is None:
        return names.tolist(), counts, classes.tolist()
    held: list[set[str]] = [set() for _ in names]  # windows of one recording are no more than one
    for code, value in zip(group_code, content, strict=True):
        held[code].add(str(value))
    order = sorted(range(len(names)), key=lambda code: (sorted(held[code]), names[code]))
    return names[order].tolist(), counts[order], classes.tolist()


def _partition(
    names: list[str],
    counts: npt.NDArray[np.int64],
    classes: list[str],
    n_folds: int,
    seed: int,
    where: object,
    remedy: str,
) -> list[Fold]:
    """The best of ``_DRAWS`` random partitions of the groups into ``n_folds`` class-complete parts."""
    rng = np.random.default_rng(seed)
    sizes = [len(part) for part in np.array_split(np.arange(len(names)), n_folds)]
    starts = np.cumsum([0, *sizes[:-1]])
    total = counts.sum(axis=0)
    best: tuple[tuple[int, int], npt.NDArray[np.int64]] | None = None
    for _ in range(_DRAWS):
        order = rng.permutation(len(names))
        held_out = np.add.reduceat(counts[order], starts, axis=0)
        absent = int((held_out == 0).sum() + (held_out == total).sum())
        score = (absent, int(np.ptp(held_out.sum(axis=1))))
        if best is None or score < best[0]:
            best = (score, order)
        if score == (0, 0):
            break
    assert best is not None
    folds = []
    for index, part in enumerate(np.split(best[1], starts[1:])):
        test = np.isin(np.arange(len(names)), part)
        for side, inside in (("test", test), ("train", ~test)):
            missing = np.flatnonzero(counts[inside].sum(axis=0) == 0)
            if len(missing):
                carriers = [names[g] for g in np.flatnonzero(counts[:, missing[0]])]
                merge = "drop or merge the class with corpora.<name>.labels"
                raise ProtocolError(
                    f"class '{classes[missing[0]]}' is absent from the {side} part of fold {index} "
                    f"(groups {_names([n for n, i in zip(names, inside, strict=True) if i])}); "
                    f"{len(carriers)} of {len(names)} groups have it ({_names(carriers)})",
                    where=where,
                    expected=f"every class in both parts of all {n_folds} folds",
                    # One carrier alone cannot be on both sides, however the folds are drawn.
                    fix=merge if len(carriers) == 1 else f"{remedy}, or {merge}",
                )
        folds.append(
            Fold(
                index,
                train=tuple(sorted(n for n, held in zip(names, test, strict=True) if not held)),
                test=tuple(sorted(n for n, held in zip(names, test, strict=True) if held)),
            )
        )
    return folds


def _names(names: Sequence[str], limit: int = 6) -> str:
    """``a, b, c`` or, for long lists, ``a, b, ... (12 in all)``."""
    if len(names) <= limit:
        return ", ".join(names)
    return f"{', '.join(names[:limit])}, ... ({len(names)} in all)"
