"""EEG features against closed forms, mne and scipy, and what is refused."""

import warnings

import mne
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import simpson
from scipy.signal import welch

from jmml.config import EEGFeatureConfig, Modality, validate
from jmml.data.features import eeg
from jmml.data.table import FeatureTable
from jmml.errors import ConfigError, RecordingError

RATE = 128.0
CFG = EEGFeatureConfig()
WHOLE = EEGFeatureConfig(window_s=None)
STFT = EEGFeatureConfig(estimate="stft")
CHANNELS = ("Fp1", "F3", "C3", "F4", "Cz")


def trial(seconds: float = 12.0, *, channels: int = 5, sigma_v: float = 1e-5, seed: int = 0) -> np.ndarray:
    return sigma_v * np.random.default_rng(seed).normal(size=(channels, round(seconds * RATE)))


def named(
    signal: np.ndarray, cfg: EEGFeatureConfig = WHOLE, channels: tuple[str, ...] = CHANNELS
) -> list[dict[str, float]]:
    X = eeg.extract(signal, RATE, channels, cfg)
    assert X.dtype == np.float32
    assert np.isfinite(X).all()
    return [dict(zip(eeg.feature_names(channels, cfg), row.tolist(), strict=True)) for row in X]


def test_names_units_and_windows() -> None:
    units = dict(zip(eeg.feature_names(CHANNELS, CFG), eeg.feature_units(CHANNELS, CFG), strict=True))
    assert len(units) == 4 * 5 * 2 + 1
    assert units["de_theta.Fp1"] == "nat"
    assert units["power_gamma.Cz"] == "dB"
    assert units["asymmetry.F4-F3"] == "1"
    assert eeg.extract(trial(15.9), RATE, CHANNELS, CFG).shape == (3, 41)  # the tail of 3.9 s is dropped
    assert eeg.extract(trial(15.9), RATE, CHANNELS, WHOLE).shape == (1, 41)


def test_differential_entropy_of_white_noise() -> None:
    # White noise of variance s^2 leaves a filter h with s^2 sum(h^2) and has s^2 (high - low) / (rate / 2)
    # between two frequencies.
    x = named(trial(600.0, sigma_v=1e-5))[0]
    for band, (low, high) in CFG.bands_hz.items():
        taps = mne.filter.create_filter(None, RATE, low, high, verbose="ERROR")
        entropy = 0.5 * np.log(2 * np.pi * np.e * 10.0**2 * (taps**2).sum())
        assert x[f"de_{band}.C3"] == pytest.approx(entropy, abs=0.03), band
        power = 10.0**2 * (high - low) / (RATE / 2)
        assert x[f"power_{band}.C3"] == pytest.approx(10 * np.log10(power), abs=0.2), band


@pytest.mark.parametrize(
    ("frequency", "band"), [(6.0, "theta"), (10.0, "alpha"), (20.0, "beta"), (38.0, "gamma")]
)
@pytest.mark.parametrize("cfg", [CFG, STFT])
def test_a_sine_of_known_power(frequency: float, band: str, cfg: EEGFeatureConfig) -> None:
    t = np.arange(round(16 * RATE)) / RATE
    signal = trial(16.0, sigma_v=1e-8)
    signal[2] += 20e-6 * np.sin(2 * np.pi * frequency * t)
    power = 20.0**2 / 2
    for x in named(signal, cfg):
        assert x[f"power_{band}.C3"] == pytest.approx(10 * np.log10(power), abs=0.05)
        assert x[f"de_{band}.C3"] == pytest.approx(0.5 * np.log(2 * np.pi * np.e * power), abs=0.02)
        assert max(x[f"power_{other}.C3"] for other in CFG.bands_hz if other != band) < -10


def test_against_scipy_and_mne() -> None:
    signal = trial(20.0, seed=3)
    x = named(signal)[0]
    frequency, density = welch(1e6 * signal[3], RATE, nperseg=256, noverlap=128, detrend="constant")
    inside = (frequency >= 13) & (frequency <= 30)
    assert x["power_beta.F4"] == pytest.approx(
        10 * np.log10(simpson(density[inside], x=frequency[inside])), abs=0.25
    )
    filtered = mne.filter.filter_data(1e6 * signal, RATE, 8.0, 13.0, verbose="ERROR")
    assert x["de_alpha.Cz"] == pytest.approx(0.5 * np.log(2 * np.pi * np.e * filtered[4].var()), abs=1e-3)


def test_asymmetry_is_the_log_ratio_of_right_and_left_alpha() -> None:
    signal = np.repeat(trial(channels=1), 5, axis=0)
    signal[3] *= 3.0  # F4
    x = named(signal)[0]
    assert x["asymmetry.F4-F3"] == pytest.approx(np.log(9.0), abs=1e-5)


@pytest.mark.parametrize(
    ("channels", "asymmetries"),
    [
        (("F3", "F4", "F7", "F8", "AF3", "AF4", "FC5", "FC6", "Fp1", "Fp2"), 5),
        (("FP1", "FP2", "O1"), 1),
        (("C3", "C4"), 0),
    ],
)
def test_any_montage(channels: tuple[str, ...], asymmetries: int) -> None:
    (x,) = named(trial(channels=len(channels)), channels=channels)
    assert sum(name.startswith("asymmetry.") for name in x) == asymmetries


def test_bands_follow_frequency_and_alpha_is_optional() -> None:
    swapped = EEGFeatureConfig(bands_hz={"beta": [13.0, 30.0], "theta": [4.0, 8.0]})
    names = eeg.feature_names(("F3", "F4"), swapped)
    assert names[:3] == ("de_theta.F3", "de_theta.F4", "de_beta.F3")
    assert not any(name.startswith("asymmetry") for name in names)
    assert eeg.extract(trial(channels=2), RATE, ("F3", "F4"), swapped).shape == (3, len(names))


@settings(max_examples=15, deadline=None)
@given(st.floats(0.01, 100), st.floats(-0.05, 0.05))
def test_gain_shifts_entropy_and_power_and_offset_nothing(gain: float, offset: float) -> None:
    names = eeg.feature_names(CHANNELS, CFG)
    signal = trial(8.0)
    shift = eeg.extract(gain * signal + offset, RATE, CHANNELS, CFG) - eeg.extract(
        signal, RATE, CHANNELS, CFG
    )
    for column, name in enumerate(names):
        expected = {"de": np.log(gain), "po": 20 * np.log10(gain), "as": 0.0}[name[:2]]
        np.testing.assert_allclose(shift[:, column], expected, atol=2e-3, err_msg=name)


def test_order_of_channels_carries_no_meaning() -> None:
    signal, order = trial(), [4, 2, 0, 1, 3]
    x = named(signal)[0]
    assert named(signal[order], channels=tuple(CHANNELS[i] for i in order))[0] == pytest.approx(x, abs=1e-5)


def table(X: np.ndarray, cfg: EEGFeatureConfig, modality: Modality = "eeg") -> FeatureTable:
    names = [f"w{row}" for row in range(len(X))]
    index = pd.DataFrame(
        {"id": names, "recording": "t1", "group": "a", "label": "joy", "valence": np.nan, "arousal": np.nan}
    )
    features = eeg.feature_names(CHANNELS, cfg)
    return FeatureTable("lab", modality, index, X, features, ("1",) * len(features))


def test_a_trial_of_flat_channels_alone_is_refused() -> None:
    with pytest.raises(RecordingError, match="t1: every channel is flat from 0 to 12 s"):
        eeg.extract(np.zeros_like(trial()), RATE, CHANNELS, CFG, where="t1")


def flat_in_second_window() -> np.ndarray:
    signal = trial()
    signal[1, 512:1024] = 3e-6
    return signal


@pytest.mark.parametrize("cfg", [CFG, STFT])
def test_a_flat_channel_has_defined_values_and_is_told(cfg: EEGFeatureConfig) -> None:
    signal = trial()
    signal[[1, 4]] = 2e-5
    with pytest.warns(
        eeg.FlatChannelWarning, match=r"t1: channel 'F3' is flat from 0 to 4 s \(flat too: Cz\)"
    ):
        X = eeg.extract(signal, RATE, CHANNELS, cfg, where="t1")
    assert eeg.flat_windows(table(X, cfg), CHANNELS, cfg) == "F3 in 3 of 3, Cz in 3 of 3"
    assert eeg.flat_windows(table(X, cfg, modality="speech"), CHANNELS, cfg) == ""
    with pytest.warns(eeg.FlatChannelWarning, match="channel 'F3' is flat from 4 to 8 s;"):
        X = eeg.extract(flat_in_second_window(), RATE, CHANNELS, cfg)
    assert np.isfinite(X).all()
    assert eeg.flat_windows(table(X, cfg), CHANNELS, cfg) == "F3 in 1 of 3"
    rows = [dict(zip(eeg.feature_names(CHANNELS, cfg), row.tolist(), strict=True)) for row in X]
    assert rows[1]["power_alpha.F3"] == pytest.approx(-120.0)
    assert rows[1]["de_alpha.F3"] == pytest.approx(0.5 * np.log(2 * np.pi * np.e * 1e-12))
    assert rows[0]["power_alpha.F3"] > 0 < rows[2]["power_alpha.F3"]


@pytest.mark.parametrize("window_s", [1.0, 1.5, 2.0, 4.0, None])
def test_one_transform_gives_welchs_power_and_the_entropy_of_it(window_s: float | None) -> None:
    signal = trial(12.0, seed=4) + 0.03
    cfg = EEGFeatureConfig(window_s=window_s, estimate="stft")
    rows = named(signal, cfg)
    length = round((window_s or 12.0) * RATE)
    segment = min(length, 256)
    for row, window in zip(rows, (1e6 * signal).reshape(5, -1, length).swapaxes(0, 1), strict=True):
        frequency, by_scipy = welch(window, RATE, nperseg=segment, noverlap=segment // 2, detrend="constant")
        by_mne, _ = mne.time_frequency.psd_array_welch(
            window - 3e4,
            RATE,
            n_fft=segment,
            n_per_seg=segment,
            n_overlap=segment // 2,
            window="hann",
            verbose="ERROR",
        )
        for band, (low, high) in cfg.bands_hz.items():
            inside = (frequency >= low) & (frequency < high)
            for density in (by_scipy, by_mne):
                power = density[:, inside].sum(axis=1) * (frequency[1] - frequency[0])
                for channel, value in zip(CHANNELS, power, strict=True):
                    assert row[f"power_{band}.{channel}"] == pytest.approx(10 * np.log10(value), abs=2e-5)
                    assert row[f"de_{band}.{channel}"] == pytest.approx(
                        0.5 * np.log(2 * np.pi * np.e * value), abs=1e-5
                    )


@pytest.mark.parametrize("window_s", [1.0, 4.0])
def test_one_transform_finds_the_known_variance_of_a_band(window_s: float) -> None:
    rows = named(trial(600.0, sigma_v=1e-5), EEGFeatureConfig(window_s=window_s, estimate="stft"))
    for band, (low, high) in CFG.bands_hz.items():
        power = np.mean([10 ** (row[f"power_{band}.C3"] / 10) for row in rows])
        assert power == pytest.approx(10.0**2 * (high - low) / (RATE / 2), rel=0.03), band


def test_one_transform_wants_no_more_than_a_window() -> None:
    assert eeg.extract(trial(1.0), RATE, CHANNELS, EEGFeatureConfig(window_s=1.0, estimate="stft")).shape == (
        1,
        41,
    )


def test_the_estimate_is_part_of_the_settings_where_it_is_not_the_usual_one() -> None:
    assert "estimate" not in CFG.model_dump(mode="json")
    assert eeg.extractor_digest(EEGFeatureConfig(estimate="fir")) == eeg.extractor_digest(CFG)
    assert eeg.extractor_digest(STFT) != eeg.extractor_digest(CFG)


def not_finite() -> np.ndarray:
    signal = trial()
    signal[2, 64] = np.nan
    return signal


@pytest.mark.parametrize(
    ("signal", "rate", "channels", "match"),
    [
        (
            not_finite(),
            RATE,
            CHANNELS,
            "channel 'C3' holds 1 values that are NaN or infinite, first at 0.500 s",
        ),
        (trial(), RATE, CHANNELS[:4], "5 channel|shape"),
        (trial(), RATE, ("F3", "F3", "C3", "F4", "Cz"), "occur more than once: F3"),
        (trial(3.9), RATE, CHANNELS, "lasts 3.898 s; expected at least one window of 4 s"),
        (trial(), 80.0, CHANNELS, "too low for the band 'gamma' up to 45 Hz; expected at least 100 Hz"),
        (trial()[0], RATE, CHANNELS, "signal of shape"),
        (np.zeros((0, 1000)), RATE, (), "with 0 channel names"),
    ],
)
def test_refused(signal: np.ndarray, rate: float, channels: tuple[str, ...], match: str) -> None:
    with pytest.raises(RecordingError, match=match):
        eeg.extract(signal, rate, channels, CFG, where="t1")


def test_a_trial_shorter_than_the_band_pass() -> None:
    with pytest.raises(RecordingError, match="less than the band pass of 'theta'"):
        eeg.extract(trial(1.5), RATE, CHANNELS, WHOLE)


def test_one_window_of_a_second_is_enough_and_mne_has_nothing_to_warn_of() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert eeg.extract(trial(2.0), RATE, CHANNELS, EEGFeatureConfig(window_s=1.0)).shape == (2, 41)


def test_bands_that_are_none() -> None:
    with pytest.raises(ConfigError, match=r"bands_hz\.alpha: \[13, 8\] is not a valid band"):
        validate(EEGFeatureConfig, {"bands_hz": {"alpha": [13.0, 8.0]}})


def test_the_digest_names_settings_and_version(monkeypatch: pytest.MonkeyPatch) -> None:
    first = eeg.extractor_digest(CFG)
    assert first != eeg.extractor_digest(WHOLE)
    monkeypatch.setattr(eeg, "VERSION", eeg.VERSION + 1)
    assert first != eeg.extractor_digest(CFG)
