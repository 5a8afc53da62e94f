"""Signals whose properties are known by construction."""

from __future__ import annotations

import numpy as np
from scipy.signal import lfilter

RATE = 16000


def sine(
    frequency_hz: float, *, seconds: float = 1.0, rate: float = RATE, amplitude: float = 0.3
) -> np.ndarray:
    t = np.arange(round(seconds * rate)) / rate
    return (amplitude * np.sin(2 * np.pi * frequency_hz * t)).astype(np.float32)


def noise(*, seconds: float = 1.0, rate: float = RATE, amplitude: float = 0.1, seed: int = 0) -> np.ndarray:
    return (amplitude * np.random.default_rng(seed).normal(size=round(seconds * rate))).astype(np.float32)


def vowels(seed: int, *, seconds: float = 2.0, rate: int = RATE) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gliding vowels between noisy pauses: the signal, its F0 in Hz and where it is voiced, each (n,)."""
    rng = np.random.default_rng(seed)
    n = round(seconds * rate)
    t = np.arange(n) / rate
    f0 = rng.uniform(90, 300) * 2 ** (
        rng.uniform(0.1, 0.5) * np.sin(2 * np.pi * rng.uniform(0.5, 2) * t + rng.uniform(0, 6))
    )
    phase = 2 * np.pi * np.cumsum(f0) / rate
    source = sum(np.sin(k * phase) / k for k in range(1, 30))
    envelope, voiced, at = np.zeros(n), np.zeros(n, dtype=bool), round(0.1 * rate)
    while at < n - 0.2 * rate:
        length = min(round(rng.uniform(0.1, 0.35) * rate), n - at)
        envelope[at : at + length] = np.sqrt(np.hanning(length)) * rng.uniform(0.3, 1)
        voiced[at : at + length] = True
        at += length + round(rng.uniform(0.05, 0.2) * rate)
    signal = source * envelope
    for formant in (rng.uniform(300, 800), rng.uniform(900, 2000), 2600):
        radius = np.exp(-np.pi * 100 / rate)
        signal = lfilter([1], [1, -2 * radius * np.cos(2 * np.pi * formant / rate), radius**2], signal)
    signal /= np.abs(signal).max()
    spread = 10 ** (-rng.uniform(20, 40) / 20) * np.sqrt((signal[voiced] ** 2).mean())
    signal += rng.normal(size=n) * np.where(voiced, spread, spread + 0.02)
    return (0.5 * signal / np.abs(signal).max()).astype(np.float32), f0, voiced
