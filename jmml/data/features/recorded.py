"""A recording of any length on disk, read in blocks as often as asked for and never held as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr

from jmml.data.features.audio import Summary, check_channels, check_summary, mono, spread
from jmml.data.features.sound import opened

# Longer recordings are read in blocks: seconds. A shorter one is read once, a longer one three times.
LONG_S = 120.0
_BLOCK = 1 << 17  # frames


def is_long(duration_s: float) -> bool:
    """Whether a recording is better read in blocks."""
    return duration_s > LONG_S


@dataclass(frozen=True)
class Recorded:
    """The audio file at ``path``; ``where`` is what messages call it."""

    path: Path
    where: object

    def at(self, sample_rate_hz: int) -> Resampled:
        """One channel at another sample rate (soxr, high quality), in parts."""
        return Resampled(self, sample_rate_hz)


@dataclass(frozen=True)
class Resampled:
    """Parts of a recording; see :class:`jmml.data.features.blocks.Parts`.

    Raises
    ------
    RecordingError : when the end is reached, if the recording cannot be used, before or after resampling
        (:func:`jmml.data.features.audio.check_audio`).
    """

    recorded: Recorded
    sample_rate_hz: int

    def __iter__(self) -> Iterator[np.ndarray]:
        before, after, loud = Summary(), Summary(), 0.0
        with opened(self.recorded.path, where=self.recorded.where) as sound:
            rate = sound.sample_rate_hz
            stream = None
            if rate != self.sample_rate_hz:
                stream = soxr.ResampleStream(rate, self.sample_rate_hz, 1, dtype="float32", quality="soxr_hq")
            for block in sound.blocks(_BLOCK):
                part, loud = mono(block), max(loud, spread(block))
                before.add(part)
                if stream is not None:
                    part = stream.resample_chunk(part)
                after.add(part)
                yield part
        if stream is not None:
            part = stream.resample_chunk(np.zeros(0, dtype=np.float32), last=True)
            part = _cut(part, before.count, rate, self.sample_rate_hz, after.count)
            after.add(part)
            yield part
        check_channels(before.high - before.low, loud, where=self.recorded.where)
        check_summary(before, rate, where=self.recorded.where)
        check_summary(after, self.sample_rate_hz, where=self.recorded.where)


def resampled(signal: np.ndarray, sample_rate_hz: float, target_hz: int) -> np.ndarray:
    """``signal`` (n,), float32 or float64, at another sample rate (soxr, high quality); what librosa.resample gives."""
    found = soxr.resample(signal, sample_rate_hz, target_hz, quality="soxr_hq")
    return _cut(np.asarray(found), len(signal), sample_rate_hz, target_hz, 0)


def _cut(part: np.ndarray, samples: int, sample_rate_hz: float, target_hz: int, done: int) -> np.ndarray:
    """The end of a resampled signal, so that with what is ``done`` it is as long as it should be, rounded up."""
    wanted = max(int(np.ceil(samples * float(target_hz) / sample_rate_hz)) - done, 0)
    return np.pad(part[:wanted], (0, wanted - len(part[:wanted])))
