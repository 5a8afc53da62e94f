"""EAV: one folder, a speech corpus and an EEG corpus of the same people."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from jmml.data.corpora import detect_adapter, get_corpus
from jmml.data.corpora.eeg.eav import Eav
from jmml.errors import CorpusError, RecordingError
from tests.jmml.data.corpora.eeg.make import make_eav
from tests.jmml.data.corpora.make import write_wav


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_eav(tmp_path / "eav")


def test_both_have_the_same_people_ids_labels_and_places(folder: Path) -> None:
    speech, eeg = (get_corpus("eav", modality).scan(folder).frame for modality in ("speech", "eeg"))
    for column in ("id", "group", "label", "order"):
        assert sorted(speech[column]) == sorted(eeg[column]), column
    joined = speech.merge(eeg, on="id")
    assert (joined["label_x"] == joined["label_y"]).all()
    assert list(eeg["id"])[:2] == ["subject01_002", "subject01_004"]
    assert (set(speech["modality"]), set(eeg["modality"])) == ({"speech"}, {"eeg"})


def test_the_eeg_is_that_of_speaking_by_axis_and_number(folder: Path) -> None:
    corpus = get_corpus("eav", "eeg")
    manifest = corpus.scan(folder)
    data = loadmat(folder / "subject2/EEG/subject2_eeg.mat")["seg1"]
    row = manifest.frame[manifest.frame["id"] == "subject02_006"].iloc[0]
    recording = corpus.read(folder, row)
    np.testing.assert_allclose(recording.signal, data[:, :, 5].T * 1e-6, rtol=1e-6)
    assert recording.sample_rate_hz == 500.0
    assert any("listening left out" in note for note in manifest.notes)
    assert any("order of classes is the same for all people" in note for note in manifest.notes)


def test_labels_that_are_not_one_per_trial(folder: Path) -> None:
    path = folder / "subject1/EEG/subject1_eeg_label.mat"
    label = loadmat(path)["label"]
    label[:, 3] = 0
    savemat(path, {"label": label})
    with pytest.raises(RecordingError, match=r"subject1_eeg_label\.mat: trial 4 has 0 labels"):
        get_corpus("eav", "eeg").scan(folder)
    path.unlink()
    with pytest.raises(RecordingError, match=r"subject1_eeg_label\.mat: no such file"):
        get_corpus("eav", "eeg").scan(folder)


def test_names_of_utterances(folder: Path) -> None:
    write_wav(folder / "subject1/Audio/011_Trial_06_Listening_Anger.wav", seed=77)
    speech = get_corpus("eav", "speech")
    assert any("1 files of listening left out" in note for note in speech.scan(folder).notes)
    write_wav(folder / "subject1/Audio/take2.wav", seed=78)
    with pytest.raises(RecordingError, match=r"take2\.wav: name not coded as in EAV"):
        speech.scan(folder)


def test_what_a_folder_holds(folder: Path, tmp_path: Path) -> None:
    assert detect_adapter(folder) == "eav"
    assert Eav().held_in(folder) is None
    write_wav(tmp_path / "s/subject3/Audio/002_Trial_02_Speaking_Neutral_aud.wav")
    assert Eav().held_in(tmp_path / "s") == "speech"
    assert get_corpus("eav", "speech").read(
        folder, get_corpus("eav", "speech").scan(folder).frame.iloc[0]
    ).channels == ("mono",)


def test_none_of_either(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    for modality in ("speech", "eeg"):
        with pytest.raises(CorpusError, match="no recording in the layout of 'eav'"):
            Eav(modality).scan(tmp_path)  # type: ignore[arg-type]


def test_the_files_of_each_modality_are_taken_alone(folder: Path) -> None:
    speech, eeg = Eav("speech").files(folder), Eav("eeg").files(folder)
    assert {Path(place).suffix for place in speech} == {".wav"}
    assert sorted(eeg)[:2] == ["subject1/EEG/subject1_eeg.mat", "subject1/EEG/subject1_eeg_label.mat"]
