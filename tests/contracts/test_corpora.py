"""Every adapter of the package keeps the contract that ships with it. A new adapter adds one line to ``CASES``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from jmml.contracts import check_corpus
from jmml.data.corpora import ADAPTERS, get_corpus
from jmml.data.labels import SPACES, map_labels
from jmml.errors import CorpusError, RecordingError
from tests.jmml.data.corpora import make
from tests.jmml.data.corpora.eeg import make as make_eeg
from tests.jmml.data.corpora.speech import published
from tests.jmml.data.corpora.speech.make_audformat import make_audformat
from tests.jmml.data.eeg_files.make import brain, write_edf


@dataclass(frozen=True)
class Case:
    """A small corpus, how to damage one of its files, and what it holds."""

    build: Callable[[Path], Path]
    groups: tuple[str, ...]
    quadrants: tuple[str | None, ...]
    one_file: str | None = None  # a file to cut short; None where the corpus is one table
    lost: int = 1  # rows that go with it
    channels: int = 1
    texts: tuple[str | None, ...] = (None,) * 4  # what is said, or the stimulus
    rewrite: Callable[[Path], object] | None = None  # of one file or all; None writes a WAV
    rows: int = 4  # recordings; of more, ``quadrants`` and ``texts`` tell the first ones
    space: str = "quadrants"
    threshold: float = 5.0


CASES = {
    "nemo": Case(
        make.make_nemo,
        ("AA0", "BB0"),
        ("LVHA", "HVHA", "HVLA", "LVLA"),
        "samples/AA0_anger_0.wav",
        texts=("0", "1", "2", "3"),
    ),
    "emodb": Case(
        make.make_emodb,
        ("03", "08"),
        ("LVHA", "HVLA", "HVHA", "LVLA"),
        "wav/03a01Wa.wav",
        texts=("a01", "a02", "b10", "b10"),
    ),
    "ravdess": Case(
        make.make_ravdess,
        ("01", "12"),
        ("HVLA", "LVHA", "HVLA", "HVHA"),
        "Actor_01/03-01-05-01-02-01-01.wav",
        texts=("02", "02", "02", "02"),
    ),
    "savee": Case(
        make.make_savee,
        ("DC", "JE"),
        ("LVHA", "HVLA", "HVHA", "LVLA"),
        "DC/a01.wav",
        texts=("a01", "n01", "h02", "sa01"),
    ),
    "tess": Case(
        make.make_tess,
        ("OAF", "YAF"),
        ("LVHA", "HVLA", "HVHA", "LVLA"),
        "OAF_angry/OAF_back_angry.wav",
        texts=("back", "bite", "back", "back"),
    ),
    "ased": Case(
        make.make_ased,
        ("33", "01"),
        ("LVLA", "LVHA", "HVHA", "HVLA"),
        "a5-01-01-01-01.wav",
        texts=("S4-01", "a5-01", "h3-01", "n1-02"),
    ),
    "cremad": Case(
        make.make_cremad,
        ("1001", "1091"),
        ("LVHA", "HVLA", "HVHA", "LVLA"),
        "AudioWAV/1001_DFA_ANG_XX.wav",
        texts=("DFA", "IEO", "DFA", "IEO"),
    ),
    "iemocap": Case(
        published.make_iemocap,
        ("Ses01F", "Ses01M", "Ses02F", "Ses02M"),
        ("LVHA", "HVHA", "HVLA", "LVLA"),
        "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav",
        texts=("excuse me", "do you have your forms", "that's out of control", "that's out of control"),
    ),
    "msp-improv": Case(
        published.make_msp_improv,
        ("F01", "M01", "F02", "M02"),
        ("LVHA", "HVLA", "HVHA", "LVLA"),
        "Audio/session1/S01A/S/MSP-IMPROV-S01A-F01-S-FM01.wav",
        texts=(None, "S01", "S01", None),
    ),
    "msp-podcast": Case(
        published.make_msp_podcast,
        ("30", "127"),
        ("HVLA", "LVHA", "HVHA", "LVLA"),
        "Audios/MSP-PODCAST_0001_0008.wav",
    ),
    "meld": Case(
        published.make_meld,
        ("Chandler", "Joey"),
        ("LVHA", "HVLA", "HVHA", "LVLA"),
        "train/train_splits/dia0_utt0.wav",
        texts=(
            "also i was the point person on my company's transition",
            "oh ross",
            "oh my god he's lost it",
            "oh ross",
        ),
    ),
    "esd": Case(
        published.make_esd,
        ("0001", "0011"),
        ("LVHA", "HVLA", "HVHA", "LVLA"),
        "0001/Angry/0001_000351.wav",
        texts=("zh001", "zh001", "en001", "en001"),
    ),
    "subesco": Case(
        published.make_subesco,
        ("F_01", "M_01"),
        ("HVLA", "LVHA", "LVLA", "HVHA"),
        "F_01_OISHI_S_1_ANGRY_1.wav",
        texts=("10", "1", "1", "2"),
    ),
    "urdu": Case(
        published.make_urdu, ("SF1", "SM5"), ("LVHA", "HVHA", "HVLA", "LVLA"), "Angry/SF1_F1_A01.wav"
    ),
    "audformat": Case(
        make_audformat,
        ("3", "8"),
        ("HVHA", "HVLA", "LVHA", "LVLA"),
        "wav/03a01Fa.wav",
        texts=("a01", "a02", "b01", "a01"),
    ),
    "files": Case(make.make_files, ("ann", "bob"), ("LVHA", "HVLA", "HVHA", "LVLA"), "ann/0.wav"),
    "deap": Case(
        make.make_deap,
        ("s01", "s02"),
        ("HVHA", "LVLA", "HVHA", "LVLA"),
        "s01.dat",
        lost=2,
        channels=32,
        texts=("01", "02", "01", "02"),
        rewrite=lambda root: make.write_deap(root / "s01.dat", make.deap_arrays(trials=2, seed=99)),
    ),
    "bids": Case(
        make.make_bids,
        ("sub-01", "sub-02"),
        ("HVHA", "HVLA", "LVHA", "LVLA"),
        "sub-01/ses-1/eeg/sub-01_ses-1_task-films_eeg.edf",
        lost=2,
        channels=3,
        texts=("film1.mp4", "film2.mp4", "film1.mp4", "film2.mp4"),
        rewrite=lambda root: write_edf(root / str(CASES["bids"].one_file), brain(seed=9)),
    ),
    "seed": Case(
        make_eeg.make_seed,
        ("01", "10"),
        ("positive", "positive", "negative", "negative"),  # neutral is placed as positive
        "Preprocessed_EEG/1_20131027.mat",
        lost=15,
        channels=62,
        texts=("01", "02", "03", "04"),
        rewrite=lambda root: make_eeg.write_session(root / "Preprocessed_EEG/1_20131027.mat", 15, seed=9),
        rows=45,
        space="binary-valence",
    ),
    "seed-iv": Case(
        make_eeg.make_seed_iv,
        ("01", "02"),
        ("LVLA", "LVHA", "HVHA", "HVLA"),
        "eeg_raw_data/1/1_20160518.mat",
        lost=24,
        channels=62,
        texts=("1_01", "1_02", "1_03", "1_04"),
        rewrite=lambda root: make_eeg.write_session(root / "eeg_raw_data/1/1_20160518.mat", 24, seed=9),
        rows=72,
    ),
    "dreamer": Case(
        make_eeg.make_dreamer,
        ("p01", "p02"),
        (None, "LVLA", None, "HVHA", "HVHA"),  # ratings of 3 have no place
        "DREAMER.mat",
        lost=36,
        channels=14,
        texts=("01", "02", "03", "04"),
        rewrite=lambda root: make_eeg.write_dreamer(root, seed=9),
        rows=36,
        threshold=3.0,
    ),
    "amigos": Case(
        make_eeg.make_amigos,
        ("P01", "P02"),
        ("HVLA", "HVLA", "HVLA", "HVLA", None, "LVHA"),
        "data_preprocessed/Data_Preprocessed_P01.mat",
        lost=18,
        channels=14,
        texts=("1", "2", "3", "4"),
        rewrite=lambda root: make_eeg.write_amigos(
            root / "data_preprocessed/Data_Preprocessed_P01.mat", seed=9
        ),
        rows=36,
    ),
    "gameemo": Case(
        make_eeg.make_gameemo,
        ("S01", "S02"),
        ("LVLA", "HVLA", "LVHA", "HVHA"),
        "(S01)/Preprocessed EEG Data/.csv format/S01G1AllChannels.csv",
        channels=14,
        texts=("G1", "G2", "G3", "G4"),
        rewrite=lambda root: make_eeg.write_game(root / str(CASES["gameemo"].one_file), seed=99),
        rows=8,
    ),
    "faced": Case(
        make_eeg.make_faced,
        ("sub000", "sub061"),
        ("LVHA",) * 3
        + ("LVLA",) * 3
        + ("LVHA",) * 3
        + ("LVLA",) * 3
        + ("HVLA",) * 4
        + ("HVHA",) * 3
        + (None,) * 3,
        "Processed_data/sub000.pkl",
        lost=28,
        channels=30,
        texts=("01", "02", "03", "04"),
        rewrite=lambda root: make_eeg.write_faced(root / "Processed_data/sub000.pkl", seed=9),
        rows=56,
    ),
    "eav": Case(  # its EEG; see tests/jmml/data/corpora/eeg/test_eav.py for its speech
        make_eeg.make_eav,
        ("subject01", "subject02"),
        ("HVLA", "LVHA", "LVHA", "HVLA", "HVLA"),
        "subject1/EEG/subject1_eeg.mat",
        lost=5,
        channels=30,
        rewrite=lambda root: make_eeg.write_eav_eeg(root / "subject1/EEG", 1, "NAACC", seed=9),
        rows=10,
    ),
    "table": Case(make.make_table, ("01", "02"), ("LVHA", "HVLA", "HVHA", "LVLA")),
}

every_adapter = pytest.mark.parametrize("adapter", sorted(ADAPTERS))
with_recordings = pytest.mark.parametrize("adapter", sorted(n for n in CASES if CASES[n].one_file))


def test_every_registered_adapter_has_a_case() -> None:
    assert set(CASES) == set(ADAPTERS)


@every_adapter
def test_the_contract_holds(adapter: str, tmp_path: Path) -> None:
    case = CASES[adapter]
    check_corpus(adapter, case.build(tmp_path / "corpus"), damageable=case.one_file)


@every_adapter
def test_the_sample_corpora_hold_what_they_should(adapter: str, tmp_path: Path) -> None:
    case = CASES[adapter]
    frame = get_corpus(adapter).scan(case.build(tmp_path)).frame
    assert len(frame) == case.rows
    assert tuple(frame["group"].unique()) == case.groups
    assert tuple(frame["text"])[: len(case.texts)] == case.texts


@every_adapter
def test_labels_reach_the_quadrants(adapter: str, tmp_path: Path) -> None:
    case = CASES[adapter]
    frame = get_corpus(adapter).scan(case.build(tmp_path)).frame
    mapped = map_labels(frame, adapter, case.space, unmapped="drop", rating_threshold=case.threshold)
    assert tuple(mapped)[: len(case.quadrants)] == case.quadrants
    assert {*mapped} - {None} <= set(SPACES[case.space])


@every_adapter
def test_audio_of_another_corpus_is_not_recognised(adapter: str, tmp_path: Path) -> None:
    make.write_wav(tmp_path / "greeting.wav")
    assert not get_corpus(adapter).recognises(tmp_path)
    with pytest.raises(CorpusError, match="expected"):
        get_corpus(adapter).scan(tmp_path)


@with_recordings
def test_channels_are_those_of_the_corpus(adapter: str, tmp_path: Path) -> None:
    case, corpus = CASES[adapter], get_corpus(adapter)
    root = case.build(tmp_path)
    recording = corpus.read(root, corpus.scan(root).frame.iloc[0])
    assert recording.signal.shape[0] == len(recording.channels) == case.channels


@with_recordings
def test_a_damaged_file_is_called_truncated_or_empty(adapter: str, tmp_path: Path) -> None:
    case, corpus = CASES[adapter], get_corpus(adapter)
    root = case.build(tmp_path)
    for size, message in ((4000, "truncated"), (0, r"empty \(0 bytes\)")):
        make.truncate(root / str(case.one_file), size)
        with pytest.raises(RecordingError, match=message):
            corpus.scan(root)


@with_recordings
def test_changed_content_changes_the_hash(adapter: str, tmp_path: Path) -> None:
    case, corpus = CASES[adapter], get_corpus(adapter)
    root = case.build(tmp_path)
    before = corpus.scan(root)
    if case.rewrite is not None:
        case.rewrite(root)
    else:
        make.write_wav(root / str(case.one_file), seed=99)
    after = corpus.scan(root)
    changed = (before.frame["content_hash"] != after.frame["content_hash"]).sum()
    assert changed == case.lost
    assert before.digest != after.digest


def test_a_table_has_nothing_to_read(tmp_path: Path) -> None:
    corpus = get_corpus("table")
    root = make.make_table(tmp_path)
    with pytest.raises(CorpusError, match="read_table"):
        corpus.read(root, corpus.scan(root).frame.iloc[0])
