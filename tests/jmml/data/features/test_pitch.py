"""The F0 tracker against tones, known vowels and librosa's yin."""

import librosa
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jmml.data.features import pitch
from tests.jmml.data.features.signals import RATE, noise, sine, vowels

HOP = 160


def track(signal: np.ndarray) -> pitch.Pitch:
    return pitch.track(signal, RATE, HOP, 65.0, 500.0)


@settings(max_examples=25, deadline=None)
@given(st.floats(70, 480))
def test_tone(frequency: float) -> None:
    found = track(sine(frequency))
    inner = slice(5, -5)  # frames that reach beyond the ends hold part of the tone only
    assert found.voiced[inner].all()
    assert np.abs(12 * np.log2(found.f0_hz[inner] / frequency)).max() < 0.05
    assert found.harmonicity_db[inner].min() > 20


def test_known_vowels() -> None:
    errors, wrong, frames, gross = [], 0, 0, 0
    for seed in range(8):
        signal, f0, voiced = vowels(seed)
        found = track(signal)
        at = np.minimum(np.arange(len(found.f0_hz)) * HOP, len(signal) - 1)
        both = found.voiced & voiced[at]
        error = np.abs(12 * np.log2(found.f0_hz[both] / f0[at][both]))
        errors.append(np.median(error))
        gross += int((error > 3).sum())
        wrong += int((found.voiced != voiced[at]).sum())
        frames += len(at)
    assert np.mean(errors) < 0.06
    assert gross == 0
    assert wrong / frames < 0.03


def test_agrees_with_yin_where_it_hears_a_voice() -> None:
    """Not with pyin, of which numba compiles for twenty seconds: ``benchmarks/pitch.py`` measures that."""
    signal, _, _ = vowels(1)
    found = track(signal)
    f0 = librosa.yin(signal, fmin=65, fmax=500, sr=RATE, frame_length=1024, hop_length=HOP)
    assert found.voiced.sum() > 50
    assert np.median(np.abs(12 * np.log2(found.f0_hz[found.voiced] / f0[found.voiced]))) < 0.3


def test_noise_and_silence_have_no_pitch() -> None:
    assert not track(noise(seconds=2)).voiced.any()
    still = track(np.zeros(RATE, dtype=np.float32))
    assert not still.voiced.any()
    assert np.isfinite(still.harmonicity_db).all()


@pytest.mark.parametrize("snr_db", [0.0, 10.0])
def test_harmonicity_is_the_signal_to_noise_ratio(snr_db: float) -> None:
    tone = sine(200, seconds=4)
    signal = tone + noise(seconds=4, amplitude=float(np.sqrt((tone**2).mean()) * 10 ** (-snr_db / 20)))
    assert np.median(track(signal).harmonicity_db) == pytest.approx(snr_db, abs=1.0)


@given(st.integers(-12, 4))
@settings(max_examples=8, deadline=None)
def test_gain_changes_nothing(power: int) -> None:
    signal, _, _ = vowels(2, seconds=0.6)
    quiet, loud = track(signal), track(signal * np.float32(2.0**power))
    np.testing.assert_array_equal(quiet.f0_hz, loud.f0_hz)
    np.testing.assert_array_equal(quiet.strength, loud.strength)


def test_a_long_recording_equals_its_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    signal, _, _ = vowels(3)
    whole = track(signal)
    monkeypatch.setattr(pitch, "_BLOCK", 37)
    np.testing.assert_array_equal(whole.f0_hz, track(signal).f0_hz)
