"""The synthetic speech corpus: speakers, what emotion does to their voices, and the RAVDESS layout.

Every property of an utterance (a *cue*) is a sum, in the unit in which it is heard (semitones, dB, log units):

    cue = base + d * speaker + s * effect * (wa * arousal + wv * valence) + d * utterance

with the performed arousal and valence, normal deviates ``speaker`` and ``utterance``, the difficulty ``d``
and the speaker's own way ``s`` of showing emotion through this cue (mean 1). The directions follow the
reviews of vocal emotion (Juslin & Laukka 2003, Psychological Bulletin 129(5); Goudbeek & Scherer 2010, JASA
128(3)): arousal raises F0, range, level and tempo and flattens the spectrum; valence is the weaker, mixed cue.
"""

from __future__ import annotations

import wave
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

from jmml.config import SyntheticConfig
from jmml.data.synthetic.affect import EMOTION_POINTS, Floats, Stream, generator, performed_point
from jmml.data.synthetic.voice import SAMPLE_RATE_HZ, STATEMENTS, Delivery, synthesise
from jmml.errors import ConfigError, LabelError, RecordingError, nearest
from jmml.files import atomic_folder, atomic_path

_RAVDESS_ORDER = ("neutral", "calm", "happiness", "sadness", "anger", "fear", "disgust", "surprise")
RAVDESS_CODES = {emotion: code for code, emotion in enumerate(_RAVDESS_ORDER, start=1)}

# cue: (base, arousal, valence, speaker sd, utterance sd)
CUES: dict[str, tuple[float, float, float, float, float]] = {
    "f0": (0.0, 2.8, 0.6, 3.0, 0.7),  # semitones re the median voice of the speaker's sex
    "range": (0.8, 0.24, 0.30, 0.40, 0.14),  # log semitones
    "final": (-2.0, 0.3, 3.4, 1.5, 0.8),  # semitones
    "syllable": (-1.51, -0.11, -0.08, 0.15, 0.035),  # log seconds; the base is 0.22 s
    "pause": (-2.5, -0.38, -0.32, 0.60, 0.28),  # log seconds; the base is 0.08 s
    "level": (-30.0, 3.5, 0.0, 4.5, 1.0),  # dB re full scale
    "tilt": (-1.5, 1.0, 0.75, 1.4, 0.28),  # dB per octave
    "formants": (0.0, 0.0, 0.047, 0.052, 0.007),  # log ratio: smiling shortens the vocal tract
    "open": (0.0, -0.50, 0.65, 0.75, 0.20),  # logit of the open quotient between 0.3 and 0.9
    "jitter": (-4.3, 0.10, -0.48, 0.45, 0.14),  # log ratio; the base is 1.4 %
    "breath": (-17.0, -1.3, 2.6, 3.7, 0.85),  # dB re the voice
    "noise": (-62.0, 0.0, 0.0, 6.0, 0.7),  # dB re full scale
}
_TABLE = np.array(list(CUES.values()))
_BASE, _AFFECT, _SPEAKER_SD, _UTTERANCE_SD = _TABLE[:, 0], _TABLE[:, 1:3], _TABLE[:, 3], _TABLE[:, 4]
STYLE_SD = 0.50  # how unequal speakers are in what each cue does under emotion
STRENGTH_SD, PERFORMANCE_SD = 0.25, 0.24
STRONG = 1.0  # strengths above it are filed under RAVDESS's intensity 02
MALE, FEMALE = (115.0, 1.0), (200.0, 1.16)  # median F0 in Hz and formant scale


@dataclass(frozen=True)
class Speaker:
    """A voice: F0 in Hz, formant scale, habit of every cue, and gain of emotion on every cue."""

    f0_hz: float
    formant_scale: float
    habit: Floats
    style: Floats


def write_synthetic_speech(root: Path, config: SyntheticConfig) -> None:
    """Write the speech corpus to ``root``: one ``Actor_NN`` folder per speaker, 16 kHz 16-bit mono WAV.

    Every speaker says both statements with all eight emotions, ``config.repetitions`` times. File names
    follow RAVDESS: modality 03, vocal channel 01, emotion, intensity, statement, repetition, actor. Intensity
    02 marks utterances performed more strongly than usual (never neutral ones, as in RAVDESS). ``root`` is
    replaced as a whole, when all is written.
    """
    with atomic_folder(root) as folder:
        for actor in range(1, config.speakers + 1):
            speaker = _draw_speaker(generator(config.seed, Stream.SPEAKER, actor), actor, config.difficulty)
            home = folder / f"Actor_{actor:02d}"
            home.mkdir()
            recordings = product(EMOTION_POINTS, range(len(STATEMENTS)), range(1, config.repetitions + 1))
            for emotion, statement, repetition in recordings:
                code = RAVDESS_CODES[emotion]
                rng = generator(config.seed, Stream.UTTERANCE, actor, code, statement, repetition)
                samples, strength = _utter(speaker, emotion, statement, config, rng)
                intensity = 2 if strength > STRONG and emotion != "neutral" else 1
                parts = (3, 1, code, intensity, statement + 1, repetition, actor)
                _write_wav(home / ("-".join(f"{part:02d}" for part in parts) + ".wav"), samples)


def write_utterance(path: Path, emotion: str, config: SyntheticConfig, *, speaker_seed: int = 0) -> None:
    """Write one WAV of a speaker who is in no synthetic corpus, for trying out a model.

    Parameters
    ----------
    path : the file to write; its name ends in ``.wav``.
    emotion : one of the eight of RAVDESS, by canonical name.
    speaker_seed : 0 or more; another number, another speaker and performance.

    Raises
    ------
    LabelError : the emotion is not among the eight.
    RecordingError : the name does not end in ``.wav``.
    ConfigError : a negative ``speaker_seed``.
    """
    if emotion not in EMOTION_POINTS:
        raise LabelError(f"unknown emotion '{emotion}'; {nearest(emotion, EMOTION_POINTS)}")
    if path.suffix.lower() != ".wav":
        raise RecordingError("synthetic utterances are WAV", where=path, expected="a name that ends in .wav")
    if speaker_seed < 0:
        raise ConfigError([f"expected 0 or more, got {speaker_seed}"], where="speaker_seed")
    speaker = _draw_speaker(
        generator(config.seed, Stream.FRESH_SPEAKER, speaker_seed), speaker_seed, config.difficulty
    )
    rng = generator(config.seed, Stream.FRESH_UTTERANCE, speaker_seed, RAVDESS_CODES[emotion])
    samples, _ = _utter(speaker, emotion, speaker_seed % len(STATEMENTS), config, rng)
    with atomic_path(path) as temporary:
        _write_wav(temporary, samples)


def _draw_speaker(rng: np.random.Generator, number: int, difficulty: float) -> Speaker:
    """Odd numbers are male voices and even ones female, as RAVDESS counts its actors."""
    f0_hz, formant_scale = MALE if number % 2 else FEMALE
    habit = difficulty * _SPEAKER_SD * rng.standard_normal(len(CUES))
    style = np.maximum(0.0, 1.0 + difficulty * STYLE_SD * rng.standard_normal(len(CUES)))
    return Speaker(f0_hz, formant_scale, habit, style)


def _utter(
    speaker: Speaker, emotion: str, statement: int, config: SyntheticConfig, rng: np.random.Generator
) -> tuple[Floats, float]:
    point = config.speech_effect * np.array(EMOTION_POINTS[emotion])
    d = config.difficulty
    felt, strength = performed_point(
        point, rng, strength_sd=d * STRENGTH_SD, noise_sd=config.speech_effect * d * PERFORMANCE_SD
    )
    cues = _BASE + speaker.habit + speaker.style * (_AFFECT @ felt)
    cues += d * _UTTERANCE_SD * rng.standard_normal(len(CUES))
    delivery = _delivery(speaker, dict(zip(CUES, cues, strict=True)))
    return synthesise(delivery, statement, rng), float(strength[0])


def _delivery(speaker: Speaker, cue: dict[str, float]) -> Delivery:
    """Cues in their own units to the voice's parameters, kept within what a voice can do."""
    return Delivery(
        f0_hz=float(np.clip(speaker.f0_hz * 2 ** (cue["f0"] / 12), 65, 450)),
        range_st=float(np.clip(np.exp(cue["range"]), 0.3, 6)),
        final_st=cue["final"],
        syllable_s=float(np.clip(np.exp(cue["syllable"]), 0.13, 0.33)),
        pause_s=float(np.clip(np.exp(cue["pause"]), 0.0, 0.4)),
        level_db=float(np.clip(cue["level"], -48, -12)),
        tilt_db=float(np.clip(cue["tilt"], -9, 3)),
        formant_scale=speaker.formant_scale * float(np.exp(np.clip(cue["formants"], -0.2, 0.2))),
        open_quotient=0.3 + 0.6 / (1 + float(np.exp(-cue["open"]))),
        jitter=float(np.clip(np.exp(cue["jitter"]), 0.002, 0.06)),
        breath_db=float(np.clip(cue["breath"], -35, -3)),
        noise_db=float(np.clip(cue["noise"], -80, -48)),
    )


def _write_wav(path: Path, samples: Floats) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE_HZ)
        file.writeframes(np.round(32767 * samples).astype("<i2").tobytes())
