"""Folds are disjoint, exhaustive, class complete and reproducible; data that cannot carry them is refused."""

from __future__ import annotations

import json
from functools import partial
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jmml.data.splits import Fold, Split, inner_folds, mask, outer_folds
from jmml.errors import ProtocolError


def corpus(n_groups: int, n_classes: int = 3, rows: int = 2) -> tuple[list[str], list[int]]:
    """Every group has ``rows`` rows of every class."""
    cells = list(product(range(n_groups), range(n_classes), range(rows)))
    return [f"s{g:02d}" for g, _, _ in cells], [c for _, c, _ in cells]


@given(n_groups=st.integers(2, 25), groups_per_fold=st.integers(1, 24), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_outer_folds_test_every_group_once_and_never_train_on_it(
    n_groups: int, groups_per_fold: int, seed: int
) -> None:
    groups, y = corpus(n_groups)
    if groups_per_fold >= n_groups:
        with pytest.raises(ProtocolError, match="leaves no group to train on"):
            outer_folds(groups, y, groups_per_fold=groups_per_fold, seed=seed)
        return
    folds = outer_folds(groups, y, groups_per_fold=groups_per_fold, seed=seed)
    assert sorted(name for fold in folds for name in fold.test) == sorted(set(groups))
    assert len(folds) == int(np.ceil(n_groups / groups_per_fold))
    sizes = [len(fold.test) for fold in folds]
    assert max(sizes) <= groups_per_fold
    assert max(sizes) - min(sizes) <= 1
    for index, fold in enumerate(folds):
        assert fold.index == index
        assert set(fold.train) == set(groups) - set(fold.test)


@given(data=st.data(), seed=st.integers(0, 9))
@settings(max_examples=80, deadline=None)
def test_folds_are_class_complete_or_refused(data: st.DataObject, seed: int) -> None:
    counts = data.draw(
        st.lists(st.lists(st.integers(0, 3), min_size=3, max_size=3), min_size=2, max_size=7), label="counts"
    )
    groups = [f"g{g}" for g, row in enumerate(counts) for count in row for _ in range(count)]
    y = [c for row in counts for c, count in enumerate(row) for _ in range(count)]
    codes = np.asarray(y)
    names = sorted(set(groups))

    def complete(part: tuple[str, ...]) -> bool:
        inside = mask(groups, part)
        return set(codes[inside]) == set(codes[~inside]) == set(y)

    possible = any(complete(part) for part in combinations(names, len(names) // 2)) and len(names) > 1
    try:
        folds = inner_folds(groups, y, n_folds=2, seed=seed)
    except ProtocolError:
        assert not possible
        return
    assert possible
    for fold in folds:
        for part in (fold.train, fold.test):
            assert set(codes[mask(groups, part)]) == set(y)


def test_a_partition_that_keeps_the_classes_together_is_found() -> None:
    # Only 'a' and 'b' carry class 1: of the three ways to halve four groups, two separate them.
    groups, y = ["a", "a", "b", "b", "c", "d"], [0, 1, 0, 1, 0, 0]
    for seed in range(20):
        folds = outer_folds(groups, y, groups_per_fold=2, seed=seed)
        assert all(len({"a", "b"} & set(fold.test)) == 1 for fold in folds)


def test_row_counts_of_the_folds_are_balanced() -> None:
    rows = {"a": 100, "b": 90, "c": 10, "d": 20}
    groups = [name for name, count in rows.items() for _ in range(count)]
    y = [i % 2 for i in range(len(groups))]
    folds = outer_folds(groups, y, groups_per_fold=2, seed=0)
    assert {frozenset(fold.test) for fold in folds} == {frozenset("ac"), frozenset("bd")}


def test_seed_decides_the_partition_and_row_order_does_not() -> None:
    groups, y = corpus(12)
    first = outer_folds(groups, y, groups_per_fold=2, seed=1)
    order = np.random.default_rng(0).permutation(len(y))
    assert outer_folds(np.array(groups)[order], np.array(y)[order], groups_per_fold=2, seed=1) == first
    assert outer_folds(groups, y, groups_per_fold=2, seed=2) != first


def test_one_speaker_only() -> None:
    with pytest.raises(ProtocolError, match=r"nemo: only one group \('s00'\).*two speakers"):
        outer_folds(*corpus(1), groups_per_fold=1, where="nemo")
    with pytest.raises(ProtocolError, match="only one group"):
        inner_folds(*corpus(1), n_folds=2)
    with pytest.raises(ProtocolError, match="no group"):
        inner_folds([], [], n_folds=2)


def test_fewer_groups_than_folds_names_both() -> None:
    with pytest.raises(ProtocolError, match=r"5 inner folds cannot be drawn from 3 groups \(s00, s01, s02\)"):
        inner_folds(*corpus(3), n_folds=5)


def test_class_absent_from_a_fold_names_class_fold_groups_and_remedy() -> None:
    groups, y = corpus(4, n_classes=2)
    with pytest.raises(ProtocolError) as caught:
        outer_folds([*groups, "s03"], [*y, 9], groups_per_fold=2, where="speech")
    message = str(caught.value)
    assert message.startswith("speech: class '9' is absent from the ")
    assert "1 of 4 groups have it (s03)" in message
    assert "corpora.<name>.labels" in message
    assert "groups_per_fold" not in message  # no fold size can help a class of one speaker
    assert "\n" not in message

    groups, y = corpus(4, n_classes=2)
    with pytest.raises(ProtocolError, match=r"Raise protocol.groups_per_fold"):
        outer_folds([*groups, "s02", "s03"], [*y, 9, 9], groups_per_fold=1)
    assert outer_folds([*groups, "s02", "s03"], [*y, 9, 9], groups_per_fold=2)


def test_lengths_must_agree() -> None:
    with pytest.raises(ProtocolError, match="2 groups for 1 labels"):
        outer_folds(["a", "b"], [0], groups_per_fold=1)


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [(("a", "b"), ("b",), "groups b are in both"), ((), ("a",), "train part"), (("a",), (), "test part")],
)
def test_fold_refuses_overlap_and_empty_parts(train: tuple[str], test: tuple[str], message: str) -> None:
    with pytest.raises(ProtocolError, match=message):
        Fold(3, train, test)


def test_mask() -> None:
    groups = np.array(["a", "b", "a", "c"], dtype=object)
    assert mask(groups, ["a", "c", "elsewhere"]).tolist() == [True, False, True, True]
    assert mask(groups, []).tolist() == [False] * 4


class TestSplit:
    speech = tuple(outer_folds(*corpus(6), groups_per_fold=2))
    eeg = tuple(outer_folds(*corpus(4), groups_per_fold=2, seed=5))

    def test_eeg_folds_repeat(self) -> None:
        split = Split(self.speech, self.eeg)
        assert len(split) == 3
        assert [split.fold(i)[1] for i in range(3)] == [self.eeg[0], self.eeg[1], self.eeg[0]]
        assert Split(self.speech).fold(2) == (self.speech[2], None)
        with pytest.raises(ProtocolError, match="no fold 3; expected 0 to 2"):
            split.fold(3)

    def test_json_round_trip_and_digest(self, tmp_path: Path) -> None:
        split = Split(self.speech, self.eeg)
        split.save(tmp_path / "split.json")
        assert Split.load(tmp_path / "split.json") == split
        assert Split.from_json(split.to_json()).digest == split.digest
        assert Split(self.speech).digest != split.digest

    def test_refuses_what_is_no_split(self, tmp_path: Path) -> None:
        with pytest.raises(ProtocolError, match=r"no such split.*dvc repro"):
            Split.load(tmp_path / "split.json")
        for text in ("", "[]", "{}", '{"speech": [{"index": 0}], "eeg": [], "digest": ""}'):
            with pytest.raises(ProtocolError, match="is not a split"):
                Split.from_json(text)

    def test_refuses_an_edited_split(self) -> None:
        data = json.loads(Split(self.speech, self.eeg).to_json())
        fold = data["speech"][0]
        fold["train"].append(fold["test"].pop())
        with pytest.raises(ProtocolError, match="edited"):
            Split.from_json(json.dumps(data))

    def test_check_compares_with_the_groups_of_the_data(self) -> None:
        split = Split(self.speech, self.eeg)
        split.check(corpus(6)[0], corpus(4)[0])
        with pytest.raises(ProtocolError, match="speech: the split was made for other data: groups s06"):
            split.check(corpus(7)[0], corpus(4)[0])
        with pytest.raises(ProtocolError, match=r"eeg: .*groups s00, s01, s02, s03"):
            split.check(corpus(6)[0])

    def test_needs_a_speech_fold(self) -> None:
        with pytest.raises(ProtocolError, match="at least one speech fold"):
            Split(())


@given(data=st.data(), n_groups=st.integers(3, 9), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
@pytest.mark.parametrize("draw", [partial(outer_folds, groups_per_fold=2), partial(inner_folds, n_folds=2)])
def test_who_shares_a_fold_does_not_depend_on_how_people_are_called(
    draw, data, n_groups: int, seed: int
) -> None:
    groups, y = corpus(n_groups)
    content = [f"{number:x}" for number in range(len(groups))]
    names = sorted(set(groups))
    called = dict(zip(names, data.draw(st.permutations([f"who {n}" for n in names])), strict=True))
    order = data.draw(st.permutations(range(len(groups))))
    rows = [groups[row] for row in order], [y[row] for row in order], [content[row] for row in order]
    first = draw(groups, y, seed=seed, content=content)
    again = draw([called[name] for name in rows[0]], rows[1], seed=seed, content=rows[2])
    assert [fold.test for fold in again] == [tuple(sorted(called[n] for n in fold.test)) for fold in first]
    assert [fold.train for fold in again] == [tuple(sorted(called[n] for n in fold.train)) for fold in first]


def test_people_are_told_apart_by_what_they_said_and_not_by_how_often() -> None:
    groups, y = corpus(6)
    content = [f"{number:x}" for number in range(len(groups))]
    twice = outer_folds(groups * 2, y * 2, groups_per_fold=2, content=content * 2)
    assert twice == outer_folds(groups, y, groups_per_fold=2, content=content)
