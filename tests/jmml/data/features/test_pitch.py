"""The F0 tracker against tones, known vowels and librosa's yin."""

import librosa
import numpy as np
import pytest
import scipy.fft
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


@pytest.mark.parametrize("name", ["_BLOCK", "_PATH_BLOCK", "_ROWS", "_PART"])
def test_a_long_recording_equals_its_blocks(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    signal, _, _ = vowels(3)
    whole = track(signal)
    monkeypatch.setattr(pitch, name, 37)
    np.testing.assert_array_equal(whole.f0_hz, track(signal).f0_hz)


def peaks_at_every_quarter(frame: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """F0 and height of the best six peaks of a frame, and the highest value, from all quarters, in double precision."""
    lag_max, low, high = int(np.ceil(RATE / 65)) + 1, 4 * RATE // 500, int(np.ceil(4 * RATE / 65))
    window = np.hanning(len(frame) + 2)[1:-1]
    n = scipy.fft.next_fast_len(len(frame) + lag_max, real=True)
    correlations = []
    for x in ((frame - frame.mean()) * window, window):
        spectrum = np.abs(np.fft.rfft(x, n)) ** 2
        # The mirror image of half the rate belongs to the finer grid: it is added to itself.
        correlations.append(np.fft.irfft(spectrum, 4 * n)[: 4 * lag_max + 4])
    r = correlations[0] / correlations[0][0] * correlations[1][0] / correlations[1]
    at = np.arange(low, high + 1)
    at = at[(r[at] > r[at - 1]) & (r[at] >= r[at + 1]) & (r[at] > pitch.VOICING_THRESHOLD / 2)]
    score = r[at] - pitch.OCTAVE_COST * np.log2(65 * at / (4 * RATE))
    at = at[np.argsort(-score)[:6]]
    a, b, c = r[at - 1], r[at], r[at + 1]
    shift = 0.5 * (a - c) / (a - 2 * b + c)
    height = b - 0.25 * (a - c) * shift
    return 4 * RATE / (at + shift), np.where(height > 1, 1 / height, height), r[low : high + 1].max()


def test_hardly_a_peak_between_samples_is_missed() -> None:
    """Breathy vowels: much at high frequencies, so peaks stand close together."""
    missed, count = 0, 0
    for seed in range(4):
        signal = vowels(seed)[0] + noise(seconds=2, amplitude=0.03, seed=seed)
        length = pitch.frame_length(RATE, 65.0)
        frames = pitch.frames_of(signal, (signal.size - length) // HOP, length, HOP)
        found = pitch.candidates(frames, RATE, 65.0, 500.0)
        for frame, f0, strength, best in zip(frames, found.f0_hz, found.strength, found.best, strict=True):
            expected_f0, expected, highest = peaks_at_every_quarter(frame.astype(np.float64))
            assert best == pytest.approx(np.clip(highest, 0, 1), abs=2e-6)
            for one, height in zip(expected_f0, expected, strict=True):
                nearest = np.abs(f0 / one - 1).argmin()
                count += 1
                if abs(f0[nearest] / one - 1) > 2e-4:
                    missed += 1
                else:
                    assert strength[nearest] == pytest.approx(height, abs=2e-5)
    assert count > 1500
    assert missed <= 0.002 * count


def test_frames_that_are_not_looked_into_change_no_path() -> None:
    for seed in range(4):
        signal, _, _ = vowels(seed)
        signal = np.concatenate([signal, 0.003 * vowels(seed + 10)[0], signal])
        centred = signal - signal.mean(dtype=np.float64).astype(np.float32)
        length, peak = pitch.frame_length(RATE, 65.0), float(np.abs(centred).max())
        frames = pitch.frames_of(centred, (signal.size - length) // HOP, length, HOP)
        none = np.zeros(len(frames), dtype=bool)
        some = pitch.candidates(frames, RATE, 65.0, 500.0, needed=none, peak=peak)
        every = pitch.candidates(frames, RATE, 65.0, 500.0)
        assert (some.best == 0).sum() > 50
        paths = [pitch.best_path(found, peak, HOP / RATE, 65.0).f0_hz for found in (some, every)]
        np.testing.assert_array_equal(*paths)


def test_the_path_is_that_of_a_plain_viterbi() -> None:
    rng = np.random.default_rng(0)
    n, states = 400, pitch.CANDIDATES + 1
    f0 = rng.uniform(65, 500, size=(n, states - 1))
    strength = np.where(rng.random(f0.shape) < 0.3, -np.inf, rng.uniform(0.2, 1, f0.shape))
    found = pitch.Candidates(f0, strength, rng.uniform(0, 1, n).astype(np.float32), strength.max(axis=1))
    got = pitch.best_path(found, 1.0, 0.01, 65.0).f0_hz
    unvoiced = 0.45 + np.maximum(0, 2 - found.amplitude / 0.03 / 1.45)
    local = np.column_stack([unvoiced, strength - 0.01 * np.log2(65 / f0)])
    total, back = local[0], []
    for t in range(1, n):
        cost = np.zeros((states, states))
        cost[0, 1:] = cost[1:, 0] = 0.14
        cost[1:, 1:] = 0.35 * np.abs(np.log2(f0[t][None] / f0[t - 1][:, None]))
        back.append((total[:, None] - cost).argmax(axis=0))
        total = (total[:, None] - cost).max(axis=0) + local[t]
    state = int(total.argmax())
    path = [state]
    for pointers in reversed(back):
        state = int(pointers[state])
        path.append(state)
    expected = [f0[t, k - 1] if k else np.nan for t, k in enumerate(reversed(path))]
    np.testing.assert_array_equal(got, expected)
