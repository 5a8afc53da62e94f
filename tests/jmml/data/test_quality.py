"""Faults of single recordings, each planted; and sound and EEG without any."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.signal import butter, resample_poly, sosfiltfilt

from jmml.config import SyntheticConfig
from jmml.data.features.audio import load_audio
from jmml.data.quality import notes, of_channels, of_eeg, of_sound, unusual_durations
from jmml.data.synthetic import write_utterance
from jmml.errors import RecordingError

RATE = 16000
CHANNELS = tuple(f"C{n}" for n in range(8))


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    path = tmp_path_factory.mktemp("voice") / "a.wav"
    write_utterance(path, "anger", SyntheticConfig(), speaker_seed=3)
    signal, rate = load_audio(path)
    return np.asarray(resample_poly(signal, RATE, round(rate)), np.float64) if rate != RATE else signal


def brain(seconds: float = 8.0, rate: float = 128.0, seed: int = 0) -> np.ndarray:
    """EEG whose power falls with frequency, in volts, each channel its own and something in common."""
    rng = np.random.default_rng(seed)
    white = rng.normal(size=(len(CHANNELS) + 1, round(seconds * rate)))
    pink = np.cumsum(white, axis=1)
    pink = pink - np.linspace(0, 1, pink.shape[1]) * pink[:, -1:]
    return 1e-6 * (pink[:-1] + pink[-1])


def test_a_voice_is_sound(voice: np.ndarray) -> None:
    assert of_sound(voice, RATE) == {}
    assert of_sound(0.01 * voice, RATE) == {}
    assert of_sound(np.round(voice * 127) / 127, RATE) == {}  # 8 bits


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("clipping", lambda x: np.clip(x, -0.3 * np.abs(x).max(), 0.3 * np.abs(x).max())),
        ("clipping", lambda x: np.clip(5 * x / np.abs(x).max(), -1, 1)),
        ("silence", lambda x: np.concatenate([x, 1e-6 * np.random.default_rng(0).normal(size=5 * len(x))])),
        ("DC", lambda x: x + 0.05),
        ("band limit", lambda x: resample_poly(resample_poly(x, 1, 2), 2, 1)),
        ("band limit", lambda x: sosfiltfilt(butter(10, [300, 3400], "bandpass", fs=RATE, output="sos"), x)),
    ],
)
def test_a_fault_of_a_voice_is_found_alone(kind: str, change, voice: np.ndarray) -> None:  # type: ignore[no-untyped-def]
    assert set(of_sound(change(voice), RATE)) == {kind}


def test_the_edge_of_a_telephone_is_said(voice: np.ndarray) -> None:
    narrow = resample_poly(resample_poly(voice, 1, 2), 2, 1)
    found = of_sound(narrow + 1e-5 * np.random.default_rng(0).normal(size=len(narrow)), RATE)
    assert found["band limit"].startswith(("nothing above 3.", "nothing above 4."))


def test_channels(voice: np.ndarray) -> None:
    other = np.random.default_rng(0).normal(0, 0.1, len(voice))
    assert of_channels(np.stack([voice, 0.7 * voice + 0.05 * other], axis=1)) == {}
    assert of_channels(np.stack([voice, voice], axis=1)) == {"same channels": "channels 1 and 2"}
    assert of_channels(np.stack([voice, 0 * voice], axis=1)) == {"dead channel": "channel 2"}
    found = of_channels(np.stack([voice, -voice + 0.05 * other], axis=1))
    assert found == {"opposite channels": "the channels cancel: 1 and 2"}


@pytest.mark.parametrize("scale", [1.0, 0.9995])
def test_channels_that_cancel_are_refused_for_what_they_are(
    scale: float, voice: np.ndarray, tmp_path: Path
) -> None:
    soundfile.write(tmp_path / "a.wav", np.stack([voice, -scale * voice], axis=1), RATE, subtype="FLOAT")
    with pytest.raises(RecordingError, match="the channels cancel: one is the other turned upside down"):
        load_audio(tmp_path / "a.wav")
    soundfile.write(tmp_path / "b.wav", np.stack([voice, -0.5 * voice], axis=1), RATE, subtype="FLOAT")
    load_audio(tmp_path / "b.wav")


@pytest.mark.parametrize("rate", [128.0, 250.0, 1000.0])
def test_eeg_without_faults(rate: float) -> None:
    for seed in range(5):
        assert of_eeg(brain(rate=rate, seed=seed), rate, CHANNELS) == {}


def test_line_noise() -> None:
    time = np.arange(2000) / 250
    for hertz in (50.0, 60.0):
        clean = brain(rate=250.0)
        noisy = clean + 1e-5 * np.sin(2 * np.pi * hertz * time)
        assert of_eeg(noisy, 250.0, CHANNELS) == {"line noise": f"{hertz:g} Hz"}
        noisy[:5] = clean[:5]
        assert of_eeg(noisy, 250.0, CHANNELS) == {}


def test_flat_and_bridged_channels() -> None:
    eeg = brain()
    eeg[2] = 3e-5
    eeg[5] = eeg[4] + 1e-9 * np.random.default_rng(0).normal(size=eeg.shape[1])
    assert of_eeg(eeg, 128.0, CHANNELS) == {"flat channel": "C2", "bridged channels": "C4 and C5"}
    assert of_eeg(np.zeros((2, 512)), 128.0, ("a", "b"))["flat channel"] == "a, b"


def test_durations() -> None:
    rng = np.random.default_rng(0)
    usual = list(rng.uniform(1.5, 3.0, 40))
    assert unusual_durations(usual) == {}
    assert set(unusual_durations([*usual, 40.0, 0.2])) == {40, 41}
    assert unusual_durations([2.0] * 20) == {}
    assert unusual_durations([1.0, 50.0]) == {}
    assert unusual_durations([float("nan")] * 20) == {}


def test_notes_name_the_recordings() -> None:
    checks = {"clipping": {f"u{n}": "1 %" for n in range(5)}, "DC": {"x": "2 %"}}
    assert notes(checks, 20) == [
        "clipping in 5 of 20 recordings: u0 (1 %), u1 (1 %), u2 (1 %), and 2 more",
        "DC in 1 of 20 recordings: x (2 %)",
    ]
