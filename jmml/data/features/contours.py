"""Frame-wise descriptors of an utterance, and what is found in them: active and voiced frames, rhythm.

The signal is read in parts, twice where it is long: once for the power of every frame, from which follows what counts
as active and what everything is measured against, and once for everything else. Memory holds the contours alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.fft
import scipy.ndimage
import scipy.signal

from jmml.config import SpeechFeatureConfig
from jmml.data.features import blocks, functionals, pitch, spectrum

ACTIVE_RANGE_DB = 30.0
SEMITONE_REFERENCE_HZ = 27.5
_DELTA_WIDTH = 9
_SYLLABLE_PROMINENCE_DB = 3.0
# Frames of a long signal that are in memory at once, with all that is computed of them.
_BLOCK = 4096
_ROWS = 48  # frames transformed at once: arrays of this size are not asked of the kernel anew


@dataclass(frozen=True)
class Described:
    """Descriptors of T frames.

    Attributes
    ----------
    contours : (T, L) by family name.
    masks : bool (T,): ``all``, ``active``, ``voiced``.
    scalars : features that are not functionals.
    """

    contours: dict[str, np.ndarray]
    masks: dict[str, np.ndarray]
    scalars: dict[str, float]


def describe(parts: blocks.Parts, cfg: SpeechFeatureConfig) -> Described:
    """Descriptors of a signal at ``cfg.sample_rate_hz``."""
    rate, hop = cfg.sample_rate_hz, hop_of(cfg)
    whole = blocks.extent(parts)
    n_fft = fft_size(cfg)
    pitch_length = pitch.frame_length(rate, cfg.f0_min_hz)
    before = max(n_fft // 2, pitch_length // 2)
    after = max(n_fft - n_fft // 2, pitch_length - pitch_length // 2)
    count = 1 + whole.samples // hop

    total = np.empty(count)
    kept: list[tuple[int, int, np.ndarray]] = []
    for first, size, samples in blocks.frames(parts, whole, hop, before, after, _BLOCK):
        power = power_of(samples[before - n_fft // 2 :], size, hop, cfg)
        total[first : first + size] = power.sum(axis=1, dtype=np.float64)
        if size == count:
            kept = [(first, size, samples)]
    # The second term matters when less than a twentieth of the recording is not digital silence.
    loud = max(functionals.percentile(np.sort(total), 95), 1e-4 * float(total.max()))
    active = total >= loud * 10 ** (-ACTIVE_RANGE_DB / 10)
    reference = float(total[active].mean())

    contours: dict[str, np.ndarray] = {}
    heard: pitch.Candidates | None = None
    last = None
    for first, size, samples in kept or blocks.frames(parts, whole, hop, before, after, _BLOCK):
        if not kept:
            power = power_of(samples[before - n_fft // 2 :], size, hop, cfg)
        power /= reference  # from here on nothing depends on the gain
        found, last = _spectral(power, last, cfg)
        for name, values in found.items():
            if size == count:
                contours[name] = values
            else:
                kept_here = contours.setdefault(name, np.empty((count, values.shape[1]), dtype=values.dtype))
                kept_here[first : first + size] = values
        voices = pitch.frames_of(samples[before - pitch_length // 2 :], size, pitch_length, hop)
        own = pitch.candidates(
            voices,
            rate,
            cfg.f0_min_hz,
            cfg.f0_max_hz,
            needed=active[first : first + size],
            peak=whole.peak,
            hop_s=hop / rate,
        )
        heard = own if size == count else pitch.placed(own, heard, first, count)
    assert heard is not None
    found_pitch = pitch.best_path(heard, max(whole.peak, 1e-30), hop / rate, cfg.f0_min_hz)
    del heard, own
    return _finished(contours, total / reference, active, found_pitch, rate / hop)


def hop_of(cfg: SpeechFeatureConfig) -> int:
    """Samples from frame to frame."""
    return max(1, round(cfg.hop_s * cfg.sample_rate_hz))


def fft_size(cfg: SpeechFeatureConfig) -> int:
    """Samples of the transform of a frame."""
    return int(2 ** np.ceil(np.log2(cfg.frame_s * cfg.sample_rate_hz)))


def semitones(hertz: np.ndarray | float) -> np.ndarray:
    """Semitones above 27.5 Hz."""
    return np.asarray(12 * np.log2(np.asarray(hertz) / SEMITONE_REFERENCE_HZ))


def power_of(samples: np.ndarray, count: int, hop: int, cfg: SpeechFeatureConfig) -> np.ndarray:
    """Power spectra (T, bins), float32, of frames that start at 0, hop, 2 hop, ...; librosa.stft's, squared."""
    n_fft = fft_size(cfg)
    window, used = window_of(cfg), len(_frequency(cfg.sample_rate_hz, n_fft))
    frames = np.lib.stride_tricks.sliding_window_view(samples, n_fft)[::hop][:count]
    power = np.empty((count, used), dtype=np.float32)
    for start in range(0, count, _ROWS):
        spectrum_ = scipy.fft.rfft(frames[start : start + _ROWS] * window)
        real, imaginary = spectrum_.real[:, :used], spectrum_.imag[:, :used]
        own = power[start : start + _ROWS]
        own[:] = np.multiply(real, real, out=real) + np.multiply(imaginary, imaginary, out=imaginary)
    return power


def window_of(cfg: SpeechFeatureConfig) -> np.ndarray:
    """The Hann window of a frame, in the middle of its transform."""
    return _window(fft_size(cfg), round(cfg.frame_s * cfg.sample_rate_hz))


@lru_cache(maxsize=8)
def _window(n_fft: int, length: int) -> np.ndarray:
    left = (n_fft - length) // 2
    return np.pad(scipy.signal.get_window("hann", length), (left, n_fft - length - left))


@lru_cache(maxsize=8)
def _frequency(rate: int, n_fft: int) -> np.ndarray:
    frequency = np.fft.rfftfreq(n_fft, 1 / rate)
    return np.asarray(frequency[frequency <= spectrum.USED_SHARE * rate / 2])


def _spectral(
    power: np.ndarray, last: np.ndarray | None, cfg: SpeechFeatureConfig
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Contours (T, L) of a block; ``last`` and the second value are what :func:`spectrum.frame_shape` hands on."""
    n_fft = fft_size(cfg)
    filters = spectrum.mel_filters(cfg.sample_rate_hz, n_fft, cfg.n_mels)[:, : power.shape[1]]
    mel = spectrum.decibel(power @ filters.T, spectrum.FLOOR_DB)
    frequency = _frequency(cfg.sample_rate_hz, n_fft)
    shape, peaks, valleys, last = spectrum.frame_shape(power, frequency, cfg.sample_rate_hz, last)
    found = {name: values[:, None].astype(np.float32) for name, values in shape.items()}
    mfcc = scipy.fft.dct(mel, type=2, axis=1, norm="ortho")[:, : cfg.n_mfcc]
    extremes = {"peaks": peaks.astype(np.float32), "valleys": valleys.astype(np.float32)}
    return {"logmel": mel, "mfcc": mfcc, **found, **extremes}, last


def _finished(
    contours: dict[str, np.ndarray],
    power: np.ndarray,
    active: np.ndarray,
    heard: pitch.Pitch,
    frames_per_s: float,
) -> Described:
    """What needs neighbouring frames, or all of them."""
    level = spectrum.decibel(power, spectrum.FLOOR_DB)[:, None]
    voiced = heard.voiced & active
    tones = np.where(voiced, semitones(np.where(voiced, heard.f0_hz, SEMITONE_REFERENCE_HZ)), 0.0)
    f0_delta = _difference_within(tones, voiced) * frames_per_s
    contours |= {
        "contrast": spectrum.contrast(contours.pop("peaks"), contours.pop("valleys")),
        "mfcc_delta": _delta(contours["mfcc"], frames_per_s, order=1),
        "mfcc_delta2": _delta(contours["mfcc"], frames_per_s, order=2),
        "level": level,
        "level_delta": _delta(level, frames_per_s, order=1),
        "f0": tones[:, None],
        "f0_delta": f0_delta[:, None],
        "harmonicity": heard.harmonicity_db[:, None],
    }
    masks = {"all": np.ones_like(active), "active": active, "voiced": voiced}
    return Described(contours, masks, _rhythm(level[:, 0], active, voiced, f0_delta, frames_per_s))


def _rhythm(
    level: np.ndarray, active: np.ndarray, voiced: np.ndarray, f0_delta: np.ndarray, frames_per_s: float
) -> dict[str, float]:
    """Rates and durations; the active part runs from the first to the last active frame."""
    first, last = np.flatnonzero(active)[[0, -1]]
    span = slice(int(first), int(last) + 1)
    seconds = (int(last) + 1 - int(first)) / frames_per_s
    segments, gaps = _run_lengths(voiced[span]), _run_lengths(~voiced[span])
    peaks, _ = scipy.signal.find_peaks(level[span], prominence=_SYLLABLE_PROMINENCE_DB)
    moving = f0_delta[voiced & (f0_delta != 0)]
    any_voiced = segments.size > 0
    return {
        "level.peak_rate": len(peaks) / seconds,
        "level.active_fraction": float(active[span].mean()),
        "voicing.fraction": float(voiced[span].mean()),
        "voicing.segment_rate": len(segments) / seconds,
        "voicing.segment_mean": float(segments.mean()) / frames_per_s if any_voiced else 0.0,
        "voicing.segment_std": float(segments.std()) / frames_per_s if any_voiced else 0.0,
        "voicing.longest_gap": float(gaps.max(initial=0)) / frames_per_s if any_voiced else 0.0,
        "f0.rising_fraction": float((moving > 0).mean()) if moving.size else 0.0,
    }


def _run_lengths(mask: np.ndarray) -> np.ndarray:
    """Lengths of the runs of True, in frames."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return np.asarray(edges[1::2] - edges[::2])


def _difference_within(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Difference to the frame before, where both are in ``mask``, else 0 (no jump across a pause)."""
    both = mask & np.concatenate([[False], mask[:-1]])
    return np.where(both, np.diff(values, prepend=values[:1]), 0.0)


def _delta(contours: np.ndarray, frames_per_s: float, *, order: int) -> np.ndarray:
    """Savitzky-Golay derivative over 9 frames, per second (per second squared for order 2); librosa's."""
    derivative = scipy.ndimage.convolve1d(contours, _slopes(order), axis=0, mode="nearest")
    return np.asarray(derivative * frames_per_s**order)


@lru_cache(maxsize=2)
def _slopes(order: int) -> np.ndarray:
    return np.asarray(scipy.signal.savgol_coeffs(_DELTA_WIDTH, order, deriv=order))
