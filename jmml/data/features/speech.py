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
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from jmml.config import SpeechFeatureConfig, digest
from jmml.data.features import contours, functionals, spectrum, voice
from jmml.data.features.audio import check_audio
from jmml.data.features.blocks import Parts, resampled, segmented
from jmml.errors import RecordingError

VERSION = 2
# Earlier versions with the same features but for rounding: models trained on them go on predicting.
SAME = (1,)

_FEW = 20_000  # frames up to which contours are summarised together, and above which one at a time


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
    return _families_of(cfg.n_mels, cfg.n_mfcc, spectrum.contrast_bands(cfg.sample_rate_hz) + 1)


@lru_cache(maxsize=8)
def _families_of(n_mels: int, n_mfcc: int, contrasts: int) -> dict[str, _Family]:
    def numbered(stem: str, count: int, first: int = 0) -> tuple[str, ...]:
        return tuple(f"{stem}_{i:02d}" for i in range(first, first + count))

    return {
        "logmel": _Family(numbered("logmel", n_mels, 1), "dB", ("mean", "std", "range")),
        "mfcc": _Family(numbered("mfcc", n_mfcc), "dB", ("mean", "std", "p10", "p90", "slope")),
        "mfcc_delta": _Family(numbered("mfcc_delta", n_mfcc), "dB/s", ("std", "mean_abs")),
        "mfcc_delta2": _Family(numbered("mfcc_delta2", n_mfcc), "dB/s^2", ("std",)),
        **{
            name: _Family((name,), unit, ("mean", "std", "p10", "p50", "p90", "slope"))
            for name, unit in spectrum.SHAPE_UNITS.items()
        },
        "contrast": _Family(
            numbered("contrast", contrasts),
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
    if "standard" in cfg.sets:
        yield from _standard(cfg)
    if "voice" in cfg.sets:
        yield from voice.UNITS.items()


def _standard(cfg: SpeechFeatureConfig) -> Iterator[tuple[str, str]]:
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
    return _digest_of(cfg, VERSION)


def same_digests(cfg: SpeechFeatureConfig) -> tuple[str, ...]:
    """Fingerprints under which the same features are known, but for rounding; the present one first."""
    return tuple(_digest_of(cfg, version) for version in (VERSION, *SAME))


def _digest_of(cfg: SpeechFeatureConfig, version: int) -> str:
    return digest({"modality": "speech", "settings": cfg.model_dump(mode="json"), "version": version})


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
    return from_parts((prepared(signal, sample_rate_hz, cfg, where=where),), cfg)


def rows_of(parts: Parts, cfg: SpeechFeatureConfig, *, where: object = "recording") -> np.ndarray:
    """Features (rows, D) of what :func:`from_parts` takes: one row, or one per segment if ``cfg.segments`` says so."""
    if cfg.segments is None:
        return from_parts(parts, cfg)[None]
    rows = [from_parts((segment,), cfg) for segment in segmented(parts, cfg.sample_rate_hz, cfg.segments)]
    if not rows:
        raise RecordingError(
            "has no segment with a sound",
            where=where,
            fix="correct features.speech.segments in params.yaml, or leave this recording out",
        )
    return np.stack(rows)


def from_parts(parts: Parts, cfg: SpeechFeatureConfig) -> np.ndarray:
    """Features (D,) of a usable signal at ``cfg.sample_rate_hz`` that is read in parts, of any length.

    Raises
    ------
    RecordingError : the set ``voice`` is asked of more than ten minutes.
    """
    found = contours.describe(parts, cfg)
    values = [_standard_values(found, cfg)] if "standard" in cfg.sets else []
    if "voice" in cfg.sets:
        seconds = found.masks["all"].size * contours.hop_of(cfg) / cfg.sample_rate_hz
        if seconds > voice.MAX_S:
            raise RecordingError(
                f"lasts {seconds:.0f} s",
                expected=f"at most {voice.MAX_S:g} s for the features of the voice",
                fix="set features.speech.segments in params.yaml",
            )
        values.append(voice.extract(np.concatenate(list(parts)), found, cfg))
    return np.concatenate(values).astype(np.float32)


def _standard_values(found: contours.Described, cfg: SpeechFeatureConfig) -> np.ndarray:
    times = np.arange(found.masks["all"].size) * contours.hop_of(cfg) / cfg.sample_rate_hz
    families = _families(cfg)
    values: dict[str, np.ndarray] = {}
    for group in _together(cfg.n_mels, cfg.n_mfcc, spectrum.contrast_bands(cfg.sample_rate_hz) + 1):
        mask = found.masks[group.over]
        if mask.any():
            own = [found.contours[name] for name in group.names]
            results = _functionals(own, mask, times[mask], group.functionals)
            for name, columns, result in zip(group.names, group.columns, results, strict=True):
                values[name] = result[:, columns]
        else:
            values |= {name: _without_frames(name, families[name], cfg) for name in group.names}
    scalars = np.array([found.scalars[name] for name in _SCALARS])
    return np.concatenate([*(values[name].ravel() for name in families), scalars])


class _Together(NamedTuple):
    """Families that are summarised over the same frames, and either all by an order of values or none of them."""

    over: str
    functionals: tuple[str, ...]
    names: tuple[str, ...]
    columns: tuple[list[int], ...]  # of ``functionals``, those of each family


@lru_cache(maxsize=8)
def _together(n_mels: int, n_mfcc: int, contrasts: int) -> tuple[_Together, ...]:
    families = _families_of(n_mels, n_mfcc, contrasts)
    groups: dict[tuple[str, bool], list[str]] = {}
    for name, family in families.items():
        ordered = bool({*functionals.PERCENTILES, "range"} & set(family.functionals))
        groups.setdefault((family.over, ordered), []).append(name)
    found = []
    for (over, _), names in groups.items():
        used = {one for name in names for one in families[name].functionals}
        wanted = tuple(one for one in functionals.FUNCTIONALS if one in used)
        columns = ([wanted.index(one) for one in families[name].functionals] for name in names)
        found.append(_Together(over, wanted, tuple(names), tuple(columns)))
    return tuple(found)


def _functionals(
    together: list[np.ndarray], mask: np.ndarray, times_s: np.ndarray, wanted: tuple[str, ...]
) -> list[np.ndarray]:
    """Functionals (L, F) of each of some contours (T, L), over the frames of ``mask``, a few contours at a time."""
    if mask.size <= _FEW:
        rows = np.concatenate(together, axis=1, dtype=np.float64)[mask]
        result = functionals.apply(np.ascontiguousarray(rows.T), times_s, wanted)
    else:
        columns = (contour[mask, i][None] for contour in together for i in range(contour.shape[1]))
        result = np.concatenate([functionals.apply(column, times_s, wanted) for column in columns])
    ends = accumulate(contour.shape[1] for contour in together)
    return [result[end - contour.shape[1] : end] for contour, end in zip(together, ends, strict=True)]


def prepared(
    signal: np.ndarray, sample_rate_hz: float, cfg: SpeechFeatureConfig, *, where: object = "recording"
) -> np.ndarray:
    """``signal`` as one channel (n',), float32, at ``cfg.sample_rate_hz``; raises what :func:`extract` does."""
    mono = np.asarray(signal, dtype=np.float32)
    mono = mono.mean(axis=0) if mono.ndim == 2 else mono
    check_audio(mono, sample_rate_hz, where=where)
    if sample_rate_hz != cfg.sample_rate_hz:
        mono = resampled(mono, sample_rate_hz, cfg.sample_rate_hz)
        check_audio(mono, cfg.sample_rate_hz, where=where)  # nothing may be left below the new band limit
    return mono


def _without_frames(name: str, family: _Family, cfg: SpeechFeatureConfig) -> np.ndarray:
    middle = float(contours.semitones(np.sqrt(cfg.f0_min_hz * cfg.f0_max_hz))) if name == "f0" else 0.0
    located = [middle if f in ("mean", *functionals.PERCENTILES) else 0.0 for f in family.functionals]
    return np.tile(located, (len(family.contours), 1))
