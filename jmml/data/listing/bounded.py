"""Tables within bounds: of how many columns, bytes and values, before pandas makes objects of them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from jmml.data.listing.on_disk import check_file
from jmml.errors import CorpusError, DataError, RecordingError

MAX_COLUMNS = 20_000  # the largest common set of features has some 6,000
MAX_TEXT = 1 << 31  # bytes of a table that is text
MAX_TABLE = 1 << 32  # bytes of a Parquet table in memory
MAX_LINE = 1 << 24  # bytes of a first line
_SEPARATORS = (b",", b";", b"\t", b"|")
_ROWS = 1024  # of a Parquet file that are unpacked at a time


def check_text(path: Path) -> None:
    """Refuse a table that is text and too large, or no file; :class:`DataError`."""
    size = _size(path)
    if size > MAX_TEXT:
        raise DataError(
            f"is a table of {size / 1e9:.1f} GB",
            where=path,
            expected=f"at most {MAX_TEXT / 1e9:.1f} GB of text; Parquet is smaller",
        )


def check_header(path: Path) -> None:
    """Refuse a table of text, too, whose first line has no end, or names too many columns; see :func:`check_text`."""
    check_text(path)
    with path.open("rb") as file:
        line = file.readline(MAX_LINE)
    if len(line) == MAX_LINE:
        raise DataError(f"its first line has more than {MAX_LINE:,} bytes", where=path, expected="a table")
    _check_columns(1 + max(map(line.count, _SEPARATORS)), path)


def check_twice(names: list[str], path: Path) -> None:
    """Refuse a column that occurs twice: pandas would rename it to "f0.1" and go on."""
    twice = [name for name, count in Counter(names).items() if name and count > 1]
    if twice:
        raise DataError(f"column '{twice[0]}' occurs more than once", where=path)


def read_parquet(path: Path) -> pd.DataFrame:
    """A Parquet table.

    Raises
    ------
    DataError : there is no file, or too much in it, or what pandas wrote beside the columns is broken.
    ArrowException : it is no Parquet file.
    """
    _size(path)
    with path.open("rb") as handle:  # Arrow takes no name that is not UTF-8
        file = pq.ParquetFile(handle)
        schema = file.schema_arrow
        _check_columns(len(schema.names), path)
        check_twice(schema.names, path)
        batches, held = [], 0
        for batch in file.iter_batches(batch_size=_ROWS):
            held += batch.nbytes
            if held > MAX_TABLE:
                raise DataError(f"unpacks to more than {MAX_TABLE / 1e9:.1f} GB", where=path)
            batches.append(batch)
    table = pa.Table.from_batches(batches, schema=schema)
    try:
        frame: pd.DataFrame = table.to_pandas()
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, pa.ArrowException) as error:
        raise DataError(
            f"what pandas wrote beside its columns is broken ({type(error).__name__})",
            where=path,
            fix="write it again, without pandas: `table.replace_schema_metadata(None)` in pyarrow",
        ) from None
    return frame


def _size(path: Path) -> int:
    try:
        return check_file(path)
    except RecordingError as error:
        raise CorpusError(error.what, where=path, expected=error.expected, fix=error.fix) from None


def _check_columns(count: int, path: Path) -> None:
    if count > MAX_COLUMNS:
        raise DataError(f"has {count:,} columns", where=path, expected=f"at most {MAX_COLUMNS:,}")
