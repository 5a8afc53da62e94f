"""Normalisation by group against scikit-learn, and its laws."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler

from jmml.data.features.normalise import Enrolment, zscore_per_group
from jmml.errors import ProtocolError

RNG = np.random.default_rng(0)
X = RNG.normal(3, 5, size=(40, 6)).astype(np.float32)
GROUPS = np.array(["a", "b", "c", "d"], dtype=object).repeat(10)


def test_each_group_equals_a_standard_scaler_of_its_own() -> None:
    got = zscore_per_group(X, GROUPS)
    for group in "abcd":
        rows = np.equal(GROUPS, group)
        np.testing.assert_allclose(got[rows], StandardScaler().fit_transform(X[rows]), atol=1e-5)


@given(st.floats(0.01, 100), st.floats(-100, 100))
@settings(deadline=None)
def test_a_speakers_own_scale_and_offset_vanish(gain: float, offset: float) -> None:
    moved = X.astype(np.float64)
    moved[GROUPS == "b"] = moved[GROUPS == "b"] * gain + offset
    np.testing.assert_allclose(zscore_per_group(moved, GROUPS), zscore_per_group(X, GROUPS), atol=1e-4)


def test_groups_do_not_influence_each_other() -> None:
    other = X.copy()
    other[GROUPS == "b"] = 1e6 * RNG.normal(size=(10, 6))
    keep = GROUPS != "b"
    np.testing.assert_array_equal(zscore_per_group(other, GROUPS)[keep], zscore_per_group(X, GROUPS)[keep])


def test_enrolment_of_the_same_rows_is_the_transductive_result() -> None:
    rows = GROUPS == "c"
    np.testing.assert_array_equal(Enrolment.fit(X[rows]).apply(X[rows]), zscore_per_group(X, GROUPS)[rows])
    assert Enrolment.fit(X[rows]).apply(X[0]).shape == (6,)


def test_a_feature_that_does_not_vary_is_centred_and_not_scaled() -> None:
    constant = X.copy()
    constant[:, 2] = 0.1 + 0.2  # a mean of equal numbers is off by rounding
    got = zscore_per_group(constant, GROUPS)
    assert np.abs(got[:, 2]).max() < 1e-6
    enrolment = Enrolment.fit(constant)
    assert enrolment.std[2] == 1.0
    assert enrolment.apply(constant[0] + np.float32(0.5))[2] == pytest.approx(0.5, abs=1e-6)


def test_one_recording_is_not_enough() -> None:
    with pytest.raises(ProtocolError, match="group 'e': 1 recording cannot"):
        zscore_per_group(X[:11], np.array([*GROUPS[:10], "e"], dtype=object))
    with pytest.raises(ProtocolError, match="at least 2 recordings"):
        Enrolment.fit(X[:0])


def test_enrolment_of_other_features_is_refused() -> None:
    with pytest.raises(ProtocolError, match="5 features, but enrolment holds 6"):
        Enrolment.fit(X).apply(X[:, :5])
