"""Stage ``evaluate``: the saved models meet the people they never saw; scores, intervals, figures."""

from __future__ import annotations

import json
import sys
from typing import Any

import pandas as pd

from jmml.config import EvaluationConfig
from jmml.evaluation import evidence as evidence_io
from jmml.evaluation import plots
from jmml.experiment import evaluate_fold
from jmml.files import atomic_folder, atomic_path
from jmml.recogniser import EmotionRecogniser
from pipelines.progress import progress_bar
from pipelines.project import Project
from pipelines.stages._main import main
from pipelines.task import methods_of, read_split, read_task

REFERENCE = "raw"
SCORES = ("uar", "ci_low", "ci_high", "accuracy", "macro_f1", "ece")


def evaluate(project: Project) -> str:
    """Write results/: metrics.json, evidence.parquet, comparison.csv, predictions.csv and plots/."""
    params = project.params
    evidence, classes = collect(project)
    table = tabulate(evidence, params.evaluation)
    speech = table[table["modality"] == "speech"].set_index("method")
    shown = "jmml" if "jmml" in speech.index else str(speech.index[-1])

    results = project.results_dir
    evidence_io.save(evidence, results / "evidence.parquet")
    with atomic_path(results / "comparison.csv") as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g")
    with atomic_path(results / "predictions.csv") as temporary:
        predictions(evidence, shown).to_csv(temporary, index=False)
    with atomic_folder(results / "plots") as folder:
        plots.method_comparison(evidence, table, classes, folder / "comparison.png")
        plots.confusion_matrix(evidence, shown, classes, folder / "confusion.png")
    with atomic_path(results / "metrics.json") as temporary:
        temporary.write_text(json.dumps(metrics(table, len(classes)), indent=2) + "\n", encoding="utf-8")
    scores = ", ".join(f"{method} {row['uar']:.3f}" for method, row in speech.iterrows())
    return f"UAR on unseen speakers: {scores} (chance {1 / len(classes):.3f})"


def collect(project: Project) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Evidence of every saved model on its own outer fold, after a check of its leakage certificate."""
    params, task = project.params, read_task(project)
    split = read_split(project, task)
    cells = [
        (method, fold, seed)
        for method in methods_of(params)
        for fold in range(len(split))
        for seed in params.protocol.seeds
    ]
    frames = []
    with progress_bar("evaluate", "model") as progress:
        for done, (method, fold, seed) in enumerate(cells, start=1):
            model = EmotionRecogniser.load(project.cell_dir(method, fold, seed))
            frames.append(evaluate_fold(model, task, split, fold).evidence)
            progress(done, len(cells))
    return pd.concat(frames, ignore_index=True), task.classes


def tabulate(evidence: pd.DataFrame, settings: EvaluationConfig) -> pd.DataFrame:
    """Scores per method from speech alone, then from EEG alone where a method can."""
    methods = set(evidence["method"])
    tables = [
        evidence_io.compare(
            evidence,
            bootstrap=settings.bootstrap,
            confidence=settings.confidence,
            reference_method=REFERENCE if modality == "speech" and REFERENCE in methods else None,
            modality=modality,
        )
        for modality in ("speech", "eeg")
        if (evidence["modality"] == modality).any()
    ]
    return pd.concat(tables, ignore_index=True)


def metrics(table: pd.DataFrame, n_classes: int) -> dict[str, Any]:
    """Scores by method, ``eeg_only`` for JMML without speech, and the chance level."""
    values: dict[str, Any] = {}
    for row in table.to_dict("records"):
        name = row["method"] if row["modality"] == "speech" else f"{row['modality']}_only"
        values[name] = {score: round(float(row[score]), 6) for score in SCORES}
    return values | {"chance": round(1 / n_classes, 6)}


def predictions(evidence: pd.DataFrame, method: str) -> pd.DataFrame:
    """``actual`` and ``predicted`` of one method and the first seed: one row per utterance."""
    rows = evidence[(evidence["method"] == method) & (evidence["modality"] == "speech")]
    rows = rows[rows["seed"] == rows["seed"].min()].sort_values("id")
    return rows.rename(columns={"y_true": "actual", "y_pred": "predicted"})[
        ["id", "group", "actual", "predicted"]
    ]


if __name__ == "__main__":
    sys.exit(main(evaluate))
