"""Recordings that are there twice: under another name, louder, cut, re-encoded, resampled or mixed down.

One recording under two people's names is on both sides of a split that keeps people apart, and under two labels it
contradicts itself. Copies are found by what is heard. Of a signal of 5.5 kHz, 33 bands of 300 to 2000 Hz in frames of
0.37 s, 11.6 ms apart, give 32 bits per frame

    bit(n, m) = [ (E(n, m) - E(n, m+1)) - (E(n-1, m) - E(n-1, m+1)) > 0 ],

E(n, m) the energy of band m in frame n: no gain changes a bit, and codecs and sample rates few. Two recordings with
equal words of 32 bits at one offset are laid over each other there, and are copies where they share at least half of
the shorter one and at most a quarter of the bits differ. Of the 474,825 pairs of 975 utterances of nEMO, which share
sentences and speakers, none is taken for copies; benchmarks/copies.py shows which changes are seen through.

Haitsma, J., Kalker, T. (2002). A highly robust audio fingerprinting system. ISMIR 2002.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.signal import resample_poly
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

RATE_HZ = 5512
WINDOW = 2048  # samples, 0.37 s
HOP = 64  # samples, 11.6 ms
BLOCK = 512  # frames at a time, 8 MB, however long a recording is
BANDS = 33
LOW_HZ, HIGH_HZ = 300.0, 2000.0
DIFFERENT = 0.25  # share of bits up to which two recordings are one
FEWEST = 20  # frames that must lie over each other, 0.6 s of sound
SHARED = 0.5  # of the shorter one's frames, too: a quarter of a second of two vowels may well agree
QUIET = 1e-3  # energy of a frame that says nothing, relative to the loudest: -30 dB
SILENT = 1e-6  # from the lowest to the highest sample
COMMON = 64  # recordings that share a word of bits before it tells nothing

Words = npt.NDArray[np.uint32]


def fingerprint(signal: npt.NDArray[np.floating], sample_rate_hz: float) -> Words:
    """(frames,) words of 32 bits of a mono signal (n,); 0 where it is quiet. Empty below 0.4 s and for silence."""
    ratio = Fraction(RATE_HZ, round(sample_rate_hz)).limit_denominator(1000)
    sound = np.asarray(signal, dtype=np.float64)
    if np.ptp(sound) > SILENT:
        sound = resample_poly(sound - sound.mean(), ratio.numerator, ratio.denominator)
    if len(sound) < WINDOW + HOP or np.ptp(sound) <= SILENT:
        return np.zeros(0, dtype=np.uint32)
    frames = np.lib.stride_tricks.sliding_window_view(sound, WINDOW)[::HOP]
    energy = np.concatenate([_energy(frames[at : at + BLOCK]) for at in range(0, len(frames), BLOCK)])
    step = np.diff(energy, axis=1)
    bits = -(step[1:] - step[:-1]) > 0
    words = (bits.astype(np.uint32) << np.arange(BANDS - 1, dtype=np.uint32)).sum(axis=1, dtype=np.uint32)
    loud = energy.sum(axis=1)
    return np.where(loud[1:] > QUIET * loud.max(), words, np.uint32(0))


def _energy(frames: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(frames, bands) of frames (frames, samples)."""
    power = np.abs(np.fft.rfft(frames * np.hanning(WINDOW), axis=1)) ** 2
    edges = np.round(np.geomspace(LOW_HZ, HIGH_HZ, BANDS + 1) / RATE_HZ * WINDOW).astype(int)
    found: npt.NDArray[np.float64] = np.add.reduceat(power[:, : edges[-1]], edges[:-1], axis=1)
    return found


def together(prints: Sequence[Words], contents: Sequence[str] | pd.Series) -> list[list[int]]:
    """Recordings that hold the same sound, or have the same hash of contents: their places, two or more in each."""
    first: dict[str, int] = {}
    pairs = [(first.setdefault(content, place), place) for place, content in enumerate(contents)]
    pairs += copies(prints)
    if not pairs:
        return []
    size = len(prints)
    graph = coo_array((np.ones(len(pairs)), tuple(np.transpose(pairs))), shape=(size, size))
    groups: dict[int, list[int]] = {}
    for place, group in enumerate(connected_components(graph, directed=False)[1]):
        groups.setdefault(int(group), []).append(place)
    return [places for places in groups.values() if len(places) > 1]


def copies(prints: Sequence[Words]) -> list[tuple[int, int]]:
    """Pairs of recordings that hold the same sound, by their places, smaller first, sorted.

    Example
    -------
    >>> noise = np.random.default_rng(0).normal(size=(2, 16000))
    >>> copies([fingerprint(one, 8000) for one in (noise[0], noise[1], 0.1 * noise[0, 800:])])
    [(0, 2)]
    """
    lengths = [len(words) for words in prints]
    if not sum(lengths):
        return []
    words = np.concatenate(list(prints))
    owner = np.repeat(np.arange(len(prints)), lengths)
    frame = np.concatenate([np.arange(length) for length in lengths])
    known = np.flatnonzero(words)
    order = known[np.argsort(words[known], kind="stable")]
    borders = np.flatnonzero(np.diff(words[order])) + 1
    met: Counter[tuple[int, int, int]] = Counter()
    for group in np.split(order, borders):
        if not 2 <= len(group) <= COMMON:
            continue
        for position, a in enumerate(group):
            for b in group[position + 1 :]:
                if owner[a] != owner[b]:
                    first, second = (a, b) if owner[a] < owner[b] else (b, a)
                    met[int(owner[first]), int(owner[second]), int(frame[first] - frame[second])] += 1
    found = set()
    for (i, j, offset), _ in met.most_common():
        if (i, j) not in found and _agree(prints[i], prints[j], offset):
            found.add((i, j))
    return sorted(found)


def _agree(a: Words, b: Words, offset: int) -> bool:
    """Whether ``b``, begun ``offset`` frames into ``a``, differs from it in few bits."""
    needed = max(FEWEST, SHARED * min(np.count_nonzero(a), np.count_nonzero(b)))
    a, b = (a[offset:], b) if offset >= 0 else (a, b[-offset:])
    both = min(len(a), len(b))
    a, b = a[:both], b[:both]
    heard = (a != 0) & (b != 0)
    if heard.sum() < needed:
        return False
    differing = np.bitwise_count(a[heard] ^ b[heard]).sum()
    return bool(differing <= DIFFERENT * (BANDS - 1) * heard.sum())
