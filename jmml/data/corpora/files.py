"""Any folder of recordings, speech or EEG, with one table that says who is in each and with which emotion."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from jmml.config import Modality
from jmml.data.corpora._base import FileCorpus, Listing, ManifestRow, Recording, Remark, field_of
from jmml.data.corpora._register import register_corpus
from jmml.data.corpora._speech import measure_audio
from jmml.data.eeg_files.reading import EEG, inspect_eeg, read_eeg
from jmml.data.features.audio import AUDIO, check_audio, load_audio
from jmml.data.features.blocks import Recorded, is_long
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


Signal = tuple[np.ndarray, float, tuple[str, ...]]


class Kind(NamedTuple):
    """How files of one modality are read, from one second to another (None: from the beginning, to the end).

    ``inspect`` gives seconds, sample rate and what a person should know; ``content`` a digest; ``read`` signals
    (channels, samples), sample rate and names of channels. The last argument is what messages call the recording.
    """

    suffixes: tuple[str, ...]
    inspect: Callable[[Path, str], tuple[float, float, Remark | None]]
    content: Callable[[Path, float | None, float | None, str], str]
    read: Callable[[Path, float | None, float | None, str], Signal]


def _inspect_speech(path: Path, where: str) -> tuple[float, float, Remark | None]:
    return measure_audio(path, where=where)


def _hash_speech(path: Path, start_s: float | None, end_s: float | None, where: str) -> str:
    content = sha256_file(path)
    if start_s is None and end_s is None:
        return content
    return hashlib.sha256(f"{content} {start_s} {end_s}".encode()).hexdigest()


def _read_speech(path: Path, start_s: float | None, end_s: float | None, where: str) -> Signal:
    signal, rate = load_audio(path)
    if start_s is not None or end_s is not None:
        start = round((start_s or 0.0) * rate)
        end = None if end_s is None else round(end_s * rate)
        signal = np.ascontiguousarray(signal[start:end])
        check_audio(signal, rate, where=where)
    return signal[np.newaxis, :], rate, ("mono",)


def _inspect_brain(path: Path, where: str) -> tuple[float, float, Remark | None]:
    found = inspect_eeg(path, where=where)
    left = f"{', '.join(found.others)} left out, as no EEG" if found.others else ""
    return found.duration_s, found.sample_rate_hz, Remark(left, where) if left else None


def _hash_brain(path: Path, start_s: float | None, end_s: float | None, where: str) -> str:
    """Of the signals: headers name their files, so that a renamed copy has other bytes."""
    signal, rate, channels = read_eeg(path, start_s, end_s, where=where)
    digest = hashlib.sha256(f"{rate} {' '.join(channels)} ".encode())
    digest.update(np.ascontiguousarray(signal, "<f4").data)
    return digest.hexdigest()


def _read_brain(path: Path, start_s: float | None, end_s: float | None, where: str) -> Signal:
    return read_eeg(path, start_s, end_s, where=where)


KINDS: Mapping[Modality, Kind] = {
    "speech": Kind(AUDIO, _inspect_speech, _hash_speech, _read_speech),
    "eeg": Kind(EEG, _inspect_brain, _hash_brain, _read_brain),
}


@register_corpus("files")
class FilesCorpus(FileCorpus[Row]):
    """Recordings in any folders, and ``recordings.csv``, which names them by ``path``.

    The table has a ``speaker`` (or subject) and a ``label`` (or ``valence`` and ``arousal``) per row; ``start_s`` and
    ``end_s`` cut a segment or trial out of a long recording. ``jmml data add NAME PATH`` writes it from a table of any
    other form, from the names of the files, or from the events inside of EEG recordings.

    Parameters
    ----------
    described : what is known of the recordings, where the table is not written yet.
    modality : speech, or EEG (all formats of :data:`jmml.data.eeg_files.reading.FORMATS`).
    """

    name = "files"
    layout = (
        f"{FILE} (path, speaker, label or valence and arousal) beside audio or EEG; `jmml data add` writes it"
    )
    native_labels: Mapping[str, str] = {
        form: emotion
        for emotion, words in _WORDS.items()
        for word in words
        for form in (word, word.capitalize(), word.upper())
    }

    def __init__(self, described: Recordings | None = None, modality: Modality = "speech") -> None:
        self.modality: Modality = modality if described is None else described.modality
        self._described = described
        self._by_id: dict[str, Row] | None = None

    @property
    def modalities(self) -> tuple[Modality, ...]:
        return tuple(KINDS)

    def holding(self, modality: Modality) -> FilesCorpus:
        return FilesCorpus(modality=modality)

    def held_in(self, root: Path) -> Modality | None:
        """By the first file that the table names."""
        return next((kind for kind in KINDS if _names_some(root, KINDS[kind])), None)

    def recognises(self, root: Path) -> bool:
        return self.held_in(root) is not None

    def list_sources(self, root: Path) -> Listing[Row]:
        described = self._of(root)
        rows = rows_of(described.frame)
        problems = [RecordingError(line) for line in described.problems]
        problems += [RecordingError("says no speaker", where=row.id) for row in rows if row.person is None]
        return Listing([row for row in rows if row.person is not None], problems, described.notes)

    def inspect(self, root: Path, source: Row) -> Iterator[ManifestRow | RecordingError | Remark]:
        file = root / source.path
        kind, start, end = KINDS[self.modality], source.start_s, source.end_s
        duration_s, sample_rate_hz, remark = kind.inspect(file, source.path)
        if remark is not None:
            yield remark
        if start is not None or end is not None:
            if (end if end is not None else start or 0.0) > duration_s + 0.5 / sample_rate_hz:
                raise RecordingError(
                    f"lasts {duration_s:.3f} s, the segment {start or 0:g} to {duration_s if end is None else end:g} s",
                    where=source.path,
                )
            duration_s = (duration_s if end is None else end) - (start or 0.0)
        content = kind.content(file, start, end, source.path)
        yield ManifestRow(
            id=source.id, path=source.path, item=source.item, modality=self.modality, label=source.label,
            valence=source.valence, arousal=source.arousal, group=str(source.person), duration_s=duration_s,
            sample_rate_hz=sample_rate_hz, content_hash=content, **source.context,
        )  # fmt: skip

    def read(self, root: Path, row: Any) -> Recording:
        """The recording, or its segment, at the sample rate of its file: one channel ``"mono"``, or EEG in volts."""
        source = self._row(root, field_of(row, "id"))
        place = str(field_of(row, "path"))
        signal, rate, channels = KINDS[self.modality].read(
            root / place, source.start_s, source.end_s, source.id
        )
        return Recording(signal, rate, channels)

    def stream(self, root: Path, row: Any) -> Recording | Recorded:
        """What :meth:`read` gives; but a long recording of speech, if it is no segment of one, to be read in blocks."""
        source = self._row(root, field_of(row, "id"))
        whole = source.start_s is None and source.end_s is None
        if self.modality != "speech" or not whole or not is_long(field_of(row, "duration_s")):
            return self.read(root, row)
        return Recorded(root / str(field_of(row, "path")), source.id)

    def _row(self, root: Path, identity: str) -> Row:
        if self._described is not None:
            if self._by_id is None:
                self._by_id = {row.id: row for row in rows_of(self._described.frame)}
            rows = self._by_id
        else:
            rows = _read_once(root / FILE, self.modality, (root / FILE).stat().st_mtime_ns)
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
        return describe(root, KINDS[self.modality].suffixes, table=root / FILE)


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
            ""
            if start is None and end is None
            else f"@{_seconds(start or 0)}-{'' if end is None else _seconds(end)}"
        )
        identity = PurePosixPath(path).with_suffix("").as_posix() + where
        told = {name: values[item] for name, values in context.items()}
        if where and told["recording"] is None:
            told["recording"] = path
        rows.append(Row(item, identity, path, person, label, valence[item], arousal[item], start, end, told))
    return rows


def _seconds(time: float) -> str:
    """As short as it is exact: two segments of a long recording may differ by milliseconds."""
    return next((text for text in (f"{time:g}", f"{time:.9g}") if float(text) == time), repr(time))


@lru_cache(maxsize=8)
def _read_once(table: Path, modality: Modality, changed: int) -> dict[str, Row]:
    described = describe(table.parent, KINDS[modality].suffixes, table=table)
    return {row.id: row for row in rows_of(described.frame)}


def _names_some(root: Path, kind: Kind) -> bool:
    try:
        return (root / FILE).is_file() and bool(len(describe(root, kind.suffixes, table=root / FILE).frame))
    except DataError:
        return False
