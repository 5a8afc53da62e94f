"""Speech features: frame-wise descriptors of one utterance, summarised by functionals.

| family | descriptor |
|---|---|
| ``logmel_NN`` | power in a mel band, dB (librosa's filter bank) |
| ``mfcc_NN``, ``mfcc_delta_NN``, ``mfcc_delta2_NN`` | orthonormal DCT-II of log-mel, its derivatives |
| ``centroid``, ``bandwidth``, ``rolloff`` | of the magnitude spectrum, Hz; the roll-off holds 85 % |
| ``flatness``, ``contrast_NN`` | geometric re arithmetic mean; peaks re valleys by octave, dB |
| ``flux`` | distance of successive spectra, each scaled to unit length |
| ``alpha_ratio``, ``hammarberg``, ``slope_*`` | spectral balance and tilt (GeMAPS) |
| ``level`` | power of a frame, dB re the active level |
| ``f0``, ``harmonicity``, ``voicing`` | pitch in semitones re 27.5 Hz, HNR in dB, rhythm of voicing |

Every feature is invariant to the gain of the recording: spectra are divided by the active level, the mean
power of frames within 30 dB of the loud ones (95th percentile). The absolute level is left out on purpose: it
says where the microphone stood (on six speakers of nEMO, leaving it out raised the speaker-independent UAR of
a linear SVM from 0.354 to 0.366).
Spectral descriptors are summarised over the active frames alone: pauses say more about the room than about
the speaker.

A recording without a voiced frame has ``voicing.fraction`` 0, the f0 locations (mean, p10, p50, p90) at the
geometric middle of the search range, and every other f0 and voicing feature at 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import librosa
import numpy as np
import scipy.fft
import scipy.signal

from jmml.config import SpeechFeatureConfig, digest
from jmml.data.features import functionals, pitch, spectrum
from jmml.data.features.audio import check_audio

VERSION = 1

ACTIVE_RANGE_DB = 30.0
SEMITONE_REFERENCE_HZ = 27.5
_DELTA_WIDTH = 9
_SYLLABLE_PROMINENCE_DB = 3.0


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
            for name, unit in spectrum.SHAPE_UNITS.items()
        },
        "contrast": _Family(
            numbered("contrast", spectrum.contrast_bands(cfg.sample_rate_hz) + 1),
            "dB",
            ("mean", "std", "p10", "p90"),
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
    sample_rate_hz : rate of ``signal``, which is resampled (soxr, high quality) to ``cfg.sample_rate_hz``.
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
    mono = prepared(signal, sample_rate_hz, cfg, where=where)
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


def prepared(
    signal: np.ndarray, sample_rate_hz: float, cfg: SpeechFeatureConfig, *, where: object = "recording"
) -> np.ndarray:
    """``signal`` as one channel (n',), float32, at ``cfg.sample_rate_hz``; raises what :func:`extract` does."""
    mono = np.asarray(signal, dtype=np.float32)
    mono = mono.mean(axis=0) if mono.ndim == 2 else mono
    check_audio(mono, sample_rate_hz, where=where)
    if sample_rate_hz != cfg.sample_rate_hz:
        mono = librosa.resample(
            mono, orig_sr=sample_rate_hz, target_sr=cfg.sample_rate_hz, res_type="soxr_hq"
        )
        check_audio(mono, cfg.sample_rate_hz, where=where)  # nothing may be left below the new band limit
    return mono


def _without_frames(name: str, family: _Family, cfg: SpeechFeatureConfig) -> np.ndarray:
    middle = float(_semitones(np.sqrt(cfg.f0_min_hz * cfg.f0_max_hz))) if name == "f0" else 0.0
    located = [middle if f in ("mean", *functionals.PERCENTILES) else 0.0 for f in family.functionals]
    return np.tile(located, (len(family.contours), 1))


def _descriptors(
    signal: np.ndarray, rate: int, hop: int, cfg: SpeechFeatureConfig
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict[str, float]]:
    """Contours (L, T) per family, boolean masks (T,), and the features that are not functionals."""
    signal = signal - signal.mean(dtype=np.float64).astype(np.float32)
    n_fft, window = _fft_size(cfg), round(cfg.frame_s * rate)
    stft = librosa.stft(signal, n_fft=n_fft, win_length=window, hop_length=hop, window="hann")
    frequency = librosa.fft_frequencies(sr=rate, n_fft=n_fft)
    frequency = frequency[frequency <= spectrum.USED_SHARE * rate / 2]
    stft = stft[: len(frequency)]
    power = stft.real**2 + stft.imag**2
    total = power.sum(axis=0, dtype=np.float64)
    # The second term matters when less than a twentieth of the recording is not digital silence.
    loud = max(float(np.percentile(total, 95)), 1e-4 * float(total.max()))
    active = total >= loud * 10 ** (-ACTIVE_RANGE_DB / 10)
    reference = float(total[active].mean())
    power /= reference  # from here on nothing depends on the gain

    level = spectrum.decibel(total / reference, spectrum.FLOOR_DB)[None]
    mel = spectrum.decibel(
        spectrum.mel_filters(rate, n_fft, cfg.n_mels)[:, : len(power)] @ power, spectrum.FLOOR_DB
    )
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
        **spectrum.spectral_shape(power, frequency, rate),
        "level": level,
        "level_delta": _delta(level, rate / hop, order=1),
        "f0": semitones[None],
        "f0_delta": f0_delta[None],
        "harmonicity": heard.harmonicity_db[None],
    }
    masks = {"all": np.ones_like(active), "active": active, "voiced": voiced}
    scalars = _rhythm(level[0], active, voiced, f0_delta, rate / hop)
    return contours, masks, scalars


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


def _semitones(hertz: np.ndarray | float) -> np.ndarray:
    return np.asarray(12 * np.log2(np.asarray(hertz) / SEMITONE_REFERENCE_HZ))


def _fft_size(cfg: SpeechFeatureConfig) -> int:
    return int(2 ** np.ceil(np.log2(cfg.frame_s * cfg.sample_rate_hz)))
