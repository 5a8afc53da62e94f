"""Recordings with a table: whole files and segments."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from jmml.data.corpora import detect_adapter, get_corpus
from jmml.data.corpora.files import FilesCorpus
from jmml.data.features.audio import AUDIO
from jmml.data.labels import EMOTIONS
from jmml.data.listing.recordings import describe
from jmml.errors import CorpusError, RecordingError
from tests.jmml.data.corpora.make import make_files, write_wav

SEGMENTS = (
    "path,speaker,label,start_s,end_s\nlong.wav,ann,joy,0,1\nlong.wav,ann,fear,1,2.5\nlong.wav,bob,sad,2.5,\n"
)


@pytest.fixture
def segments(tmp_path: Path) -> Path:
    write_wav(tmp_path / "long.wav", seconds=4.0)
    (tmp_path / "recordings.csv").write_text(SEGMENTS)
    return tmp_path


def test_segments_of_one_recording_are_rows_of_their_own(segments: Path) -> None:
    corpus = get_corpus("files")
    frame = corpus.scan(segments).frame
    assert list(frame["id"]) == ["long@0-1", "long@1-2.5", "long@2.5-"]
    assert list(frame["duration_s"]) == [1.0, 1.5, 1.5]
    assert frame["content_hash"].nunique() == 3
    whole, rate = soundfile.read(segments / "long.wav", dtype="float32")
    for row, (start, end) in zip(frame.itertuples(), ((0, 1), (1, 2.5), (2.5, 4)), strict=True):
        signal = corpus.read(segments, row).signal[0]
        np.testing.assert_array_equal(signal, whole[round(start * rate) : round(end * rate)])


def test_a_segment_beyond_the_end_is_listed(segments: Path) -> None:
    (segments / "recordings.csv").write_text(SEGMENTS.replace("2.5,\n", "2.5,4.5\n"))
    with pytest.raises(
        RecordingError, match=r"1 of 3 .*long\.wav: lasts 4\.000 s, the segment 2\.5 to 4\.5 s"
    ):
        get_corpus("files").scan(segments)


def test_a_row_without_speaker_or_file_is_listed_and_the_others_stay_what_they_are(segments: Path) -> None:
    (segments / "recordings.csv").write_text(
        SEGMENTS.replace("long.wav,ann,joy", "gone.wav,ann,joy").replace("bob", "")
    )
    with pytest.raises(RecordingError, match=r"2 of 3 .*no file 'gone\.wav'.*long@2\.5-: says no speaker"):
        get_corpus("files").scan(segments)
    (row,) = get_corpus("files").scan(segments, skip_bad=True).frame.itertuples()
    assert get_corpus("files").read(segments, row).signal.shape == (1, 24000)


def test_an_edited_table_is_read_again(segments: Path) -> None:
    corpus = get_corpus("files")
    row = next(corpus.scan(segments).frame.itertuples())
    corpus.read(segments, row)
    (segments / "recordings.csv").write_text(SEGMENTS.replace("0,1", "0,0.5"))
    with pytest.raises(RecordingError, match=r"not in recordings\.csv any more"):
        corpus.read(segments, row)


def test_described_in_memory_is_as_written(tmp_path: Path) -> None:
    root = make_files(tmp_path)
    described = FilesCorpus(describe(root, AUDIO, table=root / "recordings.csv"))
    assert described.scan(root).frame.equals(get_corpus("files").scan(root).frame)
    row = next(described.scan(root).frame.itertuples())
    assert np.array_equal(described.read(root, row).signal, get_corpus("files").read(root, row).signal)


def test_recordings_without_a_table_are_not_recognised(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav")
    assert detect_adapter(tmp_path) is None
    with pytest.raises(CorpusError, match=r"no recordings\.csv; expected .*`jmml data add` writes one"):
        get_corpus("files").scan(tmp_path)


def test_words_for_emotions_are_understood() -> None:
    words = get_corpus("files").native_labels
    assert (words["happy"], words["Angry"], words["NEU"]) == ("happiness", "anger", "neutral")
    assert set(words.values()) == set(EMOTIONS)
