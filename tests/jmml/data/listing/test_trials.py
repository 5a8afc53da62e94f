"""From recordings to trials: by events, by times, whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from jmml.data.corpora.files import FilesCorpus
from jmml.data.eeg_files.reading import EEG
from jmml.data.listing.recordings import Recordings, describe
from jmml.data.listing.trials import Cutting, cut, parse_events, parse_window
from jmml.errors import DataError
from tests.jmml.data.eeg_files.make import brain, write_brainvision, write_edf

EVENTS = [(1.0, 0.0, "S  1"), (3.0, 0.0, "S  2"), (5.0, 0.0, "S  1"), (7.5, 0.0, "S  1")]
WORDS = {"happy", "sad"}


def described(root: Path, **how: object) -> Recordings:
    return describe(root, EEG, labelled=False, **how)  # type: ignore[arg-type]


@pytest.fixture
def marked(tmp_path: Path) -> Path:
    for name in ("ann", "bob"):
        write_brainvision(tmp_path / f"{name}.vhdr", brain(), events=EVENTS)
    return tmp_path


def test_events_by_any_of_their_names_with_labels_and_a_length(marked: Path) -> None:
    known = described(marked, pattern="{subject}.vhdr")
    found = cut(marked, known, Cutting({"S  1": "happy", "Stimulus/S2": "sad"}, (0.0, 2.0)))
    frame = found.frame
    assert frame[frame["person"] == "ann"][["label", "start_s", "end_s", "order"]].values.tolist() == [
        ["happy", 1.0, 3.0, 0.0],
        ["sad", 3.0, 5.0, 1.0],
        ["happy", 5.0, 7.0, 2.0],
    ]
    assert found.problems == [
        f"{name}.vhdr: the trial at 'Stimulus/S 1', 7.5 s, lasts from 7.5 to 9.5 s, the recording 8 s"
        for name in ("ann", "bob")
    ]
    assert found.facts == [
        "events: Stimulus/S 1 6, Stimulus/S 2 2",
        "trials: from the events Stimulus/S 1 6, Stimulus/S 2 2",
        "channels: 3 at 128 Hz",
    ]
    assert found.companions["ann.vhdr"] == ("ann.eeg", "ann.vmrk")


def test_a_marker_has_no_length_of_its_own(marked: Path) -> None:
    known = described(marked, pattern="{subject}.vhdr")
    with pytest.raises(DataError, match=r"8 events have no duration.*--trial-s 4"):
        cut(marked, known, Cutting({"S1": "happy", "S2": "sad"}))


def test_an_event_that_lasts_is_a_trial_of_its_length(tmp_path: Path) -> None:
    write_edf(tmp_path / "ann.edf", events=[(1.0, 2.5, "happy"), (4.0, 3.0, "Sad"), (7.0, 0.0, "button")])
    found = cut(tmp_path, described(tmp_path, pattern="{subject}.edf"), Cutting(), words=WORDS)
    assert found.frame[["label", "start_s", "end_s"]].values.tolist() == [
        ["happy", 1.0, 3.5],
        ["Sad", 4.0, 7.0],
    ]


def test_nothing_says_the_emotion_and_the_events_are_counted(marked: Path) -> None:
    with pytest.raises(
        DataError, match=r"which emotion.*Stimulus/S 1 6, Stimulus/S 2 2.*--event 'Stimulus/S 1=happy'"
    ):
        cut(marked, described(marked, pattern="{subject}.vhdr"), Cutting(), words=WORDS)


def test_an_event_that_never_occurs(marked: Path) -> None:
    with pytest.raises(DataError, match=r"no event 'S 9'; events: Stimulus/S 1 6"):
        cut(marked, described(marked, pattern="{subject}.vhdr"), Cutting({"S 9": "happy"}, (0, 1)))


def test_whole_files_by_name_and_a_part_of_each(tmp_path: Path) -> None:
    for name in ("ann_happy", "bob_sad"):
        write_edf(tmp_path / f"{name}.edf", events=EVENTS)
    known = described(tmp_path, pattern="{subject}_{label}.edf")
    assert "start_s" not in cut(tmp_path, known, Cutting()).frame
    part = cut(tmp_path, known, Cutting(window_s=(2.0, 6.0))).frame
    assert part[["label", "start_s", "end_s"]].values.tolist() == [["happy", 2.0, 6.0], ["sad", 2.0, 6.0]]
    labelled = cut(tmp_path, known, Cutting({"S 1": None}, (0.0, 1.0))).frame
    assert set(labelled["label"]) == {"happy", "sad"}  # the file's, as the event says none


def test_segments_of_a_table_stay_and_events_beside_them_are_refused(tmp_path: Path) -> None:
    write_edf(tmp_path / "ann.edf", events=EVENTS)
    (tmp_path / "t.csv").write_text(
        "path,subject,label,start_s,end_s\nann.edf,ann,happy,0,2\nann.edf,ann,sad,2,4\n"
    )
    known = described(tmp_path, table=tmp_path / "t.csv")
    assert len(cut(tmp_path, known, Cutting()).frame) == 2
    for cutting in (Cutting({"S 1": None}, (0, 1)), Cutting(window_s=(0, 1))):
        with pytest.raises(DataError, match="segments, and"):
            cut(tmp_path, known, cutting)


def test_a_trial_over_a_break_is_left_out_by_name(tmp_path: Path) -> None:
    path = write_brainvision(tmp_path / "ann.vhdr", brain(), events=[(1.0, 0.0, "happy"), (4.0, 0.0, "sad")])
    marks = path.with_suffix(".vmrk")
    marks.write_text(marks.read_text() + "Mk9=New Segment,,640,1,0\n")
    found = cut(
        tmp_path, described(tmp_path, pattern="{subject}.vhdr"), Cutting({"happy": None, "sad": None}, (0, 2))
    )
    assert list(found.frame["label"]) == ["happy"]
    assert "goes over a break of the recording at 4.99" in found.problems[0]


def test_an_unreadable_file_is_a_problem_and_the_others_go_on(marked: Path) -> None:
    (marked / "eve.vhdr").write_text("nothing")
    found = cut(marked, described(marked, pattern="{subject}.vhdr"), Cutting({"S 1": "happy"}, (0.0, 1.0)))
    assert set(found.frame["person"]) == {"ann", "bob"}
    assert [line.split(":")[0] for line in found.problems if "eve" in line] == ["eve.vhdr"]
    with pytest.raises(DataError, match="no event 'S 3'"):
        cut(marked, described(marked, pattern="{subject}.vhdr"), Cutting({"S 3": "happy"}))


def test_files_that_differ_are_told(tmp_path: Path) -> None:
    write_edf(tmp_path / "ann_happy.edf")
    write_edf(tmp_path / "bob_happy.edf")
    write_edf(tmp_path / "eve_sad.edf", names=("F3", "F4", "Pz", "EOG"))
    found = cut(tmp_path, described(tmp_path, pattern="{subject}_{label}.edf"), Cutting())
    assert found.facts[-2:] == [
        "channels: 3 at 128 Hz (left out, no EEG: EOG)",
        "1 of 3 files have other channels or another rate, such as eve_sad.edf",
    ]


def test_what_is_cut_is_what_the_adapter_reads(marked: Path) -> None:
    known = cut(
        marked,
        described(marked, pattern="{subject}.vhdr"),
        Cutting({"S 1": "happy", "S 2": "sad"}, (0.0, 0.5)),
    )
    corpus = FilesCorpus(known)
    frame = corpus.scan(marked).frame
    assert (len(frame), set(frame["modality"]), set(frame["duration_s"])) == (8, {"eeg"}, {0.5})
    assert set(frame["recording"]) == {"ann.vhdr", "bob.vhdr"}
    assert frame["content_hash"].nunique() == 4  # a copy under another name, whose header has other bytes
    assert corpus.read(marked, frame.iloc[3]).signal.shape == (3, 64)


@pytest.mark.parametrize("text", ["", "x", "4:2", "0", "-1", "nan", "1:inf", "1:2:3"])
def test_a_length_that_is_none(text: str) -> None:
    with pytest.raises(DataError, match="no length of a trial"):
        parse_window(text)


@pytest.mark.parametrize("word", ["=", "=happy", "S1=", " "])
def test_an_event_without_name_or_label(word: str) -> None:
    with pytest.raises(DataError, match="is not NAME or NAME=LABEL"):
        parse_events([word])


def test_a_table_may_name_the_file_of_the_signals_in_place_of_the_header(marked: Path) -> None:
    (marked / "t.csv").write_text("file,subject,emotion\nann.eeg,ann,happy\nbob,bob,sad\n")
    found = described(marked, table=marked / "t.csv")
    assert list(found.frame["path"]) == ["ann.vhdr", "bob.vhdr"]
    assert found.problems == []
