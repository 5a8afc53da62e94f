"""Speech features on signals whose values are known, and on every kind of input that occurs."""

import librosa
import numpy as np
import pytest
import scipy.fft
from hypothesis import given, settings
from hypothesis import strategies as st

from jmml.config import SpeechFeatureConfig, validate
from jmml.data.features import contours, speech
from jmml.errors import ConfigError, RecordingError
from tests.jmml.data.features.signals import RATE, noise, sine, vowels

CFG = SpeechFeatureConfig()
NAMES = speech.feature_names(CFG)


def named(signal: np.ndarray, rate: float = RATE, cfg: SpeechFeatureConfig = CFG) -> dict[str, float]:
    values = speech.extract(signal, rate, cfg)
    assert np.isfinite(values).all()
    return dict(zip(speech.feature_names(cfg), values.tolist(), strict=True))


def test_names_and_units() -> None:
    units = dict(zip(NAMES, speech.feature_units(CFG), strict=True))
    assert len(units) == len(NAMES) == 297
    assert units["mfcc_03.mean"] == "dB"
    assert units["centroid.slope"] == "Hz/s"
    assert units["f0.p50"] == "semitone"
    assert units["flux.std"] == units["voicing.fraction"] == "1"
    assert units["voicing.longest_gap"] == "s"


@pytest.mark.parametrize("frequency", [110.0, 220.0, 440.0])
def test_a_tone(frequency: float) -> None:
    x = named(sine(frequency))
    assert x["f0.p50"] == pytest.approx(12 * np.log2(frequency / 27.5), abs=0.05)
    assert x["f0.range"] == pytest.approx(0.0, abs=0.05)
    assert x["voicing.fraction"] == 1.0
    assert x["centroid.p50"] == pytest.approx(frequency, abs=10)
    assert x["level.p50"] == pytest.approx(0.0, abs=0.2)


def test_a_glide_of_an_octave_per_second() -> None:
    t = np.arange(RATE) / RATE
    glide = 0.3 * np.sin(2 * np.pi * 110 * (2**t - 1) / np.log(2))
    x = named(glide.astype(np.float32))
    assert x["f0.slope"] == pytest.approx(12.0, abs=0.3)
    assert x["f0_delta.mean_abs"] == pytest.approx(12.0, abs=1.0)
    assert x["f0.rising_fraction"] > 0.95


def test_the_difference_of_f0_does_not_jump_across_a_pause() -> None:
    pause = 1e-5 * noise(seconds=0.2)
    x = named(np.concatenate([sine(150, seconds=0.5), pause, sine(300, seconds=0.5)]))
    assert x["f0.range"] == pytest.approx(12.0, abs=0.05)
    assert x["f0_delta.mean_abs"] < 1.0


def test_white_noise_is_unvoiced_flat_and_has_documented_fallbacks() -> None:
    x = named(noise(seconds=2))
    assert x["voicing.fraction"] == x["voicing.segment_mean"] == x["f0.std"] == x["f0.slope"] == 0.0
    middle = 12 * np.log2(np.sqrt(65 * 500) / 27.5)
    assert x["f0.mean"] == pytest.approx(middle, abs=1e-4) == x["f0.p90"]
    assert x["centroid.mean"] == pytest.approx(3800, abs=100)  # the middle of 0..7600 Hz
    assert x["flatness.mean"] == pytest.approx(-2.5, abs=0.3)  # -10 log10(e^gamma) of exponential power


def test_rhythm_of_bursts() -> None:
    tone, gap = sine(200, seconds=0.3), 1e-5 * noise(seconds=0.2)
    x = named(np.concatenate([*[tone, gap] * 4, tone]))
    assert x["voicing.segment_rate"] * 2.3 == pytest.approx(5, abs=0.2)
    assert x["voicing.segment_mean"] == pytest.approx(0.3, abs=0.03)
    assert x["voicing.longest_gap"] == pytest.approx(0.2, abs=0.03)
    assert x["voicing.fraction"] == pytest.approx(1.5 / 2.3, abs=0.05)


def test_mfcc_and_delta_equal_librosa() -> None:
    signal = noise(seconds=2) + sine(300, seconds=2)  # every frame is active
    power = np.abs(librosa.stft(signal - signal.mean(), n_fft=512, hop_length=160)) ** 2
    used = librosa.fft_frequencies(sr=RATE, n_fft=512) <= 7600
    power[~used] = 0
    power /= power.sum(axis=0).mean()
    mel = librosa.feature.melspectrogram(S=power, sr=RATE, n_mels=26, fmax=7600, norm=None)
    mfcc = librosa.feature.mfcc(S=librosa.power_to_db(mel, top_db=None), n_mfcc=13)
    delta = librosa.feature.delta(mfcc, mode="nearest") * 100
    x = named(signal)
    for i in range(13):
        assert x[f"mfcc_{i:02d}.mean"] == pytest.approx(mfcc[i].mean(), abs=1e-2)
        assert x[f"mfcc_{i:02d}.p90"] == pytest.approx(np.percentile(mfcc[i], 90), abs=1e-2)
        assert x[f"mfcc_delta_{i:02d}.std"] == pytest.approx(delta[i].std(), rel=1e-3)
    assert x["logmel_05.mean"] == pytest.approx(10 * np.log10(mel[4]).mean(), abs=1e-2)
    assert scipy.fft.idct(mfcc, n=26, axis=0, norm="ortho").shape == mel.shape


@settings(max_examples=12, deadline=None)
@given(st.integers(-10, 1), st.integers(0, 5))
def test_gain_changes_no_feature(power: int, seed: int) -> None:
    # Powers of two scale a float exactly, so that equality is exact as well.
    signal, _, _ = vowels(seed, seconds=0.5)
    np.testing.assert_array_equal(
        speech.extract(signal, RATE, CFG), speech.extract(signal * np.float32(2.0**power), RATE, CFG)
    )


def test_offset_and_any_gain_change_next_to_nothing() -> None:
    signal, _, _ = vowels(1)
    x, moved = speech.extract(signal, RATE, CFG), speech.extract(signal * 0.137 + 0.2, RATE, CFG)
    np.testing.assert_allclose(moved, x, rtol=0.02, atol=0.05)


def test_digital_silence_around_the_utterance_changes_little() -> None:
    signal, _, _ = vowels(1)
    pad = np.zeros(RATE * 60, dtype=np.float32)
    x, padded = named(signal), named(np.concatenate([pad, signal, pad]))
    for name in ("centroid.p50", "mfcc_01.mean", "f0.p50", "voicing.fraction", "flux.mean"):
        assert padded[name] == pytest.approx(x[name], rel=0.05), name


def test_stereo_equals_mono_of_the_mean() -> None:
    left, right = vowels(0)[0], vowels(1)[0]
    stereo = np.stack([left, right])
    np.testing.assert_array_equal(
        speech.extract(stereo, RATE, CFG), speech.extract(stereo.mean(axis=0), RATE, CFG)
    )


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000, 12345.0])
def test_other_sample_rates(rate: float) -> None:
    x, reference = named(sine(220, rate=rate, seconds=2), rate), named(sine(220, seconds=2))
    assert x["f0.p50"] == pytest.approx(reference["f0.p50"], abs=0.02)
    assert x["centroid.p50"] == pytest.approx(reference["centroid.p50"], abs=10)


def test_48_khz_speech_keeps_its_features() -> None:
    signal, _, _ = vowels(4)
    up = librosa.resample(signal, orig_sr=RATE, target_sr=48000)
    x, there_and_back = named(signal), named(up, 48000)
    for name in ("centroid.mean", "mfcc_02.mean", "f0.mean", "level.std", "contrast_03.mean", "flux.mean"):
        assert there_and_back[name] == pytest.approx(x[name], rel=0.03), name


def test_a_signal_in_parts_and_in_blocks_has_the_same_features(monkeypatch: pytest.MonkeyPatch) -> None:
    signal, _, _ = vowels(2, seconds=3.0)
    whole = speech.from_parts((signal,), CFG)
    parts = tuple(np.split(signal, [1, 700, 9001, 30_000]))
    np.testing.assert_allclose(speech.from_parts(parts, CFG), whole, rtol=1e-5, atol=1e-5)
    monkeypatch.setattr(contours, "_BLOCK", 37)
    monkeypatch.setattr(speech, "_FEW", 10)
    np.testing.assert_allclose(speech.from_parts(parts, CFG), whole, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("seconds", [0.2, 0.25, 30.0])
def test_short_and_long(seconds: float) -> None:
    named(sine(200, seconds=seconds) + noise(seconds=seconds, amplitude=0.01))


def test_a_click_in_digital_silence() -> None:
    click = np.zeros(RATE, dtype=np.float32)
    click[8000] = 0.9
    named(click)


@pytest.mark.parametrize(
    "settings_",
    [
        {"sample_rate_hz": 8000, "frame_s": 0.016, "n_mels": 10, "n_mfcc": 10},
        {"sample_rate_hz": 48000, "frame_s": 0.1, "hop_s": 0.05, "n_mels": 80, "n_mfcc": 20},
        {"hop_s": 0.001, "f0_min_hz": 30.0, "f0_max_hz": 1200.0},
    ],
)
def test_settings_at_their_limits(settings_: dict[str, float]) -> None:
    cfg = validate(SpeechFeatureConfig, settings_)
    named(vowels(0, seconds=0.6)[0], RATE, cfg)


@pytest.mark.parametrize(
    ("settings_", "match"),
    [
        ({"n_mels": 10}, "n_mfcc: 13 cepstral coefficients"),
        ({"hop_s": 0.04}, "skips samples"),
        ({"f0_max_hz": 100.0}, "less than an octave"),
    ],
)
def test_settings_that_contradict_each_other(settings_: dict[str, float], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        validate(SpeechFeatureConfig, settings_)


def bad(value: float) -> np.ndarray:
    signal = sine(200)
    signal[100] = value
    return signal


@pytest.mark.parametrize(
    ("signal", "rate", "match"),
    [
        (bad(np.nan), RATE, "NaN or infinite"),
        (bad(np.inf), RATE, "NaN or infinite"),
        (np.zeros(RATE, dtype=np.float32), RATE, "is silent"),
        (np.zeros(0, dtype=np.float32), RATE, "zero samples"),
        (sine(200, seconds=0.1), RATE, "lasts 0.100 s"),
        (sine(200), 4000, "sample rate 4000 Hz"),
        (sine(15000, rate=48000) * np.hanning(48000), 48000, "is silent"),  # nothing of it is left at 16 kHz
    ],
)
def test_refused(signal: np.ndarray, rate: float, match: str) -> None:
    with pytest.raises(RecordingError, match=f"u1.wav: .*{match}"):
        speech.extract(signal, rate, CFG, where="u1.wav")


def test_the_digest_names_settings_and_version(monkeypatch: pytest.MonkeyPatch) -> None:
    first = speech.extractor_digest(CFG)
    assert first == speech.extractor_digest(SpeechFeatureConfig())
    assert first != speech.extractor_digest(SpeechFeatureConfig(hop_s=0.02))
    monkeypatch.setattr(speech, "VERSION", speech.VERSION + 1)
    assert first != speech.extractor_digest(CFG)


def test_models_of_a_version_with_the_same_features_are_known_by_its_digest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(speech, "VERSION", 1)
    first = speech.extractor_digest(CFG)
    monkeypatch.undo()
    assert speech.same_digests(CFG) == (speech.extractor_digest(CFG), first)
    assert first not in speech.same_digests(SpeechFeatureConfig(hop_s=0.02))
