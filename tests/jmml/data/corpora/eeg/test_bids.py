"""BIDS-EEG: what the sidecars say."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from jmml.data.corpora import detect_adapter, get_corpus
from jmml.errors import CorpusError, RecordingError
from tests.jmml.data.corpora.make import make_bids
from tests.jmml.data.eeg_files.make import brain, write_edf

STEM = "sub-01/ses-1/eeg/sub-01_ses-1_task-films"


def events(root: Path, text: str) -> None:
    (root / f"{STEM}_events.tsv").write_text(text)


def test_people_sessions_stimuli_and_times(tmp_path: Path) -> None:
    root = make_bids(tmp_path)
    manifest = get_corpus("bids").scan(root)
    row = manifest.frame.iloc[1]
    assert (row["group"], row["session"], row["text"], row["label"]) == (
        "sub-01",
        "sub-01_ses-1",
        "film2.mp4",
        "neutral",
    )
    assert (row["duration_s"], row["order"], row["recording"]) == (2.0, 1.0, row["path"])
    assert "channels.tsv calls F4 bad" in manifest.notes[0]
    recording = get_corpus("bids").read(root, row)
    assert recording.channels == ("F3", "F4", "Cz")  # the fourth is an ECG by channels.tsv alone
    np.testing.assert_allclose(recording.signal, brain(channels=4, seed=1)[:3, 512:768], atol=1e-7)


def test_ratings_or_a_column_of_emotions(tmp_path: Path) -> None:
    root = make_bids(tmp_path)
    events(
        root, "onset\tduration\ttrial_type\temotion\n0\t2\tvideo\tfear\n2\t2\tvideo\tn/a\n4\t2\tvideo\tjoy\n"
    )
    frame = get_corpus("bids").scan(root).frame
    assert list(frame[frame["group"] == "sub-01"]["label"]) == ["fear", "video", "joy"]
    events(root, "onset\tduration\tvalence\tarousal\n0\t2\t7\t3\n4\t2\t2\t8\n")
    frame = get_corpus("bids").scan(root).frame
    assert frame[frame["group"] == "sub-01"][["valence", "arousal"]].values.tolist() == [[7, 3], [2, 8]]


def test_a_task_that_is_an_emotion(tmp_path: Path) -> None:
    root = make_bids(tmp_path)
    for task in ("happy", "sad"):
        write_edf(root / f"sub-03/eeg/sub-03_task-{task}_eeg.edf", brain(seed=len(task)))
    frame = get_corpus("bids").scan(root).frame.query("group == 'sub-03'")
    assert frame[["label", "duration_s"]].values.tolist() == [["happy", 8.0], ["sad", 8.0]]


def test_events_that_mean_nothing_are_counted_and_the_way_on_is_named(tmp_path: Path) -> None:
    root = make_bids(tmp_path)
    for path in root.rglob("*_events.tsv"):
        path.write_text("onset\tduration\ttrial_type\n0\t2\tvideo7\n2\t0\tbutton\n")
    with pytest.raises(
        CorpusError, match=r"which emotion it is; events: video7 2, button 2.*--event 'video7=happy'"
    ):
        get_corpus("bids").scan(root)


def test_people_that_only_one_side_knows(tmp_path: Path) -> None:
    root = make_bids(tmp_path)
    (root / "participants.tsv").write_text("participant_id\nsub-01\nsub-07\n")
    notes = get_corpus("bids").scan(root).notes
    assert "1 people are not in participants.tsv, such as sub-02" in notes
    assert "1 people of participants.tsv have no EEG here, such as sub-07" in notes


def test_a_damaged_recording_does_not_stop_the_others(tmp_path: Path) -> None:
    root = make_bids(tmp_path)
    (root / f"{STEM}_eeg.edf").write_bytes(b"0")
    with pytest.raises(RecordingError, match=r"sub-01_ses-1_task-films_eeg\.edf: is truncated"):
        get_corpus("bids").scan(root)
    assert set(get_corpus("bids").scan(root, skip_bad=True).frame["group"]) == {"sub-02"}


def test_a_time_that_is_no_number(tmp_path: Path) -> None:
    root = make_bids(tmp_path)
    events(root, "onset\tduration\ttrial_type\nsoon\t2\thappy\n")
    with pytest.raises(CorpusError, match="'soon' is not a number of seconds"):
        get_corpus("bids").scan(root)


def test_without_mne_bids_the_install_command_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_bids(tmp_path)
    monkeypatch.setitem(sys.modules, "mne_bids", None)
    with pytest.raises(CorpusError, match=r"mne-bids, which is not installed.*jmml\[bids\]"):
        get_corpus("bids").scan(root)


def test_a_real_folder() -> None:
    place = os.environ.get("JMML_REALDATA")
    if not place:
        pytest.skip("JMML_REALDATA does not say where the real recordings are")
    root = Path(place, "tiny_bids")
    assert detect_adapter(root) == "bids"
    with pytest.raises(CorpusError, match="events: start_experiment 1, show_stimulus 1"):
        get_corpus("bids").scan(root)
