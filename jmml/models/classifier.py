"""The final classifier: scikit-learn estimators by name, each behind a standardising pipeline.

Every classifier has ``predict_proba`` and is deterministic for a given seed. Classes are weighted by inverse
frequency where the estimator supports it (all but the MLP), as the main metric averages recall over classes.

The support vector machines have decision values, not probabilities. Theirs come from Platt scaling
(``CalibratedClassifierCV`` with ``method="sigmoid"``, ``ensemble=False``): three folds of the training rows,
in their given order, yield decision values of rows the machine did not see, on which one sigmoid per class is
fitted; the machine itself is fitted on all rows, and the sigmoids are normalised over the classes. All of it
uses training rows only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from jmml.config import ClassifierConfig
from jmml.errors import ConfigError, ModelError, nearest
from jmml.plugins import CLASSIFIERS

if (
    TYPE_CHECKING
):  # names of classifiers are checked in settings, which need not wait a second for scikit-learn
    from sklearn.base import BaseEstimator
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.pipeline import Pipeline

Option = bool | int | float | str | None
CALIBRATION_FOLDS = 3


def _logistic_regression(options: Mapping[str, Option], seed: int) -> BaseEstimator:
    from sklearn.linear_model import LogisticRegression

    return _build(LogisticRegression, {"max_iter": 2000, "class_weight": "balanced"}, options, seed)


def _linear_svm(options: Mapping[str, Option], seed: int) -> BaseEstimator:
    from sklearn.svm import LinearSVC

    # At a small C, the honest one for a few hundred utterances, the dual solver needs its iterations.
    defaults: dict[str, Option] = {"C": 0.1, "max_iter": 20000, "class_weight": "balanced"}
    return _calibrated(_build(LinearSVC, defaults, options, seed))


def _rbf_svm(options: Mapping[str, Option], seed: int) -> BaseEstimator:
    from sklearn.svm import SVC

    return _calibrated(_build(SVC, {"kernel": "rbf", "class_weight": "balanced"}, options, seed))


def _random_forest(options: Mapping[str, Option], seed: int) -> BaseEstimator:
    from sklearn.ensemble import RandomForestClassifier

    defaults: dict[str, Option] = {"n_estimators": 200, "min_samples_leaf": 2, "class_weight": "balanced"}
    return _build(RandomForestClassifier, defaults, options, seed)


def _mlp(options: Mapping[str, Option], seed: int) -> BaseEstimator:
    from sklearn.neural_network import MLPClassifier

    defaults: dict[str, Option] = {"hidden_layer_sizes": 32, "alpha": 1e-2, "tol": 1e-3, "max_iter": 2000}
    return _build(MLPClassifier, defaults, options, seed)


Builder = Callable[[Mapping[str, Option], int], "BaseEstimator"]
_TABLE: dict[str, Builder] = {
    "logistic-regression": _logistic_regression,
    "linear-svm": _linear_svm,
    "rbf-svm": _rbf_svm,
    "random-forest": _random_forest,
    "mlp": _mlp,
}
for _name, _builder in _TABLE.items():
    CLASSIFIERS.register(_name, _builder)


def make_classifier(config: ClassifierConfig, seed: int = 0) -> Pipeline:
    """An unfitted ``Pipeline(StandardScaler, estimator)`` with ``predict_proba``.

    Parameters
    ----------
    config : the estimator's name, and options that replace its keyword arguments.
    seed : its ``random_state``, unless the options set one.

    Raises
    ------
    ConfigError : options that the estimator does not have, all at once, each with the valid ones; or a value
        it does not accept.

    Example
    -------
    >>> X = np.random.default_rng(0).normal(size=(30, 4))
    >>> machine = make_classifier(ClassifierConfig(name="linear-svm", options={"C": 1.0}))
    >>> machine.fit(X, np.repeat(["calm", "fear", "happiness"], 10)).predict_proba(X).shape
    (30, 3)
    """
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    estimator = CLASSIFIERS[config.name](config.options, seed)
    return Pipeline([("scaler", StandardScaler()), ("classifier", estimator)])


def fit_classifier(classifier: Pipeline, X: npt.ArrayLike, y: npt.ArrayLike) -> Pipeline:
    """``classifier`` fitted on X (n, D) and y (n,), with this project's errors in place of scikit-learn's.

    Raises
    ------
    ModelError : values that are not finite, fewer than two classes, or a class with too few samples to
        calibrate.
    """
    from sklearn.calibration import CalibratedClassifierCV

    from jmml.models.inputs import check_features, check_labels

    matrix = check_features(X, where="classifier")
    classes, codes = check_labels(y, len(matrix), where="classifier")
    counts = np.bincount(codes)
    estimator = classifier.named_steps["classifier"]
    if isinstance(estimator, CalibratedClassifierCV) and counts.min() < CALIBRATION_FOLDS:
        raise ModelError(
            f"class '{classes[counts.argmin()]}' has {counts.min()} training samples",
            where="classifier",
            expected=f"at least {CALIBRATION_FOLDS} to calibrate a support vector machine",
            fix="choose logistic-regression, or add recordings",
        )
    return classifier.fit(matrix, np.asarray(y))


def _build(
    kind: type[BaseEstimator], defaults: Mapping[str, Option], options: Mapping[str, Option], seed: int
) -> BaseEstimator:
    # What scikit-learn has deprecated would only earn a warning.
    valid = [name for name, value in kind().get_params().items() if value != "deprecated"]
    unknown = sorted(set(options) - set(valid))
    if unknown:
        problems = [f"{kind.__name__} has no option '{name}'; {nearest(name, valid)}" for name in unknown]
        raise ConfigError(problems, where="classifier.options")
    estimator = kind(**{"random_state": seed, **defaults, **options})
    try:
        # What `fit` would check first; a bad value must not surface after both stages have been trained.
        estimator._validate_params()  # noqa: SLF001 - `fit` does it, with data alone
    except ValueError as error:
        raise ConfigError([str(error)], where="classifier.options") from None
    return estimator


def _calibrated(machine: BaseEstimator) -> CalibratedClassifierCV:
    from sklearn.calibration import CalibratedClassifierCV

    return CalibratedClassifierCV(machine, method="sigmoid", cv=CALIBRATION_FOLDS, ensemble=False)
