"""Ready-made features of any laboratory: one CSV or Parquet file, one row per utterance or trial."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
import pandas as pd

from jmml.config import Modality
from jmml.data.corpora._base import Manifest, ManifestRow, Progress, Recording, check_root, files_in
from jmml.data.corpora._register import register_corpus
from jmml.data.eeg_files.reading import EEG
from jmml.data.features.audio import AUDIO
from jmml.data.names import normal
from jmml.data.ready.file import SUFFIXES, TEXT, check_text, load
from jmml.data.ready.telltale import Rows, by_name, by_values
from jmml.data.ready.windows import recordings_of
from jmml.data.table import CONTEXT_COLUMNS, INDEX_COLUMNS, FeatureTable, row_hashes
from jmml.errors import CorpusError, DataError, nearest

_TOLD = (*INDEX_COLUMNS, *CONTEXT_COLUMNS)  # columns that are no features
_RATINGS = ("valence", "arousal")
_TELLING = 4  # different values from which two equal rows are no chance
_SHOWN = 3
_NAMED = 6
_UNIT = re.compile(r"(?P<name>.*\S)\s*\[(?P<unit>[^\[\]]+)\]")
_LAYOUT = (
    "one .csv, .tsv or .parquet file with the columns id, group, label (or valence and arousal) and features"
)


@register_corpus("table")
@dataclass(frozen=True)
class TableCorpus:
    """One table of features. :func:`read_table` gives its features; there are no recordings to read.

    The manifest has one row per table row: ``item`` is the row number, ``content_hash`` that of the row's
    float32 features; duration and sample rate are missing. ``modality`` is the settings' to say, and so are
    ``features``, ``leave_out`` and ``windows`` (see :func:`read_table`).
    """

    modality: Modality | None = None
    features: tuple[str, ...] = ()
    leave_out: tuple[str, ...] = ()
    windows: bool | None = None
    name: str = "table"
    layout: str = _LAYOUT
    native_labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def modalities(self) -> tuple[Modality, ...]:
        return get_args(Modality)

    def holding(self, modality: Modality) -> TableCorpus:
        return replace(self, modality=modality)

    def held_in(self, root: Path) -> Modality | None:
        return self.modality

    def recognises(self, root: Path) -> bool:
        if root.is_file():
            return root.suffix.lower() in SUFFIXES
        # A table beside recordings is about them.
        return len(files_in(root, suffixes=SUFFIXES)) == 1 and not _has_recordings(root)

    def table(self, root: Path, corpus: str) -> FeatureTable:
        """The features themselves, under the name of a corpus."""
        return read_table(
            root, corpus, self.modality or "speech", features=self.features, leave_out=self.leave_out,
            windows=self.windows,
        )  # fmt: skip

    def files(self, root: Path) -> list[str]:
        """The place of the table below ``root``."""
        return [find_table(root).name]

    def scan(self, root: Path, *, skip_bad: bool = False, progress: Progress | None = None) -> Manifest:
        """See :meth:`jmml.data.corpora.Corpus.scan`; a table is usable as a whole or not at all."""
        path = find_table(root)
        table = self.table(path, self.name)
        hashes = [str(content) for content in row_hashes(table.X)]
        _refuse_copies(table, hashes, path)
        index = zip(table.index.itertuples(index=False), hashes, strict=True)
        rows = [
            ManifestRow(
                id=str(row.id), path=path.name, item=item, modality=self.modality, label=row.label,  # type: ignore[arg-type]
                valence=row.valence, arousal=row.arousal, group=str(row.group),  # type: ignore[arg-type]
                duration_s=np.nan, sample_rate_hz=np.nan, content_hash=content,
                text=getattr(row, "text", None), session=getattr(row, "session", None),
                recording=getattr(row, "source", None), device=getattr(row, "device", None),
                order=getattr(row, "order", np.nan),
            )
            for item, (row, content) in enumerate(index)
        ]  # fmt: skip
        if progress is not None:
            progress(1, 1)
        left = cast("list[str]", table.settings["ignored"])
        notes = [f"columns left out: {', '.join(left)}"] if left else []
        return Manifest.from_rows(self.name, rows, notes=notes)

    def read(self, root: Path, row: Any) -> Recording:
        """Always a :class:`CorpusError`: a table holds no signals."""
        raise CorpusError("a table holds features, no recordings", where=root, fix="load it with read_table")


def _refuse_copies(table: FeatureTable, hashes: list[str], path: Path) -> None:
    """One row under two people's names is on both sides of a split; few features may be equal by chance."""
    first: dict[str, int] = {}
    torn = [
        (first[content], place)
        for place, content in enumerate(hashes)
        if first.setdefault(content, place) != place
        and _told_apart(table.index.iloc[[first[content], place]])
    ]
    torn = [(a, b) for a, b in torn if len(np.unique(table.X[a])) >= _TELLING]
    if torn:
        shown = "; ".join(
            f"{table.index['id'].iloc[b]} ({table.index['group'].iloc[b]}) is {table.index['id'].iloc[a]} "
            f"({table.index['group'].iloc[a]})"
            for a, b in torn[:_SHOWN]
        )
        raise DataError(
            f"{len(torn)} rows are there again as another person or label: {shown}", where=path,
            fix="keep the one that is right, or none",
        )  # fmt: skip


def _told_apart(rows: pd.DataFrame) -> bool:
    return any(rows[key].nunique(dropna=False) > 1 for key in ("group", "label", *_RATINGS))


def _has_recordings(root: Path) -> bool:
    return any(file.suffix.lower() in (*AUDIO, *EEG) for file in root.rglob("*"))


def find_table(root: Path) -> Path:
    """The table itself, or the one table in a folder; :class:`CorpusError` for none or several."""
    if root.is_file():
        if root.suffix.lower() not in SUFFIXES:
            raise CorpusError(f"a '{root.suffix}' file", where=root, expected=_LAYOUT)
        return root
    check_root(root, _LAYOUT)
    found = files_in(root, suffixes=SUFFIXES)
    if len(found) != 1:
        names = ", ".join(file.name for file in found[:5]) or "none"
        raise CorpusError(f"{len(found)} tables ({names})", where=root, expected=_LAYOUT)
    return found[0]


def read_table(
    path: Path,
    corpus: str,
    modality: Modality,
    *,
    features: Collection[str] = (),
    leave_out: Collection[str] = (),
    windows: bool | None = None,
) -> FeatureTable:
    """Features of a table, one row per sample.

    Columns ``id`` (unique), ``group`` (speaker or subject), and ``label`` or both ``valence`` and ``arousal``
    are required; ``recording`` is optional (several EEG windows of one trial share it; default: the id).
    Every other numeric column is a feature, with its unit in brackets: ``"f0_mean [Hz]"``. Columns of text
    are left out and listed in ``settings["ignored"]``.

    A column that says who, which or what a sample is would let a model read off the answer: one without a name, an
    index, an id, a rating, a code of the label or the person is refused (:mod:`jmml.data.ready.telltale`).

    Parameters
    ----------
    path : CSV, TSV or Parquet file, or the folder that holds one.
    corpus, modality : what the feature table is named and holds.
    features : columns that are features, whatever they look like; with or without their unit.
    leave_out : columns that are none.
    windows : whether rows whose ids differ in their last number alone are windows of one recording. None asks where
        they look so.

    Raises
    ------
    CorpusError
        For no table, several, or one that cannot be parsed.
    DataError
        For missing columns, no features, missing ids or groups, duplicate ids or names, a feature column
        with text in it, values that are not finite, columns that tell the answer, windows that may be of one recording.

    Example
    -------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "features.csv")
    ...     _ = path.write_text("id,group,label,f0_mean [Hz]\\na,01,anger,210.5\\nb,02,neutral,120\\n")
    ...     table = read_table(path, "lab", "speech")
    >>> table.names, table.units, list(table.groups)
    (('f0_mean',), ('Hz',), ['01', '02'])
    """
    path = find_table(path)
    frame = load(path, leave_out)
    rated = all(column in frame for column in _RATINGS)
    missing = [c for c in ("id", "group") if c not in frame] + (
        [] if rated or "label" in frame else ["label"]
    )
    if missing:
        raise DataError(f"columns missing: {', '.join(missing)}", where=path, expected=_LAYOUT)
    if len(frame) == 0:
        raise DataError("no rows", where=path)
    if frame["id"].isna().any():
        raise DataError(f"{int(frame['id'].isna().sum())} rows have no id", where=path)
    if not frame["id"].is_unique:
        twice = frame.loc[frame["id"].duplicated(), "id"].iloc[0]
        raise DataError(f"id '{twice}' occurs more than once", where=path)
    out = _chosen(frame, leave_out, "leave_out", path)
    wanted = _chosen(frame, features, "features", path)
    chosen = [
        c
        for c in frame.columns
        if c not in _TOLD and c not in out and pd.api.types.is_numeric_dtype(frame[c])
    ]
    ignored = [c for c in frame.columns if c not in _TOLD and c not in chosen]
    for column in ignored:
        if column in wanted:
            raise DataError(f"column '{column}' holds no numbers", where=path, fix="it cannot be a feature")
        if column not in out:
            check_text(frame[column], path)
    if not chosen:
        raise DataError("no numeric feature columns", where=path, expected=_LAYOUT)
    names, units = zip(*(_split_unit(column) for column in chosen), strict=True)
    taken = [name for name in names if name in _TOLD]
    if taken:
        raise DataError(f"feature '{taken[0]}' has the name of an index column", where=path, fix="rename it")
    index = _index(frame, path)
    if "recording" not in frame:
        index["recording"] = recordings_of(index, modality, windows, path)
    with np.errstate(over="ignore"):  # beyond float32 is infinite, which the feature table refuses
        values = frame[chosen].to_numpy(np.float64, na_value=np.nan)
        X = values.astype(np.float32)
    table = FeatureTable(
        corpus,
        modality,
        index,
        X,
        names,
        units,
        settings={"ignored": [str(c) for c in ignored]},
    )
    _refuse_telltales({c: values[:, place] for place, c in enumerate(chosen) if c not in wanted}, index, path)
    return table


def _chosen(frame: pd.DataFrame, named: Collection[str], setting: str, path: Path) -> set[str]:
    """The columns that are meant, by their names with or without unit."""
    known = {_split_unit(column)[0]: column for column in frame.columns} | {c: c for c in frame.columns}
    for name in named:
        if name not in known or known[name] in _TOLD:
            others = [column for column in frame.columns if column not in _TOLD]
            raise DataError(f"no column '{name}' for {setting}; {nearest(name, others)}", where=path)
    return {known[name] for name in named}


def _refuse_telltales(columns: Mapping[str, np.ndarray], index: pd.DataFrame, path: Path) -> None:
    rows = Rows.of(index)
    found = {
        name: by_name(_split_unit(name)[0]) or by_values(values, rows) for name, values in columns.items()
    }
    told = {name: what for name, what in found.items() if what is not None}
    if not told:
        return
    shown = "; ".join(f"'{name}' {what}" for name, what in list(told.items())[:_NAMED])
    more = f"; and {len(told) - _NAMED} more" if len(told) > _NAMED else ""
    first = next(iter(told))
    raise DataError(
        f"{len(told)} of {len(columns)} columns of numbers would tell a model the answer: {shown}{more}",
        where=path,
        fix=f"remove what is no feature, or leave it out (--leave-out '{first}', leave_out: in its corpora entry); "
        f"what is a feature all the same is named with --feature '{first}' (features:)",
    )


def _index(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    nothing = pd.Series([None] * len(frame), dtype=object)
    source = {"recording": frame["id"], "label": nothing, "valence": nothing, "arousal": nothing}
    columns: dict[str, pd.Series] = {}
    for name in (*INDEX_COLUMNS, *(name for name in CONTEXT_COLUMNS[:-1] if name in frame)):
        values = frame[name] if name in frame else source[name]
        if name in TEXT:
            text = [None if pd.isna(value) else normal(str(value)) or None for value in values]
            columns[name] = pd.Series(text, dtype=object)
        else:
            try:
                columns[name] = pd.Series(values.to_numpy(np.float64, na_value=np.nan))
            except (TypeError, ValueError):
                raise DataError(f"column {name} holds a value that is not a number", where=path) from None
    return pd.DataFrame(columns)


def _split_unit(column: str) -> tuple[str, str]:
    match = _UNIT.fullmatch(column.strip())
    return (match["name"], match["unit"].strip()) if match else (column.strip(), "1")
