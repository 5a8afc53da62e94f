from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from jmml.config import EvaluationConfig
from jmml.evaluation import evidence as evidence_io
from pipelines.stages.summary import contrast, metrics, predictions, rounded, tabulate, training_curves

CLASSES = ("a", "b")
SETTINGS = EvaluationConfig(bootstrap=100)


def evidence(right: dict[str, list[bool]], *, modality: str = "speech", seed: int = 0) -> pd.DataFrame:
    """Predictions that are right or wrong as given: four speakers, alternating classes."""
    frames = []
    for method, flags in right.items():
        y = np.arange(len(flags)) % 2
        predicted = np.where(flags, y, 1 - y)
        frames.append(
            evidence_io.evidence_frame(
                method=method, fold=0, seed=seed, modality=modality,
                ids=[f"{modality}{i}" for i in range(len(y))], groups=[f"g{i // 2 % 4}" for i in range(len(y))],
                y_true=np.array(CLASSES)[y], proba=np.eye(2)[predicted] * 0.8 + 0.1, classes=CLASSES,
            )
        )  # fmt: skip
    return pd.concat(frames, ignore_index=True)


ALL, NONE, HALF = [True] * 16, [False] * 16, [True, True, False, False] * 4


def test_metrics_by_method_and_route() -> None:
    rows = pd.concat(
        [evidence({"raw": HALF, "one-hot": HALF, "jmml": ALL}), evidence({"jmml": NONE}, modality="eeg")]
    )
    correlations = pd.DataFrame({"method": ["jmml", "jmml"], "test_rho": [0.2, 0.4]})
    values = metrics(rows, tabulate(rows, SETTINGS), correlations, SETTINGS)
    assert set(values) == {"raw", "one-hot", "jmml", "eeg_only", "jmml_minus_one-hot", "chance"}
    assert values["raw"]["uar"] == 0.5
    assert values["jmml"]["uar"] == 1.0
    assert values["jmml"]["test_rho"] == pytest.approx(0.3)
    assert "test_rho" not in values["raw"]
    assert values["eeg_only"]["uar"] == 0.0
    assert values["jmml_minus_one-hot"]["diff"] == 0.5
    assert values["chance"] == 0.5


def test_the_contrast_needs_both_sides() -> None:
    assert contrast(evidence({"raw": HALF, "jmml": ALL}), SETTINGS) == {}
    both = contrast(evidence({"jmml": ALL, "one-hot": NONE}), SETTINGS)
    assert both["diff"] == 1.0
    assert both["p"] == 0.125  # four speakers, all in one direction: 2 of 2^4 sign patterns


def test_without_the_reference_there_are_scores_and_no_differences() -> None:
    table = tabulate(evidence({"jec-ssl": ALL, "jmml": HALF}), SETTINGS)
    assert list(table["uar"]) == [1.0, 0.5]
    assert table["diff"].isna().all()


def test_no_correlations_are_no_obstacle() -> None:
    rows = evidence({"raw": HALF})
    values = metrics(rows, tabulate(rows, SETTINGS), pd.DataFrame(columns=["method"]), SETTINGS)
    assert set(values) == {"raw", "chance"}


def test_what_cannot_be_computed_is_null_in_json() -> None:
    assert rounded(float("nan")) is None
    assert rounded(0.12345678) == 0.123457
    assert json.dumps({"ci_low": rounded(float("inf"))}) == '{"ci_low": null}'


def test_predictions_have_every_utterance_once() -> None:
    rows = pd.concat([evidence({"raw": ALL, "jmml": HALF}, seed=seed) for seed in (3, 1)])
    table = predictions(rows)
    assert list(table.columns) == ["id", "group", "actual", "predicted"]
    assert len(table) == 16
    assert (table["actual"] == table["predicted"]).mean() == 0.5  # JMML, not raw
    alone = predictions(evidence({"raw": NONE, "jec-ssl": ALL}))
    assert (alone["actual"] == alone["predicted"]).all()


def test_training_curves_are_means_over_cells() -> None:
    def cell(value: float) -> dict[str, dict[str, list[dict[str, float]]]]:
        stage1 = [{"epoch": e, "loss": value + e} for e in (1, 2, 3)]
        stage2 = [{"epoch": e, "loss": 10 * value, "rho_train": value / 10} for e in (1, 2)]
        return {
            "raw": {},
            "jec-ssl": {"jec_ssl/speech": stage1},
            "jmml": {"jec_ssl/speech": stage1, "edcc_cae": stage2},
            "one-hot": {"jec_ssl/speech": stage1, "edcc_cae": stage2[:]},
        }

    curves = training_curves([cell(1.0), cell(3.0)])
    assert list(curves["stage1"].columns) == ["jec_ssl/speech/loss"]
    assert list(curves["stage1"]["jec_ssl/speech/loss"]) == [3.0, 4.0, 5.0]
    assert list(curves["stage1"].index) == [1, 2, 3]
    assert list(curves["stage2"]["jmml/edcc_cae/rho_train"]) == [0.2, 0.2]
    assert list(curves["stage2"]["one-hot/edcc_cae/loss"]) == [20.0, 20.0]
    assert training_curves([{"raw": {}}]) == {}
