"""The known traps of published speech corpora."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jmml.data.corpora import detect_adapter, get_corpus
from jmml.data.labels import EMOTIONS, map_labels
from jmml.errors import CorpusError, LabelError, RecordingError
from tests.jmml.data.corpora.make import write_wav
from tests.jmml.data.corpora.speech import published

MAKERS = ("iemocap", "msp-improv", "msp-podcast", "meld", "esd", "subesco", "urdu")


def make(adapter: str, root: Path) -> Path:
    made: Path = getattr(published, f"make_{adapter.replace('-', '_')}")(root)
    return made


@pytest.mark.parametrize("adapter", MAKERS)
def test_each_is_recognised_as_itself(adapter: str, tmp_path: Path) -> None:
    assert detect_adapter(make(adapter, tmp_path)) == adapter
    assert set(get_corpus(adapter).native_labels.values()) <= set(EMOTIONS)


class TestIemocap:
    def test_excited_is_happy_and_no_agreement_is_no_label(self, tmp_path: Path) -> None:
        turns = [(f"Ses01F_impro01_F{n:03d}", label, f"Sentence {n}.") for n, label in enumerate(
            ("exc", "hap", "xxx", "oth", "fru", "xxx"))]  # fmt: skip
        root = published.make_iemocap(tmp_path, published.IEMOCAP | {"Ses01F_impro01": turns})
        manifest = get_corpus("iemocap").scan(root)
        assert manifest.notes == [
            "2 utterances without agreement on a label (xxx) left out",
            "1 utterances of another emotion (oth) left out",
            "3 improvised, 2 scripted utterances; ids say which",
        ]
        frame = manifest.frame
        with pytest.raises(LabelError, match=r"'fru' \(1\).*unmapped: drop"):
            map_labels(frame, "iemocap", "discrete")
        assert list(map_labels(frame, "iemocap", "discrete", unmapped="drop")) == [
            "happiness", "happiness", None, "neutral", "sadness",
        ]  # fmt: skip

    def test_the_speaker_is_not_who_wears_the_markers(self, tmp_path: Path) -> None:
        frame = get_corpus("iemocap").scan(published.make_iemocap(tmp_path)).frame.set_index("id")
        assert frame["group"]["Ses01F_impro01_M000"] == "Ses01M"
        assert frame["group"]["Ses02M_script01_1_F000"] == "Ses02F"
        assert frame["recording"].nunique() == frame["session"].nunique() == 2
        assert set(frame["valence"]) == {2.5}
        assert set(frame["arousal"]) == {3.5}

    def test_scripted_dialogs_say_the_same_in_other_sessions(self, tmp_path: Path) -> None:
        frame = get_corpus("iemocap").scan(published.make_iemocap(tmp_path)).frame
        assert frame["text"].nunique() == 3
        (tmp_path / "Session2" / "dialog" / "transcriptions" / "Ses02M_script01_1.txt").unlink()
        assert get_corpus("iemocap").scan(tmp_path).frame["text"].isna().sum() == 2

    def test_a_sentence_that_is_missing_is_listed(self, tmp_path: Path) -> None:
        root = published.make_iemocap(tmp_path)
        (root / "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav").unlink()
        with pytest.raises(RecordingError, match=r"Ses01F_impro01_F000\.wav: no such file"):
            get_corpus("iemocap").scan(root)


class TestMspImprov:
    def test_the_label_is_what_is_heard(self, tmp_path: Path) -> None:
        rows = [
            ("S01A-F01-S-FM01", "H"),
            ("S01A-M01-S-FM02", "X"),
            ("S01A-M01-S-FM03", "O"),
            ("S02N-F02-P-FM01", "N"),
        ]
        manifest = get_corpus("msp-improv").scan(published.make_msp_improv(tmp_path, rows))
        assert list(manifest.frame["label"]) == ["H", "N"]
        assert list(manifest.frame["session"]) == ["session1", "session2"]
        assert manifest.notes == [
            "1 utterances without agreement on a label (X) left out",
            "1 utterances of another emotion (O) left out",
        ]

    def test_files_that_the_list_names_and_does_not(self, tmp_path: Path) -> None:
        root = published.make_msp_improv(tmp_path)
        write_wav(root / "Audio/session1/S01A/S/MSP-IMPROV-S01A-F01-S-FM09.wav", seed=9)
        assert (
            "1 files that Evalution.txt does not name left out" in get_corpus("msp-improv").scan(root).notes
        )
        (root / "Audio/session1/S01A/S/MSP-IMPROV-S01A-F01-S-FM01.wav").unlink()
        with pytest.raises(RecordingError, match=r"Evalution\.txt: no MSP-IMPROV-S01A-F01-S-FM01\.wav"):
            get_corpus("msp-improv").scan(root)

    def test_the_list_may_be_spelt_right(self, tmp_path: Path) -> None:
        root = published.make_msp_improv(tmp_path)
        (root / "Evalution.txt").rename(root / "Evaluation.txt")
        (root / "Audio" / "session1").rename(root / "session1")
        assert len(get_corpus("msp-improv").scan(root)) == 4


class TestMspPodcast:
    def test_speakers_who_are_not_known_may_be_anybody(self, tmp_path: Path) -> None:
        rows = [
            *published.PODCAST, ("MSP-PODCAST_0100_0001.wav", "A", "Unknown", "Train"),
            ("MSP-PODCAST_0100_0002.wav", "X", "12", "Train"), ("MSP-PODCAST_0100_0003.wav", "O", "12", "Train"),
        ]  # fmt: skip
        manifest = get_corpus("msp-podcast").scan(published.make_msp_podcast(tmp_path, rows))
        assert "Unknown" not in set(manifest.frame["group"])
        assert sorted(manifest.notes) == [
            "1 utterances of another emotion (O) left out",
            "1 utterances of speakers who are not known left out",
            "1 utterances without agreement on a label (X) left out",
            "published parts in labels_consensus.csv: Development 1, Test1 2, Train 4",
        ]
        assert list(manifest.frame["recording"].unique()) == ["MSP-PODCAST_0001", "MSP-PODCAST_0023"]
        assert (manifest.frame["valence"].iloc[0], manifest.frame["arousal"].iloc[0]) == (4.5, 2.2)

    def test_neutral_and_a_speaker_na_are_no_missing_values(self, tmp_path: Path) -> None:
        rows = [
            ("MSP-PODCAST_0001_0001.wav", "N", "NA", "Train"),
            ("MSP-PODCAST_0001_0002.wav", "N", "nan", "Train"),
        ]
        assert set(get_corpus("msp-podcast").scan(published.make_msp_podcast(tmp_path, rows)).frame["group"]) == {
            "NA", "nan",
        }  # fmt: skip

    def test_the_labels_may_be_json(self, tmp_path: Path) -> None:
        root = published.make_msp_podcast(tmp_path)
        frame = get_corpus("msp-podcast").scan(root).frame
        path = root / "Labels" / "labels_consensus.csv"
        head, *rows = [line.split(",") for line in path.read_text().splitlines()]
        path.with_suffix(".json").write_text(
            json.dumps({row[0]: dict(zip(head[1:], row[1:], strict=True)) for row in rows})
        )
        path.unlink()
        assert get_corpus("msp-podcast").scan(root).frame.equals(frame)

    @pytest.mark.parametrize("text", ["", "FileName,EmoClass\n", "{", "[1]"])
    def test_labels_that_are_none_are_one_line(self, tmp_path: Path, text: str) -> None:
        root = published.make_msp_podcast(tmp_path)
        path = root / "Labels" / "labels_consensus.csv"
        path.write_text(text)
        with pytest.raises(CorpusError, match=r"labels_consensus\.csv: "):
            get_corpus("msp-podcast").scan(root)
        path.rename(path.with_suffix(".json"))
        with pytest.raises(CorpusError, match=r"labels_consensus\.json: "):
            get_corpus("msp-podcast").scan(root)


class TestMeld:
    def test_parts_share_people_and_number_dialogs_anew(self, tmp_path: Path) -> None:
        manifest = get_corpus("meld").scan(published.make_meld(tmp_path))
        assert manifest.notes == ["the published parts share 2 of 2 people: Chandler, Joey"]
        assert list(manifest.frame["recording"]) == ["train_dia0", "train_dia0", "dev_dia0", "test_dia0"]
        assert set(manifest.frame["session"]) == {"season 8 episode 21"}

    @pytest.mark.parametrize(
        "several", ["All", "Both", "Ross and Joey", "Phoebe, Monica", "Everyone", "Rachel/Ross"]
    )
    def test_several_people_at_once_are_nobody(self, tmp_path: Path, several: str) -> None:
        rows = [
            *published.MELD,
            ("train", 1, 0, several, "joy", "Hey!"),
            ("train", 1, 1, "Sandy", "joy", "Hi"),
        ]
        manifest = get_corpus("meld").scan(published.make_meld(tmp_path, rows))
        assert manifest.notes[0] == "1 utterances of several people at once left out"
        assert set(manifest.frame["group"]) == {"Chandler", "Joey", "Sandy"}

    def test_one_name_in_two_spellings_is_one_person_and_na_is_one(self, tmp_path: Path) -> None:
        names = ("Ren\u00e9", "Rene\u0301", "NA", "null")
        rows = [("train", 0, number, name, "joy", "Hi") for number, name in enumerate(names)]
        assert set(get_corpus("meld").scan(published.make_meld(tmp_path, rows)).frame["group"]) == {
            "Ren\u00e9", "NA", "null",
        }  # fmt: skip

    def test_a_clip_that_is_missing_is_listed(self, tmp_path: Path) -> None:
        root = published.make_meld(tmp_path)
        (root / "dev/dev_splits_complete/dia0_utt0.wav").unlink()
        with pytest.raises(RecordingError, match=r"dev_sent_emo\.csv: no clip dia0_utt0 of the dev part"):
            get_corpus("meld").scan(root)
        assert len(get_corpus("meld").scan(root, skip_bad=True)) == 3


class TestCoded:
    def test_a_sentence_of_esd_is_one_in_every_emotion(self, tmp_path: Path) -> None:
        manifest = get_corpus("esd").scan(published.make_esd(tmp_path))
        assert set(manifest.frame["text"]) == {"zh001", "en001"}
        assert manifest.notes == ["1 speakers of Mandarin, 1 of English"]

    def test_a_file_in_the_folder_of_another_speaker_of_esd(self, tmp_path: Path) -> None:
        root = published.make_esd(tmp_path)
        (root / "0001/Angry/0001_000351.wav").rename(root / "0001/Angry/0002_000351.wav")
        with pytest.raises(RecordingError, match=r"0001/Angry/0002_000351\.wav: name not coded"):
            get_corpus("esd").scan(root)

    def test_women_and_men_of_subesco_are_numbered_alike(self, tmp_path: Path) -> None:
        frame = get_corpus("subesco").scan(published.make_subesco(tmp_path)).frame
        assert set(frame["group"]) == {"F_01", "M_01"}
        assert "M_01_BASHIR_S_2_SURPRISE_3" in set(frame["id"])  # as published, with a bracket in the name

    def test_name_and_folder_of_urdu_disagree(self, tmp_path: Path) -> None:
        root = published.make_urdu(tmp_path)
        (root / "Angry/SF1_F1_A01.wav").rename(root / "Sad/SF1_F1_A01.wav")
        with pytest.raises(RecordingError, match="the name says A, the folder S"):
            get_corpus("urdu").scan(root)
