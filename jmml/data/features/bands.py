"""Power of EEG in frequency bands from one windowed transform: Welch's estimate, all bands at once.

Each window of a trial is cut into Hann segments of at most 2 s that overlap by half; the one-sided periodograms of a
window's segments are averaged and summed over the bins of a band. A window of 1 s is one segment: the short-time
Fourier transform of Duan et al. (2013).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import scipy.fft
import scipy.signal

WELCH_SEGMENT_S = 2.0
# The power of a window without a signal; 1e-6 uV is a millionth of what an amplifier adds.
FLOOR_UV2 = 1e-12
_SAMPLES = 1 << 15  # transformed at once: they stay in the cache of a core


def band_powers(
    signal: np.ndarray, sample_rate_hz: float, length: int, bands: Sequence[tuple[float, float]]
) -> np.ndarray:
    """Power (bands, channels, windows) of ``signal`` (channels, n) in [low, high) of windows of ``length`` samples.

    In the square of the signal's unit. Windows do not overlap; the mean of each segment is removed.

    Example
    -------
    >>> t = np.arange(1280) / 128
    >>> np.round(band_powers(20 * np.sin(2 * np.pi * 10 * t)[None], 128.0, 640, [(4, 8), (8, 13)])[:, 0], 3)
    array([[  0.,   0.],
           [200., 200.]])
    """
    count = signal.shape[1] // length
    segment = min(length, round(WELCH_SEGMENT_S * sample_rate_hz))
    step = segment - segment // 2
    window, weights = _tables(
        segment, float(sample_rate_hz), tuple((float(low), float(high)) for low, high in bands)
    )
    rows = max(1, _SAMPLES // max(1, count * length))
    powers = np.empty((len(bands), len(signal), count))
    for start in range(0, len(signal), rows):
        x = np.asarray(signal[start : start + rows, : count * length], dtype=np.float64)
        segments = _segments(x.reshape(len(x), count, length), segment, step)
        centred = segments - segments.mean(axis=-1, keepdims=True)
        centred *= window
        spectrum = scipy.fft.rfft(centred, axis=-1, overwrite_x=True)[..., : len(weights)]
        power = np.square(spectrum.real)
        power += np.square(spectrum.imag)
        found = power @ weights  # (channels, windows, segments, bands)
        powers[:, start : start + rows] = np.moveaxis(found.mean(axis=2), -1, 0)
    return powers


def _segments(windows: np.ndarray, segment: int, step: int) -> np.ndarray:
    """(channels, windows, segments, samples), a view."""
    if segment == windows.shape[-1]:
        return windows[:, :, None]
    return np.lib.stride_tricks.sliding_window_view(windows, segment, axis=-1)[:, :, ::step]


@lru_cache(maxsize=16)
def _tables(
    segment: int, sample_rate_hz: float, bands: tuple[tuple[float, float], ...]
) -> tuple[np.ndarray, np.ndarray]:
    """The window, and what a bin of the squared transform adds to each band: (bins, bands)."""
    window = scipy.signal.get_window("hann", segment)
    frequency = np.fft.rfftfreq(segment, 1 / sample_rate_hz)
    inside = [(frequency >= low) & (frequency < high) for low, high in bands]
    used = max((int(np.flatnonzero(one)[-1]) + 1 for one in inside if one.any()), default=1)
    sides = np.full(used, 2.0)
    sides[0] = 1.0
    if segment % 2 == 0 and used == len(frequency):
        sides[-1] = 1.0
    # Density times the width of a bin, sample_rate / segment.
    scale = sides / (segment * (window**2).sum())
    return window, np.stack([one[:used] * scale for one in inside], axis=1)
