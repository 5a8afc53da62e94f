"""Long recordings: read in blocks they have the features that they have in memory, and their segments their own."""

from functools import partial
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import pandas as pd
import pytest
import soundfile as sf

from jmml.config import FeaturesConfig, SegmentsConfig, SpeechFeatureConfig, validate
from jmml.data.corpora import SpeechCorpus, get_corpus
from jmml.data.corpora._base import Recording
from jmml.data.features import blocks, extract, speech
from jmml.data.features.audio import load_audio
from jmml.data.features.blocks import Recorded
from jmml.errors import ConfigError, RecordingError
from tests.jmml.data.features.signals import noise, sine, vowels

CFG = SpeechFeatureConfig()


def segments(**values: Any) -> SpeechFeatureConfig:
    return SpeechFeatureConfig(segments=SegmentsConfig(**values))


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "_BLOCK", 5000)
    monkeypatch.setattr(blocks, "LONG_S", 1.0)


@pytest.mark.parametrize("rate", [44100, 24000, 11025, 12345.0])
def test_resampled_as_librosa_does(rate: float) -> None:
    signal = vowels(5, seconds=0.5)[0]
    expected = librosa.resample(signal, orig_sr=rate, target_sr=16000, res_type="soxr_hq")
    np.testing.assert_array_equal(blocks.resampled(signal, rate, 16000), expected)


@pytest.mark.parametrize("rate", [16000, 44100, 11025])
def test_in_blocks_as_in_memory(tmp_path: Path, small_blocks: None, rate: int) -> None:
    path = tmp_path / "a.wav"
    stereo = np.stack([vowels(5, rate=rate)[0], noise(seconds=2, rate=rate, amplitude=0.01)], axis=1)
    sf.write(path, stereo, rate)
    signal, read_rate = load_audio(path)
    expected = speech.prepared(signal, read_rate, CFG)
    parts = list(Recorded(path, path).at(16000))
    assert len(parts) > 5
    np.testing.assert_allclose(np.concatenate(parts), expected, atol=1e-6)
    features = speech.rows_of(Recorded(path, path).at(16000), CFG)
    np.testing.assert_allclose(features[0], speech.extract(signal, read_rate, CFG), rtol=2e-3, atol=2e-3)
    assert len(features) == 1


@pytest.mark.parametrize(
    ("signal", "match"),
    [
        (np.zeros(40_000, dtype=np.float32), "is silent"),
        (
            np.where(np.arange(40_000) == 30_000, np.nan, 0.1),
            r"1 samples are NaN or infinite, first at 1\.875 s",
        ),
        (1000 * sine(200, seconds=2), r"samples of up to 300"),
        (sine(200, seconds=0.1), r"lasts 0\.100 s"),
        (np.stack([sine(200, seconds=2), -sine(200, seconds=2)], axis=1), "the channels cancel"),
    ],
)
def test_what_cannot_be_used_is_told_as_in_memory(
    tmp_path: Path, small_blocks: None, signal: np.ndarray, match: str
) -> None:
    path = tmp_path / "a.wav"
    sf.write(path, signal, 16000, subtype="FLOAT")
    for read in (lambda: load_audio(path), lambda: speech.rows_of(Recorded(path, path).at(8000), CFG)):
        with pytest.raises(RecordingError, match=match):
            read()


def cut(signal: np.ndarray, *, parts: int = 1, **values: Any) -> list[np.ndarray]:
    return list(blocks.segmented(tuple(np.array_split(signal, parts)), 1000, SegmentsConfig(**values)))


@pytest.mark.parametrize("parts", [1, 7, 100])
@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"length_s": 3.0}, [(0, 3000), (3000, 6000), (6000, 9000)]),
        ({"length_s": 4.0, "hop_s": 2.5}, [(0, 4000), (2500, 6500), (5000, 9000)]),
        ({"length_s": 1.0, "hop_s": 4.0, "start_s": 0.5}, [(500, 1500), (4500, 5500), (8500, 9500)]),
        ({"length_s": 2.0, "start_s": 1.0, "end_s": 5.5}, [(1000, 3000), (3000, 5000)]),
        ({"length_s": 60.0}, [(0, 10_000)]),
        ({"length_s": 60.0, "start_s": 2.0, "end_s": 4.0}, [(2000, 4000)]),
        ({"length_s": 3.0, "start_s": 20.0}, []),
    ],
)
def test_segments_are_where_they_are_asked_for(
    values: dict[str, float], expected: list[tuple[int, int]], parts: int
) -> None:
    signal = np.random.default_rng(0).normal(size=10_000).astype(np.float32)
    got = cut(signal, parts=parts, **values)
    assert len(got) == len(expected)
    for segment, (start, end) in zip(got, expected, strict=True):
        np.testing.assert_array_equal(segment, signal[start:end])


def test_silent_segments_are_left_out() -> None:
    signal = np.ones(10_000, dtype=np.float32) / 4
    signal[4000:5000] += 0.1 * np.sin(np.arange(1000)).astype(np.float32)
    (segment,) = cut(signal, length_s=2.0)
    np.testing.assert_array_equal(segment, signal[4000:6000])
    with pytest.raises(RecordingError, match=r"u1: has no segment with a sound"):
        speech.rows_of((signal,), segments(length_s=0.2, end_s=0.1), where="u1")


def test_a_segment_has_the_features_of_its_own() -> None:
    signal, _, _ = vowels(1, seconds=4.0)
    rows = speech.rows_of((signal,), segments(length_s=1.5, hop_s=1.0))
    assert rows.shape == (3, 297)
    for row, start in zip(rows, (0, 16000, 32000), strict=True):
        np.testing.assert_array_equal(row, speech.from_parts((signal[start : start + 24000],), CFG))


def test_settings_of_segments() -> None:
    plain = SpeechFeatureConfig().model_dump(mode="json")
    assert "segments" not in plain  # features of whole recordings are known as they were
    assert speech.extractor_digest(segments()) != speech.extractor_digest(CFG)
    with pytest.raises(ConfigError, match=r"segments: end_s: 2 is not after start_s: 3"):
        validate(SpeechFeatureConfig, {"segments": {"start_s": 3.0, "end_s": 2.0}})


def corpus_of(root: Path) -> pd.DataFrame:
    for name, seconds in (("03-01-05-01-01-01-01", 1.6), ("03-01-03-01-01-01-02", 0.8)):
        sf.write(root / f"{name}.wav", vowels(1, seconds=seconds)[0], 16000)
    return get_corpus("ravdess").scan(root).frame


def test_long_recordings_of_a_corpus_are_never_held_as_a_whole(
    tmp_path: Path, small_blocks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = corpus_of(tmp_path)
    read = partial(get_corpus("ravdess").read, tmp_path)
    usual = [speech.extract(*load_audio(tmp_path / path), CFG) for path in frame["path"]]
    asked: list[str] = []

    def loaded(self: SpeechCorpus, root: Path, row: Any) -> Recording:
        asked.append(row.path)
        signal, rate = load_audio(root / row.path)
        return Recording(signal[None], rate, ("mono",))

    loaded.__name__ = "read"
    monkeypatch.setattr(SpeechCorpus, "read", loaded)
    read = partial(get_corpus("ravdess").read, tmp_path)
    table, _ = extract.extract_corpus(frame, read, "speech", FeaturesConfig(), corpus="lab")
    assert asked == ["03-01-03-01-01-01-02.wav"]
    np.testing.assert_allclose(table.X, usual, rtol=2e-3, atol=2e-3)


def test_rows_of_segments_are_named_after_their_recording(tmp_path: Path, small_blocks: None) -> None:
    frame = corpus_of(tmp_path)
    read = partial(get_corpus("ravdess").read, tmp_path)
    cfg = FeaturesConfig(speech=segments(length_s=0.5))
    table, _ = extract.extract_corpus(frame, read, "speech", cfg, corpus="lab")
    counts = table.index.groupby("recording").size().to_dict()
    assert counts == {"03-01-03-01-01-01-02": 1, "03-01-05-01-01-01-01": 3}
    assert table.ids.tolist()[-1] == "03-01-05-01-01-01-01#002"
    assert table.settings["segments"]["length_s"] == 0.5
