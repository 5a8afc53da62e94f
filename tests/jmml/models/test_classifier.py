"""Every classifier by name: probabilities, determinism, options, and the factory's completeness."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from jmml.config import ClassifierConfig, validate
from jmml.errors import ConfigError, ModelError
from jmml.models.classifier import fit_classifier, make_classifier
from jmml.plugins import CLASSIFIERS

NAMES = CLASSIFIERS.names()


def data(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Three classes of 60, 30 and 15 samples, scales that differ a thousandfold."""
    rng = np.random.default_rng(seed)
    y = np.repeat(["anger", "calm", "fear"], [60, 30, 15])
    centres = {"anger": [0, 0, 0], "calm": [1.5, 0, 0], "fear": [0, 1.5, 0]}
    X = rng.normal(size=(105, 3)) + np.array([centres[name] for name in y])
    order = rng.permutation(105)
    return (X * [1, 1000, 0.001])[order], y[order]


def test_the_registry_is_what_the_configuration_allows() -> None:
    assert NAMES == ("logistic-regression", "linear-svm", "rbf-svm", "random-forest", "mlp")
    with pytest.raises(ConfigError, match="name: unknown classifier 'mpl'; did you mean 'mlp'"):
        validate(ClassifierConfig, {"name": "mpl"})


@pytest.mark.parametrize("name", NAMES)
def test_probabilities_are_sound_informative_and_deterministic(name: str) -> None:
    (X, y), (X_new, y_new) = data(), data(1)
    fitted = make_classifier(ClassifierConfig(name=name), seed=7).fit(X, y)
    proba = fitted.predict_proba(X_new)
    assert fitted.classes_.tolist() == ["anger", "calm", "fear"]
    assert proba.shape == (105, 3)
    assert ((proba >= 0) & (proba <= 1)).all()
    np.testing.assert_allclose(proba.sum(1), 1.0)
    predicted = fitted.classes_[proba.argmax(1)]
    recall = [(predicted[y_new == c] == c).mean() for c in fitted.classes_]
    assert np.mean(recall) > 0.5
    # Log loss below that of the class frequencies: the numbers are probabilities, not only an order.
    index = np.searchsorted(fitted.classes_, y_new)
    prior = np.array([60, 30, 15]) / 105
    assert -np.log(proba[range(105), index] + 1e-9).mean() < -np.log(prior[index]).mean()
    np.testing.assert_array_equal(
        make_classifier(ClassifierConfig(name=name), seed=7).fit(X, y).predict_proba(X_new), proba
    )


@pytest.mark.parametrize("name", ["random-forest", "mlp"])
def test_the_seed_reaches_the_estimator(name: str) -> None:
    X, y = data()
    config = ClassifierConfig(name=name)
    first, second = (make_classifier(config, seed=s).fit(X, y).predict_proba(X) for s in (0, 1))
    assert not np.array_equal(first, second)


def test_support_vector_probabilities_are_platt_scaled_over_three_folds() -> None:
    X, y = data()
    ours = make_classifier(ClassifierConfig(name="linear-svm", options={"C": 0.5}), seed=3).fit(X, y)
    machine = LinearSVC(C=0.5, class_weight="balanced", random_state=3, max_iter=20000)
    reference = make_pipeline(
        StandardScaler(), CalibratedClassifierCV(machine, method="sigmoid", cv=3, ensemble=False)
    ).fit(X, y)
    np.testing.assert_array_equal(ours.predict_proba(X), reference.predict_proba(X))


def test_options_reach_the_estimator_and_beat_the_defaults() -> None:
    config = ClassifierConfig(name="random-forest", options={"n_estimators": 7, "random_state": 5})
    forest = make_classifier(config, seed=1).named_steps["classifier"]
    assert (forest.n_estimators, forest.random_state, forest.class_weight) == (7, 5, "balanced")


@pytest.mark.parametrize("name", NAMES)
def test_unknown_options_are_all_listed_with_the_valid_ones(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make_classifier(ClassifierConfig(name=name, options={"colour": 1, "max_itr": 2}))
    assert len(caught.value.problems) == 2
    assert "no option 'colour'" in caught.value.problems[0]
    assert "random_state" in caught.value.problems[0]
    if name != "random-forest":
        assert "did you mean 'max_iter'?" in caught.value.problems[1]


def test_a_value_the_estimator_does_not_accept_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="'C' parameter of LogisticRegression"):
        make_classifier(ClassifierConfig(options={"C": -1.0}))


def test_a_class_too_small_to_calibrate_is_named() -> None:
    X, y = data()
    keep = np.concatenate([np.flatnonzero(y != "fear"), np.flatnonzero(y == "fear")[:2]])
    with pytest.raises(ModelError, match="class 'fear' has 2 training samples; expected at least 3"):
        fit_classifier(make_classifier(ClassifierConfig(name="rbf-svm")), X[keep], y[keep])
    fit_classifier(make_classifier(ClassifierConfig()), X[keep], y[keep]).predict_proba(X)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda X, y: (X * np.nan, y), "315 feature values are not finite"),
        (lambda X, y: (X, np.repeat("calm", 105)), "all 105 rows have the class 'calm'"),
    ],
)
def test_bad_training_data_is_named(spoil, said: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ModelError, match=said):
        fit_classifier(make_classifier(ClassifierConfig()), *spoil(*data()))
