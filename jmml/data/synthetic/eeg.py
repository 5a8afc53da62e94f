"""The synthetic EEG corpus: subjects, what emotion does to their rhythms, ratings, and the DEAP layout.

A trial is a 1/f background plus four rhythms, each with its own spatial pattern. The log power of rhythm
``b`` is

    base + d * subject + d * trial + s_b * effect * w_b * arousal

with normal deviates ``subject`` and ``trial``, the difficulty ``d``, the felt arousal and the subject's own
responsiveness ``s_b``; the last term sets in when the baseline ends. Over the frontal scalp, alpha power
ln(right) - ln(left) moves likewise with ``s * effect * w * valence``: positive valence goes with less alpha
(more activity) on the left, the approach model of frontal asymmetry (Davidson 1992, Brain and Cognition 20(1)).
Arousal lowers alpha and raises theta, beta and gamma (Klimesch 1999, Brain Research Reviews 29(2-3)). Blinks
reach the frontal electrodes and muscle bursts the temporal ones, more of them as ``d`` grows.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jmml.config import SyntheticConfig
from jmml.data.corpora.eeg.deap import BASELINE_S, SAMPLE_RATE_HZ
from jmml.data.synthetic import brain
from jmml.data.synthetic.affect import Floats, Stream, generator
from jmml.data.synthetic.deap_file import write_deap_file
from jmml.files import atomic_folder

MIDPOINT = 5.0  # of the rating scale 1..9
MARGIN = 0.2  # ratings of valence and arousal stay this far on their quadrant's side of the midpoint
TARGET = 2.1  # mean distance of the ratings from the midpoint
RATING_SD = 0.9
FELT_SD = 0.22  # what was felt beyond what was rated, in units of arousal and valence (-1..1)
BACKGROUND_UV = 9.0

# rhythm: (RMS in microvolts where it is strongest, change of log power per unit of arousal,
#          subject sd and trial sd of its log power)
RHYTHMS: dict[str, tuple[float, float, float, float]] = {
    "theta": (3.6, 0.70, 0.5, 0.28),
    "alpha": (9.0, -0.95, 0.7, 0.36),
    "beta": (3.4, 0.90, 0.5, 0.28),
    "gamma": (1.9, 0.80, 0.6, 0.32),
}
# Change of ln(right) - ln(left) frontal alpha power per unit of valence. Like the changes above it is many
# times what is found in people: 16 short trials per subject would show nothing at a natural size.
ASYMMETRY = 1.3
ASYMMETRY_SUBJECT_SD, ASYMMETRY_TRIAL_SD = 0.25, 0.20
STYLE_SD = 0.40
GAIN_SD = 0.25  # of log amplitude: skull thickness, impedances


@dataclass(frozen=True)
class Subject:
    """A brain: gain, exponent of the background's power, alpha peak (Hz), log powers, responsiveness."""

    gain: float
    exponent: float
    alpha_hz: float
    log_power: Floats
    asymmetry: float
    style: Floats


def write_synthetic_eeg(root: Path, config: SyntheticConfig) -> None:
    """Write the EEG corpus to ``root``: one ``sNN.dat`` per subject, in the layout of DEAP.

    Each file is a Python 2 pickle of ``data`` (trials, 40, (3 + trial_s) * 128) float32 in microvolts, 3 s of
    baseline first, and ``labels`` (trials, 4) float64: valence, arousal, dominance, liking, 1..9. Trials
    go round the four quadrants in random order, so each subject meets all of them. ``root`` is replaced as a
    whole, when all is written.
    """
    with atomic_folder(root) as folder:
        for number in range(1, config.subjects + 1):
            rng = generator(config.seed, Stream.SUBJECT, number)
            subject = _draw_subject(rng, config.difficulty)
            labels = _rate(rng, config)
            data = _record(subject, labels, config, rng)
            write_deap_file(folder / f"s{number:02d}.dat", data.astype(np.float32), labels)


def _draw_subject(rng: np.random.Generator, difficulty: float) -> Subject:
    z = rng.standard_normal(4)
    subject_sd = np.array([row[2] for row in RHYTHMS.values()])
    return Subject(
        gain=float(np.exp(difficulty * GAIN_SD * z[0])),
        exponent=float(np.clip(1.2 + 0.15 * z[1], 0.7, 1.7)),
        alpha_hz=float(np.clip(10.0 + 0.8 * z[2], 8.5, 11.8)),
        log_power=difficulty * subject_sd * rng.standard_normal(len(RHYTHMS)),
        asymmetry=float(difficulty * ASYMMETRY_SUBJECT_SD * z[3]),
        style=np.maximum(0.0, 1.0 + difficulty * STYLE_SD * rng.standard_normal(len(RHYTHMS) + 1)),
    )


def _rate(rng: np.random.Generator, config: SyntheticConfig) -> Floats:
    """Ratings (trials, 4), with two decimals as DEAP's, never exactly at the midpoint."""
    quadrant = rng.permutation(np.arange(config.trials) % 4)
    side = np.stack([np.where(quadrant % 2, 1.0, -1.0), np.where(quadrant // 2, 1.0, -1.0)], axis=1)
    distance = TARGET + RATING_SD * rng.standard_normal(side.shape)
    ratings = MIDPOINT + side * np.clip(distance, MARGIN, 4.0)
    valence = ratings[:, 0]
    dominance = MIDPOINT + 0.3 * (valence - MIDPOINT) + 1.5 * rng.standard_normal(config.trials)
    liking = MIDPOINT + 0.7 * (valence - MIDPOINT) + 1.2 * rng.standard_normal(config.trials)
    labels = np.clip(np.column_stack([ratings, dominance, liking]), 1.0, 9.0).round(2)
    return np.where(labels == MIDPOINT, MIDPOINT + 0.01, labels)


def _record(subject: Subject, labels: Floats, config: SyntheticConfig, rng: np.random.Generator) -> Floats:
    """All trials of one subject, (trials, 40, samples) in microvolts."""
    d, trials = config.difficulty, len(labels)
    baseline = round(BASELINE_S * SAMPLE_RATE_HZ)
    samples = baseline + round(config.trial_s * SAMPLE_RATE_HZ)
    felt = (labels[:, :2] - MIDPOINT) / 4 + d * FELT_SD * rng.standard_normal((trials, 2))
    valence, arousal = config.eeg_effect * felt.T

    f = brain.frequencies(samples)
    background = brain.noise(rng, (trials, 32), samples, brain.power_law(f, subject.exponent))
    eeg = BACKGROUND_UV * (brain.spatial_mixing() @ background)
    # The response to the stimulus builds up over the second after the baseline.
    ramp = np.clip((np.arange(samples) - baseline) / SAMPLE_RATE_HZ, 0, 1)
    asymmetry = subject.asymmetry + d * ASYMMETRY_TRIAL_SD * rng.standard_normal(trials)
    asymmetry_response = subject.style[-1] * ASYMMETRY * valence
    for i, (name, (rms, weight, _, trial_sd)) in enumerate(RHYTHMS.items()):
        spectrum = _spectrum(name, f, subject.alpha_hz)
        wave = brain.spatial_mixing() @ brain.noise(rng, (trials, 32), samples, spectrum)
        steady = subject.log_power[i] + d * trial_sd * rng.standard_normal(trials)
        response = subject.style[i] * weight * arousal
        log_power = (steady[:, None] + response[:, None] * ramp)[:, None]  # (trials, 1, samples)
        if name == "alpha":
            lateral = (asymmetry[:, None] + asymmetry_response[:, None] * ramp)[:, None]
            log_power = log_power + brain.frontal_laterality()[:, None] * lateral / 2
        eeg += rms * _pattern(name)[:, None] * np.exp(log_power / 2) * wave
    eeg *= subject.gain
    blinks = brain.add_blinks(eeg, rng, rate_hz=0.25 * d, amplitude_uv=100.0)
    brain.add_muscle(eeg, rng, rate_hz=0.08 * d, amplitude_uv=10.0)
    return np.concatenate([eeg, brain.peripheral(rng, blinks)], axis=1)


def _spectrum(name: str, f: Floats, alpha_hz: float) -> Floats:
    centre, width = {
        "theta": (6.0, 1.0),
        "alpha": (alpha_hz, 1.0),
        "beta": (20.0, 5.0),
        "gamma": (38.0, 9.0),
    }[name]
    return brain.bump(f, centre, width)


def _pattern(name: str) -> Floats:
    """Relative amplitude (32,) of a rhythm over the scalp, between a floor and 1."""
    where, reach, floor = {
        "theta": ("Fz", 0.6, 0.3),
        "alpha": ("Oz", 0.9, 0.4),
        "beta": ("Cz", 0.8, 0.4),
        "gamma": ("Cz", 1.2, 0.5),
    }[name]
    return floor + (1 - floor) * brain.topography(where, reach)
