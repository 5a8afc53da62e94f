from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from jmml.data.table import FeatureTable
from jmml.errors import DataError
from tests.jmml.tasks import gaussian_table


def test_round_trip_keeps_every_byte_and_the_digest(tmp_path):
    table = gaussian_table("eeg")
    table.save(tmp_path / "t.parquet")
    loaded = FeatureTable.load(tmp_path / "t.parquet")
    assert loaded.X.tobytes() == table.X.tobytes()
    assert loaded.digest == table.digest
    assert (loaded.names, loaded.units, loaded.corpus) == (table.names, table.units, table.corpus)
    pd.testing.assert_frame_equal(loaded.index, table.index, check_dtype=False)


def test_digest_follows_one_changed_value_and_one_changed_group():
    table = gaussian_table("speech")
    X = table.X.copy()
    X[3, 2] += 1e-6
    groups = table.index.copy()
    groups.loc[0, "group"] = "other"
    assert len({table.digest, replace(table, X=X).digest, replace(table, index=groups).digest}) == 3


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("id", "other"),
        ("recording", "other"),
        ("group", "other"),
        ("label", "fear"),
        ("valence", 1.5),
        ("arousal", 1.5),
    ],
)
def test_digest_follows_every_column_of_the_index(column: str, value: object):
    table = gaussian_table("speech")
    index = table.index.copy()
    index.loc[0, column] = value
    assert replace(table, index=index).digest != table.digest


def test_values_that_are_not_finite_are_located():
    table = gaussian_table("speech")
    X = table.X.copy()
    X[5, 7] = np.nan
    X[6, 7] = np.inf
    with pytest.raises(
        DataError, match=f"2 values are not finite, first at id '{table.ids[5]}', feature 'x07'"
    ):
        replace(table, X=X)


def test_a_row_without_group_and_a_repeated_id_are_errors():
    table = gaussian_table("speech")
    no_group, repeated = table.index.copy(), table.index.copy()
    no_group.loc[2, "group"] = None
    repeated.loc[2, "id"] = repeated.loc[3, "id"]
    with pytest.raises(DataError, match="1 rows have no speaker or subject"):
        replace(table, index=no_group)
    with pytest.raises(DataError, match="occurs more than once"):
        replace(table, index=repeated)


def test_shapes_and_names_must_agree():
    table = gaussian_table("speech")
    with pytest.raises(DataError, match="features of shape"):
        replace(table, X=table.X[:, :-1])
    with pytest.raises(DataError, match="not unique"):
        replace(table, names=("x00",) * 20)


@pytest.mark.parametrize("content", [None, b"", b"PAR1 no parquet", "frame"])
def test_a_missing_or_foreign_file_says_what_to_do(tmp_path, content):
    path = tmp_path / "t.parquet"
    if content == "frame":
        pd.DataFrame({"a": [1]}).to_parquet(path)
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match="dvc repro"):
        FeatureTable.load(path)


def test_what_else_is_known_of_samples_survives_and_enters_the_digest(tmp_path):
    table = gaussian_table("speech")
    told = table.index.assign(text=[f"text {n % 3}" for n in range(len(table))], session=None)
    known = replace(table, index=told)
    assert [*known.index][-1] == "text"  # nothing is known of sessions
    known.save(tmp_path / "t.parquet")
    loaded = FeatureTable.load(tmp_path / "t.parquet")
    assert list(loaded.index["text"]) == list(told["text"])
    assert loaded.names == table.names
    assert loaded.digest == known.digest != table.digest


def test_hashes_of_recordings_are_kept_beside_the_digest(tmp_path):
    table = gaussian_table("speech")
    hashed = replace(table, index=table.index.assign(content=[f"{n:064x}" for n in range(len(table))]))
    hashed.save(tmp_path / "t.parquet")
    assert list(FeatureTable.load(tmp_path / "t.parquet").index["content"]) == list(hashed.index["content"])
    assert hashed.digest == table.digest
