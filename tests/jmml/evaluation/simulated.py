"""Evidence of a study nobody ran: methods of given skill on speakers who differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from jmml.evaluation.evidence import evidence_frame

CLASSES = ("HVHA", "HVLA", "LVHA", "LVLA")


def evidence(
    skills: Mapping[str, float],
    *,
    speakers: int = 8,
    folds: int = 4,
    seeds: Sequence[int] = (0, 1),
    per_class: int = 3,
    classes: Sequence[str] = CLASSES,
    seed: int = 0,
) -> pd.DataFrame:
    """Rows of every method; ``skill`` is added to the logit of the true class, and every speaker adds an own part."""
    rng = np.random.default_rng(seed)
    easy = 0.5 * rng.standard_normal(speakers)
    samples = rng.standard_normal((speakers, per_class * len(classes), len(classes)))
    y = np.tile(np.arange(len(classes)), per_class)
    parts = []
    for number, (method, skill) in enumerate(skills.items()):
        for training in seeds:
            noise = np.random.default_rng([seed, number, training])
            own = np.random.default_rng([seed, number]).standard_normal(speakers)
            for fold in range(folds):
                tested = [s for s in range(speakers) if s % folds == fold]
                level = np.repeat(skill + easy[tested] + 0.35 * own[tested], len(y))
                truth = np.tile(y, len(tested))
                logits = (
                    samples[tested].reshape(len(truth), -1) + level[:, None] * np.eye(len(classes))[truth]
                )
                logits = logits + 0.4 * noise.standard_normal(logits.shape)
                proba = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
                parts.append(
                    evidence_frame(
                        method=method,
                        fold=fold,
                        seed=training,
                        modality="speech",
                        ids=[f"s{s:02d}-{i}" for s in tested for i in range(len(y))],
                        groups=[f"s{s:02d}" for s in tested for _ in y],
                        y_true=np.array(classes)[truth],
                        proba=proba,
                        classes=classes,
                    )
                )
    return pd.concat(parts, ignore_index=True)
