"""Emotions as points of the arousal/valence plane, and the random streams of the synthetic corpora."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Arousal and valence in -1..1, after the circumplex (Russell 1980, J. Pers. Soc. Psychol. 39(6)). The signs
# are those of Schuller et al. 2010 (IEEE T-AffC 1(2)): every point lies in the quadrant its label maps to.
EMOTION_POINTS: dict[str, tuple[float, float]] = {
    "neutral": (-0.50, 0.35),
    "calm": (-0.80, 0.60),
    "happiness": (0.65, 0.85),
    "sadness": (-0.75, -0.65),
    "anger": (0.90, -0.60),
    "fear": (0.60, -0.80),
    "disgust": (-0.40, -0.75),
    "surprise": (0.75, 0.50),
}


class Stream(IntEnum):
    """First key of every random stream; corpora and fresh speakers can never share one."""

    SPEAKER = 1
    UTTERANCE = 2
    SUBJECT = 3
    FRESH_SPEAKER = 4
    FRESH_UTTERANCE = 5


def generator(seed: int, stream: Stream, *keys: int) -> np.random.Generator:
    """An independent random generator for each (seed, stream, keys)."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(int(stream), *keys)))


def performed_point(
    point: Floats, rng: np.random.Generator, *, strength_sd: float, noise_sd: float
) -> tuple[Floats, Floats]:
    """Arousal and valence as performed or felt: ``strength * point + noise``.

    Parameters
    ----------
    point : array (..., 2), the emotion's arousal and valence.
    strength_sd : standard deviation of the strength around 1; it is never below 0.2, as an actor who is asked
        for an emotion shows a little of it at least.
    noise_sd : standard deviation of the additive noise, on each axis.

    Returns
    -------
    performed points (..., 2) and strengths (..., 1).
    """
    strength = np.maximum(0.2, 1.0 + strength_sd * rng.standard_normal((*point.shape[:-1], 1)))
    return strength * point + noise_sd * rng.standard_normal(point.shape), strength
