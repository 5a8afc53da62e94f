"""The feature set ``voice``: perturbation, resonances, loudness and rate of an utterance.

| feature | definition |
|---|---|
| ``jitter.local`` | mean of abs(T[i] - T[i-1]) over the mean of T, periods of the voice (Praat's local jitter) |
| ``shimmer.local`` | the same of A, the peak-to-peak amplitudes of successive periods |
| ``hnr.mean``, ``hnr.std`` | harmonics-to-noise ratio of voiced frames, dB (Boersma 1993) |
| ``formant_N.median``, ``.spread`` | resonances of voiced frames, Hz; spread from the 20th to the 80th percentile |
| ``loudness.mean``, ``.p20``, ``.p50``, ``.p80`` | sum over mel bands of power to the 0.3, all frames (Stevens) |
| ``rate.syllables`` | nuclei per second: peaks of the level by 2 dB in voiced frames (de Jong and Wempe 2009) |
| ``rate.articulation`` | the same per second of active frames |

Periods follow from period to period: the next one is where the waveform resembles the last best, between 0.8 and 1.25
of what the pitch track says. Formants are poles of a linear prediction of order 10 at 11 kHz over 25 ms, with a
bandwidth below 600 Hz. Loudness alone depends on the gain g of the recording, as g to the 0.6. Without a voiced frame
all but loudness and rates are 0.

References
----------
P. Boersma, D. Weenink, Praat: doing phonetics by computer (Voice report; Sound: To Formant).
N. H. de Jong, T. Wempe (2009), Praat script to detect syllable nuclei and measure speech rate automatically, Behavior
Research Methods 41, 385-390.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy.linalg
import scipy.signal

from jmml.config import SpeechFeatureConfig
from jmml.data.features import contours, spectrum
from jmml.data.features.blocks import resampled

FORMANT_RATE_HZ, FORMANT_FRAME_S, FORMANT_ORDER = 11000, 0.025, 10
WIDEST_HZ = 600.0
DIP_DB = 2.0
MAX_S = 600.0  # the signal is held as a whole
LOUDNESS_POWER = 0.3

UNITS = {
    "jitter.local": "1",
    "shimmer.local": "1",
    "hnr.mean": "dB",
    "hnr.std": "dB",
    **{f"formant_{number}.{name}": "Hz" for number in (1, 2, 3) for name in ("median", "spread")},
    **{f"loudness.{name}": "1" for name in ("mean", "p20", "p50", "p80")},
    "rate.syllables": "1/s",
    "rate.articulation": "1/s",
}


def extract(signal: np.ndarray, found: contours.Described, cfg: SpeechFeatureConfig) -> np.ndarray:
    """Values (D,) in the order of :data:`UNITS` of a signal (n,) at ``cfg.sample_rate_hz`` and its descriptors."""
    rate, hop = cfg.sample_rate_hz, contours.hop_of(cfg)
    voiced, active = found.masks["voiced"], found.masks["active"]
    f0 = np.where(voiced, contours.SEMITONE_REFERENCE_HZ * 2 ** (found.contours["f0"][:, 0] / 12), np.nan)
    values = dict.fromkeys(UNITS, 0.0)
    if voiced.any():
        values["jitter.local"], values["shimmer.local"] = perturbation(signal, rate, f0, hop)
        harmonicity = found.contours["harmonicity"][voiced, 0]
        values["hnr.mean"], values["hnr.std"] = float(harmonicity.mean()), float(harmonicity.std())
        resonances = formants(signal, rate, np.flatnonzero(voiced) * hop / rate)
        for number, track in enumerate(resonances.T, start=1):
            known = track[np.isfinite(track)]
            if known.size:
                low, middle, high = np.percentile(known, [20, 50, 80])
                values[f"formant_{number}.median"], values[f"formant_{number}.spread"] = middle, high - low
    heard = loudness(signal, cfg)
    values["loudness.mean"] = float(heard.mean())
    for name, value in zip(("p20", "p50", "p80"), np.percentile(heard, [20, 50, 80]), strict=True):
        values[f"loudness.{name}"] = float(value)
    peaks, _ = scipy.signal.find_peaks(found.contours["level"][:, 0], prominence=DIP_DB)
    nuclei = int((voiced & active)[peaks].sum())
    values["rate.syllables"] = nuclei * rate / signal.size
    values["rate.articulation"] = nuclei * rate / (hop * max(int(active.sum()), 1))
    return np.array([values[name] for name in UNITS])


def perturbation(signal: np.ndarray, rate: int, f0_hz: np.ndarray, hop: int) -> tuple[float, float]:
    """Local jitter and shimmer; ``f0_hz`` (T,) is NaN where unvoiced. 0 where no three periods follow each other."""
    period_steps, periods, amplitude_steps, amplitudes = [], [], [], []
    for lengths, heights in _cycles(np.asarray(signal, dtype=np.float64), rate, f0_hz, hop):
        # Longer steps are no perturbation but a voice that breaks, or an octave.
        ratio = np.maximum(lengths[1:], lengths[:-1]) / np.minimum(lengths[1:], lengths[:-1])
        loud = np.maximum(heights[1:], heights[:-1]) / np.maximum(
            np.minimum(heights[1:], heights[:-1]), 1e-12
        )
        period_steps.append(np.abs(np.diff(lengths))[ratio < 1.3])
        amplitude_steps.append(np.abs(np.diff(heights))[loud < 1.6])
        periods.append(lengths)
        amplitudes.append(heights)
    steps = [np.concatenate(parts) if parts else np.zeros(0) for parts in (period_steps, amplitude_steps)]
    if not steps[0].size or not steps[1].size:
        return 0.0, 0.0
    jitter = steps[0].mean() / np.concatenate(periods).mean()
    return float(jitter), float(steps[1].mean() / np.concatenate(amplitudes).mean())


def _cycles(
    signal: np.ndarray, rate: int, f0_hz: np.ndarray, hop: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Lengths in samples and peak-to-peak amplitudes of the successive periods of each voiced stretch."""
    voiced = np.isfinite(f0_hz)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], voiced, [False]]).astype(np.int8)))
    for first, end in zip(edges[::2], edges[1::2], strict=True):
        at, last = float(first * hop), min((end - 1) * hop, signal.size)
        lengths, heights = [], []
        while True:
            frame = min(max(round(at / hop), first), end - 1)
            period = rate / f0_hz[frame]
            start, size = round(at), round(period)
            if at + 2.5 * period > last or start + round(2.5 * period) + 2 > signal.size:
                break
            own = signal[start : start + size]
            shifts = np.arange(round(0.8 * period), round(1.25 * period) + 1)
            others = np.lib.stride_tricks.sliding_window_view(signal[start + shifts[0] :], size)[
                : len(shifts)
            ]
            likeness = others @ own / np.sqrt(np.maximum((others**2).sum(axis=1) * (own @ own), 1e-30))
            best = int(likeness.argmax())
            length = float(shifts[best])
            if 0 < best < len(shifts) - 1:
                a, b, c = likeness[best - 1 : best + 2]
                length += 0.5 * (a - c) / (a - 2 * b + c) if a - 2 * b + c < 0 else 0.0
            lengths.append(length)
            heights.append(float(own.max() - own.min()))
            at += length
        if len(lengths) > 2:
            yield np.array(lengths), np.array(heights)


def formants(signal: np.ndarray, rate: int, times_s: np.ndarray) -> np.ndarray:
    """Formants 1 to 3 (T, 3) in Hz at some times, NaN where there are fewer poles."""
    y = resampled(np.asarray(signal, dtype=np.float64), rate, FORMANT_RATE_HZ)
    y = scipy.signal.lfilter([1, -np.exp(-2 * np.pi * 50 / FORMANT_RATE_HZ)], [1], y)
    length = round(FORMANT_FRAME_S * FORMANT_RATE_HZ)
    padded = np.pad(y, (length // 2, length))
    frames = np.lib.stride_tricks.sliding_window_view(padded, length)
    chosen = frames[np.minimum(np.round(times_s * FORMANT_RATE_HZ).astype(int), len(frames) - 1)]
    chosen = chosen * scipy.signal.get_window("hamming", length)
    found = np.full((len(chosen), 3), np.nan)
    for row, frame in enumerate(chosen):
        r = np.correlate(frame, frame, "full")[length - 1 : length + FORMANT_ORDER]
        if r[0] <= 0:
            continue
        r[0] *= 1 + 1e-9
        predictor = scipy.linalg.solve_toeplitz(r[:-1], r[1:])
        poles = np.roots(np.concatenate([[1.0], -predictor]))
        poles = poles[poles.imag > 0]
        frequency = np.angle(poles) * FORMANT_RATE_HZ / (2 * np.pi)
        width = -np.log(np.abs(poles)) * FORMANT_RATE_HZ / np.pi
        known = np.sort(
            frequency[(frequency > 90) & (frequency < FORMANT_RATE_HZ / 2 - 90) & (width < WIDEST_HZ)]
        )[:3]
        found[row, : len(known)] = known
    return found


def loudness(signal: np.ndarray, cfg: SpeechFeatureConfig) -> np.ndarray:
    """Loudness (T,) of every frame, 1 for a full-scale sine at the middle of a mel band."""
    n_fft, hop = contours.fft_size(cfg), contours.hop_of(cfg)
    padded = np.pad(np.asarray(signal, dtype=np.float32), (n_fft // 2, n_fft))
    power = contours.power_of(padded, 1 + signal.size // hop, hop, cfg)
    filters = spectrum.mel_filters(cfg.sample_rate_hz, n_fft, cfg.n_mels)[:, : power.shape[1]]
    # The bins of a sine of amplitude 1 sum up to this.
    window = contours.window_of(cfg)
    full_scale = n_fft * float((window**2).sum()) / 4
    return np.asarray(((power @ filters.T / full_scale) ** LOUDNESS_POWER).sum(axis=1))
