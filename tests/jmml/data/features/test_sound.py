"""Every codec, length and header that libsndfile can meet is read to its end, in bounded memory, or refused."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from jmml.data.features import sound
from jmml.data.features.audio import load_audio
from jmml.data.features.sound import UNSAID, opened
from jmml.errors import RecordingError
from tests.jmml.data.features.signals import noise

RATE = 16000


def write(path: Path, signal: np.ndarray, rate: int = RATE, **options: str) -> Path:
    sf.write(path, signal, rate, **options)
    return path


def samples(path: Path, size: int = sound.BLOCK) -> np.ndarray:
    with opened(path) as file:
        return np.concatenate(list(file.blocks(size)))


def without_length(path: Path) -> Path:
    """A FLAC as an encoder writes it to a pipe: its header says 0 samples, which is `not known`."""
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("name", "format_", "subtype"),
    [
        *(
            ("a.wav", "WAV", subtype)
            for subtype in ("PCM_U8", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW")
        ),
        *(
            ("a.wav", "WAV", subtype)
            for subtype in ("IMA_ADPCM", "MS_ADPCM", "GSM610", "G721_32", "NMS_ADPCM_16")
        ),
        ("a.aiff", "AIFF", "PCM_S8"),
        ("a.au", "AU", "G723_24"),
        ("a.caf", "CAF", "ALAC_16"),
        ("a.w64", "W64", "GSM610"),
    ],
)
def test_every_depth_and_codec_is_read_to_its_end(
    tmp_path: Path, name: str, format_: str, subtype: str
) -> None:
    signal = 0.5 * np.sin(np.arange(RATE) * 0.05)
    path = write(tmp_path / name, signal, 8000, format=format_, subtype=subtype)
    whole = samples(path)
    assert 0 <= len(whole) - RATE < 1000  # blocks of a codec are filled up
    assert np.abs(whole[2000:RATE, 0] - signal[2000:]).max() < 0.2
    np.testing.assert_array_equal(samples(path, 1000), whole)
    assert load_audio(path)[1] == 8000


@pytest.mark.parametrize("name", ["a.mp3", "a.ogg", "a.flac", "a.wav"])
def test_blocks_are_the_file_as_libsndfile_reads_it_at_once(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, noise(seconds=3))
    # MPEG decoders round differently after a seek, which soundfile does before each read.
    tolerance = 1e-7 if name == "a.mp3" else 0
    read = samples(path, 4096)[:, 0]
    np.testing.assert_allclose(read, sf.read(path, dtype="float32")[0], rtol=0, atol=tolerance)
    np.testing.assert_array_equal(read, samples(path)[:, 0])


def test_a_flac_of_unknown_length(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac", noise(seconds=2))
    whole = samples(path)
    with opened(without_length(path)) as file:
        assert (file.frames, file.remark) == (None, UNSAID)
    np.testing.assert_array_equal(samples(path), whole)
    path.write_bytes(path.read_bytes()[:-20000])
    with pytest.raises(RecordingError, match="holds no readable audio"):
        samples(path)


@pytest.mark.parametrize("size", [0, 0x7FFFF000, 0xFFFFFFFF])
@pytest.mark.parametrize("riff", [0, None, 0xFFFFFFFF])
def test_a_wav_that_announces_nothing_is_read_and_said(tmp_path: Path, size: int, riff: int | None) -> None:
    path = write(tmp_path / "a.wav", noise(), subtype="PCM_16")
    whole, content = samples(path), bytearray(path.read_bytes())
    content[40:44] = struct.pack("<I", size)
    if riff is not None:
        content[4:8] = struct.pack("<I", riff)
    path.write_bytes(content)
    with opened(path) as file:
        assert file.remark == UNSAID
    np.testing.assert_array_equal(samples(path, 1000), whole)


def test_no_audio_behind_a_size_of_0(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", np.zeros(0, dtype=np.float32), subtype="PCM_16")
    path.write_bytes(path.read_bytes() + b"LIST" + struct.pack("<I", 4) + b"INFO")
    with pytest.raises(RecordingError, match="zero samples"):
        load_audio(path)


@pytest.mark.parametrize(("name", "format_"), [("a.aiff", "AIFF"), ("a.au", "AU")])
def test_truncated_aiff_and_au(tmp_path: Path, name: str, format_: str) -> None:
    path = write(tmp_path / name, noise(), format=format_, subtype="PCM_16")
    assert len(samples(path)) == RATE
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(RecordingError, match=r"is truncated .* bytes announced"):
        samples(path)


def test_a_length_beyond_all_bounds_is_refused_by_the_header(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac", noise())
    content = bytearray(path.read_bytes())
    content[21] |= 0x0F
    path.write_bytes(content)
    with pytest.raises(RecordingError, match="more than 1,073,741,824 samples per channel"), opened(path):
        pass


@pytest.mark.parametrize("hidden", [False, True], ids=["announced", "not announced"])
def test_a_small_file_that_unpacks_to_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hidden: bool
) -> None:
    """The bounds are smaller here, as what fills the memory takes seconds to write."""
    path = write(tmp_path / "a.flac", np.zeros(1 << 20, dtype=np.float32))
    assert path.stat().st_size * sound.MAX_RATIO < 1 << 20
    assert len(samples(path)) == 1 << 20  # short enough for any ratio
    if hidden:
        without_length(path)
    monkeypatch.setattr(sound, "MAX_UNPACKED", 1 << 19)
    read = []
    with (
        pytest.raises(RecordingError, match="unpacks to more than 128 samples per byte"),
        opened(path) as file,
    ):
        read += [len(block) for block in file.blocks(1 << 16)]
    assert sum(read) <= 1 << 19


def test_as_many_channels_and_rates_as_there_are(tmp_path: Path) -> None:
    six = np.stack([noise(seed=seed) for seed in range(6)], axis=1)
    read, _ = load_audio(write(tmp_path / "surround.wav", six, subtype="FLOAT"))
    np.testing.assert_allclose(read, six.mean(axis=1), atol=1e-6)
    assert load_audio(write(tmp_path / "fast.wav", noise(seconds=12.5), 200_000))[1] == 200_000


def test_values_above_full_scale_are_read_and_numbers_that_nobody_scaled_refused(tmp_path: Path) -> None:
    loud = 3 * noise()
    np.testing.assert_array_equal(load_audio(write(tmp_path / "a.wav", loud, subtype="FLOAT"))[0], loud)
    raw = np.round(20000 * noise())
    with pytest.raises(RecordingError, match=r"samples of up to .*; expected full scale at 1"):
        load_audio(write(tmp_path / "a.wav", raw, subtype="FLOAT"))


@pytest.mark.parametrize(
    ("content", "kind"), [(b"PK\x03\x04" + bytes(500), "a ZIP archive"), (b"hello" * 9, "text")]
)
def test_a_wrong_suffix_is_told_by_the_content(tmp_path: Path, content: bytes, kind: str) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(RecordingError, match=rf"holds no readable audio \(it is {kind}\)"):
        load_audio(tmp_path / "a.wav")
    good = write(tmp_path / "b.flac", noise())
    assert len(load_audio(good.rename(tmp_path / "b.wav"))[0]) == RATE  # the content decides, not the name
