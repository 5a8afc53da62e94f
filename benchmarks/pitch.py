"""F0 trackers side by side: accuracy on vowels of known F0, and time per second of speech, in one run.

    python benchmarks/pitch.py

Vowels are pulse trains with a gliding F0 through three formant resonators, 20 to 40 dB above white noise, with a
noise-only gap in the middle. Compared are ours (jmml.data.features.pitch), librosa's pyin, the same at a fifth of
its resolution and twice the hop, and librosa's yin, which makes no voicing decision. The errors are the median
distance in semitones on frames that are and are called voiced, and the share of frames whose voicing is wrong.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import librosa
import numpy as np
import scipy.signal

from jmml.data.features import pitch

RATE, HOP, LOW, HIGH = 16000, 160, 65.0, 500.0
SECONDS, VOWELS = 2.0, 40
Tracker = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def vowel(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A signal and its F0 at every sample (NaN in the unvoiced gap)."""
    n = int(SECONDS * RATE)
    t = np.arange(n) / RATE
    start = rng.uniform(80, 350)
    f0 = start * 2 ** (rng.uniform(-0.4, 0.4) * t / SECONDS + 0.02 * np.sin(2 * np.pi * 5 * t))
    pulses = np.diff(np.floor(np.cumsum(f0) / RATE), prepend=0.0)
    signal = pulses
    for centre, width in zip(rng.uniform([250, 900, 2200], [850, 2000, 3000]), (80, 100, 120), strict=True):
        radius = np.exp(-np.pi * width / RATE)
        signal = scipy.signal.lfilter(
            [1], [1, -2 * radius * np.cos(2 * np.pi * centre / RATE), radius**2], signal
        )
    gap = (t > 0.8) & (t < 1.2)
    signal = np.where(gap, 0, signal)
    noise = rng.normal(size=n) * np.std(signal[~gap]) * 10 ** (-rng.uniform(20, 40) / 20)
    signal = (signal + noise).astype(np.float32)
    return signal / np.abs(signal).max(), np.where(gap, np.nan, f0)


def ours(signal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    found = pitch.track(signal, RATE, HOP, LOW, HIGH)
    return found.f0_hz, found.voiced


def pyin(signal: np.ndarray, hop: int = HOP, resolution: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    f0, voiced, _ = librosa.pyin(signal, fmin=LOW, fmax=HIGH, sr=RATE, hop_length=hop, resolution=resolution)
    return np.repeat(f0, hop // HOP), np.repeat(voiced, hop // HOP)


def yin(signal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    f0 = librosa.yin(signal, fmin=LOW, fmax=HIGH, sr=RATE, hop_length=HOP)
    return f0, np.ones(len(f0), dtype=bool)


def main() -> None:
    trackers: dict[str, Tracker] = {
        "ours": ours,
        "pyin": pyin,
        "pyin, coarse": lambda signal: pyin(signal, 2 * HOP, 0.5),
        "yin (always voiced)": yin,
    }
    cases = [vowel(np.random.default_rng(seed)) for seed in range(VOWELS)]
    errors: dict[str, list[np.ndarray]] = {name: [] for name in trackers}
    wrong: dict[str, list[np.ndarray]] = {name: [] for name in trackers}
    seconds: dict[str, list[float]] = {name: [] for name in trackers}
    for track in trackers.values():
        track(cases[0][0])  # compile and warm up
    for signal, truth in cases:
        for name, track in trackers.items():
            begin = time.perf_counter()
            f0, voiced = track(signal)
            seconds[name].append(time.perf_counter() - begin)
            frames = min(len(f0), len(truth) // HOP)
            f0, voiced, known = f0[:frames], voiced[:frames], truth[::HOP][:frames]
            both = voiced & np.isfinite(known)
            errors[name].append(np.abs(12 * np.log2(f0[both] / known[both])))
            wrong[name].append(voiced != np.isfinite(known))
    print(f"{VOWELS} vowels of {SECONDS:g} s; times are medians per second of speech, in turn on one core")
    print(f"{'tracker':<20} {'semitones':>10} {'voicing':>9} {'ms':>8} {'times ours':>11}")
    reference = np.median(seconds["ours"])
    for name in trackers:
        median = np.median(np.concatenate(errors[name]))
        voicing, ms = np.concatenate(wrong[name]).mean(), np.median(seconds[name])
        print(
            f"{name:<20} {median:>10.3f} {voicing:>9.1%} {1e3 * ms / SECONDS:>8.2f} {ms / reference:>11.1f}"
        )


if __name__ == "__main__":
    main()
