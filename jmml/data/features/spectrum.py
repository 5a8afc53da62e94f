"""Spectral descriptors of every frame: mel bands, shape, balance and tilt.

All take power spectra (bins, T) relative to one reference, so that a floor in dB means the same in every
recording, and return contours over the T frames.

Reference
---------
F. Eyben et al. (2016), The Geneva Minimalistic Acoustic Parameter Set (GeMAPS) for voice research and
affective computing, IEEE Transactions on Affective Computing 7(2), 190-202: alpha ratio, Hammarberg index and
the two spectral slopes.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from jmml.errors import ConfigError

FLOOR_DB = -80.0  # re the mean active power: the empty bands of upsampled speech stay finite
# A single bin lies far below the sum over bins that the reference is taken of.
BIN_FLOOR_DB = FLOOR_DB - 40
# Up to 7600 Hz at 16 kHz: just below half the sample rate lies the roll-off of whatever resampled the file.
USED_SHARE = 0.95
CONTRAST_F_MIN_HZ = 200.0
_QUANTILE, _AMIN, _TOP_DB = 0.02, 1e-10, 80.0  # librosa's
SHAPE_UNITS = {
    "centroid": "Hz",
    "bandwidth": "Hz",
    "rolloff": "Hz",
    "flatness": "dB",
    "flux": "1",
    "alpha_ratio": "dB",
    "hammarberg": "dB",
    "slope_0_500": "dB/kHz",
    "slope_500_1500": "dB/kHz",
}


@lru_cache(maxsize=8)
def mel_filters(rate: int, n_fft: int, n_mels: int) -> np.ndarray:
    """Mel filters (n_mels, bins) up to 95 % of half the rate; :class:`ConfigError` for too many."""
    f_max = USED_SHARE * rate / 2
    edges = _mel_edges(n_mels + 2, f_max)
    if (edges[2:] - edges[:-2]).min() < rate / n_fft:  # a band might fall between two bins and stay empty
        raise ConfigError(
            [
                f"features.speech.n_mels: {n_mels} bands are narrower than the {rate / n_fft:.1f} Hz that "
                "frame_s resolves; use fewer bands or longer frames"
            ]
        )
    # Peaks of 1: with Slaney's norm, levels would depend on the width of the band.
    ramps = edges[:, None] - np.fft.rfftfreq(n_fft, 1 / rate)
    widths = np.diff(edges)
    filters = np.zeros((n_mels, n_fft // 2 + 1), dtype=np.float32)
    for i in range(n_mels):
        filters[i] = np.maximum(0, np.minimum(-ramps[i] / widths[i], ramps[i + 2] / widths[i + 1]))
    return filters


def _mel_edges(count: int, f_max: float) -> np.ndarray:
    """Frequencies equally far apart on Slaney's scale, linear below 1 kHz and logarithmic above; librosa's."""
    step, corner = 200.0 / 3, 1000.0
    log_step, corner_mel = np.log(6.4) / 27.0, corner / step
    top = f_max / step if f_max < corner else corner_mel + np.log(f_max / corner) / log_step
    mels = np.linspace(0.0, top, count)
    high = mels >= corner_mel
    edges = step * mels
    edges[high] = corner * np.exp(log_step * (mels[high] - corner_mel))
    return np.asarray(edges)


def spectral_shape(power: np.ndarray, frequency: np.ndarray, rate: int) -> dict[str, np.ndarray]:
    """Contours (L, T) by family name from power spectra (bins, T) at ``frequency`` (bins,) in Hz."""
    shape, peaks, valleys, _ = frame_shape(np.ascontiguousarray(power.T), frequency, rate)
    return {**{name: values[None] for name, values in shape.items()}, "contrast": contrast(peaks, valleys).T}


def frame_shape(
    power: np.ndarray, frequency: np.ndarray, rate: int, last: np.ndarray | None = None
) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, np.ndarray]:
    """Descriptors of successive frames from their power spectra (T, bins).

    Returns contours (T,) by name, peaks and valleys (T, bands) of the contrast, and the last magnitude spectrum in unit
    length, which is ``last`` of the frames that follow.
    """
    bins = _bins(tuple(frequency.tolist()), rate)
    magnitude = np.sqrt(power)
    total = np.maximum(magnitude.sum(axis=1), np.finfo(np.float32).tiny)
    moments = magnitude.astype(np.float64) @ bins.moments / total[:, None]
    centroid = moments[:, 0]
    rolloff = frequency[(np.cumsum(magnitude, axis=1) >= 0.85 * total[:, None]).argmax(axis=1)]
    decibels = decibel(power, BIN_FLOOR_DB)
    mean_power = np.maximum(power.mean(axis=1), 10 ** (BIN_FLOOR_DB / 10))
    norm = np.sqrt(np.einsum("tb,tb->t", magnitude, magnitude))
    magnitude /= np.maximum(norm, np.finfo(np.float32).tiny)[:, None]
    step = np.diff(magnitude, axis=0, prepend=magnitude[:1] if last is None else last)

    def band(low: float, high: float) -> np.ndarray:
        return power[:, slice(*np.searchsorted(frequency, (low, high)).tolist())]

    low, high = band(50, 1000).sum(axis=1), band(1000, 5000).sum(axis=1)
    lower_peak, upper_peak = band(0, 2000).max(axis=1), band(2000, 5000).max(axis=1, initial=0)
    tilt = decibels[:, : len(bins.tilt)].astype(np.float64) @ bins.tilt
    shape = {
        "centroid": centroid,
        "bandwidth": np.sqrt(np.maximum(moments[:, 1] - centroid**2, 0)),
        "rolloff": rolloff,
        "flatness": decibels.mean(axis=1) - 10 * np.log10(mean_power),
        "flux": np.sqrt(np.einsum("tb,tb->t", step, step)),
        "alpha_ratio": decibel(low, FLOOR_DB) - decibel(high, FLOOR_DB),
        "hammarberg": decibel(lower_peak, BIN_FLOOR_DB) - decibel(upper_peak, BIN_FLOOR_DB),
        "slope_0_500": tilt[:, 0],
        "slope_500_1500": tilt[:, 1],
    }
    return shape, *_extremes(power, bins), magnitude[-1:]


def contrast(peaks: np.ndarray, valleys: np.ndarray) -> np.ndarray:
    """Spectral contrast, dB, of all frames of a recording: librosa's, floors below the highest value included."""
    highest = [
        np.maximum(
            decibels := 10 * np.log10(np.maximum(extreme, _AMIN, dtype=np.float64)), decibels.max() - _TOP_DB
        )
        for extreme in (peaks, valleys)
    ]
    return np.asarray(highest[0] - highest[1])


def contrast_bands(rate: int) -> int:
    """Octave bands from 200 Hz whose lower edge lies in the used part of the spectrum, 6 at most."""
    return int(min(6, np.ceil(np.log2(USED_SHARE * rate / 2 / CONTRAST_F_MIN_HZ))))


class _Bins(NamedTuple):
    """What depends on the frequencies of the bins alone: weights; bins of each octave, and how many are averaged."""

    moments: np.ndarray
    tilt: np.ndarray
    octaves: tuple[tuple[slice, int], ...]


@lru_cache(maxsize=8)
def _bins(frequencies: tuple[float, ...], rate: int) -> _Bins:
    frequency = np.array(frequencies)
    tilt = np.zeros((int(np.searchsorted(frequency, 1500, side="right")), 2))
    for column, (low, high) in enumerate(((0, 500), (500, 1500))):
        inside = (frequency[: len(tilt)] >= low) & (frequency[: len(tilt)] <= high)
        centred = (frequency[: len(tilt)][inside] - frequency[: len(tilt)][inside].mean()) / 1000
        tilt[inside, column] = centred / (centred @ centred)  # least squares: dB per kHz
    bands = contrast_bands(rate)
    edges = [0.0, *(CONTRAST_F_MIN_HZ * 2.0 ** np.arange(bands + 1))]
    octaves = []
    for number, (low, high) in enumerate(pairwise(edges)):
        first, end = np.searchsorted(frequency, low), np.searchsorted(frequency, high, side="right")
        first -= number > 0
        end = len(frequency) if number == bands else end
        averaged = max(1, int(np.rint(_QUANTILE * (end - first))))
        octaves.append((slice(int(first), int(end - (number < bands))), averaged))
    return _Bins(np.stack([frequency, frequency**2], axis=1), tilt, tuple(octaves))


def _extremes(power: np.ndarray, bins: _Bins) -> tuple[np.ndarray, np.ndarray]:
    """Mean of the highest and of the lowest 2 % of the bins of each octave, at least of one: (T, bands) each."""
    peaks = np.empty((len(power), len(bins.octaves)))
    valleys = np.empty_like(peaks)
    for number, (octave, averaged) in enumerate(bins.octaves):
        part = power[:, octave]
        if averaged == 1:
            peaks[:, number], valleys[:, number] = part.max(axis=1), part.min(axis=1)
        else:
            ordered = np.sort(part, axis=1)
            peaks[:, number] = ordered[:, -averaged:].mean(axis=1)
            valleys[:, number] = ordered[:, :averaged].mean(axis=1)
    floor = 10 ** (BIN_FLOOR_DB / 10)
    return np.maximum(peaks, floor), np.maximum(valleys, floor)


def decibel(power: np.ndarray, floor_db: float) -> np.ndarray:
    """10 log10(power), not below the floor."""
    return np.asarray(10 * np.log10(np.maximum(power, 10 ** (floor_db / 10))))
