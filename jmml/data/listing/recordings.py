"""From a folder of recordings and what a person has to say of them to one table: which file, who, what emotion.

The table is kept beside the recordings as ``recordings.csv``, so that what was read from somebody's columns or file
names is seen, versioned and edited where the recordings are.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import pandas as pd

from jmml.config import Modality
from jmml.data.listing.columns import clean, guess
from jmml.data.listing.naming import Naming, naming_of
from jmml.data.listing.tables import SUFFIXES, read_text
from jmml.errors import DataError

FILE = "recordings.csv"
COLUMNS = (
    "path", "person", "label", "valence", "arousal", "dominance", "text", "session", "recording", "device", "order",
    "start_s", "end_s", "part", "gender", "language",
)  # fmt: skip
NUMBERS = ("valence", "arousal", "dominance", "order", "start_s", "end_s")
_OF_OTHERS = (".eeg", ".vmrk", ".fdt")
SHOWN = 3
_LOOKED_AT = 1000  # rows of a table in which a column of files is looked for
_NO_NUMBER = frozenset(("na", "n/a", "nan", "null", "none", "-", "?"))  # what stands in place of a number


@dataclass(frozen=True)
class Recordings:
    """What is known of each recording.

    Attributes
    ----------
    frame : n rows; ``path`` below the corpus with forward slashes, ``person``, and those of :data:`COLUMNS` that are
        known. Text, None where nothing is known; :data:`NUMBERS` are float64.
    sources : field -> where it was read, for people.
    problems : one line per row that names no recording.
    notes : one line per kind of thing that was left out.
    modality : what the recordings hold.
    facts : lines on what was found inside of them (events, channels).
    companions : path -> names of the files beside it that belong to it.
    adapter : name of the corpus adapter that reads them.
    sidecars : other files that this adapter needs.
    columns : of the table that was read, as they are called there.
    """

    frame: pd.DataFrame
    sources: Mapping[str, str]
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    modality: Modality = "speech"
    facts: list[str] = field(default_factory=list)
    companions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    adapter: str = "files"
    sidecars: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()


def find_recordings(root: Path, suffixes: Iterable[str]) -> list[str]:
    """Files below ``root`` by suffix (lower case, with the dot), as paths with forward slashes, sorted.

    Hidden files and folders are left out, and links to folders not followed.
    """
    wanted, found = frozenset(suffixes), []
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in files:
            if name.startswith(".") or PurePosixPath(name).suffix.lower() not in wanted:
                continue
            found.append(Path(folder, name).relative_to(root).as_posix())
    return sorted(found)


def describe(
    root: Path,
    suffixes: Iterable[str],
    *,
    table: Path | None = None,
    pattern: str | None = None,
    columns: Mapping[str, str] | None = None,
    labelled: bool = True,
) -> Recordings:
    """What a table, or the names of files, or both say of the recordings below ``root``.

    Parameters
    ----------
    suffixes : of recordings.
    table : a table with a row per recording or segment; default: the one table in the folder that names its files,
        unless there is a ``pattern``.
    pattern : how the files are named; what the table says comes first.
    columns : field -> column where the names of columns do not say it.
    labelled : whether it must say which emotion each is; False where events inside of the recordings may.

    Raises
    ------
    DataError : no recordings; no table and no pattern; nothing that tells who, or which emotion; a number that is
        none; a segment that ends before it begins.

    Example
    -------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("ann_1_joy.wav", "bob_1_fear.wav"):
    ...         Path(folder, name).touch()
    ...     found = describe(Path(folder), [".wav"], pattern="{speaker}_{text:d}_{label}.wav")
    >>> found.frame[["path", "person", "label"]].values.tolist()
    [['ann_1_joy.wav', 'ann', 'joy'], ['bob_1_fear.wav', 'bob', 'fear']]
    """
    files = find_recordings(root, suffixes)
    if not files:
        raise DataError(
            "holds no recording", where=root, expected=f"files of the kinds {', '.join(sorted(suffixes))}"
        )
    naming = None if pattern is None else naming_of(pattern)
    if table is None and naming is None:
        table = _the_table(root, files, columns or {})
    if table is None:
        assert naming is not None
        found = _by_names(root, files, naming)
    else:
        found = _by_table(root, files, table, columns or {}, naming)
    for needed, what in (("person", "who speaks"), ("label", "which emotion it is")):
        if needed == "label" and (not labelled or {"valence", "arousal"} <= set(found.frame)):
            continue
        if needed not in found.frame:
            beside = "" if table is None else f" of {table.name}"
            among = "" if table is None else f"; columns: {', '.join(found.columns[:12])}"
            raise DataError(
                f"nothing says {what}{among}",
                where=table or root,
                fix=f"name the column{beside} with --map {needed}=COLUMN, or how the files are named: "
                "--pattern '{speaker}_{text}_{label}.wav'",
            )
    return found


def _the_table(root: Path, files: list[str], columns: Mapping[str, str]) -> Path:
    """The one table in a folder, or a folder in it, that names the files beside it."""
    candidates = [
        path
        for path in sorted([*root.glob("*"), *root.glob("*/*")])
        if path.suffix.lower() in SUFFIXES and path.is_file() and not path.name.startswith(".")
    ]
    own = root / FILE
    if own in candidates:
        return own
    places, fitting, wrong = Places(files), [], None
    for path in candidates:
        try:
            frame = read_text(path)
        except DataError:
            continue
        try:
            column = guess(frame.columns, columns, where=path).get("path")
        except DataError as error:  # a column that was asked for
            wrong = error
            continue
        if column is not None and len(frame) and places.find(str(frame[column].iloc[0])) is not None:
            fitting.append(path)
    if len(fitting) == 1:
        return fitting[0]
    if not fitting and wrong is not None:
        raise wrong
    what = (
        f"{len(fitting)} tables name these files ({', '.join(path.name for path in fitting[:SHOWN])})"
        if fitting
        else "no table here names these files"
    )
    raise DataError(
        what,
        where=root,
        fix="name one with --table, or say how the files are named: --pattern '{speaker}_{text}_{label}.wav'",
    )


def _by_names(root: Path, files: list[str], naming: Naming) -> Recordings:
    said = {path: naming.fields(path) for path in files}
    named = {path: fields for path, fields in said.items() if fields is not None}
    if not named:
        raise DataError(
            f"none of {len(files)} files is named like '{naming.name}'",
            where=root,
            expected=f"such as {files[0]}",
        )
    frame = pd.DataFrame([{"path": path, **fields} for path, fields in named.items()], dtype=object)
    left = [path for path in files if path not in named]
    notes = [f"{len(left)} files named otherwise left out, such as {left[0]}"] if left else []
    sources = {name: f"file names ({naming.name})" for name in map(str, frame) if name != "path"}
    return Recordings(tidy(frame, root), sources, [], notes)


def _by_table(
    root: Path, files: list[str], table: Path, columns: Mapping[str, str], naming: Naming | None
) -> Recordings:
    raw = read_text(table, columns.values())
    places = Places(files)
    chosen = guess(raw.columns, columns, where=table)
    if "path" not in chosen:
        chosen |= _column_of_files(raw, places, chosen.values())
    if "path" not in chosen:
        raise DataError(
            f"no column names the files; columns: {', '.join(map(str, raw.columns[:12]))}",
            where=table,
            fix="name it with --map path=COLUMN",
        )
    kept = {name: column for name, column in chosen.items() if name in COLUMNS}
    frame = pd.DataFrame({name: raw[column] for name, column in kept.items()}, dtype=object)
    problems, at = [], []
    for number, value in enumerate(frame["path"], start=1):
        place = places.find(str(value))
        at.append(place)
        if place is None:
            problems.append(f"{table.name} row {number}: no file '{value}' below {root.name}")
    if not any(at):
        raise DataError(
            f"none of {len(frame)} rows names a file here, such as '{frame['path'].iloc[0]}'"
            if len(frame)
            else "no rows",
            where=table,
            expected=f"names such as {files[0]}",
        )
    frame["path"] = at
    sources = {name: f"column {column}" for name, column in kept.items() if name != "path"}
    frame = frame[[place is not None for place in at]].reset_index(drop=True)
    if naming is not None:
        said = [naming.fields(path) or {} for path in frame["path"]]
        for name in dict.fromkeys(name for fields in said for name in fields):
            if name not in frame and name in COLUMNS:
                frame[name] = pd.Series([fields.get(name) for fields in said], dtype=object)
                sources[name] = f"file names ({naming.name})"
    unnamed = len(files) - frame["path"].nunique()
    notes = [f"{unnamed} files that {table.name} does not name left out"] if unnamed else []
    return Recordings(tidy(frame, table), sources, problems, notes, columns=tuple(map(str, raw.columns)))


def _column_of_files(raw: pd.DataFrame, places: Places, taken: Iterable[str]) -> dict[str, str]:
    """The first column, whatever it is called, most of whose values are files here."""
    others = set(taken)
    for column in raw.columns:
        values = [str(value) for value in raw[column][:_LOOKED_AT]]
        if column not in others and 2 * sum(places.find(value) is not None for value in values) > len(values):
            return {"path": column}
    return {}


class Places:
    """Files by everything that a table may call them: their place, its last parts, their name, without suffix too."""

    def __init__(self, files: Iterable[str]) -> None:
        self._by: dict[str, str | None] = {}
        for path in files:
            pure = PurePosixPath(path)
            for count in range(1, len(pure.parts) + 1):
                tail = PurePosixPath(*pure.parts[-count:])
                for key in (tail.as_posix(), tail.with_suffix("").as_posix()):
                    key = unicodedata.normalize("NFC", key)
                    self._by[key] = path if self._by.get(key, path) == path else None  # of two files: neither
        self._by |= {unicodedata.normalize("NFC", path): path for path in files}

    def find(self, value: str) -> str | None:
        """The one file that ``value`` means, which may be a path of another machine; None for none or several."""
        parts = [
            part for part in unicodedata.normalize("NFC", value.strip()).replace("\\", "/").split("/") if part
        ]
        for start in range(len(parts)):
            key = "/".join(parts[start:])
            if key in self._by:
                return self._by[key]
        if parts and parts[-1].lower().endswith(_OF_OTHERS):  # of a recording whose header has another suffix
            return self.find(str(PurePosixPath(*parts).with_suffix("")))
        return None


def tidy(frame: pd.DataFrame, where: Path) -> pd.DataFrame:
    """Columns in order, text in NFC and None where there is none, paths as they are on disk, numbers as numbers."""
    columns: dict[str, pd.Series] = {}
    for name in (name for name in COLUMNS if name in frame):
        text = list(frame[name]) if name == "path" else [clean(value) for value in frame[name]]
        if name in NUMBERS:
            columns[name] = pd.Series([_number(value, name, row, where) for row, value in enumerate(text, 1)])
        else:
            columns[name] = pd.Series(text, dtype=object)
    table = pd.DataFrame(columns)
    if {"start_s", "end_s"} <= set(table):
        wrong = table[table["end_s"] <= table["start_s"]]
        if len(wrong):
            row = wrong.iloc[0]
            raise DataError(
                f"{len(wrong)} segments end before they begin, the first of {row['path']}: {row['start_s']} to "
                f"{row['end_s']} s",
                where=where,
            )
    return table


def _number(text: str | None, name: str, row: int, where: Path) -> float:
    """A number with a decimal point or comma; NaN where there is none."""
    if text is None or text.casefold() in _NO_NUMBER:
        return float("nan")
    try:
        number = float(text.replace(",", ".") if text.count(",") == 1 and "." not in text else text)
    except ValueError:
        raise DataError(
            f"'{text}' in row {row} is not a number", where=where, expected=f"{name} as a number"
        ) from None
    if number in (float("inf"), float("-inf")):
        raise DataError(f"'{text}' in row {row} is infinite", where=where, expected=f"{name} as a number")
    return number
