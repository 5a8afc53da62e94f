"""Families of EEG features that ``features.eeg.sets`` adds to the standard set, in one order whatever that of the list.

hjorth        3 per channel                    :mod:`.hjorth`
wavelets      5 per channel                    :mod:`.wavelets`
asymmetry     1 per homologous pair and band   asymmetry_BAND.R-L = ln power_BAND(R) - ln power_BAND(L)
coherence     1 per pair and band              :mod:`.connectivity`
plv           1 per pair and band              :mod:`.connectivity`
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from jmml.config import EEGFeatureConfig
from jmml.data.features.bands import FLOOR_UV2
from jmml.data.features.eeg_options.connectivity import chosen, coherence, mirrored, phase_locking
from jmml.data.features.eeg_options.hjorth import hjorth
from jmml.data.features.eeg_options.wavelets import LEVELS, RATE_HZ, wavelet_powers
from jmml.errors import RecordingError

Bands = dict[str, tuple[float, float]]


def described(channels: Sequence[str], bands: Bands, cfg: EEGFeatureConfig) -> Iterator[tuple[str, str]]:
    """Name and unit of each feature."""
    if "hjorth" in cfg.sets:
        for stem, unit in (("activity", "dB"), ("mobility", "Hz"), ("complexity", "1")):
            yield from ((f"{stem}.{channel}", unit) for channel in channels)
    if "wavelets" in cfg.sets:
        for level in LEVELS:
            yield from ((f"wavelet_{level}.{channel}", "dB") for channel in channels)
    for family in ("asymmetry", "coherence", "plv"):
        if family in cfg.sets:
            pairs = mirrored(channels) if family == "asymmetry" else chosen(channels, cfg)
            for band in bands:
                yield from ((f"{family}_{band}.{channels[a]}-{channels[b]}", "1") for a, b in pairs)


def computed(
    microvolts: np.ndarray,
    sample_rate_hz: float,
    length: int,
    powers: Sequence[np.ndarray],
    flat: np.ndarray,
    channels: Sequence[str],
    bands: Bands,
    cfg: EEGFeatureConfig,
) -> list[np.ndarray]:
    """Blocks (features, windows) in the order of :func:`described`.

    Parameters
    ----------
    microvolts : (channels, n), without their mean.
    length : samples of a window.
    powers : of each band, (channels, windows), in uV^2; empty where no family asks for them.
    flat : (channels, windows), whether there is no signal.
    """
    count = microvolts.shape[1] // length
    edges = list(bands.values())
    blocks: list[np.ndarray] = []
    if "hjorth" in cfg.sets:
        windows = microvolts[:, : count * length].reshape(len(microvolts), count, length)
        activity, mobility, complexity = hjorth(windows, sample_rate_hz)
        blocks += [_level(activity, flat), np.where(flat, 0.0, mobility), np.where(flat, 0.0, complexity)]
    if "wavelets" in cfg.sets:
        blocks += [_level(power, flat) for power in wavelet_powers(microvolts, sample_rate_hz, length)]
    if "asymmetry" in cfg.sets:
        for power in np.log(powers):
            blocks.append(np.stack([power[right] - power[left] for right, left in mirrored(channels)]))
    for family, measure in (("coherence", coherence), ("plv", phase_locking)):
        if family in cfg.sets:
            pairs = chosen(channels, cfg)
            dead = np.stack([flat[a] | flat[b] for a, b in pairs])
            blocks += [
                np.where(dead, 0.0, one) for one in measure(microvolts, sample_rate_hz, length, edges, pairs)
            ]
    return blocks


def check(sample_rate_hz: float, channels: Sequence[str], cfg: EEGFeatureConfig, where: object) -> None:
    """Refuses what the families cannot be computed of."""
    if "wavelets" in cfg.sets and sample_rate_hz < RATE_HZ:
        raise RecordingError(
            f"sample rate {sample_rate_hz:g} Hz is too low for wavelets up to 64 Hz",
            where=where,
            expected=f"at least {RATE_HZ:g} Hz",
            fix="leave wavelets out of features.eeg.sets",
        )
    if "asymmetry" in cfg.sets:
        mirrored(channels, where)
    if {"coherence", "plv"} & set(cfg.sets):
        chosen(channels, cfg, where)


def _level(power: np.ndarray, flat: np.ndarray) -> np.ndarray:
    return 10 * np.log10(np.where(flat, FLOOR_UV2, np.maximum(power, FLOOR_UV2)))
