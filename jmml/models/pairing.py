"""Pairing: which EEG sample each speech sample meets while stage 2 is trained.

The corpora were recorded from different people, so there are no natural pairs. ``class`` pairing draws, for
each speech sample, an EEG sample of the same class; given the class, the two are independent, and a pair says
nothing about the individual sample (docs/method.md). ``instance`` pairing is for parallel corpora, where both
modalities of one trial exist. Pairs are used in training alone: no prediction needs one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from jmml.errors import ProtocolError
from jmml.plugins import PAIRINGS

Values = npt.NDArray[Any] | Sequence[Any]
Index = npt.NDArray[np.int64]

_PARALLEL_ONLY = {
    "where": "instance pairing",
    "expected": "the id of an EEG trial for every utterance",
    "fix": "use method.stage2.pairing: class for corpora recorded apart",
}


def pair(
    kind: str,
    y_speech: Values,
    y_eeg: Values,
    *,
    rng: np.random.Generator,
    pair_ids: tuple[Values, Values] | None = None,
) -> Index:
    """(n_speech,) row of the EEG sample that each speech sample meets.

    - ``class``, ``class-frozen``: inside a class with s speech and e EEG rows, each EEG row is used
      floor(s / e) or ceil(s / e) times, in random order. The two differ in how often the caller draws:
      see :func:`schedule`.
    - ``instance``: the EEG row whose id equals that of the speech row; where several do (windows of one
      trial), one of them at random.

    Parameters
    ----------
    y_speech, y_eeg : (n_speech,) and (n_eeg,) classes.
    rng : source of the draw; the same state gives the same pairs.
    pair_ids : for ``instance``, ids of the speech rows and ids of the EEG rows, in one naming.

    Raises
    ------
    ProtocolError
        If a class occurs in one modality only, or a speech row has no EEG partner.
    ConfigError
        If ``kind`` is unknown.

    Example
    -------
    >>> pair("class", ["sad", "happy"], ["happy", "sad"], rng=np.random.default_rng(0)).tolist()
    [1, 0]
    """
    return _draw(_groups(kind, y_speech, y_eeg, pair_ids), rng)


Groups = tuple[npt.NDArray[np.str_], npt.NDArray[np.str_]]
Grouping = Callable[[Values, Values, tuple[Values, Values] | None], Groups]


def _groups(
    kind: str, y_speech: Values, y_eeg: Values, pair_ids: tuple[Values, Values] | None
) -> list[tuple[Index, Index]]:
    """Speech rows and EEG rows of each class or trial, in order of the sorted names, checked."""
    group: Grouping = PAIRINGS[kind]
    keys_speech, keys_eeg = group(y_speech, y_eeg, pair_ids)
    return [(rows, np.flatnonzero(keys_eeg == key)) for key, rows in _rows_by_key(keys_speech).items()]


def _by_class(y_speech: Values, y_eeg: Values, _: tuple[Values, Values] | None) -> Groups:
    keys_speech, keys_eeg = _strings(y_speech), _strings(y_eeg)
    _check_classes(keys_speech, keys_eeg)
    return keys_speech, keys_eeg


def _by_trial(y_speech: Values, y_eeg: Values, pair_ids: tuple[Values, Values] | None) -> Groups:
    if pair_ids is None:
        raise ProtocolError("the ids of the trials in both modalities are missing", **_PARALLEL_ONLY)
    keys_speech, keys_eeg = _strings(pair_ids[0]), _strings(pair_ids[1])
    if len(keys_speech) != len(y_speech) or len(keys_eeg) != len(y_eeg):
        raise ProtocolError("the number of ids is not the number of rows", **_PARALLEL_ONLY)
    _check_partners(keys_speech, keys_eeg)
    return keys_speech, keys_eeg


# Rows meet inside groups: which group each row is of, by the name of the pairing.
for _name, _grouping in (("class", _by_class), ("class-frozen", _by_class), ("instance", _by_trial)):
    PAIRINGS.register(_name, _grouping)


def _draw(groups: list[tuple[Index, Index]], rng: np.random.Generator) -> Index:
    index = np.empty(sum(len(rows) for rows, _ in groups), dtype=np.int64)
    for rows, candidates in groups:
        # The repeated permutation uses every candidate equally often; the second draw breaks its order.
        index[rows] = rng.permutation(np.resize(rng.permutation(candidates), len(rows)))
    return index


def schedule(
    kind: str,
    y_speech: Values,
    y_eeg: Values,
    *,
    seed: int,
    pair_ids: tuple[Values, Values] | None = None,
) -> Callable[[int], Index]:
    """A function from the training epoch to the pairs of that epoch.

    The generator is seeded by (seed, epoch), so the pairs of an epoch do not depend on the epochs before it
    and a resumed trial draws what an uninterrupted one draws. ``class-frozen`` gives the pairs of epoch 0 at
    every epoch. Rows are grouped and checked at once: bad input is refused before training starts.
    """
    groups = _groups(kind, y_speech, y_eeg, pair_ids)

    def at(epoch: int) -> Index:
        return _draw(groups, np.random.default_rng([seed, 0 if kind == "class-frozen" else epoch]))

    return at


def _strings(values: Values) -> npt.NDArray[np.str_]:
    return np.asarray([str(value) for value in values], dtype=np.str_)


def _rows_by_key(keys: npt.NDArray[np.str_]) -> dict[str, Index]:
    """Rows of each distinct key, in order of the sorted keys."""
    order = np.argsort(keys, kind="stable")
    names, starts = np.unique(keys[order], return_index=True)
    return dict(zip(names.tolist(), np.split(order, starts[1:]), strict=True))


def _check_classes(speech: npt.NDArray[np.str_], eeg: npt.NDArray[np.str_]) -> None:
    if set(speech) == set(eeg):
        return
    lone = [f"'{name}' in speech" for name in sorted(set(speech) - set(eeg))]
    lone += [f"'{name}' in EEG" for name in sorted(set(eeg) - set(speech))]
    raise ProtocolError(
        f"classes that only one modality has: {', '.join(lone)}",
        where="class pairing",
        expected="the same classes in both corpora",
        fix="map the labels of both corpora to shared classes with corpora.<name>.labels",
    )


def _check_partners(speech: npt.NDArray[np.str_], eeg: npt.NDArray[np.str_]) -> None:
    lone = sorted(set(speech) - set(eeg))
    if lone:
        more = f" and {len(lone) - 1} more" if len(lone) > 1 else ""
        raise ProtocolError(
            f"no EEG sample with the id of speech sample '{lone[0]}'{more}",
            where="instance pairing",
            expected="an EEG trial for every utterance",
            fix="use method.stage2.pairing: class for corpora recorded apart",
        )
