"""The project, the definitions and the bare loop that the sides of ``benchmarks/sweep.py`` share.

The task is Gaussian: two views that share nothing but their labels, four classes, speakers and subjects with offsets
of their own. The bare loop (:func:`epochs`) is what remains of a trial without any machinery: our estimators, fitted
on the inner folds and scored after every epoch of stage 2.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from jmml.config import MethodConfig, Params, validate
from jmml.data.table import FeatureTable
from jmml.evaluation.metrics import uar
from jmml.models.jec_ssl import JECSSL
from jmml.recogniser import EmotionRecogniser
from jmml.task import TaskData, evaluated_part, load_task, make_inner_split, make_split, training_part
from pipelines.sweep.decide.search import build_search
from pipelines.sweep.definition.model import SweepDefinition
from pipelines.sweep.definition.reading import check
from pipelines.workspace.project import Project

EMOTION = {"HVHA": "happiness", "HVLA": "neutral", "LVHA": "anger", "LVLA": "sadness"}
RATINGS = {"HVHA": (7.0, 7.0), "HVLA": (7.0, 3.0), "LVHA": (3.0, 7.0), "LVLA": (3.0, 3.0)}
OUTER_FOLD = 0
SEED = 0

# Every trial has a stage 1 of its own, so that nothing can be shared, and the widths that decide its time are fixed.
APART: dict[str, Any] = {
    "stage1.alpha": {"loguniform": [0.3, 3.0]},
    "stage2.lam_c": {"loguniform": [0.1, 3.0]},
}
# Both stages vary; six different stage 1, as a person would list them.
BOTH: dict[str, Any] = {
    "stage1.r": {"choice": [8, 12, 16]},
    "stage1.alpha": {"choice": [0.5, 2.0]},
    "stage2.k": {"int": [2, 6]},
    "stage2.lr": {"loguniform": [1.0e-3, 1.0e-2]},
    "stage2.lam_c": {"loguniform": [0.1, 3.0]},
    "stage2.lam_x": {"uniform": [0.0, 2.0]},
}


@dataclass(frozen=True)
class Size:
    """How large a task is: people per corpus, samples per person and class, features, and epochs of both stages."""

    groups: int
    per_class: int
    speech: int
    eeg: int
    epochs: tuple[int, int]
    inner_folds: int = 3


LONG = Size(groups=10, per_class=75, speech=100, eeg=128, epochs=(45, 55))  # 20 s per trial and more
SHORT = Size(groups=10, per_class=25, speech=100, eeg=128, epochs=(30, 40))  # the epochs of params.yaml
QUICK = Size(groups=6, per_class=6, speech=20, eeg=20, epochs=(3, 4), inner_folds=2)


def write_project(root: Path, size: Size) -> Project:
    """A project whose stages have been run: features, split, settings and the record of ``dvc repro``."""
    stage1, stage2 = size.epochs
    corpora = {m: {"adapter": "table", "modality": m, "path": f"data/raw/lab-{m}"} for m in ("speech", "eeg")}
    params = validate(
        Params,
        {
            "corpora": {f"lab-{modality}": corpus for modality, corpus in corpora.items()},
            "task": {"speech": "lab-speech", "eeg": "lab-eeg", "label_space": "quadrants"},
            "protocol": {"groups_per_fold": 2, "inner_folds": size.inner_folds, "seeds": [0, 1]},
            "evaluation": {"bootstrap": 100},
            "method": {"stage1": {"epochs": stage1}, "stage2": {"epochs": stage2, "k": 4}},
        },
    )
    root.mkdir(parents=True)
    (root / "params.yaml").write_text(yaml.safe_dump(params.model_dump(mode="json")))
    (root / "dvc.yaml").write_text("stages: {}\n")
    project = Project(root)
    outs = []
    for modality, dim in (("speech", size.speech), ("eeg", size.eeg)):
        path = project.features_path(f"lab-{modality}")
        gaussian_table(modality, size, dim).save(path)
        outs.append(
            {"path": path.relative_to(root).as_posix(), "md5": hashlib.md5(path.read_bytes()).hexdigest()}
        )
    (root / "dvc.lock").write_text(yaml.safe_dump({"stages": {"featurize": {"outs": outs}}}))
    make_split(read(project), groups_per_fold=2, seed=0).save(project.split_path)
    return project


def gaussian_table(modality: str, size: Size, dim: int) -> FeatureTable:
    """Samples N(class mean + offset of the person, I), balanced in every person."""
    rng = np.random.default_rng([SEED, modality == "eeg"])
    means = 0.15 * rng.normal(size=(4, dim))
    rows, X = [], []
    for group in range(size.groups):
        offset = 0.5 * rng.normal(size=dim)
        for number, (quadrant, (valence, arousal)) in enumerate(RATINGS.items()):
            for item in range(size.per_class):
                name, speech = f"{modality[0]}{group:02d}-{quadrant}-{item}", modality == "speech"
                rows.append(
                    {
                        "id": name,
                        "recording": name,
                        "group": name[:3],
                        "label": EMOTION[quadrant] if speech else None,
                        "valence": np.nan if speech else valence,
                        "arousal": np.nan if speech else arousal,
                    }
                )
                X.append(means[number] + offset + rng.normal(size=dim))
    return FeatureTable(
        corpus=f"lab-{modality}",
        modality=modality,  # type: ignore[arg-type]
        index=pd.DataFrame(rows),
        X=np.asarray(X, np.float32),
        names=tuple(f"x{i:03d}" for i in range(dim)),
        units=("1",) * dim,
    )


def define(
    space: dict[str, Any], trials: int, concurrent: int, *, scheduler: str | dict[str, Any] = "none"
) -> SweepDefinition:
    """A sweep of random configurations on the outer fold that all sides leave out."""
    return check(
        {
            "name": "benchmark",
            "algorithm": "random",
            "scheduler": scheduler,
            "budget": {"trials": trials},
            "protocol": {"outer_fold": OUTER_FOLD},
            "concurrent": concurrent,
            "lag": max(8, concurrent),
            "seed": SEED,
            "space": space,
        }
    )


def configurations(definition: SweepDefinition) -> list[dict[str, Any]]:
    """The configurations of a sweep in the order of its trials, for the sides that have no search of ours."""
    search = build_search(definition)
    return [dict(search.propose(number)) for number in range(1, definition.n_trials() + 1)]


def read(project: Project) -> TaskData:
    """The task of a project, from its files."""
    tables = [FeatureTable.load(project.features_path(f"lab-{modality}")) for modality in ("speech", "eeg")]
    return load_task(project.params, *tables)


def training_of(project: Project) -> TaskData:
    """The task without the outer fold."""
    task = read(project)
    return training_part(task, make_split(task, groups_per_fold=2, seed=0), OUTER_FOLD)


def epochs(
    training: TaskData,
    method: MethodConfig,
    n_folds: int,
    *,
    memo: MutableMapping[str, JECSSL] | None = None,
    keep: bool = True,
) -> Iterator[float]:
    """Inner-fold UAR after each epoch of stage 2: both stages of every fold fitted and scored, and nothing else.

    Parameters
    ----------
    memo : stage-1 models of other configurations with the same stage 1.
    keep : compute the stage-1 outputs of the rows that are scored once, and not again after each epoch.
    """
    splits = make_inner_split(training, n_folds=n_folds, seed=SEED)
    parts = [
        (training_part(training, splits, fold), evaluated_part(training, splits, fold))
        for fold in range(n_folds)
    ]
    models = [EmotionRecogniser("jmml", method, training.classes, seed=SEED) for _ in parts]
    runs = []
    for model, (inner, held) in zip(models, parts, strict=True):
        if keep:
            model.keep_outputs("speech", inner.speech.X, held.speech.X)
        runs.append(model.iter_fit(inner.speech, inner.eeg, memo=memo))
    for _ in range(method.stage2.epochs):
        scores = []
        for model, run, (inner, held) in zip(models, runs, parts, strict=True):
            next(run)
            model.fit_heads(inner.speech, routes=("speech",))
            scores.append(uar(held.speech.y, model.predict_proba(X_speech=held.speech.X).argmax(axis=1)))
        yield float(np.mean(scores))
