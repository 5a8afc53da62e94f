"""The synthetic EEG signal: noise with a given spectrum and spatial pattern, and what contaminates it.

Electrodes lie on a sphere; unit vectors point right (x), to the nose (y) and up (z). All amplitudes are in
microvolts, all arrays end in (channels, samples) at 128 Hz.
"""

from __future__ import annotations

from functools import cache

import mne
import numpy as np
from scipy import signal

from jmml.data.corpora.eeg.deap import EEG_CHANNELS, SAMPLE_RATE_HZ
from jmml.data.synthetic.affect import Floats


@cache
def electrode_positions() -> Floats:
    """Unit vectors (32, 3) of the electrodes, from the BioSemi 32 montage that DEAP was recorded with."""
    places = mne.channels.make_standard_montage("biosemi32").get_positions()["ch_pos"]
    xyz = np.array([places[name] for name in EEG_CHANNELS])
    return np.asarray(xyz / np.linalg.norm(xyz, axis=1, keepdims=True))


@cache
def spatial_mixing(reach: float = 0.7) -> Floats:
    """L (32, 32) with ``L L' = 0.95 exp(-distance^2 / (2 reach^2)) + 0.05 I``, after volume conduction."""
    xyz = electrode_positions()
    squared = ((xyz[:, None] - xyz[None]) ** 2).sum(axis=-1)
    return np.linalg.cholesky(0.95 * np.exp(-squared / (2 * reach**2)) + 0.05 * np.eye(len(xyz)))


def topography(name: str, reach: float) -> Floats:
    """Weights (32,) in 0..1 that fall off with the distance from electrode ``name``."""
    xyz = electrode_positions()
    squared = ((xyz - xyz[EEG_CHANNELS.index(name)]) ** 2).sum(axis=-1)
    return np.asarray(np.exp(-squared / (2 * reach**2)))


def frontal_laterality() -> Floats:
    """Weights (32,) in -1..1: negative on the left, positive on the right of the frontal scalp, else 0."""
    x, y = electrode_positions()[:, 0], electrode_positions()[:, 1]
    return np.asarray(np.tanh(x / 0.25) / (1 + np.exp(-(y - 0.25) / 0.1)))


def noise(rng: np.random.Generator, shape: tuple[int, ...], samples: int, amplitude: Floats) -> Floats:
    """Gaussian noise (*shape, samples) of unit variance whose spectrum is proportional to ``amplitude``^2.

    ``amplitude`` has one value per frequency of :func:`frequencies`.
    """
    spectrum = rng.standard_normal((*shape, len(amplitude), 2)).view(np.complex128)[..., 0] * amplitude
    # E|Z_k|^2 = 2 a_k^2, and irfft gives the variance sum over both sides of E|Z_k|^2 / samples^2.
    scale = samples / np.sqrt(4 * np.sum(amplitude**2))
    return np.asarray(np.fft.irfft(spectrum * scale, samples))


def frequencies(samples: int) -> Floats:
    return np.asarray(np.fft.rfftfreq(samples, 1 / SAMPLE_RATE_HZ))


def power_law(f: Floats, exponent: float) -> Floats:
    """Amplitude of 1/f^exponent *power*, from 0.5 Hz on; nothing below, as after a high-pass."""
    return np.where(f >= 0.5, np.maximum(f, 0.5) ** (-exponent / 2), 0.0)


def bump(f: Floats, centre_hz: float, width_hz: float) -> Floats:
    """Amplitude of a rhythm: Gaussian around its peak."""
    return np.asarray(np.exp(-((f - centre_hz) ** 2) / (2 * width_hz**2)))


def add_blinks(eeg: Floats, rng: np.random.Generator, *, rate_hz: float, amplitude_uv: float) -> Floats:
    """Add blinks to ``eeg`` (trials, 32, samples) in place; returns the blink source (trials, samples)."""
    trials, _, samples = eeg.shape
    source = np.zeros((trials, samples))
    for trial, count in enumerate(rng.poisson(rate_hz * samples / SAMPLE_RATE_HZ, trials)):
        for start, length, size in zip(
            rng.integers(0, samples, count),
            rng.integers(25, 52, count),  # 0.2 to 0.4 s
            amplitude_uv * np.exp(0.3 * rng.standard_normal(count)),
            strict=True,
        ):
            stop = min(samples, start + length)
            source[trial, start:stop] += size * signal.windows.hann(length)[: stop - start]
    pattern = np.maximum(topography("Fp1", 0.35), topography("Fp2", 0.35))
    eeg += pattern[:, None] * source[:, None, :]
    return source


def add_muscle(eeg: Floats, rng: np.random.Generator, *, rate_hz: float, amplitude_uv: float) -> None:
    """Add bursts of 20-60 Hz activity at the temples to ``eeg`` (trials, 32, samples), in place."""
    trials, _, samples = eeg.shape
    sides = [topography(name, 0.4) for name in ("T7", "T8")]
    f = frequencies(samples)
    spectrum = np.where((f >= 20) & (f <= 60), 1.0, 0.0)
    for trial, count in enumerate(rng.poisson(rate_hz * samples / SAMPLE_RATE_HZ, trials)):
        for _ in range(count):
            length = int(rng.integers(64, 193))  # 0.5 to 1.5 s
            start = int(rng.integers(0, samples))
            stop = min(samples, start + length)
            size = amplitude_uv * np.exp(0.4 * rng.standard_normal())
            burst = size * signal.windows.hann(length) * noise(rng, (), samples, spectrum)[:length]
            eeg[trial, :, start:stop] += sides[int(rng.integers(2))][:, None] * burst[: stop - start]


def peripheral(rng: np.random.Generator, blinks: Floats) -> Floats:
    """DEAP's eight other channels (trials, 8, samples), plausible in shape and unrelated to emotion."""
    trials, samples = blinks.shape
    f = frequencies(samples)
    t = np.arange(samples) / SAMPLE_RATE_HZ
    slow = noise(rng, (trials, 3), samples, power_law(f, 2.5))
    eye = 8 * noise(rng, (trials, 2), samples, power_law(f, 1.5))
    emg = 6 * noise(rng, (trials, 2), samples, np.where(f > 15, 1.0, 0.1))
    breathing = np.sin(2 * np.pi * (rng.uniform(0.2, 0.33, (trials, 1)) * t + rng.uniform(size=(trials, 1))))
    beat = (rng.uniform(0.9, 1.5, (trials, 1)) * t + rng.uniform(size=(trials, 1))) % 1.0
    pulse = np.exp(-((beat - 0.3) ** 2) / 0.02) + 0.4 * np.exp(-((beat - 0.65) ** 2) / 0.01)
    channels = (
        eye[:, 0] + 0.1 * blinks, eye[:, 1] + 2.0 * blinks, emg[:, 0], emg[:, 1], 300 * slow[:, 0],
        400 * breathing + 60 * slow[:, 1], 1000 * pulse, 0.3 * slow[:, 2],
    )  # fmt: skip
    return np.stack(channels, axis=1)
