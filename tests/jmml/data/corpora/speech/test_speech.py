"""The three speech adapters: names, labels, and what they leave out."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from jmml.data.corpora import ADAPTERS, get_corpus
from jmml.data.corpora._speech import inspect_audio
from jmml.data.corpora.speech.emodb import EmoDB
from jmml.data.corpora.speech.nemo import Nemo
from jmml.data.corpora.speech.ravdess import Ravdess
from jmml.errors import CorpusError, RecordingError
from tests.jmml.data.corpora.make import (
    NEMO_ROWS,
    make_ased,
    make_emodb,
    make_nemo,
    make_ravdess,
    truncate,
    write_wav,
)

REALDATA = os.environ.get("JMML_REALDATA")


class TestNemo:
    def test_rows(self, tmp_path: Path) -> None:
        frame = Nemo().scan(make_nemo(tmp_path)).frame
        assert sorted(zip(frame["group"], frame["label"], strict=True)) == sorted(NEMO_ROWS)
        assert frame["id"][0] == "AA0_anger_0"
        assert set(frame["sample_rate_hz"]) == {24000.0}
        assert set(frame["duration_s"]) == {0.5}

    def test_a_file_that_the_table_names_is_missing(self, tmp_path: Path) -> None:
        (make_nemo(tmp_path) / "samples" / "BB0_neutral_2.wav").unlink()
        with pytest.raises(RecordingError) as caught:
            Nemo().scan(tmp_path)
        assert "1 of 4 recordings" in str(caught.value)
        assert "samples/BB0_neutral_2.wav: no such file" in str(caught.value)

    def test_all_files_missing_cannot_be_skipped(self, tmp_path: Path) -> None:
        for file in (make_nemo(tmp_path) / "samples").iterdir():
            file.unlink()
        with pytest.raises(RecordingError, match=r"4 of 4 recordings .* and 1 more") as caught:
            Nemo().scan(tmp_path, skip_bad=True)
        assert "--skip-bad" not in str(caught.value)

    def test_a_file_that_the_table_does_not_name_is_noted(self, tmp_path: Path) -> None:
        write_wav(make_nemo(tmp_path) / "samples" / "extra.wav")
        manifest = Nemo().scan(tmp_path)
        assert len(manifest) == 4
        assert manifest.notes == ["1 files in samples/ are not named in data.tsv"]
        assert not manifest.skipped

    @pytest.mark.parametrize("column", ["file_id", "emotion", "speaker_id"])
    def test_missing_column(self, column: str, tmp_path: Path) -> None:
        table = make_nemo(tmp_path) / "data.tsv"
        table.write_text(table.read_text().replace(column, "other", 1))
        with pytest.raises(CorpusError, match=rf"data\.tsv: columns missing: {column};"):
            Nemo().scan(tmp_path)

    @pytest.mark.parametrize("name", ["../../secret.wav", "/etc/passwd", ".hidden.wav", "a\\b.wav"])
    def test_names_cannot_leave_the_folder(self, name: str, tmp_path: Path) -> None:
        table = make_nemo(tmp_path) / "data.tsv"
        table.write_text(table.read_text() + f"{name}\tanger\tx\tx\tAA0\tfemale\t27\n")
        with pytest.raises(RecordingError, match=r"data\.tsv line 6: file_id .* is not a plain file name"):
            Nemo().scan(tmp_path)

    def test_a_row_without_speaker(self, tmp_path: Path) -> None:
        table = make_nemo(tmp_path) / "data.tsv"
        table.write_text(table.read_text().replace("\tAA0\t", "\t\t", 1))
        with pytest.raises(RecordingError, match=r"data\.tsv line 2: no file_id or no speaker_id"):
            Nemo().scan(tmp_path)

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ("\tanger\t", "\tsadness\t", "the name says emotion anger, the row says sadness"),
            ("\tAA0\t", "\tBB0\t", "the name says speaker AA0, the row says BB0"),
        ],
    )
    def test_a_table_that_contradicts_the_names_of_the_files(
        self, old: str, new: str, message: str, tmp_path: Path
    ) -> None:
        table = make_nemo(tmp_path) / "data.tsv"
        table.write_text(table.read_text().replace(old, new, 1))
        with pytest.raises(RecordingError, match=rf"data\.tsv line 2 \(AA0_anger_0\.wav\): {message}"):
            Nemo().scan(tmp_path)
        assert len(Nemo().scan(tmp_path, skip_bad=True)) == 3

    def test_a_file_named_twice(self, tmp_path: Path) -> None:
        table = make_nemo(tmp_path) / "data.tsv"
        table.write_text(table.read_text() + table.read_text().splitlines()[1] + "\n")
        with pytest.raises(
            RecordingError, match=r"id 'AA0_anger_0' occurs already in samples/AA0_anger_0\.wav"
        ):
            Nemo().scan(tmp_path)

    @pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00broken", b"file_id\temotion\tspeaker_id\n"])
    def test_a_table_that_is_none(self, content: bytes, tmp_path: Path) -> None:
        (make_nemo(tmp_path) / "data.tsv").write_bytes(content)
        with pytest.raises(CorpusError) as caught:
            Nemo().scan(tmp_path)
        assert "\n" not in str(caught.value)

    @pytest.mark.skipif(not REALDATA, reason="JMML_REALDATA names no folder with real recordings")
    def test_the_real_recordings(self) -> None:
        root = Path(str(REALDATA)) / "nemo_dev"
        manifest = Nemo().scan(root)
        frame = manifest.frame
        assert len(frame) == 975
        assert frame["group"].nunique() == 6
        assert frame["label"].value_counts().to_dict() == {
            "neutral": 180, "happiness": 171, "sadness": 167, "anger": 162, "fear": 161, "surprised": 134,
        }  # fmt: skip
        assert set(frame["sample_rate_hz"]) == {24000.0}
        assert not manifest.skipped
        assert not manifest.notes
        assert Nemo().read(root, frame.iloc[0]).signal.shape == (1, round(frame["duration_s"][0] * 24000))


class TestEmoDB:
    def test_rows(self, tmp_path: Path) -> None:
        frame = EmoDB().scan(make_emodb(tmp_path)).frame
        assert list(frame["id"]) == ["03a01Wa", "03a02Na", "08b10Fb", "08b10Ta"]
        assert list(frame["group"]) == ["03", "03", "08", "08"]
        assert list(frame["label"]) == ["W", "N", "F", "T"]

    def test_files_in_the_root(self, tmp_path: Path) -> None:
        root = make_emodb(tmp_path) / "wav"
        assert list(EmoDB().scan(root).frame["path"]) == [
            f"{n}.wav" for n in ("03a01Wa", "03a02Na", "08b10Fb", "08b10Ta")
        ]

    def test_a_name_of_another_kind_is_listed(self, tmp_path: Path) -> None:
        write_wav(make_emodb(tmp_path) / "wav" / "hello.wav")
        with pytest.raises(RecordingError, match=r"wav/hello\.wav: name not coded as in EmoDB"):
            EmoDB().scan(tmp_path)
        assert len(EmoDB().scan(tmp_path, skip_bad=True)) == 4

    def test_companions_of_macos_are_no_recordings(self, tmp_path: Path) -> None:
        (make_emodb(tmp_path) / "wav" / "._03a01Wa.wav").write_bytes(b"resource fork")
        assert len(EmoDB().scan(tmp_path)) == 4

    def test_upper_case_suffix(self, tmp_path: Path) -> None:
        file = make_emodb(tmp_path) / "wav" / "03a01Wa.wav"
        file.rename(file.with_suffix(".WAV"))
        assert len(EmoDB().scan(tmp_path)) == 4


class TestRavdess:
    def test_rows(self, tmp_path: Path) -> None:
        frame = Ravdess().scan(make_ravdess(tmp_path)).frame
        assert list(frame["label"]) == ["01", "05", "02", "08"]
        assert list(frame["group"]) == ["01", "01", "12", "12"]

    def test_flat(self, tmp_path: Path) -> None:
        write_wav(tmp_path / "03-01-05-01-02-01-12.wav")
        frame = Ravdess().scan(tmp_path).frame
        assert (frame["group"][0], frame["label"][0]) == ("12", "05")

    def test_songs_and_video_are_left_out_with_a_note(self, tmp_path: Path) -> None:
        folder = make_ravdess(tmp_path) / "Actor_01"
        write_wav(folder / "03-02-05-01-02-01-01.wav")
        write_wav(folder / "01-01-05-01-02-01-01.wav")
        manifest = Ravdess().scan(tmp_path)
        assert len(manifest) == 4
        assert manifest.notes == [
            "1 songs (vocal channel 02) left out",
            "1 sound tracks of video (modality 01 or 02) left out",
        ]

    def test_songs_alone(self, tmp_path: Path) -> None:
        write_wav(tmp_path / "03-02-05-01-02-01-01.wav")
        with pytest.raises(CorpusError, match=r"no recording in the layout of 'ravdess' \(1 songs"):
            Ravdess().scan(tmp_path)

    def test_the_same_file_in_two_places(self, tmp_path: Path) -> None:
        make_ravdess(tmp_path)
        write_wav(tmp_path / "03-01-05-01-02-01-01.wav")
        with pytest.raises(RecordingError, match="id '03-01-05-01-02-01-01' occurs already"):
            Ravdess().scan(tmp_path)

    def test_folder_and_name_disagree_about_the_actor(self, tmp_path: Path) -> None:
        folder = make_ravdess(tmp_path) / "Actor_01"
        (folder / "03-01-05-01-02-01-01.wav").rename(folder / "03-01-05-01-02-01-02.wav")
        with pytest.raises(RecordingError, match="the name says actor 02, the folder says 01"):
            Ravdess().scan(tmp_path)


class TestHeader:
    """Header-only inspection of audio."""

    @pytest.mark.parametrize(
        ("format_", "subtype"), [("WAV", "PCM_16"), ("WAV", "FLOAT"), ("WAVEX", "PCM_24"), ("RF64", "PCM_16")]
    )
    def test_duration_and_truncation(self, format_: str, subtype: str, tmp_path: Path) -> None:
        path = tmp_path / "a.wav"
        soundfile.write(path, np.zeros((8001, 2)), 16000, format=format_, subtype=subtype)
        assert inspect_audio(path) == (8001 / 16000, 16000.0)
        truncate(path, path.stat().st_size - 1)
        with pytest.raises(RecordingError, match="truncated"):
            inspect_audio(path)

    def test_a_chunk_after_the_samples_is_no_sample(self, tmp_path: Path) -> None:
        path = write_wav(tmp_path / "a.wav")
        path.write_bytes(path.read_bytes() + b"LIST" + struct.pack("<I", 4) + b"INFO")
        assert inspect_audio(path) == (0.5, 16000.0)
        truncate(path, 10000)
        with pytest.raises(RecordingError, match="truncated"):
            inspect_audio(path)

    def test_a_streamed_file_of_unknown_length_is_whole(self, tmp_path: Path) -> None:
        path = write_wav(tmp_path / "a.wav")
        blob = bytearray(path.read_bytes())
        blob[4:8] = blob[40:44] = b"\xff\xff\xff\xff"
        path.write_bytes(blob)
        assert inspect_audio(path) == (0.5, 16000.0)

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", r"empty \(0 bytes\)"),
            (b"no audio at all", r"holds no readable audio \(it is text\)"),
            (b"RIFF\x00\x00\x00\x00WAVE", "holds no readable audio"),
        ],
    )
    def test_no_audio(self, content: bytes, message: str, tmp_path: Path) -> None:
        path = tmp_path / "a.wav"
        path.write_bytes(content)
        with pytest.raises(RecordingError, match=message):
            inspect_audio(path)

    def test_no_samples(self, tmp_path: Path) -> None:
        soundfile.write(tmp_path / "a.wav", np.zeros(0), 16000)
        with pytest.raises(RecordingError, match="holds no samples"):
            inspect_audio(tmp_path / "a.wav")

    def test_a_flac_needs_no_riff_header(self, tmp_path: Path) -> None:
        soundfile.write(tmp_path / "a.flac", np.zeros(800), 16000)
        assert inspect_audio(tmp_path / "a.flac") == (0.05, 16000.0)


@pytest.mark.parametrize("adapter", ["nemo", "emodb", "ravdess"])
def test_a_wrong_modality_is_refused(adapter: str) -> None:
    assert get_corpus(adapter, "speech").name == adapter
    with pytest.raises(CorpusError, match=f"'{adapter}' holds speech; expected eeg"):
        get_corpus(adapter, "eeg")


@pytest.mark.parametrize("name", ["atlantis", ""])
def test_unknown_adapter_lists_the_valid_ones(name: str) -> None:
    with pytest.raises(CorpusError, match=f"valid: {', '.join(sorted(ADAPTERS))}"):
        get_corpus(name)


def test_names_that_are_not_utf8_are_read_and_refused_with_a_line_each(tmp_path: Path) -> None:
    root = make_ased(tmp_path / "ased")
    folder = root / os.fsdecode(b"\xff")
    folder.mkdir()
    file = min(root.glob("*.wav")).rename(folder / "a5-01-01-01-01.wav")
    assert inspect_audio(file)[1] == 16000
    with pytest.raises(RecordingError) as caught:
        get_corpus("ased").scan(root)
    assert "1 of 4 recordings cannot be used: \N{REPLACEMENT CHARACTER}/a5-" in str(caught.value)
    assert "the name is not UTF-8; rename it" in str(caught.value)
    kept = get_corpus("ased").scan(root, skip_bad=True)
    assert (len(kept), len(kept.skipped)) == (3, 1)
    kept.save(tmp_path / "manifest.parquet")
