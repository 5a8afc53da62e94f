"""A file of ready-made features as a table: what separates its columns, and how its numbers are written."""

from __future__ import annotations

import csv
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from jmml.data.listing.bounded import check_header, check_twice, read_parquet
from jmml.errors import CorpusError, DataError

SUFFIXES = (".csv", ".tsv", ".parquet")
TEXT = ("id", "recording", "group", "label", "text", "session", "source", "device")
_SEPARATORS = ",;\t|"
# What pandas takes for missing among numbers. A person may be called NA, and a label null.
_MISSING = ("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A",
            "NA", "NULL", "NaN", "None", "n/a", "nan", "null")  # fmt: skip
_COMMA = re.compile(r"(?=.*\d)\s*[-+]?(\d+|\d{1,3}(\.\d{3})+)?(,\d+)?([eE][-+]?\d+)?\s*")  # 210,5; 1.234,5
_EITHER = re.compile(r"\s*[-+]?[1-9]\d{0,2}(,\d{3})+\s*")  # 1,234 is a thousand somewhere
_OTHER = re.compile(r"\s*[-+]?[\d.,' \u00a0\u202f]*\d\s*(%|k?Hz|m?s|dB|[mµμu]?V)?\s*")  # 1 234.5; 12 Hz; 5 %


def load(path: Path, leave_out: Collection[str] = ()) -> pd.DataFrame:
    """The table with its columns as they are written; numbers are numbers, :data:`TEXT` is text.

    CSV is separated by what its header is separated by: commas, semicolons, tabs or bars. Numbers may have decimal
    commas; columns that are left out may hold anything.

    Raises
    ------
    CorpusError : not a table, or one that cannot be read.
    DataError : a column that stands twice, more values in a row than names in the header, a column whose numbers can be
        read in two ways, or in none.
    """
    try:
        frame = read_parquet(path) if path.suffix.lower() == ".parquet" else _delimited(path)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, csv.Error) as error:
        raise CorpusError(f"is not a table ({error})", where=path) from None
    except (pa.ArrowException, OSError) as error:
        raise CorpusError(f"cannot be read ({error})", where=path) from None
    return _numbers(frame.rename(columns=str), path, leave_out)


def _delimited(path: Path) -> pd.DataFrame:
    check_header(path)
    with path.open(newline="", encoding="utf-8-sig") as handle:
        first = handle.readline()
        handle.seek(0)
        separator = "\t" if path.suffix.lower() == ".tsv" else max(_SEPARATORS, key=first.count)
        reader = csv.reader(handle, delimiter=separator)
        header, beneath = next(reader, []), next(reader, [])
    check_twice(header, path)
    if len(beneath) > len(header) > 0:
        raise DataError(
            f"its rows hold more values than its header has names ({len(header)})",
            where=path,
            fix="name every column in the header, or write the table without the names of its rows",
        )
    text: Any = dict.fromkeys(TEXT, str)  # "01" stays "01"
    # Columns without a name are called by pandas as below.
    names = [name or f"Unnamed: {place}" for place, name in enumerate(header)]
    missing: Any = {name: [""] if name in TEXT else list(_MISSING) for name in names}
    frame = pd.read_csv(
        path, sep=separator, dtype=text, encoding="utf-8-sig", na_values=missing, keep_default_na=False
    )
    empty = [
        name for name, column in zip(names, header, strict=True) if not column and frame[name].isna().all()
    ]
    return frame.drop(columns=empty)  # what a separator at the end of each line leaves


def _numbers(frame: pd.DataFrame, path: Path, leave_out: Collection[str]) -> pd.DataFrame:
    """Columns of text that are numbers in another notation, as numbers."""
    found: dict[str, pd.Series] = {}
    for name in frame.columns:
        column = frame[name]
        if name in TEXT or name in leave_out or pd.api.types.is_numeric_dtype(column):
            continue
        held = column.dropna().map(str)
        if (
            len(held)
            and held.map(lambda value: bool(value.strip()) and _COMMA.fullmatch(value) is not None).all()
        ):
            found[name] = column
    clear = any(
        not all(_EITHER.fullmatch(value) or "," not in value for value in column.dropna().map(str))
        for column in found.values()
    )
    for name, column in found.items():
        held = column.dropna().map(str)
        if not held.str.contains(",").any():
            continue  # numbers as text, which is not how a table keeps features
        if not clear:
            raise DataError(
                f"column '{name}' can be read in two ways, such as '{held.iloc[0]}'",
                where=path,
                expected="numbers without signs between thousands",
                fix="write them with a decimal point",
            )
        plain = held.str.replace(".", "", regex=False).str.replace(",", ".", regex=False)
        values = pd.Series(np.nan, index=column.index, dtype=np.float64)
        values[plain.index] = pd.to_numeric(plain)
        frame[name] = values
    return frame


def check_text(column: pd.Series, path: Path) -> None:
    """A column of numbers with a stray word, or in a notation of its own, is a damaged feature, no remark to ignore."""
    held = column.dropna()
    numbers = pd.to_numeric(held.astype(str), errors="coerce").notna()
    if numbers.any():
        stray = held[~numbers]
        what = (
            f"such as {stray.iloc[0]!r} in row {held.index.get_loc(stray.index[0])}"
            if len(stray)
            else "as text"
        )
        raise DataError(f"column '{column.name}' mixes numbers and text, {what}", where=path)
    odd = held.astype(str).map(lambda value: _OTHER.fullmatch(value) is not None)
    if len(held) and odd.mean() > 0.5:
        raise DataError(
            f"column '{column.name}' holds numbers in a notation that is not read, such as "
            f"'{held[odd].iloc[0]}'",
            where=path,
            expected="plain numbers, with a decimal point or comma",
        )
