"""The figures that a project reports, all of them computed from evidence."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from jmml.config import EvaluationConfig, MethodName, Params, digest
from jmml.evaluation import evidence as evidence_io

History = dict[str, list[dict[str, float]]]

REFERENCE = "raw"
# The claim to be tested: JMML against a control that puts labels where the EEG was.
CLAIM, CONTROL = "jmml", "one-hot"
SCORES = ("uar", "ci_low", "ci_high", "accuracy", "macro_f1", "ece")
DIFFERENCE = ("diff", "diff_low", "diff_high", "p", "dz")


def settings_of(params: Params) -> dict[str, Any]:
    """The settings that an evaluation rests on, stored with it; the method's as a digest."""
    return {
        "speech": params.task.speech,
        "eeg": params.task.eeg,
        "label_space": params.task.label_space,
        "groups_per_fold": params.protocol.groups_per_fold,
        "disjoint": params.protocol.disjoint,
        "folds": params.protocol.folds,
        "normalisation": params.protocol.normalisation,
        "seeds": params.protocol.seeds,
        "method": digest(params.method),
        "confidence": params.evaluation.confidence,
    }


def training_curves(histories: Iterable[Mapping[MethodName, History]]) -> dict[str, pd.DataFrame]:
    """Training metrics per epoch, each the mean over folds and seeds, as ``stage1`` and ``stage2``.

    ``histories`` has one entry per fold and seed. Columns are ``jec_ssl/speech/loss`` and the like, the same
    for every method that uses stage 1, and ``<method>/edcc_cae/loss``.
    """
    series: dict[tuple[str, str], list[pd.DataFrame]] = defaultdict(list)
    for by_method in histories:
        for method, history in by_method.items():
            for part, epochs in history.items():
                key = ("stage2", f"{method}/{part}") if not part.startswith("jec_ssl") else ("stage1", part)
                series[key].append(pd.DataFrame(epochs).set_index("epoch").add_prefix(f"{key[1]}/"))
    means: dict[str, list[pd.DataFrame]] = defaultdict(list)
    for (stage, _), frames in series.items():
        means[stage].append(pd.concat(frames).groupby(level="epoch").mean())
    return {stage: pd.concat(frames, axis=1) for stage, frames in means.items()}


def tabulate(evidence: pd.DataFrame, settings: EvaluationConfig) -> pd.DataFrame:
    """Scores per method from speech alone, then from EEG alone where a method can (see ``compare``)."""
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


def contrast(evidence: pd.DataFrame, settings: EvaluationConfig) -> dict[str, float | None]:
    """Gain from EEG over labels alone: UAR difference with interval, p and effect size; empty if untested."""
    rows = evidence[evidence["method"].isin((CLAIM, CONTROL)) & (evidence["modality"] == "speech")]
    if rows["method"].nunique() < 2:
        return {}
    table = evidence_io.compare(
        rows, bootstrap=settings.bootstrap, confidence=settings.confidence, reference_method=CONTROL
    )
    row = table.set_index("method").to_dict("index")[CLAIM]
    return {key: rounded(row[key]) for key in DIFFERENCE}


def metrics(
    evidence: pd.DataFrame, table: pd.DataFrame, correlations: pd.DataFrame, settings: EvaluationConfig
) -> dict[str, Any]:
    """The content of ``results/metrics.json``.

    Scores by method; with those of JMML the mean canonical correlation of held-out class pairs
    (``test_rho``) and of permuted ones. ``eeg_only`` is JMML without speech, ``chance`` the UAR of guessing.
    """
    values: dict[str, Any] = {}
    for row in table.to_dict("records"):
        scores = {score: rounded(row[score]) for score in SCORES}
        values[row["method"] if row["modality"] == "speech" else f"{row['modality']}_only"] = scores
    means = correlations.groupby("method").mean(numeric_only=True)
    for method, rho in means.iterrows():
        values[str(method)] |= {str(name): rounded(value) for name, value in rho.dropna().items()}
    if difference := contrast(evidence, settings):
        values[f"{CLAIM}_minus_{CONTROL}"] = difference
    return values | {"chance": rounded(1 / len(evidence_io.classes_of(evidence)))}


def shown_method(evidence: pd.DataFrame) -> str:
    """The method whose confusions are shown: JMML, or the last one that was compared."""
    methods = evidence["method"].unique()
    return CLAIM if CLAIM in methods else str(methods[-1])


def predictions(evidence: pd.DataFrame) -> pd.DataFrame:
    """``actual`` and ``predicted`` of the shown method with its first seed: one row per utterance."""
    rows = evidence[(evidence["method"] == shown_method(evidence)) & (evidence["modality"] == "speech")]
    rows = rows[rows["seed"] == rows["seed"].min()].sort_values("id")
    named = rows.rename(columns={"y_true": "actual", "y_pred": "predicted"})
    shown: pd.DataFrame = named[["id", "group", "actual", "predicted"]]
    return shown


def rounded(value: float) -> float | None:
    """Six digits; None (JSON null) for what cannot be computed, such as the interval of a single speaker."""
    return round(float(value), 6) if math.isfinite(value) else None
