"""Folds disjoint by more than people: nothing shared, nothing tested twice, and what cannot be shown is refused."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jmml.data.protocol.disjoint import PARTS, Rows, disjoint_folds
from jmml.data.splits import Fold, outer_folds
from jmml.errors import ProtocolError


def crossed(people: int = 6, texts: int = 4, classes: int = 3) -> dict[str, np.ndarray]:
    """Everybody speaks every text in every class, as actors do."""
    rows = list(product(range(people), range(texts), range(classes)))
    return {
        "groups": np.array([f"p{p}" for p, _, _ in rows]),
        "text": np.array([f"t{t}" for _, t, _ in rows], dtype=object),
        "y": np.array([c for _, _, c in rows]),
        "recordings": np.array([f"p{p} t{t} c{c}" for p, t, c in rows]),
    }


def draw(data: dict[str, np.ndarray], *keys: str, groups_per_fold: int = 2, **how: object) -> list[Fold]:
    people = outer_folds(data["groups"], data["y"], groups_per_fold=groups_per_fold)
    values = {key: data[key] for key in keys}
    return disjoint_folds(people, data["groups"], data["y"], data["recordings"], values, seed=0, **how)


def parts(data: dict[str, np.ndarray], fold: Fold) -> tuple[np.ndarray, np.ndarray]:
    train, test = (fold.rows(side, data["groups"], data["recordings"]) for side in ("train", "test"))
    return train, test


@given(people=st.integers(3, 8), texts=st.integers(2, 6), per_fold=st.integers(1, 2), seed=st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_neither_people_nor_texts_are_shared_and_every_sample_is_tested_once(
    people: int, texts: int, per_fold: int, seed: int
) -> None:
    data = crossed(people, texts)
    keep = np.random.default_rng(seed).permutation(len(data["y"]))
    data = {name: values[keep] for name, values in data.items()}
    tested = np.zeros(len(keep), dtype=int)
    for number, fold in enumerate(draw(data, "text", groups_per_fold=per_fold)):
        train, test = parts(data, fold)
        assert fold.index == number
        for key in ("groups", "text"):
            assert not set(data[key][train]) & set(data[key][test])
        assert set(data["y"][train]) == set(data["y"][test]) == {0, 1, 2}
        tested += test
    assert (tested == 1).all()


def test_selection_has_as_many_folds_as_before() -> None:
    data = crossed()
    folds = draw(data, "text", crossed=False)
    assert len(folds) == 3
    for fold in folds:
        train, test = parts(data, fold)
        assert not set(data["text"][train]) & set(data["text"][test])


def test_a_key_that_few_people_share_costs_training_samples_alone() -> None:
    """Sessions of two people each: their partner is set aside, and no value is parted."""
    data = crossed(people=8)
    data["session"] = np.array([f"s{int(name[1:]) // 2}" for name in data["groups"]], dtype=object)
    folds = draw(data, "session", groups_per_fold=1)
    assert len(folds) == 8
    for fold in folds:
        train, test = parts(data, fold)
        assert len(set(data["groups"][test])) == 1
        assert len(set(data["groups"][train])) == 6
        assert test.sum() == 12  # all samples of the person


def test_two_keys_that_all_share_are_crossed() -> None:
    data = crossed(texts=4)
    data["device"] = np.array([f"d{int(name[1:]) % 2}" for name in data["text"]], dtype=object)
    data["text"] = np.array([f"{text} {n % 4}" for n, text in enumerate(data["groups"])], dtype=object)
    folds = draw(data, "device")
    assert len(folds) == 3 * PARTS
    tested = sum(parts(data, fold)[1].astype(int) for fold in folds)
    assert (tested == 1).all()


def test_a_sample_of_which_nothing_is_told_is_named() -> None:
    data = crossed()
    data["text"][5] = None
    with pytest.raises(ProtocolError, match="nothing tells the text of 1 of 72 samples, such as 'p0 t1 c2'"):
        draw(data, "text")


def test_one_value_for_all_cannot_be_kept_apart() -> None:
    data = crossed(texts=1)
    with pytest.raises(ProtocolError, match="all samples have the text 't0'"):
        draw(data, "text")


def test_a_class_that_only_one_text_carries_is_told() -> None:
    data = crossed(texts=2)
    data["y"] = np.where(data["text"] == "t0", data["y"] % 2, data["y"])
    with pytest.raises(
        ProtocolError, match=r"no 2 parts of the values of text have every class each: class '2'"
    ):
        draw(data, "text")


def test_parts_of_one_recording_stay_together() -> None:
    data = crossed()
    data["recordings"][1] = data["recordings"][4]  # texts t0 and t1 of one person
    data["recordings"][0] = data["recordings"][7]
    with pytest.raises(ProtocolError, match=r"parts of recording .* would be on several sides"):
        for seed in range(8):
            people = outer_folds(data["groups"], data["y"], groups_per_fold=2)
            disjoint_folds(
                people, data["groups"], data["y"], data["recordings"], {"text": data["text"]}, seed=seed
            )


def test_a_fold_of_rows_names_who_is_in_neither_part() -> None:
    data = crossed(people=3, texts=2, classes=2)
    rows = Rows(data["groups"], data["y"], data["recordings"])
    train, test = data["groups"] == "p0", (data["groups"] == "p1") & (data["text"] == "t0")
    fold = rows.fold(0, train, test)
    assert fold == Fold(0, ("p0",), ("p1",), ("p1 t1 c0", "p1 t1 c1"))
    with pytest.raises(ProtocolError, match="class '1' is absent from the test part of fold 0;"):
        rows.fold(0, train, test & (data["y"] == 0))
