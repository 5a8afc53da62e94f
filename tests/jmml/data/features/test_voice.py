"""The set ``voice`` on synthetic voices whose values are known."""

import numpy as np
import pytest
from scipy.signal import lfilter

from jmml.config import SegmentsConfig, SpeechFeatureConfig
from jmml.data.features import speech, voice
from jmml.errors import RecordingError
from tests.jmml.data.features.signals import RATE, noise, sine

CFG = SpeechFeatureConfig(sets=["voice"])


def named(signal: np.ndarray) -> dict[str, float]:
    values = speech.from_parts((signal.astype(np.float32),), CFG)
    assert np.isfinite(values).all()
    return dict(zip(speech.feature_names(CFG), values.tolist(), strict=True))


def perturbed(jitter: float, shimmer: float, *, f0: float = 120.0, seconds: float = 2.0, seed: int = 0):  # type: ignore[no-untyped-def]
    """A voice with random periods and amplitudes, and its local jitter and shimmer."""
    rng = np.random.default_rng(seed)
    count = int(seconds * f0) - 2
    periods = (1 + jitter * rng.uniform(-1, 1, count)) / f0
    heights = 1 + shimmer * rng.uniform(-1, 1, count)
    t = np.arange(int(periods.sum() * RATE)) / RATE
    ends = np.concatenate([[0], np.cumsum(periods)])
    cycle = np.minimum(np.searchsorted(ends, t, side="right") - 1, count - 1)
    since = (t - ends[cycle]) * f0
    # A pulse that has died away when the next one begins.
    pulse = np.exp(-(((since - 0.3) / 0.06) ** 2)) - 0.6 * np.exp(-(((since - 0.45) / 0.08) ** 2))
    true = [np.abs(np.diff(values)).mean() / values.mean() for values in (periods, heights)]
    return 0.4 * heights[cycle] * pulse, *true


@pytest.mark.parametrize("jitter", [0.005, 0.01, 0.02])
def test_jitter(jitter: float) -> None:
    signal, true, _ = perturbed(jitter, 0.0)
    x = named(signal)
    assert x["jitter.local"] == pytest.approx(true, rel=0.15)
    assert x["shimmer.local"] < 0.02


@pytest.mark.parametrize("shimmer", [0.05, 0.15])
def test_shimmer(shimmer: float) -> None:
    signal, _, true = perturbed(0.0, shimmer)
    x = named(signal)
    assert x["shimmer.local"] == pytest.approx(true, rel=0.15)
    assert x["jitter.local"] < 0.002


def test_a_steady_voice_has_neither() -> None:
    x = named(perturbed(0.0, 0.0)[0])
    assert x["jitter.local"] < 5e-4
    assert x["shimmer.local"] < 0.01
    assert x["hnr.mean"] > 20


@pytest.mark.parametrize("known", [(300, 870, 2240), (660, 1720, 2410), (730, 1090, 2440)])
def test_formants(known: tuple[int, int, int]) -> None:
    """The vowels of Peterson and Barney (1952): /u/, /ae/, /a/."""
    signal = np.zeros(2 * RATE)
    signal[np.round(np.arange(0, 2 * RATE - 1, RATE / 110)).astype(int)] = 1.0
    for frequency, width in zip((*known, 3500, 4500), (60, 80, 100, 150, 200), strict=True):
        radius = np.exp(-np.pi * width / RATE)
        signal = lfilter([1], [1, -2 * radius * np.cos(2 * np.pi * frequency / RATE), radius**2], signal)
    signal = lfilter([1], [1, -0.9], signal)  # the glottis
    x = named(0.3 * signal / np.abs(signal).max())
    for number, frequency in enumerate(known, start=1):
        assert x[f"formant_{number}.median"] == pytest.approx(frequency, rel=0.12), (
            number
        )  # F1 leans to a harmonic
        assert x[f"formant_{number}.spread"] < 60


def test_harmonics_to_noise() -> None:
    tone = sine(200, seconds=4)
    x = named(tone + noise(seconds=4, amplitude=float(np.sqrt((tone**2).mean()) / np.sqrt(10))))
    assert x["hnr.mean"] == pytest.approx(10.0, abs=1.0)


def test_loudness_of_a_full_scale_sine_and_its_growth() -> None:
    filters_middle = 1000.0
    loud = named(sine(filters_middle, amplitude=1.0))["loudness.p50"]
    assert 0.8 < loud < 2.5  # it falls into two bands, whose parts add up to more than the whole
    quieter = named(sine(filters_middle, amplitude=0.1))["loudness.p50"]
    assert quieter == pytest.approx(loud * 10**-0.6, rel=1e-3)  # 10 dB less halve it


@pytest.mark.parametrize("per_second", [2, 4])
def test_syllables(per_second: int) -> None:
    length = RATE // per_second
    syllable = np.zeros(length)
    part = int(0.6 * length)
    syllable[:part] = sine(180, seconds=part / RATE)[:part] * np.hanning(part)
    x = named(
        np.concatenate([np.tile(syllable, 3 * per_second), np.zeros(RATE)]) + noise(seconds=4, amplitude=1e-4)
    )
    assert x["rate.syllables"] == pytest.approx(per_second * 3 / 4, abs=0.3)
    assert x["rate.articulation"] > x["rate.syllables"]


def test_without_a_voice() -> None:
    x = named(noise(seconds=1))
    assert x["jitter.local"] == x["formant_1.median"] == x["rate.syllables"] == 0.0
    assert x["loudness.mean"] > 0


def test_sets_are_named_and_the_usual_one_is_known_as_it_was() -> None:
    both = SpeechFeatureConfig(sets=["standard", "voice"])
    assert speech.feature_names(both) == speech.feature_names(SpeechFeatureConfig()) + speech.feature_names(
        CFG
    )
    assert len(speech.feature_units(CFG)) == len(voice.UNITS) == 16
    assert "sets" not in SpeechFeatureConfig().model_dump(mode="json")
    signal = perturbed(0.01, 0.1)[0].astype(np.float32)
    together = speech.from_parts((signal,), both)
    parts = [speech.from_parts((signal,), cfg) for cfg in (SpeechFeatureConfig(), CFG)]
    np.testing.assert_array_equal(together, np.concatenate(parts))


def test_a_long_recording_needs_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voice, "MAX_S", 1.0)
    signal = perturbed(0.01, 0.1)[0].astype(np.float32)
    with pytest.raises(RecordingError, match=r"at most 1 s for the features of the voice.*segments"):
        speech.rows_of((signal,), CFG)
    cut = CFG.model_copy(update={"segments": SegmentsConfig(length_s=0.5)})
    assert speech.rows_of((signal,), cut).shape == (3, 16)
