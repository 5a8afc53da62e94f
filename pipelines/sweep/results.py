"""What a sweep leaves in the tracking store: its settings before, its evidence, figures and model after."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any, cast

import pandas as pd
import yaml

from jmml.config import MethodConfig, Modality
from jmml.evaluation import evidence, plots
from pipelines.gates import EVIDENCE_DIGEST, MODEL_DIGEST, evidence_digest, model_digest
from pipelines.sweep.board import Board, Trial
from pipelines.sweep.plan import Plan
from pipelines.sweep.refit import WINNER, Refit
from pipelines.tracking import Tracker

EXAMPLE_ROWS = 3


def sweep_params(plan: Plan) -> dict[str, Any]:
    """Parameters of the sweep's run: the definition, and the protocol it runs under."""
    definition = plan.definition
    data = definition.model_dump(mode="json", exclude={"space", "name", "description"})
    return {
        **data,
        "trials": plan.trials,
        "concurrent": plan.concurrent,
        "inner_folds": plan.params.protocol.inner_folds,
        "normalisation": plan.params.protocol.normalisation,
        "seeds": ", ".join(map(str, plan.params.protocol.seeds)),
        "label_space": plan.params.task.label_space,
        "space": {key: str(dimension) for key, dimension in definition.space.items()},
    }


def trials_frame(board: Board) -> pd.DataFrame:
    """One row per trial with its exact configuration; MLflow rounds parameters to text."""
    return pd.DataFrame(
        [
            {
                "trial": trial.number,
                "state": trial.state,
                "best_val_uar": trial.best_val_uar,
                "best_epoch": trial.best_epoch,
                "epochs": trial.epoch,
                "seconds": round(trial.seconds(trial.started), 3),
                **trial.configuration,
                "error": trial.error,
            }
            for trial in sorted(board.trials.values(), key=lambda trial: trial.number)
        ]
    )


def draw(folder: Path, plan: Plan, best: Trial, fitted: Refit) -> None:
    """The figures of a sweep: methods compared, the winner's confusions, the correlations of its search."""
    classes = plan.task.classes
    plots.method_comparison(
        fitted.comparison,
        evidence.per_speaker(fitted.evidence, classes),
        folder / "comparison.png",
        chance=1 / len(classes),
        confidence=plan.params.evaluation.confidence,
        title=f"Sweep {plan.definition.name}: outer fold {plan.definition.outer_fold}",
    )
    of_winner = (fitted.evidence["method"] == WINNER) & (fitted.evidence["modality"] == "speech")
    counts = evidence.confusion_counts(fitted.evidence[of_winner], classes)[1]
    plots.confusion_matrix(
        counts.sum(axis=(0, 1)),
        classes,
        folder / "confusion.png",
        title="Confusion of the best configuration",
    )
    history = [
        {key.removeprefix("edcc_cae/"): value for key, value in epoch.items()} for epoch in best.history
    ]
    if any(key.startswith("rho_") for epoch in history for key in epoch):
        plots.correlation_history(
            history,
            folder / "correlation.png",
            title=f"Trial {best.number}: correlation of the codes, mean of inner folds",
        )


def log(
    tracker: Tracker,
    run_id: str,
    plan: Plan,
    board: Board,
    best: Trial,
    config: MethodConfig,
    fitted: Refit,
    *,
    best_run_id: str | None,
) -> str:
    """Write the outcome of a sweep to its run; the address of the logged model.

    The files lie in ``evidence/`` (predictions, leakage certificate, comparison, figures), ``trials.csv`` and
    ``best.yaml``, which can be pasted into ``params.yaml`` as its ``method`` section.
    """
    assert best.best_val_uar is not None
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "evidence"
        folder.mkdir()
        evidence.save(fitted.evidence, folder / "evidence.parquet")
        for modality, view in (("speech", plan.training.speech), ("eeg", plan.training.eeg)):
            if view is not None:  # the search was fitted too: on what the trials were given
                fitted.certificate.add("search", cast(Modality, modality), view.groups)
        (folder / "certificate.json").write_text(fitted.certificate.to_json(), encoding="utf-8")
        fitted.comparison.to_csv(folder / "comparison.csv", index=False)
        draw(folder, plan, best, fitted)
        for path in sorted(folder.iterdir()):
            tracker.log_file(run_id, path, "evidence")
        digest = evidence_digest(folder / "evidence.parquet")
        model_dir = Path(temporary) / "model"
        fitted.recogniser.save(model_dir)
        weights_digest = model_digest(model_dir)
        example = plan.training.speech.X[:EXAMPLE_ROWS]
        model_uri = tracker.log_model(run_id, model_dir, input_example={"speech": example})
    tracker.log_text(run_id, trials_frame(board).to_csv(index=False), "trials.csv")
    chosen = {"method": config.model_dump(mode="json")}
    tracker.log_text(run_id, yaml.safe_dump(chosen, sort_keys=False), "best.yaml")
    now = int(time.time() * 1000)
    metrics = {**fitted.metrics, "best_val_uar": best.best_val_uar}
    tracker.log_points(run_id, [(key, value, 0, now) for key, value in metrics.items()])
    tracker.set_tags(
        run_id,
        {
            EVIDENCE_DIGEST: digest,
            MODEL_DIGEST: weights_digest,
            "jmml.best_trial": best.number,
            "jmml.best_trial_run": best_run_id or "",
            "jmml.best_epoch": best.best_epoch,
            "jmml.best_configuration": json.dumps(best.configuration),
        },
    )
    return model_uri
