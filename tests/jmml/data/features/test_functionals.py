"""Functionals against numpy and scipy."""

import numpy as np
import pytest
from scipy.stats import linregress

from jmml.data.features import functionals


def test_against_numpy_and_scipy() -> None:
    rng = np.random.default_rng(0)
    contours, times = rng.normal(size=(3, 50)), np.sort(rng.uniform(0, 2, size=50))
    got = functionals.apply(contours, times, functionals.FUNCTIONALS)
    for row, values in zip(contours, got, strict=True):
        by_name = dict(zip(functionals.FUNCTIONALS, values, strict=True))
        assert by_name["mean"] == pytest.approx(np.mean(row))
        assert by_name["std"] == pytest.approx(np.std(row))
        assert by_name["p10"] == pytest.approx(np.percentile(row, 10))
        assert by_name["p50"] == pytest.approx(np.median(row))
        assert by_name["range"] == pytest.approx(np.percentile(row, 90) - np.percentile(row, 10))
        assert by_name["mean_abs"] == pytest.approx(np.mean(np.abs(row)))
        assert by_name["slope"] == pytest.approx(linregress(times, row).slope)


def test_a_single_frame_has_no_slope_and_no_spread() -> None:
    got = functionals.apply(np.array([[7.0]]), np.array([0.3]), ("mean", "std", "range", "slope"))
    np.testing.assert_array_equal(got, [[7.0, 0.0, 0.0, 0.0]])


def test_units() -> None:
    assert functionals.unit("slope", "dB") == "dB/s"
    assert functionals.unit("slope", "1") == "1/s"
    assert functionals.unit("p90", "Hz") == "Hz"
