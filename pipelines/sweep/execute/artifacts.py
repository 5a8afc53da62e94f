"""Artifacts of a sweep in the tracking store: settings at its start, evidence, figures and model at its end."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any, cast

import pandas as pd
import yaml

from jmml.config import MethodConfig, Modality
from jmml.evaluation import evidence, plots
from pipelines.registry.gates import EVIDENCE_DIGEST, MODEL_DIGEST, evidence_digest, model_digest
from pipelines.sweep.definition.plan import Plan
from pipelines.sweep.execute.refit import WINNER, Refit
from pipelines.sweep.record import journal
from pipelines.sweep.record.export import export
from pipelines.sweep.record.folder import SweepFolder
from pipelines.sweep.record.state import SweepState, Trial
from pipelines.tracking.tracker import Tracker

EXAMPLE_ROWS = 3


def sweep_params(plan: Plan) -> dict[str, Any]:
    """Parameters of the sweep's run: the definition, and the protocol it runs under.

    Parameters of a run never change, so what a resumed or extended sweep may change (budget, resources) are tags.
    """
    definition, params = plan.definition, plan.params
    return {
        "algorithm": definition.algorithm,
        "scheduler": definition.scheduler.model_dump(mode="json"),
        "objective": definition.objective.model_dump(mode="json"),
        "lag": definition.lag,
        "seed": definition.seed,
        "outer_fold": definition.protocol.outer_fold,
        "inner_folds": params.protocol.inner_folds,
        "normalisation": params.protocol.normalisation,
        "seeds": ", ".join(map(str, params.protocol.seeds)),
        "label_space": params.task.label_space,
        "space": {key: str(dimension) for key, dimension in definition.space.items()},
    }


def sweep_tags(plan: Plan, state: SweepState) -> dict[str, str]:
    """Tags of the sweep's run, written anew whenever a driver takes the sweep."""
    definition = plan.definition
    return {
        "jmml.split_digest": plan.split.digest,
        "jmml.outer_fold": str(definition.protocol.outer_fold),
        "jmml.seed": str(definition.seed),
        "jmml.user": state.user,
        "jmml.team": state.team,
        "jmml.trials": str(state.total),
        "jmml.resources": json.dumps(definition.resources.model_dump(mode="json")),
    }


def plain_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table as JSON has them: exact numbers, texts, None for what is missing."""
    plain = frame.astype(object).where(frame.notna(), None)  # Python's own numbers, in a column of objects
    return cast("list[dict[str, Any]]", plain.to_dict("records"))


def draw(folder: Path, plan: Plan, best: Trial, history: list[dict[str, float]], fitted: Refit) -> None:
    """The figures of a sweep: methods compared, the winner's confusions, the correlations of its search."""
    classes = plan.task.classes
    plots.method_comparison(
        fitted.comparison,
        evidence.per_speaker(fitted.evidence, classes),
        folder / "comparison.png",
        chance=1 / len(classes),
        confidence=plan.params.evaluation.confidence,
        title=f"Sweep {plan.definition.name}: outer fold {plan.definition.protocol.outer_fold}",
    )
    of_winner = (fitted.evidence["method"] == WINNER) & (fitted.evidence["modality"] == "speech")
    counts = evidence.confusion_counts(fitted.evidence[of_winner], classes)[1]
    plots.confusion_matrix(
        counts.sum(axis=(0, 1)),
        classes,
        folder / "confusion.png",
        title="Confusion of the best configuration",
    )
    if any(key.startswith("rho_") for epoch in history for key in epoch):
        plots.correlation_history(
            history,
            folder / "correlation.png",
            title=f"Trial {best.number}: correlation of the codes, mean of inner folds",
        )


def history_of(folder: SweepFolder, number: int) -> list[dict[str, float]]:
    """The metrics of stage 2 of one trial, one entry per epoch."""
    return [
        {"epoch": event["epoch"]}
        | {key.removeprefix("edcc_cae/"): value for key, value in event["points"].items()}
        for event in journal.read(folder.journal)
        if event["e"] == "report" and event["trial"] == number
    ]


def log_trials(tracker: Tracker, run_id: str, folder: SweepFolder) -> None:
    """Write the table of all trials, ``trials.csv``, as the journal has them by now."""
    with tempfile.TemporaryDirectory() as temporary:
        trials = Path(temporary) / "trials.csv"
        export(folder, trials, format="csv")
        tracker.log_file(run_id, trials)


def log(
    tracker: Tracker,
    run_id: str,
    plan: Plan,
    state: SweepState,
    best: Trial,
    config: MethodConfig,
    fitted: Refit,
    *,
    folder: SweepFolder,
    opened: int,
) -> str:
    """Write the outcome of a sweep to its run; the address of the logged model.

    What an earlier attempt left half-done is removed first; what it wrote is written again, to the same effect. The
    files lie in ``evidence/`` (predictions, leakage certificate, comparison, figures), and
    ``best.yaml``, which can be pasted into ``params.yaml`` as its ``method`` section.
    """
    assert best.best_val_uar is not None
    tracker.stale_models(run_id, keep={event["model_uri"] for event in state.refits})
    with tempfile.TemporaryDirectory() as temporary:
        files = Path(temporary) / "evidence"
        files.mkdir()
        evidence.save(fitted.evidence, files / "evidence.parquet")
        for modality, view in (("speech", plan.training.speech), ("eeg", plan.training.eeg)):
            if view is not None:  # the search was fitted too: on what the trials were given
                fitted.certificate.add("search", cast(Modality, modality), view.groups)
        (files / "certificate.json").write_text(fitted.certificate.to_json(), encoding="utf-8")
        fitted.comparison.to_csv(files / "comparison.csv", index=False)
        draw(files, plan, best, history_of(folder, best.number), fitted)
        for path in sorted(files.iterdir()):
            tracker.log_file(run_id, path, "evidence")
        digest = evidence_digest(files / "evidence.parquet")
        model_dir = Path(temporary) / "model"
        fitted.recogniser.save(model_dir)
        weights_digest = model_digest(model_dir)
        example = plan.training.speech.X[:EXAMPLE_ROWS]
        model_uri = tracker.log_model(run_id, model_dir, input_example={"speech": example})
    chosen = {"method": config.model_dump(mode="json")}
    tracker.log_text(run_id, yaml.safe_dump(chosen, sort_keys=False), "best.yaml")
    decided = max(trial.ended or 0 for trial in state.trials.values())  # the same when this is repeated
    metrics = {**fitted.metrics, "best_val_uar": best.best_val_uar}
    tracker.log_points(run_id, [(key, value, 0, decided) for key, value in metrics.items()])
    tracker.set_tags(
        run_id,
        {
            EVIDENCE_DIGEST: digest,
            MODEL_DIGEST: weights_digest,
            "jmml.best_trial": best.number,
            "jmml.best_epoch": best.best_epoch,
            "jmml.best_configuration": json.dumps(best.chosen),
            "jmml.outer_fold_opened": opened,
        },
    )
    return model_uri
