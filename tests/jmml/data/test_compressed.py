"""Sound through PyAV: M4A, AAC, MP4 and Matroska, whole, cut off, and not what they are called."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from jmml.data.corpora import get_corpus
from jmml.data.corpora._speech import inspect_audio
from jmml.data.features import sound
from jmml.data.features.audio import AUDIO, load_audio
from jmml.data.listing.recordings import find_recordings
from jmml.errors import RecordingError
from tests.jmml.data.corpora.make import write_wav
from tests.jmml.data.corpora.speech import published

av = pytest.importorskip("av")
RATE = 16000
TONE = 0.3 * np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE) * np.linspace(0.2, 1.0, 2 * RATE)


def write(
    path: Path, signal: np.ndarray = TONE, *, form: str | None = None, layout: str = "mono", **options: str
) -> Path:
    """AAC in the container that the suffix, or ``form``, names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.atleast_2d(signal).astype(np.float32)
    with av.open(str(path), "w", format=form, container_options=options) as container:
        stream = container.add_stream("aac", rate=RATE)
        stream.layout = layout
        for start in range(0, samples.shape[1], 1024):
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(samples[:, start : start + 1024]), "fltp", layout
            )
            frame.sample_rate, frame.pts = RATE, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


KINDS = [("a.m4a", None), ("a.aac", "adts"), ("a.mp4", None), ("a.mka", None)]
each_kind = pytest.mark.parametrize(("name", "form"), KINDS)


@each_kind
def test_a_tone_is_what_it_was(name: str, form: str | None, tmp_path: Path) -> None:
    path = write(tmp_path / name, form=form)
    signal, rate = load_audio(path)
    assert (rate, signal.dtype) == (RATE, np.float32)
    assert inspect_audio(path) == (len(signal) / RATE, RATE)
    delay = 1024 if form == "adts" else 0  # a raw stream does not say what the encoder put in front
    heard = signal[delay : delay + len(TONE)]
    difference = heard - TONE[: len(heard)]
    assert np.sqrt(np.mean(difference**2)) < 0.02 * np.sqrt(np.mean(TONE**2))


def test_channels_are_averaged(tmp_path: Path) -> None:
    signal, _ = load_audio(write(tmp_path / "a.m4a", np.stack([TONE, 0.0 * TONE]), layout="stereo"))
    mono, _ = load_audio(write(tmp_path / "b.m4a", 0.5 * TONE))
    assert np.abs(signal - mono).max() < 0.02


@each_kind
@pytest.mark.parametrize("share", [0.05, 0.3, 0.8])
def test_a_file_that_is_cut_off_is_refused(name: str, form: str | None, share: float, tmp_path: Path) -> None:
    path = write(tmp_path / name, form=form)
    whole = path.read_bytes()
    path.write_bytes(whole[: round(share * len(whole)) + (form == "adts")])
    with pytest.raises(RecordingError, match=name):
        load_audio(path)


def test_a_file_that_is_cut_off_behind_its_index_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.m4a", movflags="faststart")
    whole = path.read_bytes()
    assert whole.index(b"moov") < whole.index(b"mdat")
    path.write_bytes(whole[: len(whole) * 3 // 4])
    with pytest.raises(RecordingError, match=r"truncated|no readable audio"):
        load_audio(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"RIFF\x00\x00\x00\x00WAVE", "begins like none of MP4"),
        (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n", "begins like none of MP4"),
        (b"ffconcat version 1.0\nfile /etc/hostname\n", "begins like none of MP4"),
        (b"\0\0\0\x20ftypM4A " + bytes(500), "holds no"),
        (b"\x1aE\xdf\xa3" + bytes(500), "holds no"),
        (b"\xff\xf1" + bytes(500), "holds no"),
        (b"", r"is empty \(0 bytes\)"),
    ],
)
def test_what_is_none_is_one_line(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.m4a").write_bytes(content)
    with pytest.raises(RecordingError, match=message) as caught:
        load_audio(tmp_path / "a.m4a")
    assert "\n" not in str(caught.value)


def test_damage_anywhere_is_a_recording_that_cannot_be_used_or_can(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = write(tmp_path / "a.m4a", TONE[:8000])
    whole = np.frombuffer(path.read_bytes(), dtype=np.uint8)
    refused: list[str] = []
    for _ in range(60):
        damaged = whole.copy()
        damaged[rng.integers(0, len(whole), 20)] = rng.integers(0, 256, 20)
        path.write_bytes(damaged.tobytes())
        try:
            load_audio(path)
        except RecordingError as error:
            refused.append(str(error))
    assert refused
    assert not any("\n" in line for line in refused)


def test_it_unpacks_within_the_bounds_of_other_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.m4a")
    monkeypatch.setattr(sound, "MAX_FRAMES", RATE)
    with pytest.raises(RecordingError, match="holds more than 16,000 samples per channel"):
        load_audio(path)


def test_blocks_are_the_whole(tmp_path: Path) -> None:
    path = write(tmp_path / "a.m4a")
    with sound.opened(path) as one:
        whole = np.concatenate([*one.blocks()])
    with sound.opened(path) as one:
        blocks = [*one.blocks(1000)]
    assert {len(block) for block in blocks[:-1]} == {1000}
    np.testing.assert_array_equal(np.concatenate(blocks), whole)


def test_without_the_library_one_line_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.m4a")
    monkeypatch.setitem(sys.modules, "av", None)
    line = r"\.m4a needs PyAV, which is not installed. `pip install 'jmml\[compressed\]'`"
    with pytest.raises(RecordingError, match=line):
        load_audio(path)
    assert load_audio(write_wav(tmp_path / "a.wav"))[1] == RATE


def test_it_is_found_among_recordings_and_video_is_not(tmp_path: Path) -> None:
    write(tmp_path / "a.m4a")
    write(tmp_path / "a.mp4")
    write_wav(tmp_path / "b.wav")
    assert find_recordings(tmp_path, AUDIO) == ["a.m4a", "b.wav"]


def test_meld_is_read_as_it_is_published(tmp_path: Path) -> None:
    root = published.make_meld(tmp_path, audio=False)
    for seed, (part, dialog, number, *_) in enumerate(published.MELD):
        noise = np.random.default_rng(seed).normal(0.0, 0.1, RATE)
        write(root / published.MELD_FOLDERS[part] / f"dia{dialog}_utt{number}.mp4", noise)
    frame = get_corpus("meld").scan(root).frame
    assert len(frame) == 4
    recording = get_corpus("meld").read(root, frame.iloc[0])
    assert recording.signal.shape == (1, round(frame["duration_s"][0] * RATE))
