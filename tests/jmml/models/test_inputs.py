"""Checks of features and labels, and standardisation against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from jmml.errors import ModelError
from jmml.models.inputs import Standardiser, check_features, check_labels, check_same_classes


@pytest.mark.parametrize(
    ("X", "said"),
    [
        (
            [[1.0, np.nan], [np.inf, 2.0]],
            r"speech: 2 feature values are not finite, first at row 0, column 1",
        ),
        ([[1.0, 2.0, 3.0]], r"3 features per row; expected 2"),
        ([1.0, 2.0], r"shape \(2,\)"),
        (np.empty((0, 2)), r"shape \(0, 2\)"),
        ([["a", "b"]], "not numbers"),
    ],
)
def test_unusable_features_are_named(X: object, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        check_features(X, where="speech", width=2)


@pytest.mark.parametrize(
    ("y", "said"),
    [
        (["a", "a", "a"], "all 3 rows have the class 'a'"),
        (["a", "b"], r"labels of shape \(2,\) for 3 rows"),
        (np.array(["a", None, "b"], dtype=object), "1 of 3 labels are missing"),
        ([0.0, np.nan, np.nan], "2 of 3 labels are missing"),
    ],
)
def test_unusable_labels_are_named(y: object, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        check_labels(y, 3, where="speech")


def test_classes_are_sorted_whatever_the_type_of_the_labels() -> None:
    for y in (["b", "a", "b"], np.array(["b", "a", "b"], dtype=object), np.array(["b", "a", "b"])):
        classes, codes = check_labels(y, 3, where="speech")
        assert classes.tolist() == ["a", "b"]
        assert codes.tolist() == [1, 0, 1]


def test_a_class_of_one_modality_only_is_named() -> None:
    with pytest.raises(ModelError, match=r"one modality only: 'fear' \(speech\), 'calm' \(EEG\)"):
        check_same_classes(["fear", "anger"], ["anger", "calm", "anger"], (2, 3), where="pairs")


def test_standardiser_is_that_of_scikit_learn_and_inverts() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(3.0, 10.0, size=(30, 5))
    X[:, 2] = 1e6 + 0.1  # constant up to rounding
    new = rng.normal(size=(4, 5))
    scaler = Standardiser.fit(X)
    np.testing.assert_allclose(scaler(new), StandardScaler().fit(X).transform(new), rtol=1e-12)
    np.testing.assert_allclose(scaler(X)[:, 2], 0.0, atol=1e-6)
    np.testing.assert_allclose(scaler.inverse(scaler(new)), new, rtol=1e-9)
