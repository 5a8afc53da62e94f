"""Fundamental frequency, voicing and harmonicity by autocorrelation with path finding (Boersma 1993).

The normalised autocorrelation of a frame, divided by that of its window, peaks at the period T with height
r(T) = H / (H + N), the share of the periodic part in the power. Each frame keeps its best peaks and one
unvoiced candidate; dynamic programming picks the path with the highest sum of strengths minus the costs of
octave jumps and of voiced/unvoiced changes.

Chosen over librosa's trackers by measurement (``benchmarks/pitch.py``: vowels of known F0, 20-40 dB above noise):
median error 0.01 semitone and 0.8 % voicing errors, against 0.08 and 5.3 % of pyin at 30 times the time, and
0.13 and 4.3 % of a coarser pyin at 3 times; yin is as fast and makes no voicing decision.

Reference
---------
P. Boersma (1993), Accurate short-term analysis of the fundamental frequency and the harmonics-to-noise ratio
of a sampled sound, Proceedings of the Institute of Phonetic Sciences 17, 97-110. Costs are the defaults given
there for speech.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.fft

PERIODS_PER_FRAME = 3
CANDIDATES = 6
OVERSAMPLING = 4  # of the autocorrelation, by zero padding its spectrum
VOICING_THRESHOLD = 0.45
SILENCE_THRESHOLD = 0.03
OCTAVE_COST = 0.01
OCTAVE_JUMP_COST = 0.35
VOICED_UNVOICED_COST = 0.14
_BLOCK = 2048  # frames whose autocorrelation is held at once, which bounds memory on long recordings


@dataclass(frozen=True)
class Pitch:
    """F0 track of T frames centred at 0, hop, 2 hop, ...

    Attributes
    ----------
    f0_hz : float64 (T,), NaN where unvoiced.
    strength : float64 (T,), height of the best autocorrelation peak, 0..1, defined for every frame.
    """

    f0_hz: np.ndarray
    strength: np.ndarray

    @property
    def voiced(self) -> np.ndarray:
        return np.asarray(np.isfinite(self.f0_hz))

    @property
    def harmonicity_db(self) -> np.ndarray:
        """Harmonics-to-noise ratio 10 log10(r / (1 - r)), limited to -30..30 dB."""
        r = np.clip(self.strength, 1e-3, 1 - 1e-3)
        return np.asarray(10 * np.log10(r / (1 - r)))


def track(signal: np.ndarray, sample_rate_hz: int, hop: int, f0_min_hz: float, f0_max_hz: float) -> Pitch:
    """F0, voicing and strength of ``signal`` (n,) at every ``hop`` samples: 1 + n // hop frames.

    Invariant to gain: strengths are normalised, and silence is judged against the signal's own peak.
    """
    length, *_ = _window(sample_rate_hz, f0_min_hz)
    centred = signal - signal.mean(dtype=np.float64).astype(signal.dtype)
    peak = max(float(np.abs(centred).max()), 1e-30)
    padded = np.pad(centred, (length // 2, length))
    frames = np.lib.stride_tricks.sliding_window_view(padded, length)[:: int(hop)][: 1 + signal.size // hop]
    lag_min = sample_rate_hz / f0_max_hz
    blocks = [
        _candidates(frames[start : start + _BLOCK], sample_rate_hz, f0_min_hz, lag_min, peak)
        for start in range(0, len(frames), _BLOCK)
    ]
    f0, strength, local_peak, best = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    choice = _best_path(f0, strength, local_peak, hop / sample_rate_hz, f0_min_hz)
    rows = np.arange(len(choice))
    chosen = np.where(choice > 0, f0[rows, np.maximum(choice - 1, 0)], np.nan)
    return Pitch(f0_hz=chosen, strength=best)


@lru_cache(maxsize=8)
def _window(sample_rate_hz: int, f0_min_hz: float) -> tuple[int, int, np.ndarray, np.ndarray]:
    """Frame length, largest lag, Hann window and its oversampled autocorrelation (1 at lag 0)."""
    length = round(PERIODS_PER_FRAME / f0_min_hz * sample_rate_hz)
    lag_max = int(np.ceil(sample_rate_hz / f0_min_hz)) + 1
    window = np.hanning(length + 2)[1:-1].astype(np.float32)
    correlation = _autocorrelation(window[None], lag_max)[0]
    return length, lag_max, window, correlation / correlation[0]


def _autocorrelation(frames: np.ndarray, lag_max: int) -> np.ndarray:
    """Linear autocorrelation (T, lags) at lags 0, 1/4, 2/4, ... samples (Wiener-Khinchin)."""
    n = scipy.fft.next_fast_len(frames.shape[1] + lag_max, real=True)
    spectrum = scipy.fft.rfft(frames, n)
    power = spectrum.real**2 + spectrum.imag**2
    return np.asarray(scipy.fft.irfft(power, n * OVERSAMPLING)[:, : lag_max * OVERSAMPLING + 2])


def _candidates(
    frames: np.ndarray, sample_rate_hz: int, f0_min_hz: float, lag_min: float, peak: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Per frame: F0 and strength of the best peaks (T, K), relative amplitude (T,), best strength (T,).

    Absent candidates have strength -inf.
    """
    _, lag_max, window, window_correlation = _window(sample_rate_hz, f0_min_hz)
    frames = frames - frames.mean(axis=1, keepdims=True)
    amplitude = np.abs(frames).max(axis=1) / peak
    r = _autocorrelation(frames * window, lag_max)
    energy = r[:, :1]
    r = np.where(energy > 0, r / np.where(energy > 0, energy, 1), 0) / window_correlation

    low = max(1, int(np.floor(lag_min * OVERSAMPLING)))
    high = int(np.ceil(sample_rate_hz / f0_min_hz * OVERSAMPLING))
    before, here, after = r[:, low - 1 : high], r[:, low : high + 1], r[:, low + 1 : high + 2]
    is_peak = (here > before) & (here >= after) & (here > VOICING_THRESHOLD / 2)
    lags = np.arange(low, high + 1)
    # The octave cost prefers the higher of two equally strong candidates: a period fits as well twice.
    score = np.where(
        is_peak, here - OCTAVE_COST * np.log2(f0_min_hz * lags / (sample_rate_hz * OVERSAMPLING)), -np.inf
    )
    count = min(CANDIDATES, score.shape[1])
    index = np.argpartition(-score, count - 1, axis=1)[:, :count]
    at = np.arange(len(r))[:, None]
    a, b, c = before[at, index], here[at, index], after[at, index]
    curvature = a - 2 * b + c
    shift = np.where(curvature < 0, 0.5 * (a - c) / np.where(curvature < 0, curvature, -1), 0)
    f0 = sample_rate_hz * OVERSAMPLING / (lags[index] + np.clip(shift, -0.5, 0.5))
    height = b - 0.25 * (a - c) * shift
    strength = np.where(is_peak[at, index], np.where(height > 1, 1 / np.maximum(height, 1), height), -np.inf)
    best = np.clip(here.max(axis=1), 0, 1)
    return f0.astype(np.float64), strength.astype(np.float64), amplitude, best.astype(np.float64)


def _best_path(
    f0: np.ndarray, strength: np.ndarray, amplitude: np.ndarray, hop_s: float, f0_min_hz: float
) -> np.ndarray:
    """Viterbi: index per frame, 0 for unvoiced and k for candidate k - 1."""
    n, count = f0.shape
    unvoiced = VOICING_THRESHOLD + np.maximum(
        0, 2 - (amplitude / SILENCE_THRESHOLD) / (1 + VOICING_THRESHOLD)
    )
    local = np.column_stack([unvoiced, strength - OCTAVE_COST * np.log2(f0_min_hz / f0)])
    octave = np.log2(f0)
    scale = 0.01 / hop_s  # transition costs are given for a hop of 10 ms
    jump = np.zeros((n - 1, count + 1, count + 1))
    jump[:, 0, 1:] = jump[:, 1:, 0] = VOICED_UNVOICED_COST * scale
    jump[:, 1:, 1:] = OCTAVE_JUMP_COST * scale * np.abs(octave[1:, None, :] - octave[:-1, :, None])
    total, back, states = local[0], np.zeros((n, count + 1), dtype=np.intp), np.arange(count + 1)
    for t in range(1, n):
        arriving = total[:, None] - jump[t - 1]
        back[t] = arriving.argmax(axis=0)
        total = arriving[back[t], states] + local[t]
    path = np.zeros(n, dtype=np.intp)
    path[-1] = total.argmax()
    for t in range(n - 1, 0, -1):
        path[t - 1] = back[t, path[t]]
    return path
