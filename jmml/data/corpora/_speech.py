"""The part that speech corpora share: one file per utterance, read as mono audio."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from jmml.config import Modality
from jmml.data.corpora._base import FileCorpus, ManifestRow, Recording, field_of
from jmml.data.features.audio import check_container, load_audio
from jmml.data.listing.naming import Naming
from jmml.errors import RecordingError
from jmml.files import sha256_file


@dataclass(frozen=True)
class Utterance:
    """A speech file by its place in the corpus, and what the corpus says of it."""

    path: str
    id: str
    group: str
    label: str | None
    text: str | None = None
    session: str | None = None
    recording: str | None = None
    device: str | None = None


class SpeechCorpus(FileCorpus[Utterance]):
    """Base of the speech adapters; a subclass only lists its utterances.

    ``naming`` is how its files are named, where their names say who speaks what.
    """

    modality: Modality = "speech"
    naming: Naming | None = None

    def inspect(self, root: Path, source: Utterance) -> Iterator[ManifestRow | RecordingError]:
        file = root / source.path
        duration_s, sample_rate_hz = inspect_audio(file, where=source.path)
        yield ManifestRow(
            id=source.id,
            path=source.path,
            item=0,
            modality="speech",
            label=source.label,
            valence=np.nan,
            arousal=np.nan,
            group=source.group,
            duration_s=duration_s,
            sample_rate_hz=sample_rate_hz,
            content_hash=sha256_file(file),
            text=source.text,
            session=source.session,
            recording=source.recording,
            device=source.device,
        )

    def read(self, root: Path, row: Any) -> Recording:
        """The utterance as one channel ``"mono"``, at the sample rate of its file."""
        signal, sample_rate_hz = load_audio(root / field_of(row, "path"))
        return Recording(signal[np.newaxis, :], sample_rate_hz, ("mono",))


def inspect_audio(path: Path, *, where: object = None) -> tuple[float, float]:
    """Duration in seconds and sample rate in Hz from the header alone, so that scanning a corpus is quick.

    Silence and samples that are not finite are found when the recording is read.

    Raises
    ------
    RecordingError
        For a missing or empty file, one that is not audio, one that holds fewer bytes than its header
        promises (libsndfile would silently read fewer samples), and one without samples.
    """
    where = path if where is None else where
    try:
        if path.stat().st_size == 0:
            raise RecordingError("the file is empty (0 bytes)", where=where)
        check_container(path)
        info = soundfile.info(os.fsencode(path))  # the name may not be text
    except FileNotFoundError:
        raise RecordingError("no such file", where=where) from None
    except (soundfile.LibsndfileError, OSError):
        raise RecordingError("is not a readable audio file", where=where) from None
    except RecordingError as error:
        raise RecordingError(error.what, where=where) from None
    if info.frames <= 0:
        raise RecordingError("holds no samples", where=where)
    return info.frames / info.samplerate, float(info.samplerate)
