"""A recording of any length on disk, read in blocks as often as asked for and never held as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

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
        import soxr

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
            # As librosa has it: a length that is no whole number is rounded up.
            wanted = int(np.ceil(before.count * self.sample_rate_hz / rate)) - after.count
            part = np.pad(part[: max(wanted, 0)], (0, max(wanted - len(part), 0)))
            after.add(part)
            yield part
        check_channels(before.high - before.low, loud, where=self.recorded.where)
        check_summary(before, rate, where=self.recorded.where)
        check_summary(after, self.sample_rate_hz, where=self.recorded.where)
