"""What two parts share, against a count by hand and against sets."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jmml.data.protocol.overlap import KEYS, overlaps


def frame(rows: list[tuple[str, str, str, str]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["fold", "part", "person", "label"], dtype=object)


def test_values_samples_and_pairs_with_the_label() -> None:
    found = overlaps(
        frame(
            [
                ("1", "train", "a", "joy"), ("1", "train", "b", "fear"), ("1", "test", "a", "joy"),
                ("1", "test", "a", "fear"), ("1", "test", "c", "joy"), ("1", "test", "d", "joy"),
            ]
        )
    )  # fmt: skip
    (one,) = found
    assert (one.values, one.shared, one.names) == (3, 1, ("a",))
    assert (one.samples, one.shared_samples, one.with_label, one.share) == (4, 2, 1, 0.5)


def test_the_test_part_is_held_against_all_others_and_validation_against_training() -> None:
    found = overlaps(
        frame(
            [
                ("1", "train", "a", "x"),
                ("1", "valid", "b", "x"),
                ("1", "valid", "a", "x"),
                ("1", "test", "b", "x"),
            ]
        )
    )
    assert [(one.part, one.shared, one.values) for one in found] == [("test", 1, 1), ("valid", 1, 2)]


@pytest.mark.parametrize(("trained", "unknown"), [("b", 1), (None, 2)])
def test_samples_without_a_value_are_counted_apart_and_shared_with_nobody(trained, unknown) -> None:
    """One of unknown value in training may be that of any sample."""
    rows = [("1", "train", trained, "x"), ("1", "test", None, "x"), ("1", "test", "a", "x")]
    (one,) = overlaps(frame(rows))
    assert (one.unknown, one.shared, one.shared_samples, one.with_label) == (unknown, 0, 0, 0)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("fold", [0, 2])
def test_a_planted_leak_is_found_in_its_fold_and_key_alone(key: str, fold: int) -> None:
    rows = [
        {"fold": str(f), "part": part, **{name: f"{name}{f}{part}{n}" for name in KEYS}}
        for f in range(3)
        for part in ("train", "test")
        for n in range(4)
    ]
    table = pd.DataFrame(rows, dtype=object)
    assert not any(one.shared for one in overlaps(table))
    inside = table.index[(table["fold"] == str(fold)) & (table["part"] == "test")][0]
    table.loc[inside, key] = f"{key}{fold}train3"
    assert [(one.fold, one.key, one.shared) for one in overlaps(table) if one.shared] == [(str(fold), key, 1)]


names = st.sampled_from("abcde")


@given(
    train=st.lists(st.tuples(names, names), min_size=1), test=st.lists(st.tuples(names, names), min_size=1)
)
def test_counts_are_those_of_sets(train, test) -> None:
    (one,) = overlaps(frame([("1", "train", *row) for row in train] + [("1", "test", *row) for row in test]))
    trained = {person for person, _ in train}
    assert one.shared == len(trained & {person for person, _ in test})
    assert one.shared_samples == sum(person in trained for person, _ in test)
    assert one.with_label == sum(row in train for row in test)
