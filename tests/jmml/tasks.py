"""Small Gaussian tasks for tests: two views that share nothing but their labels."""

from __future__ import annotations

import numpy as np
import pandas as pd

from jmml.config import MethodConfig, Params, validate
from jmml.data.table import FeatureTable
from jmml.task import TaskData, load_task

EMOTION_OF = {"HVHA": "happiness", "HVLA": "neutral", "LVHA": "anger", "LVLA": "sadness"}
RATINGS = {"HVHA": (7.0, 7.0), "HVLA": (7.0, 3.0), "LVHA": (3.0, 7.0), "LVLA": (3.0, 3.0)}


def gaussian_table(
    modality: str,
    *,
    groups: int = 6,
    per_class: int = 8,
    dim: int = 20,
    effect: float = 1.0,
    seed: int = 0,
    corpus: str | None = None,
) -> FeatureTable:
    """Samples N(effect * class mean + speaker offset, I) for the four quadrants, balanced in every group."""
    rng = np.random.default_rng([seed, modality == "eeg"])
    means = effect * rng.normal(size=(4, dim))
    rows, X = [], []
    for group in range(groups):
        offset = 0.5 * rng.normal(size=dim)
        for number, quadrant in enumerate(RATINGS):
            for item in range(per_class):
                name = f"{modality[0]}{group:02d}-{quadrant}-{item}"
                valence, arousal = RATINGS[quadrant]
                speech = modality == "speech"
                rows.append(
                    {
                        "id": name,
                        "recording": name,
                        "group": f"{modality[0]}{group:02d}",
                        "label": EMOTION_OF[quadrant] if speech else None,
                        "valence": None if speech else valence,
                        "arousal": None if speech else arousal,
                    }
                )
                X.append(means[number] + offset + rng.normal(size=dim))
    index = pd.DataFrame(rows).astype({"valence": float, "arousal": float})
    names = tuple(f"x{i:02d}" for i in range(dim))
    return FeatureTable(
        corpus=corpus or f"lab-{modality}",
        modality=modality,  # type: ignore[arg-type]
        index=index,
        X=np.asarray(X, np.float32),
        names=names,
        units=("1",) * dim,
    )


def small_params(**overrides: object) -> Params:
    """Settings for the Gaussian corpora: ready-made features, short training."""
    data: dict[str, object] = {
        "corpora": {
            "lab-speech": {"adapter": "table", "modality": "speech", "path": "data/raw/lab-speech"},
            "lab-eeg": {"adapter": "table", "modality": "eeg", "path": "data/raw/lab-eeg"},
        },
        "task": {"speech": "lab-speech", "eeg": "lab-eeg", "label_space": "quadrants"},
        "method": small_method().model_dump(),
    }
    return validate(Params, data | overrides)


def small_method(**stage2: object) -> MethodConfig:
    return validate(
        MethodConfig,
        {
            "stage1": {"p": 4, "r": 6, "hidden": 16, "epochs": 4, "batch_size": 32},
            "stage2": {"k": 3, "hidden": 16, "epochs": 4, "batch_size": 64, **stage2},
        },
    )


def small_task(*, effect: float = 1.0, seed: int = 0, **overrides: object) -> TaskData:
    params = small_params(**overrides)
    speech = gaussian_table("speech", effect=effect, seed=seed)
    eeg = gaussian_table("eeg", effect=effect, seed=seed)
    return load_task(params, speech, eeg if params.task.eeg else None)
