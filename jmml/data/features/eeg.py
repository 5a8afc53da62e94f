"""EEG features: differential entropy and band power per channel and band, and frontal alpha asymmetry.

With x the signal of a channel in a band, in microvolts:

    de_BAND.CHANNEL      0.5 ln(2 pi e var(x))            nat, re 1 uV; Duan et al. 2013
    power_BAND.CHANNEL   10 log10 of Welch's PSD summed over [low, high)      dB re 1 uV^2
    asymmetry.R-L        ln power_alpha(R) - ln power_alpha(L)                 dimensionless; Davidson 1992

The variance is that after a zero-phase FIR band pass of MNE's design (``estimate: fir``), or Welch's power itself
(``estimate: stft``; :mod:`.bands`), so that entropy and power say the same on two scales. The two estimates differ by
the roll-off of the filter and by Welch's window, which weighs the middle of its segments: over 4 s windows of 1/f noise
they correlate at 0.7 to 0.8. A gain g adds ln g to
every entropy and 20 log10 g to every power, and leaves the asymmetries alone.

These are the standard set; :mod:`.eeg_options` holds those that ``features.eeg.sets`` adds.

Windows do not overlap; a tail shorter than a window is dropped. Nothing depends on the montage but the names
of the frontal pairs, of which those that exist are used.

References
----------
R.-N. Duan, J.-Y. Zhu, B.-L. Lu (2013), Differential entropy feature for EEG-based emotion classification,
6th International IEEE/EMBS Conference on Neural Engineering, 81-84.
R. J. Davidson (1992), Anterior cerebral asymmetry and the nature of emotion, Brain and Cognition 20, 125-151.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from functools import lru_cache

import mne
import numpy as np

from jmml.config import EEGFeatureConfig, digest
from jmml.data.features.bands import FLOOR_UV2, WELCH_SEGMENT_S, band_powers
from jmml.data.features.eeg_options import families
from jmml.data.table import FeatureTable
from jmml.errors import RecordingError

VERSION = 1

FRONTAL_PAIRS = (("F4", "F3"), ("F8", "F7"), ("AF4", "AF3"), ("FC6", "FC5"), ("Fp2", "Fp1"))
ASYMMETRY_BAND = "alpha"
FLAT_V = 1e-10  # standard deviation; the noise of an amplifier is a thousand times larger
# The band pass needs room to roll off below half the sample rate: its length is inverse to that room.
HIGHEST_EDGE = 0.9
_OF_POWER = frozenset(("standard", "asymmetry"))  # sets
CALLER = 2  # level of the stack that a warning is of


class FlatChannelWarning(UserWarning):
    """A channel holds no signal in a window, and its features there stand at their floor."""


def feature_names(channels: Sequence[str], cfg: EEGFeatureConfig) -> tuple[str, ...]:
    """Names of the D features, such as ``de_alpha.F3``; bands in order of frequency, channels as given."""
    return tuple(name for name, _ in _described(channels, cfg))


def feature_units(channels: Sequence[str], cfg: EEGFeatureConfig) -> tuple[str, ...]:
    """Units of the D features: ``nat`` (re 1 uV), ``dB`` (re 1 uV^2), ``"1"``."""
    return tuple(unit for _, unit in _described(channels, cfg))


def extractor_digest(cfg: EEGFeatureConfig) -> str:
    """Fingerprint of what :func:`extract` computes: settings and version."""
    return digest({"modality": "eeg", "settings": cfg.model_dump(mode="json"), "version": VERSION})


def extract(
    signal: np.ndarray,
    sample_rate_hz: float,
    channels: Sequence[str],
    cfg: EEGFeatureConfig,
    *,
    where: object = "recording",
) -> np.ndarray:
    """Features of one trial.

    Parameters
    ----------
    signal : (channels, n), volts.
    sample_rate_hz : above twice the highest band edge divided by 0.9.
    channels : a name per row of ``signal``, unique.
    cfg : window length and bands.
    where : named in errors.

    Returns
    -------
    float32 array (windows, D), finite, columns in the order of :func:`feature_names`.

    Raises
    ------
    RecordingError
        a channel is not finite, all are flat, names and rows do not match, the trial is shorter than a window or than
        the band pass (``estimate: fir``), or the sample rate is too low for the bands.

    Warns
    -----
    FlatChannelWarning
        a channel is flat within a window: entropy and power stand at their floor there, that of 1e-12 uV^2.

    Example
    -------
    >>> rng = np.random.default_rng(0)
    >>> trial = 1e-5 * rng.normal(size=(2, 9 * 128))
    >>> extract(trial, 128.0, ["F3", "F4"], EEGFeatureConfig(window_s=4.0)).shape
    (2, 17)
    """
    volts = np.asarray(signal, dtype=np.float64)
    _check(volts, sample_rate_hz, channels, cfg, where)
    length = volts.shape[1] if cfg.window_s is None else round(cfg.window_s * sample_rate_hz)
    count = volts.shape[1] // length

    def windows(x: np.ndarray) -> np.ndarray:
        return x[:, : count * length].reshape(len(x), count, length)

    flat = windows(volts).std(axis=2) < FLAT_V
    if flat.any():
        window_s = length / sample_rate_hz
        if flat.all():
            raise RecordingError(f"every channel is flat from 0 to {count * window_s:g} s", where=where)
        warnings.warn(_flat_text(flat, window_s, channels, where), FlatChannelWarning, stacklevel=CALLER)
    bands = _bands(cfg)
    # The offset of an amplifier, thousands of times the signal, would cost a filter its precision.
    microvolts = 1e6 * (volts - volts.mean(axis=1, keepdims=True))
    variances: list[np.ndarray] = []
    powers: list[np.ndarray] = []
    if not _OF_POWER.isdisjoint(cfg.sets):
        if cfg.estimate == "stft":
            variances = powers = list(band_powers(microvolts, sample_rate_hz, length, list(bands.values())))
        else:
            variances, powers = _filtered(microvolts, sample_rate_hz, length, bands)
    # The filter rings into a flat window from those beside it.
    powers = [np.where(flat, FLOOR_UV2, np.maximum(power, FLOOR_UV2)) for power in powers]
    variances = [np.where(flat, FLOOR_UV2, np.maximum(variance, FLOOR_UV2)) for variance in variances]
    rows: list[np.ndarray] = []
    if "standard" in cfg.sets:
        rows += [0.5 * np.log(2 * np.pi * np.e * variance) for variance in variances]
        rows += [10 * np.log10(power) for power in powers]
        if pairs := _pairs(channels, cfg):
            alpha = np.log(powers[list(bands).index(ASYMMETRY_BAND)])
            rows.append(np.stack([alpha[right] - alpha[left] for right, left in pairs]))
    rows += families.computed(microvolts, sample_rate_hz, length, powers, flat, channels, bands, cfg)
    return np.concatenate(rows).T.astype(np.float32)


def _filtered(
    microvolts: np.ndarray, sample_rate_hz: float, length: int, bands: dict[str, tuple[float, float]]
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Variance after a band pass, and power by MNE's Welch estimate, of each band: (channels, windows), uV^2."""
    count = microvolts.shape[1] // length

    def windows(x: np.ndarray) -> np.ndarray:
        return x[:, : count * length].reshape(len(x), count, length)

    spectrum, frequency = mne.time_frequency.psd_array_welch(
        windows(microvolts),
        sample_rate_hz,
        n_fft=(segment := min(length, round(WELCH_SEGMENT_S * sample_rate_hz))),
        n_per_seg=segment,
        n_overlap=segment // 2,
        window="hann",
        verbose="ERROR",
    )
    resolution = frequency[1] - frequency[0]
    variances, powers = [], []
    for low, high in bands.values():
        x = mne.filter.filter_data(microvolts, sample_rate_hz, low, high, verbose="ERROR")
        variances.append(windows(x).var(axis=2))
        inside = (frequency >= low) & (frequency < high)
        powers.append(spectrum[..., inside].sum(axis=2) * resolution)
    return variances, powers


def _bands(cfg: EEGFeatureConfig) -> dict[str, tuple[float, float]]:
    # In order of frequency, so that the order of keys in a file, which no digest sees, does not matter.
    ordered = sorted(cfg.bands_hz.items(), key=lambda item: (item[1], item[0]))
    return {name: (low, high) for name, (low, high) in ordered}


def _pairs(channels: Sequence[str], cfg: EEGFeatureConfig) -> list[tuple[int, int]]:
    """Row numbers (right, left) of the frontal pairs that exist; FP1 and Fp1 are the same electrode."""
    if ASYMMETRY_BAND not in cfg.bands_hz:
        return []
    row = {name.upper(): i for i, name in enumerate(channels)}
    return [
        (row[right.upper()], row[left.upper()])
        for right, left in FRONTAL_PAIRS
        if right.upper() in row and left.upper() in row
    ]


def _described(channels: Sequence[str], cfg: EEGFeatureConfig) -> Iterator[tuple[str, str]]:
    if "standard" in cfg.sets:
        for stem, unit in (("de", "nat"), ("power", "dB")):
            for band in _bands(cfg):
                for channel in channels:
                    yield f"{stem}_{band}.{channel}", unit
        for right, left in _pairs(channels, cfg):
            yield f"asymmetry.{channels[right]}-{channels[left]}", "1"
    yield from families.described(channels, _bands(cfg), cfg)


def _check(
    volts: np.ndarray, sample_rate_hz: float, channels: Sequence[str], cfg: EEGFeatureConfig, where: object
) -> None:
    if volts.ndim != 2 or len(volts) != len(channels) or not len(channels):
        raise RecordingError(
            f"signal of shape {volts.shape} with {len(channels)} channel names",
            where=where,
            expected="(channels, samples) with a name per channel",
        )
    twice = sorted({name for name in channels if list(channels).count(name) > 1})
    if twice:
        raise RecordingError(f"channel names occur more than once: {', '.join(twice)}", where=where)
    for name, row in zip(channels, volts, strict=True):
        bad = ~np.isfinite(row)
        if bad.any():
            raise RecordingError(
                f"channel '{name}' holds {int(bad.sum())} values that are NaN or infinite, first at "
                f"{int(bad.argmax()) / sample_rate_hz:.3f} s",
                where=where,
                fix="interpolate or drop the channel, or leave this trial out",
            )
    for band, (_, high) in _bands(cfg).items():
        if high > HIGHEST_EDGE * sample_rate_hz / 2:
            raise RecordingError(
                f"sample rate {sample_rate_hz:g} Hz is too low for the band '{band}' up to {high:g} Hz",
                where=where,
                expected=f"at least {2 * high / HIGHEST_EDGE:g} Hz",
                fix=f"lower features.eeg.bands_hz.{band} in params.yaml",
            )
    duration, needed = volts.shape[1] / sample_rate_hz, cfg.window_s or 0.0
    # round(): a trial of exactly one window must not fail by half a sample.
    if volts.shape[1] < round(needed * sample_rate_hz):
        raise RecordingError(
            f"lasts {duration:.3f} s",
            where=where,
            expected=f"at least one window of {needed:g} s",
            fix="shorten features.eeg.window_s, or leave this trial out",
        )
    families.check(sample_rate_hz, channels, cfg, where)
    by_filter = "plv" in cfg.sets or (cfg.estimate == "fir" and not _OF_POWER.isdisjoint(cfg.sets))
    for band, (low, high) in _bands(cfg).items() if by_filter else ():
        taps = _filter_length(float(sample_rate_hz), low, high)
        if volts.shape[1] < taps:
            raise RecordingError(
                f"lasts {duration:.3f} s, less than the band pass of '{band}'",
                where=where,
                expected=f"at least {taps / sample_rate_hz:.3f} s",
                fix="leave this trial out",
            )


def flat_windows(table: FeatureTable, channels: Sequence[str], cfg: EEGFeatureConfig) -> str:
    """In how many windows (rows of the table) each channel is flat, in words: "F3 in 2 of 8, Cz in 1 of 8".

    Channels that never are do not occur, and of a table that does not hold what :func:`extract` gives nothing is said.
    """
    if table.modality != "eeg" or cfg.extractor is not None:
        return ""
    floor, told = np.float32(10 * np.log10(FLOOR_UV2)), []
    described = list(_described(channels, cfg))
    for channel in channels:
        levels = [
            n for n, (name, unit) in enumerate(described) if unit == "dB" and name.endswith(f".{channel}")
        ]
        count = int((table.X[:, levels] == floor).all(axis=1).sum()) if levels else 0
        if count:
            told.append(f"{channel} in {count} of {len(table)}")
    return ", ".join(told)


def _flat_text(flat: np.ndarray, window_s: float, channels: Sequence[str], where: object) -> str:
    channel, window = (int(i) for i in np.argwhere(flat)[0])
    others = [channels[int(row)] for row in np.flatnonzero(flat.any(axis=1))][1:]
    return (
        f"{where}: channel '{channels[channel]}' is flat from {window * window_s:g} to {(window + 1) * window_s:g} s"
        + (f" (flat too: {', '.join(others)})" if others else "")
        + f"; its power there is put at {10 * np.log10(FLOOR_UV2):g} dB re 1 uV^2. Interpolate or drop the channel"
    )


@lru_cache(maxsize=64)
def _filter_length(sample_rate_hz: float, low: float, high: float) -> int:
    return len(mne.filter.create_filter(None, sample_rate_hz, low, high, verbose="ERROR"))
