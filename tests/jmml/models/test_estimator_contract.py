"""The estimators as scikit-learn sees them: its own checks, pipelines, searches, names of columns, files.

One check of scikit-learn does not apply: ``EDCCCAE.fit`` names its second argument ``X_eeg``, not ``y``, as it is a
second view; it is accepted in the place of ``y`` all the same, which is what pipelines and searches rely on.
``check_array_api_input`` is skipped by scikit-learn itself unless SCIPY_ARRAY_API is set. The models are small, as the
checks fit hundreds of them; ``lr=1e-2``, as ``check_classifiers_train`` wants 83 % of 200 training rows recognised, for
which the defaults take too few steps of Adam.
"""

from __future__ import annotations

import inspect
import subprocess
import sys
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import check_is_fitted

import jmml.models
from jmml.errors import ModelError
from jmml.models import EDCCCAE, JECSSL
from jmml.models.correlation import canonical_correlations
from jmml.models.persistence import load_state, save_state

NOT_APPLICABLE = {"check_fit_score_takes_y": "the second argument of fit is a view and is called X_eeg"}


@parametrize_with_checks(
    [JECSSL(p=2, r=1, hidden=8, epochs=15, lr=1e-2), EDCCCAE(k=1, hidden=4, epochs=2)],
    expected_failed_checks=lambda model: NOT_APPLICABLE if isinstance(model, EDCCCAE) else {},
)
def test_the_checks_of_scikit_learn(estimator: Any, check: Any) -> None:
    check(estimator)


def labelled(n: int = 120, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = np.array(["anger", "calm", "fear"])[np.arange(n) % 3]
    centres = np.random.default_rng(99).normal(size=(3, 10))
    return rng.normal(size=(n, 10)) + 1.5 * centres[np.arange(n) % 3], y


def parallel(n: int = 200, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(n, 2))
    return (
        shared @ [[1.0, 0, 1, 2], [0, 1, 1, -1]] + 0.5 * rng.normal(size=(n, 4)),
        shared @ [[1.0, 0, 1], [0, 1, -1]] + 0.5 * rng.normal(size=(n, 3)),
    )


def stage1(**changes: object) -> JECSSL:
    return JECSSL(**{"p": 3, "r": 3, "hidden": 8, "epochs": 8, "lr": 1e-2, **changes})


def stage2(**changes: object) -> EDCCCAE:
    return EDCCCAE(**{"k": 2, "hidden": 8, "epochs": 5, **changes})


def test_the_defaults_work() -> None:
    X, y = labelled(160)
    u = jmml.models.JECSSL().fit(X, y).transform(X)
    assert u.shape == (160, 8)
    # Recorded apart: 160 utterances, 90 trials in another order, the same classes.
    X_eeg, y_eeg = labelled(90, seed=1)
    z = jmml.models.EDCCCAE().fit(u, X_eeg[::-1], y, y_eeg[::-1]).transform(X_speech=u)
    assert z.shape == (160, 6)
    # Recorded together: the partner of every row is given.
    parallel = jmml.models.EDCCCAE().fit(u, X[::-1], pairs=np.arange(160)[::-1])
    assert parallel.transform(X_speech=u).shape == (160, 6)


def test_partners_are_drawn_within_the_class_unless_they_are_given() -> None:
    X, y = labelled(160)
    by_label = stage2(epochs=20).fit(X, X, y, y).history_[-1]["rho_train"]
    by_row = stage2(epochs=20).fit(X, X, y, y, pairs=np.arange(160)).history_[-1]["rho_train"]
    assert by_label < 0.9 < 0.95 < by_row


def test_jec_ssl_classifies_by_its_class_vectors() -> None:
    (X, y), (X_new, y_new) = labelled(), labelled(seed=1)
    fitted = stage1(epochs=30).fit(X, y)
    logits = fitted.class_logits(X_new)
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(fitted.predict_proba(X_new), expected, rtol=1e-12)
    np.testing.assert_array_equal(fitted.predict(X_new), fitted.classes_[logits.argmax(1)])
    assert fitted.score(X_new, y_new) == (fitted.predict(X_new) == y_new).mean() > 0.8
    assert is_classifier(fitted)


def test_jec_ssl_is_a_step_of_a_pipeline_and_its_settings_can_be_searched() -> None:
    (X, y), (X_new, y_new) = labelled(), labelled(seed=1)
    pipeline = make_pipeline(StandardScaler(), stage1(), LogisticRegression())
    search = GridSearchCV(pipeline, {"jecssl__r": [1, 3], "jecssl__alpha": [0.0, 1.0]}, cv=3).fit(X, y)
    assert len(search.cv_results_["params"]) == 4
    assert not np.isnan(search.cv_results_["mean_test_score"]).any()
    assert search.score(X_new, y_new) > 0.8
    alone = GridSearchCV(stage1(), {"epochs": [1, 30]}, cv=3).fit(X, y)
    assert alone.best_params_ == {"epochs": 30}


def mean_rho(model: EDCCCAE, X_speech: np.ndarray, X_eeg: np.ndarray) -> float:
    """A scorer: the mean canonical correlation of the codes of held-out pairs."""
    codes = model.transform(X_speech), model.transform(X_eeg=X_eeg)
    return canonical_correlations(*map(torch.from_numpy, codes)).mean().item()


def test_edcc_cae_can_be_searched_over_parallel_rows_with_the_eeg_as_second_argument() -> None:
    speech, eeg = parallel()
    search = GridSearchCV(stage2(), {"epochs": [1, 30]}, cv=KFold(4), scoring=mean_rho).fit(speech, eeg)
    assert search.best_params_ == {"epochs": 30}
    by_hand = [
        mean_rho(stage2(epochs=30).fit(speech[train], eeg[train]), speech[test], eeg[test])
        for train, test in KFold(4).split(speech)
    ]
    assert search.best_score_ == pytest.approx(np.mean(by_hand), abs=1e-12)
    np.testing.assert_array_equal(search.transform(speech), search.best_estimator_.transform(X_speech=speech))


def test_edcc_cae_is_a_step_of_a_pipeline() -> None:
    speech, eeg = parallel()
    steps = make_pipeline(StandardScaler(), stage2()).fit(speech, eeg)
    assert steps.transform(speech).shape == (200, 2)


@pytest.mark.parametrize(
    "model", [stage1(alpha=0.5, seed=7), stage2(lam_x=0.0, seed=7)], ids=["JECSSL", "EDCCCAE"]
)
def test_clones_share_settings_and_nothing_that_was_fitted(model: Any) -> None:
    X, y = labelled()
    model.fit(X, X, y, y) if isinstance(model, EDCCCAE) else model.fit(X, y)
    twin = clone(model)
    assert twin.get_params() == model.get_params()
    assert set(vars(twin)) == set(model.get_params())
    twin.set_params(epochs=1)
    assert twin.epochs == 1 != model.epochs
    with pytest.raises(NotFittedError):
        check_is_fitted(twin)


@pytest.mark.parametrize(
    "method", [JECSSL.transform, JECSSL.predict, JECSSL.predict_proba, JECSSL.class_logits]
)
def test_inference_of_stage_1_takes_features_alone(method: Any) -> None:
    assert list(inspect.signature(method).parameters) == ["self", "X"]


@pytest.mark.parametrize("method", [EDCCCAE.transform, EDCCCAE.imagine])
def test_inference_of_stage_2_takes_no_label_and_either_modality(method: Any) -> None:
    parameters = inspect.signature(method).parameters
    assert list(parameters) == ["self", "X_speech", "X_eeg"]
    assert parameters["X_eeg"].default is None


def test_a_model_that_was_not_fitted_to_the_end_says_so_in_both_trees_of_errors() -> None:
    X, y = labelled()
    unfinished = stage1()
    next(unfinished.iter_fit(X, y))
    for call in (lambda: unfinished.predict(X), lambda: stage2().transform(X)):
        with pytest.raises(NotFittedError, match="has not been fitted") as caught:
            call()
        assert isinstance(caught.value, ModelError)
        assert str(copy(caught.value)) == str(caught.value)
    with pytest.raises(NotFittedError):
        check_is_fitted(unfinished)


def test_names_of_columns_are_kept_compared_and_saved() -> None:
    X, y = labelled()
    frame = pd.DataFrame(X, columns=[f"mfcc{i}" for i in range(10)])
    one, two = stage1().fit(frame, y), stage2().fit(frame, X, y, y)
    swapped = frame.rename(columns={"mfcc3": "f0"})
    for model in (one, two, JECSSL.from_state(*one.state()), EDCCCAE.from_state(*two.state())):
        assert model.n_features_in_ == 10
        assert list(model.feature_names_in_) == list(frame.columns)
        assert np.isfinite(model.transform(frame)).all()
        with pytest.raises(ModelError, match=r"unseen at fit time: - f0 .*now missing: - mfcc3"):
            model.transform(swapped)
        with pytest.raises(ModelError, match="seen at fit time, yet now missing: - mfcc9"):
            model.transform(frame.iloc[:, :9])
    assert one.set_output(transform="pandas").transform(frame).columns.tolist() == [
        "jecssl0",
        "jecssl1",
        "jecssl2",
    ]
    assert not hasattr(stage1().fit(X, y), "feature_names_in_")


def test_a_row_does_not_depend_on_the_rows_around_it() -> None:
    """Inference is in float64: one row alone and the same row among many differ in the last bits of that."""
    X, y = labelled()
    one, two = stage1().fit(X, y), stage2().fit(X, X, y, y)
    for apply in (
        one.transform,
        one.class_logits,
        two.transform,
        lambda X: two.transform(X_eeg=X),
        two.imagine,
    ):
        rows = np.concatenate([apply(X[i : i + 1]) for i in range(len(X))])
        np.testing.assert_allclose(rows, apply(X), rtol=0, atol=1e-12)


def test_settings_that_a_search_took_from_arrays_can_be_saved(tmp_path: Path) -> None:
    X, y = labelled()
    fitted = stage1(r=np.int64(2), lr=np.float64(0.01)).fit(X, y)
    save_state(tmp_path, "stage1", *fitted.state())
    twin = JECSSL.from_state(*load_state(tmp_path, "stage1"))
    assert twin.get_params() == fitted.get_params()
    np.testing.assert_array_equal(twin.predict_proba(X), fitted.predict_proba(X))


def test_the_package_is_light_until_a_model_is_asked_for() -> None:
    light, heavy = "assert 'torch' not in sys.modules", "assert 'torch' in sys.modules"
    program = f"import sys, jmml.models; {light}; jmml.models.JECSSL; {heavy}"
    subprocess.run([sys.executable, "-c", program], check=True)
    assert {"EDCCCAE", "JECSSL"} <= set(dir(jmml.models))
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = jmml.models.Nothing
