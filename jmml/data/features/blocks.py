"""A mono signal of any length in parts, and its frames in blocks, so that memory does not grow with its length.

Every pass over the signal reads it anew: what is kept between passes is a few numbers per frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from jmml.config import SegmentsConfig
from jmml.data.features.audio import MIN_DURATION_S, Summary, is_silent


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
