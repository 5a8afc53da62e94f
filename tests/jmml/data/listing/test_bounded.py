"""Tables made to hang, to fill the memory or to confuse: one line each."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jmml.data.corpora import read_table
from jmml.data.listing import bounded
from jmml.data.listing.tables import read_text
from jmml.errors import DataError
from tests.jmml.data.corpora.make import table_frame

FEW = {"id": ["a", "b"], "group": ["x", "y"], "label": ["anger", "calm"], "f0 [Hz]": [1.0, 2.0]}


def refused(path: Path, match: str) -> None:
    for read in (lambda: read_table(path, "lab", "speech"), lambda: read_text(path)):
        with pytest.raises(DataError, match=match) as caught:
            read()
        assert str(caught.value).startswith(str(path))
        assert len(str(caught.value)) < 500
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_as_many_columns_as_nobody_has(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"wide{suffix}"
    names = ["id", "group", "label", *(f"f{n}" for n in range(300_000))]
    if suffix == ".csv":
        path.write_text(",".join(names) + "\n" + ",".join("1" * len(names)) + "\n")
    else:
        names = names[:21_000]  # a schema takes seconds to write
        pq.write_table(pa.table({name: pa.array([1.0]) for name in names}), path)
    refused(path, r"has \d+,\d+ columns; expected at most 20,000")


def test_a_first_line_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "MAX_LINE", 1000)
    path = tmp_path / "a.csv"
    path.write_text("x" * 2000)
    refused(path, "its first line has more than 1,000 bytes")


def test_too_much_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "MAX_TEXT", 100)
    path = tmp_path / "a.csv"
    pd.DataFrame(FEW).to_csv(path, index=False)
    assert len(read_table(path, "lab", "speech")) == 2
    path.write_text(path.read_text() + "\n" * 100)
    refused(path, "is a table of 0.0 GB")


def test_a_parquet_file_of_few_bytes_and_many_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.parquet"
    rows = 1 << 18
    frame = pd.DataFrame({"id": np.arange(rows).astype(str), "group": "x", "label": "anger", "zero": 0.0})
    frame.to_parquet(path)
    monkeypatch.setattr(bounded, "MAX_TABLE", 1 << 20)
    refused(path, "unpacks to more than 0.0 GB")


@pytest.mark.parametrize(
    "metadata", [b"{", b"[]", b"{}", json.dumps({"columns": 1, "index_columns": ["id"]}).encode(), b"\xff"]
)
def test_what_pandas_wrote_beside_the_columns_is_broken(tmp_path: Path, metadata: bytes) -> None:
    path = tmp_path / "a.parquet"
    table = pa.table(FEW).replace_schema_metadata({b"pandas": metadata})
    pq.write_table(table, path)
    refused(path, "what pandas wrote beside its columns is broken")
    pq.write_table(table.replace_schema_metadata(None), path)
    assert len(read_table(path, "lab", "speech")) == 2


def test_a_parquet_file_that_is_cut_off_or_none(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pd.DataFrame(FEW).to_parquet(path)
    path.write_bytes(path.read_bytes()[:-40])
    refused(path, "cannot be read")
    path.write_bytes(b"")
    refused(path, r"is empty \(0 bytes\)|is empty; expected")


def test_a_column_that_stands_twice(tmp_path: Path) -> None:
    names = ["id", "group", "label", "f0", "f0"]
    pq.write_table(
        pa.Table.from_arrays([pa.array([str(n)]) for n in range(5)], names=names), tmp_path / "a.parquet"
    )
    refused(tmp_path / "a.parquet", "column 'f0' occurs more than once")
    (tmp_path / "a.csv").write_text(",".join(names) + "\n1,2,3,4,5\n")
    refused(tmp_path / "a.csv", "column 'f0' occurs more than once")


def test_ordinary_tables_are_as_pandas_reads_them(tmp_path: Path) -> None:
    frame = table_frame().set_index("id")
    frame.to_parquet(tmp_path / "a.parquet")
    pd.testing.assert_frame_equal(
        bounded.read_parquet(tmp_path / "a.parquet"), pd.read_parquet(tmp_path / "a.parquet")
    )
