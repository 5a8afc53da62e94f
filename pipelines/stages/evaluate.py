"""Stage ``evaluate``: the saved models meet the people they never saw; scores, intervals, figures."""

from __future__ import annotations

import json
import sys
from itertools import product
from pathlib import Path

import pandas as pd

from jmml.evaluation import evidence as evidence_io
from jmml.evaluation import plots
from jmml.evaluation.shares import shares, summary
from jmml.experiment import evaluate_fold
from jmml.files import atomic_folder, atomic_path
from jmml.recogniser import EmotionRecogniser
from pipelines.protocol.folds import read_split
from pipelines.stages._main import main, stage_progress
from pipelines.stages.summary import CLAIM, metrics, predictions, settings_of, shown_method, tabulate
from pipelines.workspace.project import Project
from pipelines.workspace.task import methods_of, read_task


def evaluate(project: Project) -> str:
    """Write results/: metrics.json, evidence.parquet, comparison.csv, predictions.csv and plots/."""
    settings, results = project.params.evaluation, project.results_dir
    evidence, correlations, history, shared = collect(project)
    table = tabulate(evidence, settings)
    values = metrics(evidence, table, correlations, settings)
    if shared:
        values["shared"] = shared
    values["settings"] = settings_of(project.params)

    with atomic_folder(results / "plots") as folder:
        draw(evidence, table, history, folder, confidence=settings.confidence)
    evidence_io.save(evidence, results / "evidence.parquet")
    with atomic_path(results / "comparison.csv") as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g")
    with atomic_path(results / "predictions.csv") as temporary:
        predictions(evidence).to_csv(temporary, index=False)
    with atomic_path(results / "metrics.json") as temporary:
        temporary.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    scores = ", ".join(f"{name} {values[name]['uar']:.3f}" for name in methods_of(project.params))
    return f"UAR on unseen speakers: {scores} (chance {values['chance']:.3f})"


def collect(project: Project) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, dict[str, dict[str, float]]]:
    """Every saved model on its own outer fold, after a check of its leakage certificate.

    Returns the evidence; ``method`` and held-out correlations per model; the stage-2 history of JMML; what the test
    samples share with training besides people (:func:`jmml.evaluation.shares.summary`).
    """
    params, task = project.params, read_task(project)
    split = read_split(project, task)
    cells = list(product(methods_of(params), range(len(split)), params.protocol.seeds))
    evidence, correlations, history = [], [], []
    with stage_progress("evaluate", "model") as progress:
        for done, (method, fold, seed) in enumerate(cells, start=1):
            model = EmotionRecogniser.load(project.cell_dir(method, fold, seed), device=params.device)
            result = evaluate_fold(model, task, split, fold)
            evidence.append(result.evidence)
            rho = {name: value for name, value in result.metrics.items() if "rho" in name}
            correlations += [{"method": method, **rho}] if rho else []
            history += model.history.get("edcc_cae", []) if method == CLAIM else []
            progress(done, len(cells))
    return (
        pd.concat(evidence, ignore_index=True),
        pd.DataFrame(correlations, columns=None if correlations else ["method"]),
        pd.DataFrame(history),
        summary(shares(task, split)),
    )


def draw(
    evidence: pd.DataFrame, table: pd.DataFrame, history: pd.DataFrame, folder: Path, *, confidence: float
) -> None:
    """comparison.png, confusion.png and, where JMML was trained, correlation.png."""
    classes = evidence_io.classes_of(evidence)
    plots.method_comparison(
        table[table["modality"] == "speech"],
        evidence_io.per_speaker(evidence, classes),
        folder / "comparison.png",
        chance=1 / len(classes),
        confidence=confidence,
    )
    method = shown_method(evidence)
    rows = evidence[(evidence["method"] == method) & (evidence["modality"] == "speech")]
    counts = evidence_io.confusion_counts(rows, classes)[1].sum(axis=(0, 1))
    plots.confusion_matrix(counts, classes, folder / "confusion.png", title=f"{method} on unseen speakers")
    if not history.empty:
        plots.correlation_history(history, folder / "correlation.png")


if __name__ == "__main__":
    sys.exit(main(evaluate))
