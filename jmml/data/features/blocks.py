"""Signals of any length in parts: a recording on disk, frames of it in blocks, segments; memory does not grow.

Every pass over the signal reads it anew: what is kept between passes is a few numbers per frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import soxr

from jmml.config import SegmentsConfig
from jmml.data.features.audio import (
    MIN_DURATION_S,
    Summary,
    check_channels,
    check_summary,
    is_silent,
    mono,
    spread,
)
from jmml.data.features.sound import opened

# Longer recordings are read in blocks: seconds. A shorter one is read once, a longer one three times.
LONG_S = 120.0
_BLOCK = 1 << 17  # frames


class Parts(Protocol):
    """A signal that is read from its beginning as often as asked for, in parts, float32 (n,) each."""

    def __iter__(self) -> Iterator[np.ndarray]: ...


@dataclass(frozen=True)
class Extent:
    """Number of samples, their mean (as float32), and the largest deviation from it."""

    samples: int
    mean: np.float32
    peak: float


def extent(parts: Parts) -> Extent:
    """The extent of a whole signal."""
    count, total, low, high = 0, 0.0, np.inf, -np.inf
    for part in parts:
        if part.size:
            count += part.size
            total += float(part.sum(dtype=np.float64))
            low, high = min(low, part.min()), max(high, part.max())
    mean = np.float32(total / max(count, 1))
    peak = max(np.float32(high) - mean, mean - np.float32(low)) if count else np.float32(0)
    return Extent(count, mean, float(peak))


def frames(
    parts: Parts, whole: Extent, hop: int, before: int, after: int, block: int
) -> Iterator[tuple[int, int, np.ndarray]]:
    """Blocks of frames: number of the first, how many, and the centred samples that they need.

    Frame i is centred at sample i ``hop`` of the signal; the samples of a block begin ``before`` samples before the
    centre of its first frame and end ``after`` samples after that of its last one, zero beyond the signal.
    """
    count = 1 + whole.samples // hop
    waiting = [np.zeros(before, dtype=np.float32)]
    held, first = (
        before,
        0,
    )  # samples held; the first of them lies `before` before the centre of frame `first`
    sources = iter(parts)
    ended = False
    while first < count:
        size = min(block, count - first)
        needed = before + (size - 1) * hop + after
        while held < needed:
            part = None if ended else next(sources, None)
            if part is None:
                ended = True
                part = np.zeros(needed - held, dtype=np.float32)
            else:
                part = part - whole.mean
            waiting.append(part)
            held += part.size
        samples = waiting[0] if len(waiting) == 1 else np.concatenate(waiting)
        yield first, size, samples[:needed]
        waiting = [samples[size * hop :]]
        held = waiting[0].size
        first += size


def segmented(parts: Parts, sample_rate_hz: int, cfg: SegmentsConfig) -> Iterator[np.ndarray]:
    """The segments of a signal that are not silent, in order; each is a copy of at least 0.2 s."""
    start, length = (round(seconds * sample_rate_hz) for seconds in (cfg.start_s, cfg.length_s))
    hop = max(1, round((cfg.hop_s or cfg.length_s) * sample_rate_hz))
    end = None if cfg.end_s is None else round(cfg.end_s * sample_rate_hz)
    held, at, cut = (
        np.zeros(0, dtype=np.float32),
        0,
        0,
    )  # samples, number of the first of them, segments so far
    for part in parts:
        inside = part if end is None else part[: max(0, end - at - held.size)]
        held = np.concatenate([held, inside])
        while start + length <= at + held.size:
            if start >= at:
                segment = held[start - at : start - at + length].copy()
                cut += 1
                if not _silent(segment):
                    yield segment
            start += hop
        dropped = min(max(0, start - at), held.size)
        held, at = held[dropped:], at + dropped
    if cut == 0 and held.size >= MIN_DURATION_S * sample_rate_hz and not _silent(held):
        yield held


def _silent(segment: np.ndarray) -> bool:
    summary = Summary()
    summary.add(segment)
    return is_silent(summary)


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
