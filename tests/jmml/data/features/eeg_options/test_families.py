"""Optional EEG features against closed forms and scipy."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal
from scipy.special import comb

from jmml.config import EEGFeatureConfig, validate
from jmml.data.features import eeg
from jmml.data.features.eeg_options import connectivity, wavelets
from jmml.data.features.eeg_options.hjorth import hjorth
from jmml.errors import ConfigError, RecordingError

RATE = 128.0
CHANNELS = ("F3", "F4", "O1", "Cz")
ALL = ["standard", "hjorth", "wavelets", "asymmetry", "coherence", "plv"]


def noise(seconds: float = 16.0, channels: int = 4, seed: int = 0, rate: float = RATE) -> np.ndarray:
    return 1e-5 * np.random.default_rng(seed).normal(size=(channels, round(seconds * rate)))


def sine(frequency: float, seconds: float = 16.0, phase: float = 0.0, rate: float = RATE) -> np.ndarray:
    return 20e-6 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate + phase)


def config(*sets: str, **more: object) -> EEGFeatureConfig:
    return validate(EEGFeatureConfig, {"sets": list(sets), **more})


def named(signal: np.ndarray, cfg: EEGFeatureConfig, rate: float = RATE) -> list[dict[str, float]]:
    X = eeg.extract(signal, rate, CHANNELS, cfg)
    assert np.isfinite(X).all()
    return [dict(zip(eeg.feature_names(CHANNELS, cfg), row.tolist(), strict=True)) for row in X]


@pytest.mark.parametrize("estimate", ["fir", "stft"])
def test_families_come_after_the_standard_set_and_leave_it_alone(estimate: str) -> None:
    plain, more = config("standard", estimate=estimate), config(*reversed(ALL), estimate=estimate)
    names, units = eeg.feature_names(CHANNELS, more), eeg.feature_units(CHANNELS, more)
    assert len(set(names)) == len(names) == 33 + 3 * 4 + 5 * 4 + 3 * 4
    assert dict(zip(names, units, strict=True))["mobility.F3"] == "Hz"
    X = eeg.extract(noise(), RATE, CHANNELS, more)
    np.testing.assert_array_equal(X[:, :33], eeg.extract(noise(), RATE, CHANNELS, plain))
    np.testing.assert_array_equal(
        eeg.extract(noise(), RATE, CHANNELS, config(*ALL[1:], estimate=estimate)), X[:, 33:]
    )


def test_settings_that_say_nothing_are_known_as_before() -> None:
    assert config("standard", pairs="homologous").model_dump() == EEGFeatureConfig().model_dump()
    assert set(EEGFeatureConfig().model_dump()) == {"window_s", "bands_hz"}
    assert eeg.extractor_digest(EEGFeatureConfig()) == "2043e1dc7774a601"
    found = {eeg.extractor_digest(config("standard", "plv", pairs=p)) for p in ("all", [["F3", "Cz"]])}
    assert len(found) == 2


def test_hjorth_of_a_sine_and_of_noise() -> None:
    activity, mobility, complexity = hjorth(1e6 * sine(10.0), RATE)
    assert activity == pytest.approx(200.0, rel=1e-3)
    assert mobility == pytest.approx(RATE * np.sin(np.pi * 10 / RATE) / np.pi, rel=1e-3)
    assert complexity == pytest.approx(1.0, rel=1e-3)
    # Differences of white noise have twice its variance, differences of these six times.
    activity, mobility, complexity = hjorth(np.random.default_rng(1).normal(size=200_000), RATE)
    assert mobility == pytest.approx(np.sqrt(2) * RATE / (2 * np.pi), rel=0.01)
    assert complexity == pytest.approx(np.sqrt(3) / np.sqrt(2), rel=0.01)
    row = named(np.stack([sine(10.0), *noise()[1:]]), config("hjorth"))[0]
    assert row["activity.F3"] == pytest.approx(10 * np.log10(200), abs=0.01)
    assert row["mobility.F3"] == pytest.approx(RATE * np.sin(np.pi * 10 / RATE) / np.pi, rel=1e-2)


def daubechies(moments: int) -> np.ndarray:
    """The extremal-phase filter by spectral factorisation: the roots within the unit circle."""
    polynomial = np.array([comb(moments - 1 + k, k) for k in range(moments)])[::-1]
    roots = []
    for y in np.roots(polynomial):
        z = np.roots([1, 4 * y - 2, 1])
        roots.append(z[np.argmin(np.abs(z))])
    filter_ = np.real(np.poly([*roots, *[-1.0] * moments]))
    return np.sqrt(2) * filter_ / filter_.sum()


def test_the_filter_is_daubechies_of_four_moments() -> None:
    np.testing.assert_allclose(wavelets.DB4, daubechies(4), atol=1e-9)


@pytest.mark.parametrize("samples", [512, 513, 3])
def test_a_level_is_the_filter_every_second_sample_over_the_mirrored_signal(samples: int) -> None:
    x = np.random.default_rng(0).normal(size=samples)
    mirrored = np.pad(x, 7, mode="symmetric")
    low, high = wavelets.step(x)
    assert len(low) == len(high) == (samples + 7) // 2
    expected = scipy.signal.upfirdn(wavelets.DB4[::-1], mirrored)[8:-7:2][: len(low)]
    np.testing.assert_allclose(low, expected, atol=1e-12)
    # What is a cubic has no details but at the ends: four vanishing moments.
    cubic = np.linspace(-1, 1, 512) ** 3
    np.testing.assert_allclose(wavelets.step(cubic)[1][8:-8], 0, atol=1e-8)


def test_levels_of_white_noise_halve_and_add_up() -> None:
    x = 10 * np.random.default_rng(2).normal(size=(1, 128 * 600))
    powers = wavelets.wavelet_powers(x, RATE, x.shape[1])[:, 0, 0]
    np.testing.assert_allclose(powers, 100 / np.array([2, 4, 8, 16, 16]), rtol=0.05)
    assert powers.sum() == pytest.approx(x.var(), rel=0.01)


@pytest.mark.parametrize("rate", [128.0, 250.0, 512.0])
@pytest.mark.parametrize(("frequency", "level"), [(45.0, "d1"), (22.0, "d2"), (11.0, "d3"), (5.5, "d4")])
def test_a_sine_lies_in_its_level_at_any_rate(frequency: float, level: str, rate: float) -> None:
    signal = np.stack([sine(frequency, rate=rate), *noise(rate=rate)[1:]])
    for row in named(signal, config("wavelets", window_s=4.0), rate):
        powers = {name: 10 ** (row[f"wavelet_{name}.F3"] / 10) for name in wavelets.LEVELS}
        assert max(powers, key=lambda name: powers[name]) == level
        assert powers[level] > 0.7 * sum(powers.values())
        assert sum(powers.values()) == pytest.approx(200, rel=0.1)


def test_pairs() -> None:
    names = ["FP1", "Fp2", "F3", "F4", "F10", "F9", "Cz", "FFC1h", "FFC2h", "T7", "A3"]
    assert connectivity.homologous(names) == [(1, 0), (3, 2), (4, 5), (8, 7)]
    assert connectivity.chosen(["F3", "Cz", "Pz"], config("plv", pairs="all")) == [(0, 1), (0, 2), (1, 2)]
    assert connectivity.chosen(CHANNELS, config("plv", pairs=[["cz", "F3"]])) == [(3, 0)]


def test_asymmetry_of_every_pair_and_band() -> None:
    signal = np.repeat(noise(channels=1), 4, axis=0)
    signal[1] *= 3.0
    row = named(signal, config("asymmetry"))[0]
    assert set(row) == {f"asymmetry_{band}.F4-F3" for band in ("theta", "alpha", "beta", "gamma")}
    for value in row.values():
        assert value == pytest.approx(np.log(9.0), abs=1e-5)


def test_coherence_is_that_of_scipy() -> None:
    signal = noise(20.0)
    signal[3] = 0.5 * signal[0] + signal[3]
    cfg = config("coherence", pairs="all", window_s=5.0)
    for number, row in enumerate(named(signal, cfg)):
        window = 1e6 * signal[:, number * 640 : (number + 1) * 640]
        for a in range(4):
            for b in range(a + 1, 4):
                frequency, msc = scipy.signal.coherence(
                    window[a], window[b], RATE, nperseg=128, noverlap=64, detrend="constant"
                )
                for band, (low, high) in cfg.bands_hz.items():
                    expected = msc[(frequency >= low) & (frequency < high)].mean()
                    name = f"coherence_{band}.{CHANNELS[a]}-{CHANNELS[b]}"
                    assert row[name] == pytest.approx(expected, abs=1e-5)


def test_coherence_of_a_known_mixture() -> None:
    signal = noise(600.0)
    signal[1] = signal[0] + 0.5 * signal[1]
    row = named(signal, config("coherence", window_s=None))[0]
    for value in row.values():
        assert value == pytest.approx(1 / (1 + 0.25), abs=0.03)


def test_phase_locking_of_known_phases_and_as_scipy_has_it() -> None:
    signal = np.stack([sine(10.0), sine(10.0, phase=1.0), sine(11.0), noise()[0]])
    cfg = config("plv", pairs="all", window_s=4.0)
    for row in named(signal, cfg)[1:-1]:
        assert row["plv_alpha.F3-F4"] == pytest.approx(1.0, abs=1e-3)
        assert row["plv_alpha.F3-O1"] < 0.02  # four turns against each other
    signal = noise(16.0, seed=5)
    passed = scipy.signal.hilbert(eeg.mne.filter.filter_data(1e6 * signal, RATE, 13.0, 30.0, verbose="ERROR"))
    phase = np.angle(passed)[:, 512:1024]
    expected = abs(np.exp(1j * (phase[0] - phase[3])).mean())
    assert named(signal, cfg)[1]["plv_beta.F3-Cz"] == pytest.approx(expected, abs=1e-4)


def test_a_flat_channel_has_defined_values_and_is_told() -> None:
    signal = noise()
    signal[1] = 3e-6
    cfg = config(*ALL[1:], estimate="stft")
    with pytest.warns(eeg.FlatChannelWarning, match="channel 'F4' is flat"):
        (row, *_) = named(signal, cfg)
    assert row["activity.F4"] == row["wavelet_d3.F4"] == pytest.approx(-120)
    assert row["mobility.F4"] == row["complexity.F4"] == 0
    assert row["coherence_alpha.F4-F3"] == row["plv_alpha.F4-F3"] == 0


@pytest.mark.parametrize(
    ("settings", "channels", "rate", "match"),
    [
        (
            {"sets": ["wavelets"]},
            CHANNELS,
            100.0,
            "too low for wavelets up to 64 Hz; expected at least 128 Hz",
        ),
        (
            {"sets": ["asymmetry"]},
            ("F3", "O2", "O9", "Cz"),
            RATE,
            "t1: no two channels are electrodes that mirr",
        ),
        (
            {"sets": ["plv"], "pairs": [["F3", "Pz"]]},
            CHANNELS,
            RATE,
            "t1: no channel Pz, which features.eeg.p",
        ),
        ({"sets": ["plv"]}, CHANNELS, RATE, "less than the band pass of 'theta'"),
    ],
)
def test_refused(settings: dict[str, object], channels: tuple[str, ...], rate: float, match: str) -> None:
    cfg = validate(EEGFeatureConfig, {"estimate": "stft", "window_s": 1.0, **settings})
    with pytest.raises(RecordingError, match=match):
        eeg.extract(noise(1.0, rate=rate), rate, channels, cfg, where="t1")


def test_all_pairs_of_a_dense_cap_are_too_many() -> None:
    names = [f"E{number}" for number in range(64)]
    with pytest.raises(RecordingError, match="64 channels have 2016 pairs; expected at most 32"):
        eeg.extract(noise(16.0, 64), RATE, names, config("plv", pairs="all"))


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        (
            {"sets": ["coherence"], "window_s": 1.0},
            "window_s: 1 s is one segment, of which every coherence is 1",
        ),
        ({"sets": ["hjort"]}, "hjorth"),
        ({"sets": ["plv", "plv"]}, "plv is named more than once"),
        ({"pairs": [["F3", "F3"]]}, "F3 is named more than once"),
        ({"pairs": []}, "at least 1 entry"),
    ],
)
def test_settings_that_are_none(settings: dict[str, object], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        validate(EEGFeatureConfig, settings)
