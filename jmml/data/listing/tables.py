"""A file of any usual form as a table: CSV (commas, semicolons, tabs), Parquet, JSON Lines, JSON, a list of paths."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from jmml.data.listing.bounded import check_header, check_text, check_twice, read_parquet
from jmml.data.listing.columns import guess
from jmml.errors import DataError

SUFFIXES = (".jsonl", ".csv", ".tsv", ".txt", ".lst", ".parquet", ".json")
EXPECTED = "CSV, TSV, Parquet, JSON Lines, JSON or a list of paths"
_SEPARATORS = ",;\t|"


def read_text(path: Path) -> pd.DataFrame:
    """A file as a table, one row per sample, every value as it is written there.

    Parameters
    ----------
    path : one of :data:`SUFFIXES`. Text is UTF-8; a header is told from paths by its names. A JSON object is read as
        one of objects by key.

    Raises
    ------
    DataError : an empty file, other text than UTF-8, a damaged one, a column that stands twice.
    """
    suffix = path.suffix.lower()
    try:
        if suffix == ".parquet":
            return read_parquet(path).rename(columns=str)
        if suffix in (".csv", ".tsv"):
            check_header(path)
        else:
            check_text(path)
        text = path.read_text(encoding="utf-8-sig")
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
        return _delimited(text, path)
    except UnicodeDecodeError:
        raise DataError("is not UTF-8 text", where=path, expected=EXPECTED) from None
    except (ValueError, RecursionError, csv.Error, pa.ArrowException) as error:
        raise DataError(f"cannot be read as a table ({error})", where=path, expected=EXPECTED) from None


def _delimited(text: str, path: Path) -> pd.DataFrame:
    """A table with a header, or paths alone, with a label behind each where there is one."""
    first = text.split("\n", 1)[0]
    separator = max(_SEPARATORS, key=first.count)
    plain = first.count(separator) == 0
    header = next(csv.reader([first], delimiter=separator))
    if not guess(column.strip() for column in header):
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
