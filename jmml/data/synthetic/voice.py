"""A source-filter voice: from a description of one utterance to its waveform.

Source: glottal flow derivative of the KLGLOTT88 model (Klatt & Klatt 1990, JASA 87(2)), period by period with
jitter and shimmer, plus breath noise while the voice sounds. Filter: a cascade of second-order formant
resonators that glides from vowel to vowel, and a spectral tilt. Filtering is done frame by frame in the
short-time Fourier domain, which lets every parameter move at no extra cost. Consonants are bursts
of high-frequency noise between vowels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import signal

from jmml.data.synthetic.affect import Floats

SAMPLE_RATE_HZ = 16000
HOP = 80  # 5 ms, the frame step of every parameter track
FFT = 512
EDGE_S = 0.12  # silence before and after speech

# Formants F1..F3 in Hz of an average adult male (Peterson & Barney 1952, JASA 24(2)).
HIGH_FORMANTS = (3500.0, 4500.0)  # F4 and F5, which hardly move
VOWELS: dict[str, tuple[float, float, float]] = {
    "i": (270.0, 2290.0, 3010.0),
    "I": (390.0, 1990.0, 2550.0),
    "A": (730.0, 1090.0, 2440.0),
    "O": (570.0, 840.0, 2410.0),
    "3": (490.0, 1350.0, 1690.0),
    "V": (640.0, 1190.0, 2390.0),
}
# (vowel, relative duration, loudness of the consonant before it); after RAVDESS's two statements,
# "Kids are talking by the door" and "Dogs are sitting by the door".
Syllable = tuple[str, float, float]
_BY_THE_DOOR: tuple[Syllable, ...] = (("A", 1.2, 0.4), ("V", 0.6, 0.5), ("O", 1.6, 0.4))
STATEMENTS: tuple[tuple[Syllable, ...], ...] = (
    (("I", 1.1, 0.8), ("3", 0.7, 0.2), ("O", 1.2, 0.9), ("I", 0.8, 0.3), *_BY_THE_DOOR),
    (("A", 1.2, 0.4), ("3", 0.7, 0.2), ("I", 1.0, 1.0), ("i", 0.8, 0.7), *_BY_THE_DOOR),
)
_BANDWIDTHS = (0.13, 0.07, 0.06, 0.06, 0.06)  # of F1..F5, relative to the formant, on top of 30 Hz
PAUSE_AFTER = 3  # the pause, where there is one, falls between verb and place


@dataclass(frozen=True)
class Delivery:
    """How one utterance is spoken. Ratios are against the formant tables and an even voice.

    Attributes
    ----------
    f0_hz : mean F0.
    range_st : standard deviation of the F0 contour, semitones.
    final_st : F0 movement over the last third, semitones; negative falls.
    syllable_s, pause_s : mean syllable and inner pause, seconds.
    level_db : level of the speech, dB re full scale (RMS while speaking).
    tilt_db : spectral slope above 300 Hz, dB per octave, on top of the glottal one.
    formant_scale : factor on all formants (inverse of the vocal tract's length).
    open_quotient : open part of the glottal period, 0.3 (pressed) to 0.9 (lax).
    jitter : relative standard deviation of the period; the shimmer is four times it.
    breath_db : aspiration noise, dB re the voice.
    noise_db : room noise, dB re full scale.
    """

    f0_hz: float
    range_st: float
    final_st: float
    syllable_s: float
    pause_s: float
    level_db: float
    tilt_db: float
    formant_scale: float
    open_quotient: float
    jitter: float
    breath_db: float
    noise_db: float


@dataclass(frozen=True)
class _Tracks:
    """Parameter tracks at the frame step: voicing and frication 0..1, formants (frames, 5) and F0 in Hz."""

    voicing: Floats
    frication: Floats
    formants_hz: Floats
    f0_hz: Floats


def synthesise(delivery: Delivery, statement: int, rng: np.random.Generator) -> Floats:
    """One utterance of ``STATEMENTS[statement]``: float64 samples in -1..1 at 16 kHz, 1.2 to 3 s of them."""
    tracks = _plan(delivery, STATEMENTS[statement], rng)
    n = len(tracks.voicing) * HOP
    times = np.arange(n) / HOP
    frames = np.arange(len(tracks.voicing))
    voicing = np.interp(times, frames, tracks.voicing)
    pulses = _glottis(np.interp(times, frames, tracks.f0_hz), delivery, rng)
    breath = 10 ** (delivery.breath_db / 20) * rng.standard_normal(n)
    vowels = _filter(voicing * (pulses + breath), tracks.formants_hz, delivery.tilt_db)
    hiss = signal.sosfilt(
        signal.butter(2, [2500, 7000], "bandpass", fs=SAMPLE_RATE_HZ, output="sos"), rng.standard_normal(n)
    )
    active = voicing > 0.3
    vowels /= np.sqrt(np.mean(vowels[active] ** 2))
    # Stronger voices push consonants less than vowels: hiss follows the level at half the rate (in dB).
    hiss *= 0.35 * 10 ** (-(delivery.level_db + 30) / 40) * np.interp(times, frames, tracks.frication)
    speech = 10 ** (delivery.level_db / 20) * (vowels + hiss)
    noise = 10 ** (delivery.noise_db / 20) * rng.standard_normal(n)
    return np.tanh(speech + noise)  # a limiter: loud voices saturate as they do in recorders, and never wrap


def _plan(delivery: Delivery, syllables: tuple[Syllable, ...], rng: np.random.Generator) -> _Tracks:
    lengths = delivery.syllable_s * np.array([s[1] for s in syllables])
    lengths *= np.exp(0.1 * rng.standard_normal(len(syllables)))
    pauses = np.zeros(len(syllables))
    pauses[PAUSE_AFTER] = delivery.pause_s
    starts = EDGE_S + np.concatenate([[0.0], np.cumsum(lengths + pauses)[:-1]])
    ends = starts + lengths
    frames = int(np.ceil((ends[-1] + EDGE_S) * SAMPLE_RATE_HZ / HOP))
    t = (np.arange(frames) * HOP / SAMPLE_RATE_HZ)[:, None]

    onset, edge = starts + 0.28 * lengths, 0.012  # the consonant is the first part of a syllable
    stress = np.exp(0.12 * rng.standard_normal(len(syllables)))
    rise, fall = 1 / (1 + np.exp(-(t - onset) / edge)), 1 / (1 + np.exp((t - ends) / edge))
    voicing = (stress * rise * fall).sum(axis=1)
    hiss = np.array([s[2] for s in syllables])
    frication = (hiss / (1 + np.exp(-(t - starts) / edge)) / (1 + np.exp((t - onset) / edge))).sum(axis=1)

    centres = (onset + ends) / 2
    targets = np.array([[*VOWELS[vowel], *HIGH_FORMANTS] for vowel, _, _ in syllables])
    targets = targets * delivery.formant_scale * np.exp(0.03 * rng.standard_normal(targets.shape))
    formants = np.column_stack([np.interp(t[:, 0], centres, column) for column in targets.T])

    # F0: accents on syllables, a slow declination over the utterance, and the final movement.
    accents = rng.standard_normal(len(syllables))
    accents = (accents - accents.mean()) / accents.std()
    position = (t[:, 0] - starts[0]) / (ends[-1] - starts[0])
    contour = delivery.range_st * np.interp(t[:, 0], centres, accents)
    contour += -2.0 * (position - 0.5) + delivery.final_st * np.clip((position - 0.66) / 0.34, 0, 1)
    return _Tracks(voicing, frication, formants, delivery.f0_hz * 2 ** (contour / 12))


def _glottis(f0_hz: Floats, delivery: Delivery, rng: np.random.Generator) -> Floats:
    """Flow derivative ``2u - 3u^2`` for ``u = phase / open_quotient`` in 0..1, else 0; unit RMS."""
    f0_hz = np.clip(f0_hz, 50, 600)
    period = np.cumsum(f0_hz / SAMPLE_RATE_HZ).astype(np.intp)
    jitter = delivery.jitter * rng.standard_normal(period[-1] + 1)
    phase = np.cumsum(f0_hz * (1 + np.clip(jitter, -0.2, 0.2)[period]) / SAMPLE_RATE_HZ)
    shimmer = 1 + np.clip(4 * delivery.jitter * rng.standard_normal(int(phase[-1]) + 1), -0.6, 0.6)
    u = (phase % 1.0) / delivery.open_quotient
    pulses = np.where(u < 1, 2 * u - 3 * u**2, 0.0) * shimmer[phase.astype(np.intp)]
    return np.asarray(pulses / np.sqrt(np.mean(pulses**2)))


def _filter(source: Floats, formants_hz: Floats, tilt_db: float) -> Floats:
    """Formant cascade ``prod_i F_i^2 / (F_i^2 - f^2 + j f B_i)`` and tilt, applied frame by frame."""
    stft = signal.ShortTimeFFT(signal.windows.hann(4 * HOP, sym=False), HOP, SAMPLE_RATE_HZ, mfft=FFT)
    spectrum = stft.stft(source)
    slices = np.clip(np.arange(stft.p_min, stft.p_max(len(source))), 0, len(formants_hz) - 1)
    f = stft.f[:, None]
    response = 10 ** (tilt_db * np.log2(np.maximum(f, 300) / 300) / 20) * np.ones((1, len(slices)), complex)
    for formant, ratio in zip(formants_hz[slices].T, _BANDWIDTHS, strict=True):
        bandwidth = 30 + ratio * formant
        response *= formant**2 / (formant**2 - f**2 + 1j * f * bandwidth)
    return np.asarray(stft.istft(spectrum * response, 0, len(source)))
