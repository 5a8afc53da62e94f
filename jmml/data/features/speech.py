"""Speech features: frame-wise descriptors of one utterance, summarised by functionals.

| family | descriptor | source |
|---|---|---|
| ``logmel_NN`` | power in a mel band, dB | librosa mel filter bank |
| ``mfcc_NN``, ``mfcc_delta_NN``, ``mfcc_delta2_NN`` | cepstrum and its time derivatives | orthonormal DCT-II of log-mel; librosa delta |
| ``centroid`` ... ``flux``, ``contrast_N`` | shape of the spectrum | librosa; flux: distance of successive unit spectra |
| ``alpha_ratio``, ``hammarberg``, ``slope_*`` | spectral balance and tilt | Eyben et al. 2016 |
| ``level`` | power of a frame, dB re the active level | |
| ``f0``, ``harmonicity``, ``voicing`` | pitch in semitones re 27.5 Hz, HNR in dB, rhythm | :mod:`~jmml.data.features.pitch` |

Every feature is invariant to the gain of the recording: spectra are divided by the active level, the mean power
of frames within 30 dB of the loud ones (95th percentile). The absolute level was left out on purpose: it says
where the microphone stood (on six speakers of nEMO, leaving it out raised the speaker-independent UAR of a
linear SVM from 0.354 to 0.366).
Spectral descriptors are summarised over the active frames alone: pauses say more about the room than about
the speaker.

A recording without a voiced frame has ``voicing.fraction`` 0, the f0 locations (mean, p10, p50, p90) at the
geometric middle of the search range, and every other f0 and voicing feature at 0.

Reference
---------
F. Eyben et al. (2016), The Geneva Minimalistic Acoustic Parameter Set (GeMAPS) for voice research and
affective computing, IEEE Transactions on Affective Computing 7(2), 190-202.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import librosa
import numpy as np
import scipy.fft
import scipy.signal

from jmml.config import SpeechFeatureConfig, digest
from jmml.data.features import functionals, pitch
from jmml.data.features.audio import check_audio
from jmml.errors import ConfigError

VERSION = 1

ACTIVE_RANGE_DB = 30.0
FLOOR_DB = -80.0  # of spectral power, re the mean active power: empty bands of upsampled speech stay finite
SEMITONE_REFERENCE_HZ = 27.5
CONTRAST_F_MIN_HZ = 200.0
_DELTA_WIDTH = 9
_SYLLABLE_PROMINENCE_DB = 3.0
_SHAPE = {
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


class _Family(NamedTuple):
    """Contours that share unit and functionals; ``over`` names the frames they are summarised over."""

    contours: tuple[str, ...]
    unit: str
    functionals: tuple[str, ...]
    over: str = "active"


_SCALARS = {
    "level.peak_rate": "1/s",
    "level.active_fraction": "1",
    "voicing.fraction": "1",
    "voicing.segment_rate": "1/s",
    "voicing.segment_mean": "s",
    "voicing.segment_std": "s",
    "voicing.longest_gap": "s",
    "f0.rising_fraction": "1",
}


def _families(cfg: SpeechFeatureConfig) -> dict[str, _Family]:
    def numbered(stem: str, count: int, first: int = 0) -> tuple[str, ...]:
        return tuple(f"{stem}_{i:02d}" for i in range(first, first + count))

    return {
        "logmel": _Family(numbered("logmel", cfg.n_mels, 1), "dB", ("mean", "std", "range")),
        "mfcc": _Family(numbered("mfcc", cfg.n_mfcc), "dB", ("mean", "std", "p10", "p90", "slope")),
        "mfcc_delta": _Family(numbered("mfcc_delta", cfg.n_mfcc), "dB/s", ("std", "mean_abs")),
        "mfcc_delta2": _Family(numbered("mfcc_delta2", cfg.n_mfcc), "dB/s^2", ("std",)),
        **{
            name: _Family((name,), unit, ("mean", "std", "p10", "p50", "p90", "slope"))
            for name, unit in _SHAPE.items()
        },
        "contrast": _Family(
            numbered("contrast", _contrast_bands(cfg) + 1), "dB", ("mean", "std", "p10", "p90")
        ),
        "level": _Family(("level",), "dB", ("mean", "std", "p10", "p50", "p90", "range", "slope"), "all"),
        "level_delta": _Family(("level_delta",), "dB/s", ("std", "mean_abs"), "all"),
        "f0": _Family(("f0",), "semitone", ("mean", "std", "p10", "p50", "p90", "range", "slope"), "voiced"),
        "f0_delta": _Family(("f0_delta",), "semitone/s", ("std", "p10", "p90", "mean_abs"), "voiced"),
        "harmonicity": _Family(("harmonicity",), "dB", ("mean", "std", "p10", "p50", "p90")),
    }


def _described(cfg: SpeechFeatureConfig) -> Iterator[tuple[str, str]]:
    for family in _families(cfg).values():
        for contour in family.contours:
            for functional in family.functionals:
                yield f"{contour}.{functional}", functionals.unit(functional, family.unit)
    yield from _SCALARS.items()


def feature_names(cfg: SpeechFeatureConfig) -> tuple[str, ...]:
    """Names of the D features, such as ``mfcc_03.mean``, in the order of :func:`extract`."""
    return tuple(name for name, _ in _described(cfg))


def feature_units(cfg: SpeechFeatureConfig) -> tuple[str, ...]:
    """Units of the D features: Hz, dB, semitone, s, their rates, and ``"1"`` for dimensionless ones."""
    return tuple(unit for _, unit in _described(cfg))


def extractor_digest(cfg: SpeechFeatureConfig) -> str:
    """Fingerprint of what :func:`extract` computes: settings and version."""
    return digest({"modality": "speech", "settings": cfg.model_dump(mode="json"), "version": VERSION})


def extract(
    signal: np.ndarray, sample_rate_hz: float, cfg: SpeechFeatureConfig, *, where: object = "recording"
) -> np.ndarray:
    """Features of one utterance.

    Parameters
    ----------
    signal : (n,) or (channels, n), amplitude -1..1; channels are averaged.
    sample_rate_hz : rate of ``signal``; resampled to ``cfg.sample_rate_hz`` (soxr, high quality) if different.
    cfg : settings.
    where : named in errors.

    Returns
    -------
    float32 array (D,), finite, in the order of :func:`feature_names`.

    Raises
    ------
    RecordingError
        NaN, silence, less than 0.2 s or less than 8 kHz.
    ConfigError
        ``n_mels`` asks for bands narrower than the spectrum resolves.

    Example
    -------
    >>> cfg = SpeechFeatureConfig()
    >>> tone = 0.1 * np.sin(2 * np.pi * 220 * np.arange(16000) / 16000)
    >>> x = dict(zip(feature_names(cfg), extract(tone, 16000, cfg), strict=True))
    >>> round(float(x["f0.mean"]), 2), round(float(x["centroid.p50"]))  # 220 Hz: 36 semitones above 27.5 Hz
    (36.0, 220)
    """
    mono = np.asarray(signal, dtype=np.float32)
    mono = mono.mean(axis=0) if mono.ndim == 2 else mono
    check_audio(mono, sample_rate_hz, where=where)
    if sample_rate_hz != cfg.sample_rate_hz:
        mono = librosa.resample(
            mono, orig_sr=sample_rate_hz, target_sr=cfg.sample_rate_hz, res_type="soxr_hq"
        )
    rate, hop = cfg.sample_rate_hz, max(1, round(cfg.hop_s * cfg.sample_rate_hz))
    contours, masks, scalars = _descriptors(mono, rate, hop, cfg)
    times = np.arange(masks["all"].size) * hop / rate
    values: list[np.ndarray] = []
    for name, family in _families(cfg).items():
        mask = masks[family.over]
        if mask.any():
            result = functionals.apply(contours[name][:, mask], times[mask], family.functionals)
        else:
            result = _without_frames(name, family, cfg)
        values.append(result.ravel())
    values.append(np.array([scalars[name] for name in _SCALARS]))
    return np.concatenate(values).astype(np.float32)


def _without_frames(name: str, family: _Family, cfg: SpeechFeatureConfig) -> np.ndarray:
    middle = _semitones(np.sqrt(cfg.f0_min_hz * cfg.f0_max_hz)) if name == "f0" else 0.0
    located = [middle if f in ("mean", *functionals.PERCENTILES) else 0.0 for f in family.functionals]
    return np.tile(located, (len(family.contours), 1))


def _descriptors(
    signal: np.ndarray, rate: int, hop: int, cfg: SpeechFeatureConfig
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict[str, float]]:
    """Contours (L, T) per family, boolean masks (T,), and the features that are no functionals."""
    signal = signal - signal.mean(dtype=np.float64).astype(np.float32)
    n_fft, window = _fft_size(cfg), round(cfg.frame_s * rate)
    spectrum = librosa.stft(signal, n_fft=n_fft, win_length=window, hop_length=hop, window="hann")
    power = spectrum.real**2 + spectrum.imag**2
    total = power.sum(axis=0, dtype=np.float64)
    # The second term matters when less than a twentieth of the recording is not digital silence.
    loud = max(float(np.percentile(total, 95)), 1e-4 * float(total.max()))
    active = total >= loud * 10 ** (-ACTIVE_RANGE_DB / 10)
    reference = float(total[active].mean())
    power /= reference  # from here on nothing depends on the gain

    level = _decibel(total / reference, FLOOR_DB)[None]
    mel = _decibel(_mel_filters(rate, n_fft, cfg.n_mels) @ power, FLOOR_DB)
    mfcc = scipy.fft.dct(mel, type=2, axis=0, norm="ortho")[: cfg.n_mfcc]
    heard = pitch.track(signal, rate, hop, cfg.f0_min_hz, cfg.f0_max_hz)
    voiced = heard.voiced & active
    semitones = np.where(voiced, _semitones(np.where(voiced, heard.f0_hz, SEMITONE_REFERENCE_HZ)), 0.0)
    f0_delta = _difference_within(semitones, voiced) * rate / hop
    contours = {
        "logmel": mel,
        "mfcc": mfcc,
        "mfcc_delta": _delta(mfcc, rate / hop, order=1),
        "mfcc_delta2": _delta(mfcc, rate / hop, order=2),
        **_spectral_shape(power, rate, n_fft, cfg),
        "level": level,
        "level_delta": _delta(level, rate / hop, order=1),
        "f0": semitones[None],
        "f0_delta": f0_delta[None],
        "harmonicity": heard.harmonicity_db[None],
    }
    masks = {"all": np.ones_like(active), "active": active, "voiced": voiced}
    scalars = _rhythm(level[0], active, voiced, f0_delta, rate / hop)
    return contours, masks, scalars


def _spectral_shape(
    power: np.ndarray, rate: int, n_fft: int, cfg: SpeechFeatureConfig
) -> dict[str, np.ndarray]:
    """Descriptors of each spectrum (bins, T), every one of them independent of the spectrum's scale."""
    frequency = librosa.fft_frequencies(sr=rate, n_fft=n_fft)
    magnitude = np.sqrt(power)
    total = np.maximum(magnitude.sum(axis=0), np.finfo(np.float32).tiny)
    share = magnitude / total
    centroid = frequency @ share
    bandwidth = np.sqrt(np.maximum((frequency**2) @ share - centroid**2, 0))
    rolloff = frequency[
        (np.cumsum(magnitude, axis=0) < 0.85 * total).sum(axis=0).clip(max=len(frequency) - 1)
    ]
    decibels = _decibel(power, FLOOR_DB - 40)  # single bins lie far below the sum that the floor refers to
    mean_power = np.maximum(power.mean(axis=0), 10 ** ((FLOOR_DB - 40) / 10))
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
        "alpha_ratio": (_decibel(low, FLOOR_DB) - _decibel(high, FLOOR_DB))[None],
        "hammarberg": (_decibel(lower_peak, FLOOR_DB - 40) - _decibel(upper_peak, FLOOR_DB - 40))[None],
        "slope_0_500": _tilt(decibels, frequency, 0, 500)[None],
        "slope_500_1500": _tilt(decibels, frequency, 500, 1500)[None],
        "contrast": librosa.feature.spectral_contrast(
            S=magnitude, sr=rate, n_bands=_contrast_bands(cfg), fmin=CONTRAST_F_MIN_HZ
        ),
    }


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
    """Savitzky-Golay derivative over 9 frames, per second (per second squared for order 2)."""
    derivative = librosa.feature.delta(contours, width=_DELTA_WIDTH, order=order, mode="nearest")
    return np.asarray(derivative * frames_per_s**order)


def _tilt(decibels: np.ndarray, frequency: np.ndarray, low: float, high: float) -> np.ndarray:
    """Least-squares slope of the spectrum between two frequencies, dB per kHz."""
    inside = (frequency >= low) & (frequency <= high)
    centred = (frequency[inside] - frequency[inside].mean()) / 1000
    return np.asarray(centred @ decibels[inside] / (centred @ centred))


def _decibel(power: np.ndarray, floor_db: float) -> np.ndarray:
    return np.asarray(10 * np.log10(np.maximum(power, 10 ** (floor_db / 10))))


def _semitones(hertz: np.ndarray | float) -> np.ndarray:
    return np.asarray(12 * np.log2(np.asarray(hertz) / SEMITONE_REFERENCE_HZ))


def _fft_size(cfg: SpeechFeatureConfig) -> int:
    return int(2 ** np.ceil(np.log2(cfg.frame_s * cfg.sample_rate_hz)))


def _contrast_bands(cfg: SpeechFeatureConfig) -> int:
    """Octave bands from 200 Hz whose lower edge lies below half the sample rate, 6 at most."""
    return int(min(6, np.ceil(np.log2(cfg.sample_rate_hz / 2 / CONTRAST_F_MIN_HZ))))


@lru_cache(maxsize=8)
def _mel_filters(rate: int, n_fft: int, n_mels: int) -> np.ndarray:
    edges = librosa.mel_frequencies(n_mels + 2, fmax=rate / 2)
    if (edges[2:] - edges[:-2]).min() < rate / n_fft:  # a band might fall between two bins and stay empty
        raise ConfigError(
            [
                f"features.speech.n_mels: {n_mels} bands are narrower than the {rate / n_fft:.1f} Hz that frame_s "
                "resolves; use fewer bands or longer frames"
            ]
        )
    # norm=None keeps the peak of each filter at 1: with the Slaney norm, levels would depend on the band width.
    return np.asarray(librosa.filters.mel(sr=rate, n_fft=n_fft, n_mels=n_mels, norm=None))
