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

import librosa
import numpy as np

from jmml.errors import ConfigError

FLOOR_DB = -80.0  # re the mean active power: the empty bands of upsampled speech stay finite
# A single bin lies far below the sum over bins that the reference is taken of.
BIN_FLOOR_DB = FLOOR_DB - 40
# Up to 7600 Hz at 16 kHz: just below half the sample rate lies the roll-off of whatever resampled the file.
USED_SHARE = 0.95
CONTRAST_F_MIN_HZ = 200.0
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
    edges = librosa.mel_frequencies(n_mels + 2, fmax=f_max)
    if (edges[2:] - edges[:-2]).min() < rate / n_fft:  # a band might fall between two bins and stay empty
        raise ConfigError(
            [
                f"features.speech.n_mels: {n_mels} bands are narrower than the {rate / n_fft:.1f} Hz that "
                "frame_s resolves; use fewer bands or longer frames"
            ]
        )
    # norm=None keeps the peak of each filter at 1; with Slaney's norm, levels depend on the band's width.
    return np.asarray(librosa.filters.mel(sr=rate, n_fft=n_fft, n_mels=n_mels, fmax=f_max, norm=None))


def spectral_shape(power: np.ndarray, frequency: np.ndarray, rate: int) -> dict[str, np.ndarray]:
    """Contours (L, T) by family name from power spectra (bins, T) at ``frequency`` (bins,) in Hz."""
    magnitude = np.sqrt(power)
    total = np.maximum(magnitude.sum(axis=0), np.finfo(np.float32).tiny)
    share = magnitude / total
    centroid = frequency @ share
    bandwidth = np.sqrt(np.maximum((frequency**2) @ share - centroid**2, 0))
    rolloff = frequency[
        (np.cumsum(magnitude, axis=0) < 0.85 * total).sum(axis=0).clip(max=len(frequency) - 1)
    ]
    decibels = decibel(power, BIN_FLOOR_DB)
    mean_power = np.maximum(power.mean(axis=0), 10 ** (BIN_FLOOR_DB / 10))
    flatness = decibels.mean(axis=0) - 10 * np.log10(mean_power)
    unit = magnitude / np.maximum(np.linalg.norm(magnitude, axis=0), np.finfo(np.float32).tiny)
    flux = np.linalg.norm(np.diff(unit, axis=1, prepend=unit[:, :1]), axis=0)

    def band(low: float, high: float) -> np.ndarray:
        return np.asarray(power[(frequency >= low) & (frequency < high)])

    low, high = band(50, 1000).sum(axis=0), band(1000, 5000).sum(axis=0)
    lower_peak, upper_peak = band(0, 2000).max(axis=0), band(2000, 5000).max(axis=0, initial=0)
    return {
        "centroid": centroid[None],
        "bandwidth": bandwidth[None],
        "rolloff": rolloff[None],
        "flatness": flatness[None],
        "flux": flux[None],
        "alpha_ratio": (decibel(low, FLOOR_DB) - decibel(high, FLOOR_DB))[None],
        "hammarberg": (decibel(lower_peak, BIN_FLOOR_DB) - decibel(upper_peak, BIN_FLOOR_DB))[None],
        "slope_0_500": _tilt(decibels, frequency, 0, 500)[None],
        "slope_500_1500": _tilt(decibels, frequency, 500, 1500)[None],
        "contrast": librosa.feature.spectral_contrast(
            S=np.maximum(power, 10 ** (BIN_FLOOR_DB / 10)),
            sr=rate,
            freq=frequency,
            n_bands=contrast_bands(rate),
            fmin=CONTRAST_F_MIN_HZ,
        ),
    }


def contrast_bands(rate: int) -> int:
    """Octave bands from 200 Hz whose lower edge lies in the used part of the spectrum, 6 at most."""
    return int(min(6, np.ceil(np.log2(USED_SHARE * rate / 2 / CONTRAST_F_MIN_HZ))))


def _tilt(decibels: np.ndarray, frequency: np.ndarray, low: float, high: float) -> np.ndarray:
    """Least-squares slope of the spectrum between two frequencies, dB per kHz."""
    inside = (frequency >= low) & (frequency <= high)
    centred = (frequency[inside] - frequency[inside].mean()) / 1000
    return np.asarray(centred @ decibels[inside] / (centred @ centred))


def decibel(power: np.ndarray, floor_db: float) -> np.ndarray:
    """10 log10(power), not below the floor."""
    return np.asarray(10 * np.log10(np.maximum(power, 10 ** (floor_db / 10))))
