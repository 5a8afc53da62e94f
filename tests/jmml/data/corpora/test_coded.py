"""Corpora whose file names say everything: who speaks what with which emotion, in each published layout."""

from __future__ import annotations

from pathlib import Path

import pytest

from jmml.data.corpora import detect_adapter, get_corpus
from jmml.errors import RecordingError
from tests.jmml.data.corpora import make

# adapter, a name as published, what it says
NAMES = [
    ("emodb", "wav/03a01Fa.wav", ("03", "a01", "F")),
    ("ravdess", "Actor_12/03-01-05-01-02-01-12.wav", ("12", "02", "05")),
    ("nemo", "samples/SB0_surprised_105.wav", ("SB0", "105", "surprised")),
    ("savee", "AudioData/KL/su12.wav", ("KL", "su12", "su")),
    ("savee", "ALL/JK_a07.wav", ("JK", "a07", "a")),
    ("tess", "YAF_pleasant_surprised/YAF_white_ps.wav", ("YAF", "white", "ps")),
    ("ased", "Sadness/s4-02-01-02-65.wav", ("65", "s4-02", "s")),
    ("cremad", "AudioWAV/1091_TSI_FEA_HI.wav", ("1091", "TSI", "FEA")),
]


@pytest.mark.parametrize(("adapter", "path", "fields"), NAMES)
def test_a_name_says_who_speaks_what_with_which_emotion(adapter, path, fields) -> None:
    corpus = get_corpus(adapter)
    found = corpus.naming.fields(path)  # type: ignore[attr-defined]
    assert (found["person"], found["text"], found["label"]) == fields
    assert fields[2] in corpus.native_labels


@pytest.mark.parametrize("adapter", ["savee", "tess", "ased", "cremad"])
def test_it_is_recognised_and_read_in_place_or_in_one_folder(adapter, tmp_path: Path) -> None:
    root = getattr(make, f"make_{adapter}")(tmp_path / "corpus")
    assert detect_adapter(root) == adapter
    frame = get_corpus(adapter).scan(root).frame
    flat = tmp_path / "flat"
    for file in root.rglob("*.wav"):
        name = f"{file.parent.name}_{file.name}" if adapter == "savee" else file.name
        (flat / name).parent.mkdir(exist_ok=True)
        file.rename(flat / name)
    same = get_corpus(adapter).scan(flat).frame
    columns = ["id", "group", "label", "content_hash"]
    assert same[columns].sort_values("id").values.tolist() == frame[columns].sort_values("id").values.tolist()


def test_one_speaker_under_two_names_is_one(tmp_path: Path) -> None:
    frame = get_corpus("tess").scan(make.make_tess(tmp_path)).frame
    assert dict(zip(frame["id"], frame["group"], strict=True))["OA_bite_neutral"] == "OAF"


def test_a_capital_letter_is_no_other_emotion(tmp_path: Path) -> None:
    frame = get_corpus("ased").scan(make.make_ased(tmp_path)).frame
    assert dict(zip(frame["id"], frame["label"], strict=True))["S4-01-01-02-33"] == "s"


def test_files_of_other_names_are_listed(tmp_path: Path) -> None:
    make.write_wav(make.make_cremad(tmp_path) / "AudioWAV" / "notes.wav")
    with pytest.raises(RecordingError, match=r"AudioWAV/notes\.wav: name not coded as in CremaD"):
        get_corpus("cremad").scan(tmp_path)
    assert len(get_corpus("cremad").scan(tmp_path, skip_bad=True)) == 4
