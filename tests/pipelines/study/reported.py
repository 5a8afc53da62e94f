"""Cells of a study nobody ran, for its report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from jmml.config import MethodConfig
from jmml.evaluation.leakage import Certificate
from jmml.methods import METHODS
from pipelines.study.define.tasks import TaskText
from pipelines.study.publish.results import StudyResults, gather
from tests.jmml.evaluation import simulated

SKILLS = {"raw": 0.2, "jec-ssl": 0.4, "jmml": 1.5, "one-hot": 0.7, "prototypes": 0.6, "noise": 0.3}


@dataclass
class Cell:
    method: str
    fold: int
    seed: int
    evidence: pd.DataFrame
    certificate: Certificate
    history: list[dict[str, float]]
    embedding: np.ndarray
    metrics: dict[str, float]
    search: list[dict[str, float]]
    candidate: int = 1
    config: MethodConfig = field(default_factory=MethodConfig)


def cells(
    skills: Mapping[str, float] = SKILLS,
    *,
    speakers: int = 8,
    folds: int = 4,
    seeds: Sequence[int] = (0, 1),
    epochs: int = 10,
    **options: Any,
) -> list[Cell]:
    """One cell per method, fold and seed; methods trained on pairs have correlations, every fifth held out."""
    frame = simulated.evidence(skills, speakers=speakers, folds=folds, seeds=seeds, **options)
    people = sorted(set(frame["group"]))
    found = []
    for (method, fold, seed), rows in frame.groupby(["method", "fold", "seed"], sort=False):
        rng = np.random.default_rng([fold, seed, len(method)])
        certificate = Certificate()
        training = [name for name in people if name not in set(rows["group"])]
        for part in ("search/fold0/classifier/speech", "search/selection", "classifier/speech"):
            certificate.add(part, "speech", training)
        history = []
        if METHODS[method].two_view and not METHODS[method].closed_form:
            for epoch in range(1, epochs + 1 - int(rng.integers(0, 3))):
                learned = 1 - np.exp(-epoch / 4)
                rho = {"rho_train": 0.3 + 0.6 * learned, "rho_permuted": 0.28 + 0.02 * rng.random()}
                held = {"rho_held_out": 0.3 + 0.25 * learned + 0.05 * rng.random()} if epoch % 5 == 1 else {}
                history.append({"epoch": epoch, "loss": 1.0 / epoch, **rho, **held})
        codes = pd.Categorical(rows["y_true"]).codes
        speaker = pd.Categorical(rows["group"]).codes
        embedding = 1.5 * skills[method] * np.eye(6)[codes] + 1.2 * np.eye(6)[5 - speaker % 3]
        found.append(
            Cell(
                method=str(method),
                fold=int(fold),
                seed=int(seed),
                evidence=rows.reset_index(drop=True),
                certificate=certificate,
                history=history,
                embedding=(embedding + 0.5 * rng.standard_normal(embedding.shape)).astype(np.float32),
                metrics={
                    "test_uar": 0.5,
                    "val_uar": 0.4 + 0.1 * skills[method] + 0.02 * rng.random(),
                    "n_parameters": 12345.0,
                    "seconds": 1.5,
                    "audited": float(seed == 0),
                },
                search=[
                    {"candidate": i, "epoch": float(epochs), "val_uar": 0.4, "val_uar_std": 0.1}
                    for i in range(2)
                ],
            )
        )
    return found


def study(tasks: Mapping[str, Sequence[Cell]], **options: Any) -> StudyResults:
    """The gathered results of these cells."""
    texts = {"label": TaskText("EEG knows the label", {"Speech": "8 people", "EEG": "8 others"})}
    return gather(
        "worlds",
        "Two worlds: in one EEG knows the label, in the other the trial.",
        {"name": "worlds", "seeds": [0, 1]},
        tasks,
        **{
            "bootstrap": 500,
            "digest": "0123456789abcdef",
            "provenance": {"Code": "abc1234"},
            "texts": texts,
            **options,
        },
    )
