"""Scores agree with scikit-learn and with hand calculation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from jmml.errors import ProtocolError
from jmml.evaluation import metrics

CLASSES = ("anger", "joy", "sadness", "calm")
labels = st.lists(st.tuples(st.sampled_from(CLASSES), st.sampled_from(CLASSES)), min_size=1, max_size=40)


@given(labels)
@settings(max_examples=100, deadline=None)
def test_against_scikit_learn(rows: list[tuple[str, str]]) -> None:
    y, p = zip(*rows, strict=True)
    present = sorted(set(y))
    recall = sk.recall_score(y, p, labels=present, average=None, zero_division=0)
    assert metrics.uar(y, p) == pytest.approx(recall.mean())
    assert metrics.per_class_recall(y, p) == pytest.approx(dict(zip(present, recall, strict=True)))
    assert metrics.accuracy(y, p) == pytest.approx(sk.accuracy_score(y, p))
    assert metrics.macro_f1(y, p) == pytest.approx(sk.f1_score(y, p, average="macro", zero_division=0))
    expected = sk.confusion_matrix(y, p, labels=CLASSES)
    assert np.array_equal(metrics.confusion(y, p, CLASSES), expected)


@given(labels, st.permutations(range(40)))
@settings(max_examples=30, deadline=None)
def test_row_order_does_not_matter(rows: list[tuple[str, str]], order: list[int]) -> None:
    shuffled = [rows[i] for i in order if i < len(rows)]
    for function in (metrics.uar, metrics.macro_f1, metrics.accuracy):
        y, p = zip(*rows, strict=True)
        y2, p2 = zip(*shuffled, strict=True)
        assert function(y, p) == pytest.approx(function(y2, p2))


def test_uar_ignores_class_frequencies() -> None:
    y = ["joy"] * 90 + ["calm"] * 10
    assert metrics.uar(y, ["joy"] * 100) == 0.5
    assert metrics.accuracy(y, ["joy"] * 100) == 0.9


def test_uar_of_stacks_and_absent_classes() -> None:
    counts = np.array(
        [[[2, 2, 0], [1, 3, 0], [0, 0, 0]], [[0, 5, 0], [0, 0, 0], [0, 0, 4]], np.zeros((3, 3))]
    )
    result = metrics.uar_of(counts)
    assert result[:2] == pytest.approx([(0.5 + 0.75) / 2, (0.0 + 1.0) / 2])
    assert np.isnan(result[2])


def test_ece_by_hand() -> None:
    # Bin (0.5, 0.6]: confidences 0.55 and 0.6, one right: |1 - 1.15|. Bin (0.9, 1]: 0.95, right: |1 - 0.95|.
    proba = [[0.55, 0.45], [0.4, 0.6], [0.95, 0.05]]
    value = metrics.expected_calibration_error(np.array(proba), np.array([0, 0, 0]))
    assert value == pytest.approx((0.15 + 0.05) / 3)


def test_ece_extremes() -> None:
    sure = np.eye(4)[[0, 1, 2, 3]]
    assert metrics.expected_calibration_error(sure, np.arange(4)) == 0.0
    assert metrics.expected_calibration_error(sure, (np.arange(4) + 1) % 4) == 1.0
    assert np.isnan(metrics.expected_calibration_error(np.empty((0, 4)), np.empty(0)))


def test_ece_against_an_explicit_loop() -> None:
    rng = np.random.default_rng(0)
    proba, y = rng.dirichlet(np.ones(4), size=500), rng.integers(0, 4, 500)
    confidence, right = proba.max(axis=1), proba.argmax(axis=1) == y
    total = 0.0
    for low in np.arange(0, 1, 0.1):
        inside = (confidence > low) & (confidence <= low + 0.1)
        if inside.any():
            total += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert metrics.expected_calibration_error(proba, y) == pytest.approx(total)


def test_ece_of_calibrated_predictions_vanishes_with_n() -> None:
    rng = np.random.default_rng(1)
    proba = rng.dirichlet(np.ones(3), size=40_000)
    y = (rng.random((40_000, 1)) > proba.cumsum(axis=1)).sum(axis=1)
    assert metrics.expected_calibration_error(proba, y) < 0.015
    sharpened = proba**3 / (proba**3).sum(axis=1, keepdims=True)
    assert metrics.expected_calibration_error(sharpened, y) > 0.1


@pytest.mark.parametrize("edge", [0.6, 0.7, 0.8, 0.9, 1.0])
def test_ece_bin_edges_belong_to_the_lower_bin(edge: float) -> None:
    # In one bin the two gaps cancel in part, |(1 - edge) + (0 - (edge - 0.02))|; in two bins they add up.
    proba = np.array([[edge, 1 - edge], [edge - 0.02, 1.02 - edge]])
    value = metrics.expected_calibration_error(proba, np.array([0, 1]))
    assert value == pytest.approx(abs(1 - edge - (edge - 0.02)) / 2)


def test_score_gathers_everything() -> None:
    y = ["joy", "joy", "calm", "anger"]
    proba = [[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0.7, 0.1, 0.1, 0.1]]
    assert metrics.score(y, proba, CLASSES) == pytest.approx(
        {
            "uar": (0.5 + 1 + 1) / 3,
            "accuracy": 0.75,
            "macro_f1": sk.f1_score(y, ["joy", "anger", "calm", "anger"], average="macro"),
            "ece": (abs(2 - 3) + abs(1 - 0.7)) / 4,  # two of three right where sure; one right at 0.7
            "recall_anger": 1.0,
            "recall_calm": 1.0,
            "recall_joy": 0.5,
        }
    )


def test_wrong_input_is_refused() -> None:
    with pytest.raises(ProtocolError, match="label 'bored' is none of the classes"):
        metrics.confusion(["bored"], ["joy"], CLASSES)
    with pytest.raises(ProtocolError, match="1 predictions for 2 labels"):
        metrics.confusion(["joy", "joy"], ["joy"], CLASSES)
    with pytest.raises(ProtocolError, match=r"shape \(1, 2\); expected \(1, 4\)"):
        metrics.score(["joy"], [[0.5, 0.5]], CLASSES)
