"""The part that speech corpora share: one file per utterance, read as mono audio."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jmml.config import Modality
from jmml.data.corpora._base import FileCorpus, ManifestRow, Recording, Remark, field_of
from jmml.data.features.audio import load_audio
from jmml.data.features.blocks import Recorded, is_long
from jmml.data.features.sound import opened
from jmml.data.listing.naming import Naming
from jmml.errors import RecordingError
from jmml.files import sha256_file


@dataclass(frozen=True)
class Utterance:
    """A speech file by its place in the corpus, and what the corpus says of it; ratings are on its own scale."""

    path: str
    id: str
    group: str
    label: str | None
    text: str | None = None
    session: str | None = None
    recording: str | None = None
    device: str | None = None
    valence: float = float("nan")
    arousal: float = float("nan")
    order: float = float("nan")


class SpeechCorpus(FileCorpus[Utterance]):
    """Base of the speech adapters; a subclass only lists its utterances.

    ``naming`` is how its files are named, where their names say who speaks what.
    """

    modality: Modality = "speech"
    naming: Naming | None = None

    def inspect(self, root: Path, source: Utterance) -> Iterator[ManifestRow | RecordingError | Remark]:
        file = root / source.path
        duration_s, sample_rate_hz, remark = measure_audio(file, where=source.path)
        if remark is not None:
            yield remark
        yield ManifestRow(
            id=source.id,
            path=source.path,
            item=0,
            modality="speech",
            label=source.label,
            valence=source.valence,
            arousal=source.arousal,
            group=source.group,
            duration_s=duration_s,
            sample_rate_hz=sample_rate_hz,
            content_hash=sha256_file(file),
            text=source.text,
            session=source.session,
            recording=source.recording,
            device=source.device,
            order=source.order,
        )

    def read(self, root: Path, row: Any) -> Recording:
        """The utterance as one channel ``"mono"``, at the sample rate of its file."""
        signal, sample_rate_hz = load_audio(root / field_of(row, "path"))
        return Recording(signal[np.newaxis, :], sample_rate_hz, ("mono",))

    def stream(self, root: Path, row: Any) -> Recording | Recorded:
        """What :meth:`read` gives; long recordings to be read in blocks, unless a subclass reads in its own way."""
        if type(self).read is not SpeechCorpus.read or not is_long(field_of(row, "duration_s")):
            return self.read(root, row)
        path = root / field_of(row, "path")
        return Recorded(path, path)


def inspect_audio(path: Path, *, where: object = None) -> tuple[float, float]:
    """Duration in seconds and sample rate in Hz, see :func:`measure_audio`."""
    return measure_audio(path, where=where)[:2]


def measure_audio(path: Path, *, where: object = None) -> tuple[float, float, Remark | None]:
    """Duration in seconds, sample rate in Hz and what a person should know of the file.

    The header alone is read, so that scanning a corpus is quick, unless it does not say how long the recording is.
    Silence and samples that are not finite are found when the recording is read.

    Raises
    ------
    RecordingError
        For a missing or empty file, one that is not audio, one that holds fewer bytes than its header
        promises (libsndfile would silently read fewer samples), and one without samples.
    """
    where = path if where is None else where
    with opened(path, where=where) as sound:
        frames = sum(map(len, sound.blocks())) if sound.frames is None else sound.frames
    if frames <= 0:
        raise RecordingError("holds no samples", where=where)
    remark = None if sound.remark is None else Remark(sound.remark, str(where))
    return frames / sound.sample_rate_hz, sound.sample_rate_hz, remark
