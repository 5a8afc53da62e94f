"""Spectral descriptors against librosa and closed forms."""

import librosa
import numpy as np
import pytest

from jmml.data.features import spectrum
from jmml.errors import ConfigError
from tests.jmml.data.features.signals import RATE, vowels

FREQUENCY = librosa.fft_frequencies(sr=RATE, n_fft=512)


def power_of(signal: np.ndarray) -> np.ndarray:
    return np.abs(librosa.stft(signal, n_fft=512, hop_length=160)) ** 2


def test_shape_equals_librosa() -> None:
    power = power_of(vowels(0)[0]) + 1e-6
    magnitude = np.sqrt(power)
    got = spectrum.spectral_shape(power, FREQUENCY, RATE)
    feature = librosa.feature
    expected = {
        "centroid": feature.spectral_centroid(S=magnitude, sr=RATE),
        "bandwidth": feature.spectral_bandwidth(S=magnitude, sr=RATE),
        "rolloff": feature.spectral_rolloff(S=magnitude, sr=RATE, roll_percent=0.85),
        "flatness": 10 * np.log10(feature.spectral_flatness(S=magnitude, power=2.0)),
        "contrast": feature.spectral_contrast(S=power, sr=RATE),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(got[name], values, rtol=2e-4, atol=2e-3, err_msg=name)


def test_tilt_of_a_straight_spectrum() -> None:
    decibels = 3.0 - 6.0 * FREQUENCY[:, None] / 1000
    got = spectrum.spectral_shape(10 ** (decibels / 10), FREQUENCY, RATE)
    assert got["slope_0_500"][0, 0] == pytest.approx(-6.0)
    assert got["slope_500_1500"][0, 0] == pytest.approx(-6.0)
    assert got["hammarberg"][0, 0] == pytest.approx(6.0 * 2.0)  # peaks at 0 and 2000 Hz


def test_alpha_ratio_is_the_ratio_of_two_bands() -> None:
    power = np.zeros((len(FREQUENCY), 1))
    power[np.searchsorted(FREQUENCY, 500)] = 1.0
    power[np.searchsorted(FREQUENCY, 3000)] = 0.01
    assert spectrum.spectral_shape(power, FREQUENCY, RATE)["alpha_ratio"][0, 0] == pytest.approx(20.0)


def test_flux_of_equal_and_of_orthogonal_spectra() -> None:
    power = np.full((len(FREQUENCY), 3), 1e-30)
    power[10, :2], power[20, 2] = [1.0, 9.0], 4.0
    flux = spectrum.spectral_shape(power, FREQUENCY, RATE)["flux"][0]
    np.testing.assert_allclose(flux, [0.0, 0.0, np.sqrt(2)], atol=1e-6)


def test_mel_filters_are_librosas_and_none_is_empty() -> None:
    filters = spectrum.mel_filters(RATE, 512, 26)
    np.testing.assert_array_equal(
        filters, librosa.filters.mel(sr=RATE, n_fft=512, n_mels=26, fmax=7600, norm=None)
    )
    assert (filters.sum(axis=1) > 0).all()


def test_more_mel_bands_than_the_spectrum_resolves() -> None:
    with pytest.raises(ConfigError, match=r"n_mels: 99 bands are narrower than the 62\.5 Hz"):
        spectrum.mel_filters(RATE, 256, 99)
