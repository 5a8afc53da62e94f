"""What an utterance costs is what is counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from jmml.config import ClassifierConfig, MethodConfig, Stage1Config, Stage2Config
from jmml.errors import ModelError
from jmml.inference_cost import inference_cost
from jmml.models.capacity import matched_hidden
from jmml.recogniser import EmotionRecogniser
from jmml.view import View

N, D, C, H1, P, R, H2, K = 120, 11, 3, 7, 2, 5, 6, 3
STAGE1 = D + (C + 1) * (D * H1 + H1 * P + P) + (C + 1) * P * R
ENCODER = R + R * H2 + H2 * K + K
DECODER = K * H2 + H2 * R + R


def fitted(method: str = "jmml", k: int = K, **options: object) -> EmotionRecogniser:
    """On Gaussian classes of ``D`` features; ``options`` of stage 2, of the classifier and its number of classes."""
    rng = np.random.default_rng(0)
    classes = int(options.pop("classes", C))  # type: ignore[call-overload]
    classifier = options.pop("classifier", {})
    y = np.arange(N) % classes
    names = np.array([str(i) for i in range(N)], dtype=object)
    views = [View(rng.normal(size=(N, D)) + rng.normal(size=(C, D))[y], y, names, names, names) for _ in "se"]
    chosen = MethodConfig(
        stage1=Stage1Config(hidden=H1, p=P, r=R, epochs=2),
        stage2=Stage2Config(hidden=H2, k=k, epochs=2, **options),  # type: ignore[arg-type]
        classifier=ClassifierConfig(**classifier),  # type: ignore[arg-type]
    )
    return EmotionRecogniser(method, chosen, ("a", "b", "c")[:classes]).fit(*views)  # type: ignore[arg-type]


def test_the_cost_of_jmml_is_that_counted_by_hand() -> None:
    assert inference_cost(fitted()) == STAGE1 + ENCODER + DECODER + (K + R) + C * (K + R)
    assert inference_cost(fitted(imagined=False)) == STAGE1 + ENCODER + K + C * K
    assert inference_cost(fitted(lam_x=0.0)) == STAGE1 + ENCODER + K + C * K


def test_the_cost_of_other_methods_is_that_counted_by_hand() -> None:
    assert inference_cost(fitted("raw")) == D + C * D
    assert inference_cost(fitted("jec-ssl")) == STAGE1 + R + C * R
    assert inference_cost(fitted("linear-cca")) == STAGE1 + R + R * K + K + K + C * K
    assert inference_cost(fitted("vicreg")) == STAGE1 + ENCODER + K + C * K
    mlp = fitted("mlp")
    hidden = matched_hidden(D, C, mlp.config)
    assert inference_cost(mlp) == D + D * hidden + hidden * K + K + K + C * K


def test_a_wider_code_costs_more() -> None:
    costs = [inference_cost(fitted(k=k)) for k in (1, 2, 3, 4, 5)]
    assert costs == sorted(set(costs))
    # One more column: of encoder, normalisation, decoder, scaler and classifier.
    assert costs[1] - costs[0] == H2 + 1 + H2 + 1 + C


def test_the_cost_of_each_classifier() -> None:
    d = D  # of the method on the features themselves

    def head(name: str, **options: object) -> tuple[float, object]:
        model = fitted("raw", classifier={"name": name, "options": options})
        return inference_cost(model) - d, model.heads["speech"].named_steps["classifier"]

    assert head("logistic-regression")[0] == C * d
    assert head("linear-svm")[0] == C * d + C
    assert head("mlp", hidden_layer_sizes=4)[0] == d * 4 + 4 * C
    found, machine = head("rbf-svm")
    svc = machine.calibrated_classifiers_[0].estimator  # type: ignore[attr-defined]
    n = len(svc.support_)
    assert found == n * (d + 1) + n * (C - 1) + C
    found, forest = head("random-forest", n_estimators=3, bootstrap=False)
    trees = [tree.decision_path(forest_input()).sum(axis=1) - 1 for tree in forest.estimators_]  # type: ignore[attr-defined]
    assert found == pytest.approx(sum(float(path.mean()) for path in trees) + 3 * C)
    two = fitted("raw", classes=2)
    assert inference_cost(two) == D + D


def forest_input() -> np.ndarray:
    """What the forest was trained on: the standardised speech features of :func:`fitted`."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, D)) + rng.normal(size=(C, D))[np.arange(N) % C]
    standard: np.ndarray = (X - X.mean(0)) / X.std(0)
    return standard.astype(np.float32)


def test_an_unfitted_model_has_no_cost() -> None:
    with pytest.raises(ModelError, match="no classifier for speech"):
        inference_cost(EmotionRecogniser("raw", MethodConfig(), ("a", "b")))
