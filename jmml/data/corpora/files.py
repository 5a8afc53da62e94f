"""Any folder of speech recordings, with one table that says who speaks in each and with which emotion."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd

from jmml.config import Modality
from jmml.data.corpora._base import FileCorpus, Listing, ManifestRow, Recording, Remark, field_of
from jmml.data.corpora._register import register_corpus
from jmml.data.corpora._speech import measure_audio
from jmml.data.features.audio import AUDIO, check_audio, load_audio
from jmml.data.listing.recordings import FILE, Recordings, describe
from jmml.data.manifest import CONTEXT_COLUMNS
from jmml.errors import CorpusError, DataError, RecordingError
from jmml.files import sha256_file

# English words and codes of three letters for the emotions.
_WORDS = {
    "anger": ("anger", "angry", "ang"),
    "fear": ("fear", "fearful", "afraid", "scared", "fea"),
    "happiness": ("happiness", "happy", "joy", "joyful", "hap"),
    "sadness": ("sadness", "sad"),
    "surprise": ("surprise", "surprised", "sur"),
    "disgust": ("disgust", "disgusted", "dis"),
    "neutral": ("neutral", "neutrality", "neu"),
    "calm": ("calm", "calmness", "relaxed"),
    "boredom": ("boredom", "bored", "bor"),
}


@dataclass(frozen=True)
class Row:
    """One recording, or a segment of one, by its row in the table."""

    item: int
    id: str
    path: str
    person: str | None
    label: str | None
    valence: float
    arousal: float
    start_s: float | None
    end_s: float | None
    context: Mapping[str, Any]


@register_corpus("files")
class FilesCorpus(FileCorpus[Row]):
    """Recordings in any folders, and ``recordings.csv``, which names them by ``path``.

    The table has a ``speaker`` and a ``label`` (or ``valence`` and ``arousal``) per row; ``start_s`` and ``end_s`` cut
    a segment out of a long recording. ``jmml data add NAME PATH`` writes it from a table of any other form or from the
    names of the files.

    Parameters
    ----------
    described : what is known of the recordings, where the table is not written yet.
    """

    name = "files"
    modality: Modality = "speech"
    layout = (
        f"{FILE} (path, speaker, label or valence and arousal) beside audio files; `jmml data add` writes it"
    )
    native_labels: Mapping[str, str] = {
        form: emotion
        for emotion, words in _WORDS.items()
        for word in words
        for form in (word, word.capitalize(), word.upper())
    }

    def __init__(self, described: Recordings | None = None) -> None:
        self._described = described
        self._by_id: dict[str, Row] | None = None

    def recognises(self, root: Path) -> bool:
        try:
            return (root / FILE).is_file() and bool(len(self._of(root).frame))
        except DataError:
            return False

    def list_sources(self, root: Path) -> Listing[Row]:
        described = self._of(root)
        rows = rows_of(described.frame)
        problems = [RecordingError(line) for line in described.problems]
        problems += [RecordingError("says no speaker", where=row.id) for row in rows if row.person is None]
        return Listing([row for row in rows if row.person is not None], problems, described.notes)

    def inspect(self, root: Path, source: Row) -> Iterator[ManifestRow | RecordingError | Remark]:
        file = root / source.path
        duration_s, sample_rate_hz, remark = measure_audio(file, where=source.path)
        if remark is not None:
            yield remark
        content = sha256_file(file)
        start, end = source.start_s, source.end_s
        if start is not None or end is not None:
            if (end if end is not None else start or 0.0) > duration_s + 0.5 / sample_rate_hz:
                raise RecordingError(
                    f"lasts {duration_s:.3f} s, the segment {start or 0:g} to {duration_s if end is None else end:g} s",
                    where=source.path,
                )
            duration_s = (duration_s if end is None else end) - (start or 0.0)
            content = hashlib.sha256(f"{content} {start} {end}".encode()).hexdigest()
        yield ManifestRow(
            id=source.id, path=source.path, item=source.item, modality="speech", label=source.label,
            valence=source.valence, arousal=source.arousal, group=str(source.person), duration_s=duration_s,
            sample_rate_hz=sample_rate_hz, content_hash=content, **source.context,
        )  # fmt: skip

    def read(self, root: Path, row: Any) -> Recording:
        """The recording, or its segment, as one channel ``"mono"``, at the sample rate of its file."""
        signal, rate = load_audio(root / field_of(row, "path"))
        source = self._row(root, field_of(row, "id"))
        if source.start_s is not None or source.end_s is not None:
            start = round((source.start_s or 0.0) * rate)
            end = None if source.end_s is None else round(source.end_s * rate)
            signal = np.ascontiguousarray(signal[start:end])
            check_audio(signal, rate, where=field_of(row, "id"))
        return Recording(signal[np.newaxis, :], rate, ("mono",))

    def _row(self, root: Path, identity: str) -> Row:
        if self._described is not None:
            if self._by_id is None:
                self._by_id = {row.id: row for row in rows_of(self._described.frame)}
            rows = self._by_id
        else:
            rows = _read_once(root / FILE, (root / FILE).stat().st_mtime_ns)
        if identity not in rows:
            raise RecordingError(f"not in {FILE} any more", where=identity, fix="run `dvc repro`")
        return rows[identity]

    def _of(self, root: Path) -> Recordings:
        if self._described is not None:
            return self._described
        if not (root / FILE).is_file():
            raise CorpusError(
                f"no {FILE}", where=root, expected=self.layout, fix="`jmml data add` writes one"
            )
        return describe(root, AUDIO, table=root / FILE)


def rows_of(frame: pd.DataFrame) -> list[Row]:
    """The rows of a table of recordings; ids are the paths without suffix, with the segment where there is one."""

    def column(name: str) -> list[Any]:
        return list(frame[name]) if name in frame else [None] * len(frame)

    def number(value: Any) -> float | None:
        return None if value is None or value != value else float(value)

    starts, ends = (list(map(number, column(name))) for name in ("start_s", "end_s"))
    valence, arousal = (
        [np.nan if v is None else float(v) for v in column(name)] for name in ("valence", "arousal")
    )
    context = {name: column(name) for name in CONTEXT_COLUMNS}
    if "order" not in frame:
        context["order"] = [np.nan] * len(frame)
    rows = []
    for item, (path, person, label) in enumerate(
        zip(column("path"), column("person"), column("label"), strict=True)
    ):
        start, end = starts[item], ends[item]
        where = (
            "" if start is None and end is None else f"@{start or 0:g}-{'' if end is None else f'{end:g}'}"
        )
        identity = PurePosixPath(path).with_suffix("").as_posix() + where
        told = {name: values[item] for name, values in context.items()}
        if where and told["recording"] is None:
            told["recording"] = path
        rows.append(Row(item, identity, path, person, label, valence[item], arousal[item], start, end, told))
    return rows


@lru_cache(maxsize=8)
def _read_once(table: Path, changed: int) -> dict[str, Row]:
    return {row.id: row for row in rows_of(describe(table.parent, AUDIO, table=table).frame)}
