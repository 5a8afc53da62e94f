"""Databases of audEERING's audformat: what their tables say of the recordings.

The package audformat (``pip install 'jmml[audformat]'``) reads the header, ``db.yaml``: tables, schemes, splits. The
header is parsed here, and tables are read here too: ``audformat.Database.load`` takes a YAML loader that can run
code and tables that are pickles, and it takes a speaker called NA for a missing value.

Hagerer, G., et al. (2023). audformat: Format to store media files and annotations.
https://audeering.github.io/audformat
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd
import pyarrow as pa
import yaml

from jmml.data.listing.columns import clean, field_of
from jmml.data.listing.recordings import Recordings
from jmml.errors import CorpusError, DataError, UnsafeFileError

HEADER = "db.yaml"
MAX_HEADER = 32 * 1024**2  # bytes
_KEPT = (
    "person",
    "label",
    "valence",
    "arousal",
    "dominance",
    "text",
    "session",
    "recording",
    "device",
    "gender",
)
_NUMBERS = ("valence", "arousal", "dominance")
_GOLD = "gold"  # of several tables of labels those that are called so count

Place = tuple[str, float | None, float | None]  # file, start and end in seconds


@dataclass(frozen=True)
class _Column:
    """One column of one table that means something here."""

    field: str
    values: list[str | None]
    labels: Any  # of its scheme: a list, or codes and what they stand for


@dataclass(frozen=True)
class _Table:
    name: str
    split: str | None
    places: list[Place]
    columns: dict[str, _Column]


def is_database(root: Path) -> bool:
    """Whether a folder holds the header of a database."""
    try:
        with (root / HEADER).open(encoding="utf-8") as file:
            begin = file.read(1 << 16)
    except (OSError, UnicodeDecodeError):
        return False
    return "name:" in begin and ("tables:" in begin or "schemes:" in begin)


def describe_database(root: Path) -> Recordings:
    """What the tables say: one row per file, or segment of one, that has a label.

    Raises
    ------
    CorpusError : the package is not installed, the header or a table cannot be read.
    DataError : no table says which emotion it is, or who speaks.
    UnsafeFileError : a table is a pickle alone.
    """
    tables = _tables(root)
    told = [
        table for table in tables if "label" in table.columns or {"valence", "arousal"} <= set(table.columns)
    ]
    told = [table for table in told if _GOLD in table.name] or told
    if not told:
        raise DataError(
            "no table has a column of emotions", where=root / HEADER, expected="a column 'emotion'"
        )
    by_file, by_place = _known(tables)
    rows: dict[Place, dict[str, Any]] = {}
    problems, unlabelled = [], 0
    parts: Counter[str] = Counter()
    for table in told:
        for number, place in enumerate(table.places):
            own = {field: column.values[number] for field, column in table.columns.items()}
            if own.get("label") is None and any(own.get(key) is None for key in ("valence", "arousal")):
                unlabelled += 1
                continue
            pure = PurePosixPath(place[0])
            if pure.is_absolute() or ".." in pure.parts or "\\" in place[0]:
                problems.append(f"{table.name}: '{place[0]}' is not a path below the database")
            elif place in rows and rows[place].get("label") != own.get("label"):
                problems.append(
                    f"{place[0]}: '{rows[place].get('label')}' and in {table.name} '{own.get('label')}'"
                )
            elif place not in rows:
                known = {**by_file.get(place[0], {}), **by_place.get(place, {})}
                rows[place] = {**known, **{field: value for field, value in own.items() if value is not None}}
                if table.split is not None:
                    rows[place]["part"] = table.split
                    parts[table.split] += 1
    if not rows:
        raise DataError("no recording has a label", where=root / HEADER)
    if not any(row.get("person") for row in rows.values()):
        raise DataError("no table says who speaks", where=root / HEADER, expected="a column 'speaker'")
    notes = [f"{unlabelled} rows without a label left out"] if unlabelled else []
    if parts:
        notes.append(
            f"published parts: {', '.join(f'{part} {count}' for part, count in sorted(parts.items()))}"
        )
    fields = [field for field in (*_KEPT, "part") if any(field in row for row in rows.values())]
    data: dict[str, list[Any]] = {"path": [place[0] for place in rows]}
    for field in fields:
        data[field] = [row.get(field) for row in rows.values()]
        if field in _NUMBERS:
            data[field] = [float("nan") if value is None else float(value) for value in data[field]]
    if any(place[1:] != (None, None) for place in rows):
        data["start_s"] = [float("nan") if place[1] is None else place[1] for place in rows]
        data["end_s"] = [float("nan") if place[2] is None else place[2] for place in rows]
    frame = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in data.items()})
    for name in (*_NUMBERS, "start_s", "end_s"):
        if name in frame:
            frame[name] = frame[name].astype(float)
    return Recordings(frame, dict.fromkeys(fields, f"tables of {HEADER}"), problems, notes)


def _known(tables: list[_Table]) -> tuple[dict[str, dict[str, Any]], dict[Place, dict[str, Any]]]:
    """What all tables say besides the label: of whole files, and of segments."""
    by_file: dict[str, dict[str, Any]] = {}
    by_place: dict[Place, dict[str, Any]] = {}
    for table in tables:
        for field, column in table.columns.items():
            if field == "label":
                continue
            for place, value in zip(table.places, column.values, strict=True):
                if value is not None:
                    whole = place[1:] == (None, None)
                    about = by_file.setdefault(place[0], {}) if whole else by_place.setdefault(place, {})
                    about.setdefault(field, value)
                    gender = _property(column.labels, value, "gender") if field == "person" else None
                    if gender is not None:
                        about.setdefault("gender", gender)
    return by_file, by_place


def _tables(root: Path) -> list[_Table]:
    database = _header(root / HEADER)
    found = []
    for name, table in database.tables.items():
        fields = {
            column: field
            for column, told in table.columns.items()
            if (field := field_of(column) or field_of(told.scheme_id or "")) in _KEPT
            and told.rater_id is None
        }
        data = _read(root, name)
        levels = ["file", "start", "end"] if table.is_segmented else ["file"]
        missing = [column for column in (*levels, *fields) if column not in data]
        if missing:
            raise CorpusError(
                f"columns missing: {', '.join(missing)}", where=f"table {name} of {root / HEADER}"
            )
        nothing: list[Any] = [None] * len(data)
        times = [[_seconds(value, name) for value in data[level]] for level in levels[1:]] or [
            nothing,
            nothing,
        ]
        places = [
            (str(file), None if start == 0 and end is None else start, end)
            for file, start, end in zip(data["file"], *times, strict=True)
        ]
        columns: dict[str, _Column] = {}
        for column, field in fields.items():
            scheme = (
                database.schemes.get(table.columns[column].scheme_id)
                if table.columns[column].scheme_id
                else None
            )
            labels = None if scheme is None else scheme.labels
            values = [_value(value, field, labels, name) for value in data[column]]
            if field not in columns or column == field:
                columns[field] = _Column(field, values, labels)
        found.append(_Table(name, table.split_id, places, columns))
    return found


def _header(path: Path) -> Any:
    try:
        import audformat
    except ImportError:
        raise CorpusError(
            "is an audformat database, for which the package audformat is not installed",
            where=path,
            fix="`pip install 'jmml[audformat]'`",
        ) from None
    try:
        if path.stat().st_size > MAX_HEADER:
            raise CorpusError(f"is larger than {MAX_HEADER // 1024**2} MiB", where=path)
        header = yaml.load(path.read_text(encoding="utf-8"), Loader=_Plain)
        return audformat.Database.load_header_from_yaml(header)
    except CorpusError:
        raise
    except Exception as error:  # of YAML, and whatever the package makes of a header that is none
        raise CorpusError(
            f"is not the header of a database ({type(error).__name__}: {error})", where=path
        ) from None


class _Plain(yaml.SafeLoader):
    """YAML without references, by which a small text becomes a large one."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("has references (*)")
        return super().compose_node(parent, index)


def _read(root: Path, table: str) -> pd.DataFrame:
    """A table with every value as it is written there, times as they are."""
    if PurePosixPath(table).name != table or "\\" in table or table.startswith("."):
        raise CorpusError(f"'{table}' cannot name a table", where=root / HEADER)
    csv, parquet, pickled = (root / f"db.{table}.{suffix}" for suffix in ("csv", "parquet", "pkl"))
    try:
        if csv.is_file():
            return pd.read_csv(csv, dtype=str, keep_default_na=False, encoding="utf-8-sig")
        if parquet.is_file():
            with parquet.open("rb") as file:
                frame = pd.read_parquet(file)
            return frame.reset_index() if frame.index.names != [None] else frame
    except (OSError, ValueError, pa.ArrowException) as error:
        raise CorpusError(f"the table {table} cannot be read ({error})", where=root / HEADER) from None
    if pickled.is_file():
        raise UnsafeFileError(
            f"the table {table} is a pickle alone, which may run code",
            where=pickled,
            fix="write it anew where you trust it: `audformat.Database.load(ROOT).save(ROOT, storage_format='csv')`",
        )
    raise CorpusError(
        f"the table {table} is missing", where=root / HEADER, expected=f"{csv.name} or {parquet.name}"
    )


def _value(value: Any, field: str, labels: Any, table: str) -> str | None:
    text = clean(value)
    if text is None or (field == "label" and isinstance(value, float)):
        return None
    if field in _NUMBERS:
        try:
            return str(float(text))
        except ValueError:
            raise CorpusError(
                f"'{text}' is no number", where=f"column {field} of the table {table}"
            ) from None
    if field == "label" and isinstance(labels, Mapping) and isinstance(labels.get(text), str):
        return clean(labels[text])  # a code, and the word for it
    return text


def _seconds(value: Any, table: str) -> float | None:
    """Seconds of ``0 days 00:00:01.5``, of a timedelta, or of a number; None where there is none."""
    if value is None or value is pd.NaT or value != value or value == "" or value == "NaT":
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        pass
    try:
        return float(pd.to_timedelta(value).total_seconds())
    except (TypeError, ValueError):
        raise CorpusError(f"'{value}' is no time", where=f"the table {table}") from None


def _property(labels: Any, value: str, name: str) -> str | None:
    told = labels.get(value) if isinstance(labels, Mapping) else None
    return clean(told.get(name)) if isinstance(told, Mapping) else None
