"""Counted parameters are those of real models, and the matched encoder has as many."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from jmml.config import ClassifierConfig, MethodConfig, Stage1Config, Stage2Config
from jmml.errors import ModelError
from jmml.models.capacity import (
    TOLERANCE,
    inference_cost,
    matched_hidden,
    parameters_of_encoder,
    parameters_of_jmml,
    parameters_of_stage1,
)
from jmml.models.edcc_cae import EDCCCAE
from jmml.models.jec_ssl import JECSSL
from jmml.models.speech_only import Autoencoder
from jmml.recogniser import EmotionRecogniser
from jmml.view import View


def config(h1: int, p: int, r: int, h2: int, k: int) -> MethodConfig:
    return MethodConfig(
        stage1=Stage1Config(hidden=h1, p=p, r=r), stage2=Stage2Config(hidden=h2, k=k, lam_r=0.0)
    )


def test_the_count_is_that_of_fitted_models() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(90, 11)), np.arange(90) % 3
    chosen = config(h1=7, p=2, r=5, h2=6, k=3)
    one = JECSSL(p=2, r=5, hidden=7, epochs=1).fit(X, y)
    two = EDCCCAE(k=3, hidden=6, epochs=1).fit(one.transform(X), one.transform(X))
    assert one.pls_ is not None
    branches = sum(getattr(one.network_, name).numel() for name in ("w1", "b1", "w2", "b2"))
    assert parameters_of_stage1(11, 3, chosen.stage1) == branches + one.pls_.rotation.size
    assert parameters_of_jmml(11, 3, chosen) == branches + one.pls_.rotation.size + two.n_parameters()
    assert parameters_of_encoder(11, 9, 3) == Autoencoder(k=3, hidden=9, epochs=1).fit(X).n_parameters()


@pytest.mark.parametrize("C", [2, 4, 6, 8])
@pytest.mark.parametrize("D", [20, 88, 297, 1000])
def test_the_matched_encoder_has_as_many_parameters_within_five_per_cent(D: int, C: int) -> None:
    for h1, p, (r, k), h2 in product((8, 64, 256), (2, 16), ((4, 2), (8, 6), (20, 20)), (16, 64)):
        chosen = config(h1, p, r, h2, k)
        wanted = parameters_of_jmml(D, C, chosen)
        hidden = matched_hidden(D, C, chosen)
        found = parameters_of_encoder(D, hidden, k)
        assert abs(found - wanted) <= TOLERANCE * wanted
        # No other width comes closer.
        for other in (hidden - 1, hidden + 1):
            assert abs(parameters_of_encoder(D, other, k) - wanted) >= abs(found - wanted)


def test_a_method_too_small_to_match_is_refused() -> None:
    tiny = config(h1=1, p=1, r=1, h2=40, k=1)
    assert parameters_of_jmml(90, 2, tiny) == 3 * (90 + 1 + 1 + 1 + 1) + (40 + 40 + 40 + 1)
    with pytest.raises(
        ModelError, match=r"encoder 90 -> 4 -> 1 has 369 parameters and JMML has 403.*at most 5 %"
    ):
        matched_hidden(90, 2, tiny)


# ---------------------------------------------------------------------- what an utterance costs

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
