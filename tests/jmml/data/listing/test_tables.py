"""Text as the programs of laboratories write it, and tables that are none."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from jmml.data.listing.tables import read_text
from jmml.errors import DataError

ROWS = "path\tspeaker\tlabel\r\na.wav\tJosé\tjoy\r\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_text_that_says_how_it_is_encoded(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "t.tsv"
    path.write_bytes(ROWS.encode(encoding))
    assert read_text(path).to_numpy().tolist() == [["a.wav", "José", "joy"]]


def test_text_that_does_not_say_so(tmp_path: Path) -> None:
    path = tmp_path / "t.tsv"
    path.write_bytes(ROWS.encode("cp1252"))
    with pytest.raises(DataError, match=r"is not UTF-8 text; .* Save it as UTF-8"):
        read_text(path)


@pytest.mark.parametrize("begin", [b"PK\x03\x04", b"\xd0\xcf\x11\xe0"])
def test_a_spreadsheet(tmp_path: Path, begin: bytes) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(begin + bytes(100))
    with pytest.raises(DataError, match=r"is a spreadsheet; .* Save it as 'CSV UTF-8'"):
        read_text(path)


def test_names_of_rows_are_a_column(tmp_path: Path) -> None:
    table = pd.DataFrame({"path": ["a.wav", "b.wav"], "label": ["joy", "fear"]})
    table.set_index("path").to_parquet(tmp_path / "named.parquet")
    assert read_text(tmp_path / "named.parquet").to_dict("list") == table.to_dict("list")
    table.set_index([[7, 9]]).to_parquet(tmp_path / "numbered.parquet")
    assert list(read_text(tmp_path / "numbered.parquet")) == ["path", "label"]


def test_a_header_is_told_from_paths(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a.wav,joy\nb.wav,fear\n")
    assert list(read_text(path)) == ["path", "label"]
    path.write_text("Datei,Wort\na.wav,joy\n")
    assert list(read_text(path)) == ["Datei", "Wort"]
    path.write_text("Ort,Wort\na,joy\n")
    assert list(read_text(path)) == ["path", "label"]
    assert list(read_text(path, ["Wort"])) == ["Ort", "Wort"]
