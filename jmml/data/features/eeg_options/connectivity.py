"""Pairs of electrodes, and how their signals go together within a band and a window.

    coherence_BAND.A-B   mean over the bins of [low, high) of |S_ab|^2 / (S_aa S_bb)      0 to 1
    plv_BAND.A-B         | mean_t exp(i (phi_a(t) - phi_b(t))) |                         0 to 1

S are Welch's spectra from Hann segments of 1 s that overlap by half, without their mean: a window of 2 s has three of
them, and unrelated signals a coherence of about one over their number. phi is the phase of the analytic signal of the
trial after the zero-phase FIR band pass of MNE's design. A pair with a channel that is flat in a window has 0 of both.
Both rise with the conduction of one source to two electrodes, and with a reference that these share.

References
----------
G. C. Carter, C. H. Knapp, A. H. Nuttall (1973), Estimation of the magnitude-squared coherence function via overlapped
fast Fourier transform processing, IEEE Transactions on Audio and Electroacoustics 21, 337-344.
J.-P. Lachaux, E. Rodriguez, J. Martinerie, F. J. Varela (1999), Measuring phase synchrony in brain signals, Human Brain
Mapping 8, 194-208.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import combinations

import mne
import numpy as np
import scipy.fft
import scipy.signal

from jmml.config import EEGFeatureConfig
from jmml.errors import RecordingError

SEGMENT_S = 1.0
MOST_CHANNELS = 32  # of which all pairs are taken: 496
Pairs = list[tuple[int, int]]


def homologous(channels: Sequence[str]) -> Pairs:
    """Row numbers (right, left) of electrodes that mirror each other, such as F4 and F3, in the order of the left one.

    Example
    -------
    >>> homologous(["FC5", "Cz", "FC6", "O1", "T8"])
    [(2, 0)]
    """
    row = {name.upper(): number for number, name in enumerate(channels)}
    pairs = []
    for name, left in row.items():
        found = re.fullmatch(r"([A-Z]+)(\d*[13579])(H?)", name)
        if found and (right := row.get(f"{found[1]}{int(found[2]) + 1}{found[3]}")) is not None:
            pairs.append((right, left))
    return pairs


def chosen(channels: Sequence[str], cfg: EEGFeatureConfig, where: object = None) -> Pairs:
    """Row numbers of the pairs of ``cfg.pairs``.

    Raises
    ------
    RecordingError : there is none, a named electrode is not there, or all pairs are too many.
    """
    if isinstance(cfg.pairs, list):
        row = {name.upper(): number for number, name in enumerate(channels)}
        missing = sorted({name for pair in cfg.pairs for name in pair if name.upper() not in row})
        if missing:
            raise RecordingError(
                f"no channel {', '.join(missing)}, which features.eeg.pairs names",
                where=where,
                fix=f"name pairs of {', '.join(channels)}",
            )
        return [(row[a.upper()], row[b.upper()]) for a, b in cfg.pairs]
    if cfg.pairs == "all":
        if len(channels) > MOST_CHANNELS:
            raise RecordingError(
                f"{len(channels)} channels have {math.comb(len(channels), 2)} pairs",
                where=where,
                expected=f"at most {MOST_CHANNELS} channels with features.eeg.pairs: all",
                fix="name the pairs",
            )
        return list(combinations(range(len(channels)), 2))
    return mirrored(channels, where)


def mirrored(channels: Sequence[str], where: object = None) -> Pairs:
    """Pairs as :func:`homologous` gives them, at least one.

    Raises
    ------
    RecordingError : there is none.
    """
    if not (pairs := homologous(channels)):
        raise RecordingError(
            "no two channels are electrodes that mirror each other, such as F3 and F4",
            where=where,
            fix="leave asymmetry, coherence and plv out of features.eeg.sets, or name features.eeg.pairs",
        )
    return pairs


def coherence(
    signal: np.ndarray,
    sample_rate_hz: float,
    length: int,
    bands: Sequence[tuple[float, float]],
    pairs: Pairs,
) -> np.ndarray:
    """Coherence (bands, pairs, windows) of ``signal`` (channels, n) in windows of ``length`` samples."""
    count = signal.shape[1] // length
    # Bins no further apart than 1 Hz, the width of the narrowest band: each band has one.
    segment = math.ceil(SEGMENT_S * sample_rate_hz)
    frequency = np.fft.rfftfreq(segment, 1 / sample_rate_hz)
    used = int(np.searchsorted(frequency, max(high for _, high in bands)))
    windows = signal[:, : count * length].reshape(len(signal), count, length)
    cut = np.lib.stride_tricks.sliding_window_view(windows, segment, axis=-1)[:, :, :: segment - segment // 2]
    taper = scipy.signal.get_window("hann", segment)
    spectrum = np.stack(
        [scipy.fft.rfft((x - x.mean(axis=-1, keepdims=True)) * taper, axis=-1)[..., :used] for x in cut]
    )  # (channels, windows, segments, bins)
    power = (spectrum.real**2 + spectrum.imag**2).mean(axis=2)
    inside = [(frequency[:used] >= low) & (frequency[:used] < high) for low, high in bands]
    out = np.zeros((len(bands), len(pairs), count))
    for number, (a, b) in enumerate(pairs):
        cross = np.abs((spectrum[a] * spectrum[b].conj()).mean(axis=1)) ** 2
        norm = power[a] * power[b]
        msc = np.divide(cross, norm, out=np.zeros_like(cross), where=norm > 0)
        for band, bins in enumerate(inside):
            out[band, number] = msc[:, bins].mean(axis=1)
    return out


def phase_locking(
    signal: np.ndarray,
    sample_rate_hz: float,
    length: int,
    bands: Sequence[tuple[float, float]],
    pairs: Pairs,
) -> np.ndarray:
    """Phase-locking value (bands, pairs, windows) of ``signal`` (channels, n) in windows of ``length`` samples."""
    count = signal.shape[1] // length
    out = np.empty((len(bands), len(pairs), count))
    for band, (low, high) in enumerate(bands):
        x = mne.filter.filter_data(signal, sample_rate_hz, low, high, verbose="ERROR")
        analytic = scipy.signal.hilbert(x, axis=-1)[:, : count * length]
        size = np.abs(analytic)
        phase = np.divide(analytic, size, out=np.zeros_like(analytic), where=size > 0)
        phase = phase.reshape(len(x), count, length)
        for number, (a, b) in enumerate(pairs):
            out[band, number] = np.abs((phase[a] * phase[b].conj()).mean(axis=-1))
    return out
