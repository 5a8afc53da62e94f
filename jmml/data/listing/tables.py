"""A file of any usual form as a table: CSV (commas, semicolons, tabs), Parquet, JSON Lines, JSON, a list of paths."""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from jmml.data.listing.bounded import check_header, check_text, check_twice, read_parquet
from jmml.data.listing.columns import guess
from jmml.errors import DataError

SUFFIXES = (".jsonl", ".csv", ".tsv", ".txt", ".lst", ".parquet", ".json")
EXPECTED = "CSV, TSV, Parquet, JSON Lines, JSON or a list of paths"
TO_UTF8 = "save it as UTF-8 (Excel: 'CSV UTF-8'; elsewhere: `iconv -f WINDOWS-1252 -t UTF-8`)"
_SEPARATORS = ",;\t|"
_FILE = re.compile(r".*[^.\s]\.[A-Za-z][A-Za-z0-9]{0,7}\s*")  # the name of a file
_SHEETS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # how files of Excel and OpenDocument begin


def read_text(path: Path, columns: Collection[str] = ()) -> pd.DataFrame:
    """A file as a table, one row per sample, every value as it is written there.

    Parameters
    ----------
    path : one of :data:`SUFFIXES`. Text is UTF-8, or UTF-16 that says so; a header is told from paths by its names, or
        by what stands below it. A JSON object is read as one of objects by key.
    columns : that somebody named.

    Raises
    ------
    DataError : an empty file, text in another encoding, a damaged one, a column that stands twice.
    """
    suffix = path.suffix.lower()
    try:
        if suffix == ".parquet":
            return _with_index(read_parquet(path)).rename(columns=str)
        if suffix in (".csv", ".tsv"):
            check_header(path)
        else:
            check_text(path)
        text = _decoded(path)
        if not text.strip():
            raise DataError("is empty", where=path, expected=EXPECTED)
        if suffix == ".jsonl":
            return _records(
                (
                    _object(line, path, number)
                    for number, line in enumerate(text.splitlines(), 1)
                    if line.strip()
                ),
                path,
            )
        if suffix == ".json":
            return _json(json.loads(text), path)
        return _delimited(text, path, columns)
    except UnicodeDecodeError:
        raise DataError("is not UTF-8 text", where=path, expected=EXPECTED, fix=TO_UTF8) from None
    except (ValueError, RecursionError, csv.Error, pa.ArrowException) as error:
        raise DataError(f"cannot be read as a table ({error})", where=path, expected=EXPECTED) from None


def _decoded(path: Path) -> str:
    raw = path.read_bytes()
    if raw.startswith(_SHEETS):
        raise DataError("is a spreadsheet", where=path, expected=EXPECTED, fix="save it as 'CSV UTF-8'")
    # What Excel calls Unicode text.
    utf16 = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return raw.decode("utf-16" if utf16 else "utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")


def _with_index(table: pd.DataFrame) -> pd.DataFrame:
    """The names of its rows as columns, where pandas keeps them apart under a name."""
    named = [name for name in table.index.names if name is not None and name not in table]
    return table.reset_index(named) if named else table


def _is_header(cells: list[str], beneath: list[str], columns: Collection[str]) -> bool:
    """Whether a line names columns: one that is known or asked for, or no file where the line below has one."""
    if guess(cell.strip() for cell in cells) or any(cell.strip() in columns for cell in cells):
        return True
    return not any(map(_FILE.fullmatch, cells)) and any(map(_FILE.fullmatch, beneath)) and len(cells) > 1


def _delimited(text: str, path: Path, columns: Collection[str]) -> pd.DataFrame:
    """A table with a header, or paths alone, with a label behind each where there is one."""
    first, _, rest = text.partition("\n")
    separator = max(_SEPARATORS, key=first.count)
    plain = first.count(separator) == 0
    header = next(csv.reader([first], delimiter=separator))
    beneath = next(csv.reader([rest.partition("\n")[0]], delimiter=separator), [])
    if not _is_header(header, beneath, columns):
        rows = [
            (line.split() if plain else next(csv.reader([line], delimiter=separator)))[:2]
            for line in text.splitlines()
            if line.strip()
        ]
        width = max(len(row) for row in rows)
        return pd.DataFrame(rows, columns=["path", "label"][:width], dtype=object)
    check_twice(header, path)
    table = pd.read_csv(io.StringIO(text), sep=separator, dtype=str, keep_default_na=False, index_col=False)
    return table.rename(columns=lambda column: str(column).strip())


def _object(line: str, path: Path, number: int) -> dict[str, Any]:
    found = json.loads(line)
    if not isinstance(found, dict):
        raise DataError(
            "is not an object", where=f"{path} line {number}", expected='{"wav": ..., "emo": ...}'
        )
    return found


def _json(found: Any, path: Path) -> pd.DataFrame:
    if isinstance(found, dict):
        found = [{"key": key, **value} for key, value in found.items() if isinstance(value, dict)]
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise DataError("is not a list of objects", where=path, expected='[{"wav": ..., "emo": ...}, ...]')
    return _records(found, path)


def _records(records: Iterable[dict[str, Any]], path: Path) -> pd.DataFrame:
    rows = list(records)
    if not rows:
        raise DataError("holds no sample", where=path, expected=EXPECTED)
    wanted = [column for column in dict.fromkeys(key for row in rows for key in row) if column]
    flat = {
        column: [row.get(column) if not isinstance(row.get(column), dict | list) else None for row in rows]
        for column in wanted
    }
    return pd.DataFrame(flat, dtype=object)
