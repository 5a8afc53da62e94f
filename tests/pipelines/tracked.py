"""Small tracked projects for the tests of tracking, registry, serving and UI."""

from __future__ import annotations

import functools
import shutil
import socket
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import balanced_accuracy_score

from jmml.config import MethodConfig
from jmml.evaluation import evidence
from jmml.evaluation.leakage import Certificate
from jmml.recogniser import EmotionRecogniser
from jmml.task import View
from pipelines.registry import gates
from pipelines.tracking.tracker import Tracker
from pipelines.workspace.lineage import DatasetRef, Lineage
from pipelines.workspace.project import Project

SPLIT = "aa" * 8
CLASSES = ("HVHA", "LVHA", "LVLA")
PARAMS = """\
corpora:
  talk: {adapter: ravdess, modality: speech, path: data/raw/talk}
  waves: {adapter: deap, modality: eeg, path: data/raw/waves}
task: {speech: talk, eeg: waves}
"""


def make_project(root: Path, *, fresh: bool = False) -> Project:
    """A project folder; with an initialised store in it unless ``fresh``."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "params.yaml").write_text(PARAMS)
    (root / "dvc.yaml").write_text("stages: {}\n")
    if not fresh:
        (root / "mlruns").mkdir()
        shutil.copy(Path(_store().name) / "mlruns" / "mlflow.db", root / "mlruns" / "mlflow.db")
    return Project(root)


@functools.cache
def _store() -> tempfile.TemporaryDirectory[str]:
    """An empty store, made once per test process: MLflow needs more than a second to create its tables."""
    folder = tempfile.TemporaryDirectory()
    Tracker.connect(make_project(Path(folder.name), fresh=True))
    return folder


def copy_project(project: Project, root: Path) -> Project:
    """A copy with its runs, models and versions; the paths in its store are put right on connecting."""
    shutil.copytree(project.root, root)
    return Project(root)


def make_lineage(**changes: object) -> Lineage:
    features, corpus = "ab" * 16, "0123456789abcdef0123456789abcdef.dir"
    values: dict[str, object] = {
        "git_sha": "5" * 40,
        "git_dirty": True,
        "git_diff": "diff --git a/params.yaml b/params.yaml\n",
        "git_branch": "main",
        "environment": ["numpy==2.0", "torch==2.8"],
        "python": "3.11.7",
        "platform": "Linux x86_64",
        "jmml": "0.1.0",
        "params_digest": "0f" * 8,
        "params": PARAMS,
        "datasets": [
            DatasetRef("talk features", "data/features/talk.parquet", features, "1", "speech", "features"),
            DatasetRef("talk", "data/raw/talk", corpus, corpus, "speech", "corpus"),
        ],
        "code": "c0de" * 16,
    }  # fmt: skip
    return Lineage(**(values | changes))  # type: ignore[arg-type]


@functools.cache
def fitted(method: str = "jmml") -> EmotionRecogniser:
    """A tiny fitted recogniser: 5 speech features, 4 EEG features, 3 classes."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(3), 40)
    speech = rng.normal(size=(120, 5)) + y[:, None]
    eeg = rng.normal(size=(120, 4)) - y[:, None]
    settings = {
        "stage1": {"p": 2, "r": 3, "hidden": 4, "epochs": 2},
        "stage2": {"k": 2, "hidden": 4, "epochs": 2},
    }
    context = {
        "label_space": "quadrants",
        "speech_feature_names": [f"s{i}" for i in range(5)],
        "eeg_feature_names": [f"e{i}" for i in range(4)],
        "outer_fold": 0,
        "split_digest": SPLIT,
    }
    model = EmotionRecogniser(method, MethodConfig.model_validate(settings), CLASSES, context=context)  # type: ignore[arg-type]
    return model.fit(_view(speech, y, "speaker7"), _view(eeg, y, "subject7"))


def _view(X: np.ndarray, y: np.ndarray, group: str) -> View:
    ids = np.array([f"{group}-{row}" for row in range(len(y))], dtype=object)
    return View(X, y, np.full(len(y), group, dtype=object), ids, ids)


def save_model(folder: Path, method: str = "jmml") -> Path:
    fitted(method).save(folder)
    return folder


def free_port() -> int:
    """A port that the system hands to one caller at a time; tests run beside each other."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_evidence(
    *,
    seed: int = 0,
    methods: tuple[str, ...] = ("raw", "jec-ssl", "jmml", "one-hot"),
    speakers: int = 4,
) -> pd.DataFrame:
    """Held-out predictions of a few speakers, two seeds: random, a little better than chance."""
    rng = np.random.default_rng(seed)
    n, blocks = 30, []
    y = np.arange(n) % 3
    for method in methods:
        for trial_seed in (0, 1):
            proba = rng.dirichlet(np.ones(3), size=n)
            proba[np.arange(n), y] += 0.4
            blocks.append(
                evidence.evidence_frame(
                    method=method,
                    fold=0,
                    seed=trial_seed,
                    modality="speech",
                    ids=[f"utterance{i}" for i in range(n)],
                    groups=[f"speaker{i % speakers}" for i in range(n)],
                    y_true=[CLASSES[i] for i in y],
                    proba=proba / proba.sum(axis=1, keepdims=True),
                    classes=CLASSES,
                )
            )
    return pd.concat(blocks, ignore_index=True)


def reference_uar(frame: pd.DataFrame, method: str) -> float:
    """Mean over seeds of scikit-learn's balanced accuracy."""
    rows = frame[frame["method"] == method]
    return float(
        np.mean([balanced_accuracy_score(s["y_true"], s["y_pred"]) for _, s in rows.groupby("seed")])
    )


def held_out_metrics(frame: pd.DataFrame) -> dict[str, float]:
    names = {"jmml": "test_uar", "raw": "raw_uar", "jec-ssl": "jec_ssl_uar", "one-hot": "one_hot_uar"}
    metrics = {key: reference_uar(frame, method) for method, key in names.items()}
    return metrics | {
        "test_uar_ci_low": metrics["test_uar"] - 0.05,
        "test_uar_ci_high": metrics["test_uar"] + 0.05,
        "best_val_uar": 0.5,
    }


def make_certificate() -> Certificate:
    certificate = Certificate()
    certificate.add("jec_ssl/speech/scaler", "speech", ["speaker7", "speaker8"])
    certificate.add("classifier/speech", "speech", ["speaker7", "speaker8"])
    return certificate


def write_evidence(folder: Path, frame: pd.DataFrame) -> Path:
    """The ``evidence/`` files of a sweep's run."""
    folder.mkdir(parents=True, exist_ok=True)
    evidence.save(frame, folder / "evidence.parquet")
    (folder / "certificate.json").write_text(make_certificate().to_json())
    return folder


def run_sweep(
    tracker: Tracker,
    scratch: Path,
    *,
    name: str = "demo",
    status: str | None = "FINISHED",
    model: bool = True,
    with_evidence: bool = True,
    seed: int = 0,
    lineage: Lineage | None = None,
) -> str:
    """A sweep's run as the product leaves it behind, without the search."""
    run_id = tracker.start_sweep(
        name,
        params={"definition": {"trials": 2}},
        tags={"jmml.split_digest": SPLIT, "jmml.outer_fold": "0", "jmml.seed": "0"},
        lineage=lineage or make_lineage(),
    )
    frame = make_evidence(seed=seed)
    now = int(time.time() * 1000)
    tracker.log_points(run_id, [(key, value, 0, now) for key, value in held_out_metrics(frame).items()])
    if with_evidence:
        folder = write_evidence(scratch / f"evidence-{run_id}", frame)
        for path in sorted(folder.iterdir()):
            tracker.log_file(run_id, path, "evidence")
        digest = gates.evidence_digest(folder / "evidence.parquet")
        tracker.set_tags(run_id, {gates.EVIDENCE_DIGEST: digest})
    if model:
        weights = scratch / "weights"
        if not weights.exists():
            save_model(weights)
        tracker.set_tags(run_id, {gates.MODEL_DIGEST: gates.model_digest(weights)})
        tracker.log_model(run_id, weights, input_example={"speech": np.zeros((2, 5))})
    if status is not None:
        tracker.finish(run_id, status)  # type: ignore[arg-type]
    return run_id
