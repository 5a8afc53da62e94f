"""The manifest: one row per utterance or trial of a corpus, with the hash of what it holds."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, get_args

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from jmml.config import Modality
from jmml.data.names import normal, note
from jmml.errors import DataError
from jmml.files import atomic_path


class ManifestRow(NamedTuple):
    """One utterance or trial.

    ``path`` is relative to the corpus' root, with forward slashes; ``item`` counts from 0 inside a file that
    holds several trials and is 0 otherwise. ``label`` is the corpus' own label; ``valence`` and ``arousal``
    are its own ratings. ``duration_s`` and ``sample_rate_hz`` are NaN for ready-made features.
    ``content_hash`` is the SHA-256 of the file's bytes, or of the array's bytes for a trial among several.

    Known or None: ``text`` is what is said, or the stimulus; ``session`` a sitting, ``recording`` the longer recording
    that this is a part of, both named so that no two of the corpus share a name; ``device`` what it was recorded with;
    ``order`` its place in the session (NaN where unknown).
    """

    id: str
    path: str
    item: int
    modality: Modality | None
    label: str | None
    valence: float
    arousal: float
    group: str
    duration_s: float
    sample_rate_hz: float
    content_hash: str
    text: str | None = None
    session: str | None = None
    recording: str | None = None
    device: str | None = None
    order: float = float("nan")


MANIFEST_COLUMNS = ManifestRow._fields
CONTEXT_COLUMNS = tuple(ManifestRow._field_defaults)
_TEXT = ("id", "path", "modality", "label", "group", "content_hash", "text", "session", "recording", "device")
_NAMES = ("label", "group", "text", "session", "recording", "device")
_REQUIRED_TEXT = ("id", "path", "group", "content_hash")


@dataclass(frozen=True)
class Manifest:
    """All usable recordings of one corpus.

    Attributes
    ----------
    corpus : name of the corpus (``dataclasses.replace(manifest, corpus="...")`` renames it).
    frame : n rows with :data:`MANIFEST_COLUMNS`; missing text is ``None``, missing numbers NaN. A frame without some of
        :data:`CONTEXT_COLUMNS` is given them, empty.
    skipped : one line per recording that was left out because it cannot be used.
    notes : one line per kind of recording that was left out by design (songs, files no table names), and what else is
        to be known.
    checks : kind -> id -> detail of what is wrong with single recordings (:mod:`jmml.data.quality`), once they were
        read.

    Raises
    ------
    DataError
        For missing columns, empty or duplicate ids, rows without group, paths that leave the root, wrong
        types, and anything that is not a SHA-256 digest.
    """

    corpus: str
    frame: pd.DataFrame
    skipped: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    checks: dict[str, dict[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        missing = set(MANIFEST_COLUMNS) - set(self.frame.columns) - set(CONTEXT_COLUMNS)
        if missing:
            names = ", ".join(column for column in MANIFEST_COLUMNS if column in missing)
            raise DataError(f"manifest columns missing: {names}", where=self.corpus)
        object.__setattr__(self, "frame", _canonical(self.frame, self.corpus))
        self._check()

    @classmethod
    def from_rows(
        cls,
        corpus: str,
        rows: Iterable[ManifestRow],
        *,
        skipped: Iterable[str] = (),
        notes: Iterable[str] = (),
    ) -> Manifest:
        frame = pd.DataFrame(list(rows), columns=list(MANIFEST_COLUMNS))
        made = cls(corpus, frame, list(skipped), list(notes))
        made.notes.extend(
            [*note("people", made.frame["group"]), *note("labels", made.frame["label"].dropna())]
        )
        return made

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def digest(self) -> str:
        """SHA-256 (16 hex digits) over every row; names of corpora, skipped recordings and context of which nothing is
        known do not enter."""
        unknown = [column for column in CONTEXT_COLUMNS if self.frame[column].isna().all()]
        return hashlib.sha256(self.frame.drop(columns=unknown).to_csv(index=False).encode()).hexdigest()[:16]

    def save(self, path: Path) -> None:
        """Write as Parquet, atomically."""
        meta: dict[str, Any] = {"corpus": self.corpus, "skipped": self.skipped, "notes": self.notes}
        if self.checks:
            meta["checks"] = self.checks
        arrow = pa.Table.from_pandas(self.frame, schema=_SCHEMA, preserve_index=False)
        arrow = arrow.replace_schema_metadata({b"jmml-manifest": json.dumps(meta).encode()})
        with atomic_path(path) as temporary:
            pq.write_table(arrow, temporary)

    @classmethod
    def load(cls, path: Path) -> Manifest:
        """Read what :meth:`save` wrote; :class:`DataError` for anything else."""
        try:
            arrow = pq.read_table(path)
            meta = json.loads((arrow.schema.metadata or {})[b"jmml-manifest"])
            frame = _with_context(arrow).cast(_SCHEMA).to_pandas()
        except FileNotFoundError:
            raise DataError("the manifest is missing", where=path, fix="run `dvc repro`") from None
        except (KeyError, ValueError, OSError, pa.ArrowException):
            raise DataError("is not a manifest", where=path, fix="run `dvc repro` to rebuild it") from None
        return cls(meta["corpus"], frame, meta["skipped"], meta["notes"], meta.get("checks", {}))

    def _check(self) -> None:
        frame, where = self.frame, self.corpus
        for column in _REQUIRED_TEXT:
            empty = frame[column].isna() | (frame[column] == "")
            if empty.any():
                at = int(np.flatnonzero(empty)[0])
                raise DataError(f"{int(empty.sum())} rows have no {column}, first row {at}", where=where)
        if not frame["id"].is_unique:
            twice = frame.loc[frame["id"].duplicated(), "id"].iloc[0]
            raise DataError(f"id '{twice}' occurs more than once", where=where)
        for path in frame["path"].unique():
            pure = PurePosixPath(path)
            if pure.is_absolute() or ".." in pure.parts or "\\" in path:
                raise DataError(
                    f"path '{path}' leaves the corpus", where=where, expected="a path below its root"
                )
        for modality in frame["modality"].dropna().unique():
            if modality not in get_args(Modality):
                raise DataError(
                    f"modality '{modality}'", where=where, expected=" or ".join(get_args(Modality))
                )
        for hashed in frame["content_hash"]:
            if not re.fullmatch(r"[0-9a-f]{64}", hashed):
                raise DataError(f"content hash '{hashed}' is not a SHA-256 digest", where=where)
        if (frame["item"] < 0).any() or (frame[["duration_s", "sample_rate_hz"]] <= 0).any(axis=None):
            raise DataError("negative item, or a duration or sample rate that is not positive", where=where)


_SCHEMA = pa.schema(
    [
        (c, pa.string() if c in _TEXT else pa.int64() if c == "item" else pa.float64())
        for c in MANIFEST_COLUMNS
    ]
)


def _with_context(arrow: pa.Table) -> pa.Table:
    """The columns that a manifest of an earlier version lacks, empty."""
    for column in (name for name in CONTEXT_COLUMNS if name not in arrow.column_names):
        arrow = arrow.append_column(column, pa.nulls(len(arrow), _SCHEMA.field(column).type))
    return arrow


def _canonical(frame: pd.DataFrame, where: str) -> pd.DataFrame:
    """Columns in order and in one dtype each, whatever pandas version or file they came from."""
    columns: dict[str, object] = {}
    for name in MANIFEST_COLUMNS:
        values = frame[name] if name in frame else pd.Series([None] * len(frame), dtype=object)
        if name in _TEXT:
            text = [None if pd.isna(value) else value for value in values]
            if name in _NAMES:  # one person, whatever file system or keyboard wrote it
                text = [normal(value) if isinstance(value, str) else value for value in text]
            wrong = next((value for value in text if not isinstance(value, str | None)), None)
            if wrong is not None:
                raise DataError(f"{name} {wrong!r} is not text", where=where)
            columns[name] = pd.Series(text, dtype=object)
        else:
            try:
                columns[name] = values.to_numpy(np.int64 if name == "item" else np.float64)
            except (TypeError, ValueError):
                raise DataError(f"column {name} holds a value that is not a number", where=where) from None
    return pd.DataFrame(columns)
