"""Every way in which an audio file can be wrong, and that a right one is read exactly."""

import os
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from jmml.data.features.audio import load_audio
from jmml.errors import RecordingError
from tests.jmml.data.features.signals import noise, sine


def write(path: Path, signal: np.ndarray, rate: int = 16000, **options: str) -> Path:
    sf.write(path, signal, rate, **options)
    return path


def refused(path: Path, match: str) -> None:
    with pytest.raises(RecordingError, match=match) as caught:
        load_audio(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def cut(path: Path, share: float = 0.6) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: round(share * len(content))])
    return path


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 44100, 48000])
def test_float_wav_is_read_exactly_at_its_own_rate(tmp_path: Path, rate: int) -> None:
    signal = sine(300, rate=rate)
    read, read_rate = load_audio(write(tmp_path / "a.wav", signal, rate, subtype="FLOAT"))
    assert read_rate == rate
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, signal)


@pytest.mark.parametrize(
    ("name", "tolerance"), [("a.wav", 1e-4), ("a.flac", 1e-4), ("a.ogg", 0.05), ("a.mp3", 0.05)]
)
def test_every_format_gives_back_the_tone(tmp_path: Path, name: str, tolerance: float) -> None:
    signal = sine(440)
    read, _ = load_audio(write(tmp_path / name, signal))
    assert abs(len(read) - len(signal)) <= 2 * 1152
    middle = slice(4000, 12000)
    assert np.abs(read[middle] - signal[middle]).max() < tolerance


def test_stereo_is_the_mean_of_its_channels(tmp_path: Path) -> None:
    left, right = sine(300), noise()
    read, _ = load_audio(write(tmp_path / "a.wav", np.stack([left, right], axis=1), subtype="FLOAT"))
    np.testing.assert_allclose(read, (left + right) / 2, atol=1e-7)


def test_missing_folder_and_empty(tmp_path: Path) -> None:
    refused(tmp_path / "none.wav", "no such file")
    refused(tmp_path, "is a folder")
    empty = tmp_path / "empty.wav"
    empty.touch()
    refused(empty, "is empty")


def test_no_audio(tmp_path: Path) -> None:
    text = tmp_path / "notes.wav"
    text.write_text("no audio here, only words\n" * 20)
    refused(text, "holds no readable audio")


def test_zero_length(tmp_path: Path) -> None:
    refused(write(tmp_path / "a.wav", np.zeros(0, dtype=np.float32)), "zero samples")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.wav", {"subtype": "PCM_16"}),
        ("a.wav", {"subtype": "FLOAT", "format": "RF64"}),
        ("a.ogg", {"subtype": "VORBIS"}),
        ("a.ogg", {"subtype": "OPUS"}),
        ("a.mp3", {}),
    ],
)
def test_truncated(tmp_path: Path, name: str, options: dict[str, str]) -> None:
    path = write(tmp_path / name, noise(seconds=3), **options)
    load_audio(path)
    refused(cut(path), "is truncated")


def test_truncated_flac_and_header(tmp_path: Path) -> None:
    refused(cut(write(tmp_path / "a.flac", noise(seconds=3))), "holds no readable audio")
    refused(cut(write(tmp_path / "a.wav", noise()), 0.001), "holds no readable audio")


def test_wav_short_of_one_sample_is_truncated(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", noise(), subtype="PCM_16")
    path.write_bytes(path.read_bytes()[:-2])
    refused(path, "is truncated .32000 bytes of audio announced, 31998 present")


def test_chunks_before_and_after_the_audio_are_no_truncation(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", noise(), subtype="PCM_16")
    content = path.read_bytes()
    odd = b"note" + struct.pack("<I", 3) + b"abc\x00"
    body = content[12:36] + odd + content[36:] + odd
    path.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body)
    assert len(load_audio(path)[0]) == 16000


def test_wav_streamed_to_a_pipe_has_no_announced_size(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", noise(), subtype="PCM_16")
    content = bytearray(path.read_bytes())
    content[4:8] = content[40:44] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    assert len(load_audio(path)[0]) == 16000


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_not_finite(tmp_path: Path, value: float) -> None:
    signal = noise()
    signal[800] = value
    refused(
        write(tmp_path / "a.wav", signal, subtype="FLOAT"), "1 samples are NaN or infinite, first at 0.050 s"
    )


@pytest.mark.parametrize("offset", [0.0, 0.25])
def test_silence(tmp_path: Path, offset: float) -> None:
    refused(write(tmp_path / "a.wav", np.full(16000, offset, dtype=np.float32)), "is silent")


def test_too_short_and_too_slow(tmp_path: Path) -> None:
    refused(write(tmp_path / "a.wav", noise(seconds=0.15)), "lasts 0.150 s")
    refused(write(tmp_path / "a.wav", noise(), rate=4000), "sample rate 4000 Hz")


def test_a_name_that_is_not_utf8_is_read(tmp_path: Path) -> None:
    usual = write(tmp_path / "a.wav", noise())
    named = Path(shutil.copy(usual, tmp_path / os.fsdecode(b"b\xff.wav")))
    np.testing.assert_array_equal(load_audio(named)[0], load_audio(usual)[0])
    named.write_text("no audio")
    with pytest.raises(RecordingError, match="holds no readable audio"):
        load_audio(named)
