"""Checks of features and labels, and standardisation against scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.exceptions import DataConversionWarning
from sklearn.preprocessing import StandardScaler

from jmml.errors import ModelError
from jmml.models.inputs import Standardiser, check_features, check_labels, check_same_classes


@pytest.mark.parametrize(
    ("X", "said"),
    [
        (
            [[1.0, np.nan], [np.inf, 2.0]],
            r"speech: 2 feature values are not finite \(NaN or inf\), first at row 0, column 1",
        ),
        ([[1.0, 2.0, 3.0]], r"X has 3 features; expected 2"),
        ([1.0, 2.0], r"shape \(2,\)"),
        (np.empty((0, 2)), r"0 sample\(s\) \(shape=\(0, 2\)\) while a minimum of 1"),
        (np.empty((3, 0)), r"0 feature\(s\) \(shape=\(3, 0\)\) while a minimum of 1"),
        ([["a", "b"]], "not numbers"),
        ([[1.0, 2.0], [3.0]], "not numbers"),
        ([[1.0, 2.0j]], "Complex data not supported"),
        (sparse.eye(2, format="csr"), "sparse features; expected a dense matrix"),
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
        ([0.0, np.inf, 1.0], "Unknown label type: the labels are continuous"),
        ([0.5, 0.0, 1.0], "Unknown label type: the labels are continuous"),
        (None, "requires y to be passed, but the target y is None"),
    ],
)
def test_unusable_labels_are_named(y: Any, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        check_labels(y, 3, where="speech")


def test_classes_are_sorted_whatever_the_type_of_the_labels() -> None:
    for y in (["b", "a", "b"], np.array(["b", "a", "b"], dtype=object), np.array(["b", "a", "b"])):
        classes, codes = check_labels(y, 3, where="speech")
        assert classes.tolist() == ["a", "b"]
        assert codes.tolist() == [1, 0, 1]


def test_what_is_no_number_is_also_a_type_error() -> None:
    with pytest.raises(TypeError, match="must be a string or a real number") as caught:
        check_features(np.array([[1.0, {"a": 1}]], dtype=object), where="speech")
    assert isinstance(caught.value, ModelError)


def test_a_vector_is_a_column_only_where_that_is_meant() -> None:
    np.testing.assert_array_equal(check_features([1, 2], where="EEG", vector=True), [[1.0], [2.0]])


def test_a_column_of_labels_is_read_as_a_vector_with_a_warning() -> None:
    with pytest.warns(DataConversionWarning, match="column-vector"):
        _, codes = check_labels([["b"], ["a"], ["b"]], 3, where="speech")
    assert codes.tolist() == [1, 0, 1]


def test_a_class_of_one_modality_only_is_named() -> None:
    with pytest.raises(ModelError, match=r"only: 'fear' \(1 speech rows\), 'calm' \(1 EEG rows\); 1 in both"):
        check_same_classes(["fear", "anger"], ["anger", "calm", "anger"], (2, 3), where="pairs")


def test_label_spaces_without_a_common_class_are_named() -> None:
    said = r"'fear' \(2 speech rows\), 'sad' \(1 speech rows\), '0' \(1 EEG rows\), '1' \(2 EEG rows\); none in both"
    with pytest.raises(ModelError, match=said):
        check_same_classes(["fear", "sad", "fear"], [0, 1, 1], (3, 3), where="pairs")


def test_standardiser_is_that_of_scikit_learn_and_inverts() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(3.0, 10.0, size=(30, 5))
    X[:, 2] = 1e6 + 0.1  # constant up to rounding
    new = rng.normal(size=(4, 5))
    scaler = Standardiser.fit(X)
    np.testing.assert_allclose(scaler(new), StandardScaler().fit(X).transform(new), rtol=1e-12)
    np.testing.assert_allclose(scaler(X)[:, 2], 0.0, atol=1e-6)
    np.testing.assert_allclose(scaler.inverse(scaler(new)), new, rtol=1e-9)
