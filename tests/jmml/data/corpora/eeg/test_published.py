"""SEED, SEED-IV, DREAMER, AMIGOS, GAMEEMO, FACED: the semantics that were published, and the traps of each."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path

import mne
import numpy as np
import pytest
from scipy.io import loadmat, savemat

from jmml.config import RATING_MIDPOINTS, CorpusConfig
from jmml.data.corpora import ADAPTERS, get_corpus
from jmml.data.corpora.eeg import amigos, dreamer, eav, faced, gameemo, seed, seed_iv
from jmml.data.corpora.eeg._trials import TrialCorpus
from jmml.errors import CorpusError, RecordingError, UnsafeFileError
from tests.jmml.data.corpora.eeg import make


@pytest.mark.parametrize(
    "channels", [seed.CHANNELS, dreamer.CHANNELS, gameemo.CHANNELS, faced.CHANNELS, eav.CHANNELS]
)
def test_channels_are_electrodes_by_their_usual_names(channels: tuple[str, ...]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MNE 1.13 has renamed it
        montage = mne.channels.make_standard_montage("standard_1005")
    known = set(montage.ch_names) | {"CB1", "CB2"}
    assert len(set(channels)) == len(channels)
    assert set(channels) <= known


def test_the_middle_of_each_scale_is_the_threshold_of_its_entry() -> None:
    for name in ADAPTERS:
        corpus = get_corpus(name)
        if isinstance(corpus, TrialCorpus) and corpus.rating_range is not None:
            entry = CorpusConfig(adapter=name, modality="eeg", path="x")
            assert entry.rating_threshold == sum(corpus.rating_range) / 2
    assert set(RATING_MIDPOINTS) <= set(ADAPTERS)
    asked = CorpusConfig(adapter="dreamer", modality="eeg", path="x", rating_threshold=3.5)
    assert asked.rating_threshold == 3.5


# SEED -------------------------------------------------------------------------------------------------------


def test_labels_of_seed_belong_to_the_numbers_of_the_variables_and_not_to_their_order(tmp_path: Path) -> None:
    root = make.make_seed(tmp_path)
    frame = get_corpus("seed").scan(root).frame
    first = frame[frame["session"] == "1_20131027"]
    words = {1: "positive", 0: "neutral", -1: "negative"}
    assert list(first["label"]) == [words[code] for code in make.SEED_LABELS]
    assert list(first["text"]) == [f"{n:02d}" for n in range(1, 16)]
    content = loadmat(root / "Preprocessed_EEG/1_20131027.mat")
    order = [name for name in content if "eeg" in name]
    assert order.index("djc_eeg10") < order.index("djc_eeg2")
    for row in (first.iloc[1], first.iloc[9]):
        signal = get_corpus("seed").read(root, row).signal
        expected = content[f"djc_eeg{row['item'] + 1}"] * 1e-6
        np.testing.assert_allclose(signal, expected, rtol=1e-6)


def test_sessions_of_seed_are_of_one_person_and_people_are_in_order(tmp_path: Path) -> None:
    frame = get_corpus("seed").scan(make.make_seed(tmp_path)).frame
    assert list(frame["session"].unique()) == ["1_20131027", "1_20131030", "10_20131130"]
    assert frame.groupby("group")["session"].nunique().to_dict() == {"01": 2, "10": 1}


def test_features_of_seed_are_not_taken_for_signals(tmp_path: Path) -> None:
    for name in ("1_20131027", "2_20140404"):
        savemat(tmp_path / f"{name}.mat", {"de_LDS1": np.zeros((62, 5, 5))})
    savemat(tmp_path / "label.mat", {"label": np.array([make.SEED_LABELS])})
    with pytest.raises(
        RecordingError, match=r"no array \*_eeg1.*holds de_LDS1.*not that of extracted features"
    ):
        get_corpus("seed").scan(tmp_path)


def test_a_label_file_that_changes_is_read_again_and_a_strange_one_refused(tmp_path: Path) -> None:
    root = make.make_seed(tmp_path)
    before = get_corpus("seed").scan(root).frame["label"]
    savemat(root / "Preprocessed_EEG/label.mat", {"label": -np.array([make.SEED_LABELS])})
    after = get_corpus("seed").scan(root).frame["label"]
    assert (before == "positive").sum() == (after == "negative").sum() == 15
    savemat(root / "Preprocessed_EEG/label.mat", {"label": np.array([[1, 2, 3]])})
    with pytest.raises(RecordingError, match=r"label\.mat: labels \[2, 3\]"):
        get_corpus("seed").scan(root)


def test_sessions_of_seed_iv_have_labels_of_their_own(tmp_path: Path) -> None:
    assert {len(codes) for codes in seed_iv.SESSIONS.values()} == {24}
    assert all(sorted(codes) == sorted([0, 1, 2, 3] * 6) for codes in seed_iv.SESSIONS.values())
    frame = get_corpus("seed-iv").scan(make.make_seed_iv(tmp_path)).frame
    first, second = (frame[frame["session"] == session] for session in ("01_1", "01_2"))
    assert list(first["label"])[:4] == ["sad", "fear", "happy", "neutral"]
    assert list(second["label"])[:4] == ["fear", "sad", "happy", "neutral"]
    assert frame["text"].nunique() == 72


def test_seed_and_seed_iv_are_told_apart(tmp_path: Path) -> None:
    three, four = make.make_seed(tmp_path / "seed"), make.make_seed_iv(tmp_path / "seed-iv")
    assert (get_corpus("seed").recognises(four), get_corpus("seed-iv").recognises(three)) == (False, False)


# DREAMER ----------------------------------------------------------------------------------------------------


def test_dreamer_leaves_its_baselines_out(tmp_path: Path) -> None:
    root = make.make_dreamer(tmp_path)
    frame = get_corpus("dreamer").scan(root).frame
    assert list(frame["duration_s"])[:3] == [64 / 128, 65 / 128, 66 / 128]
    stimuli = loadmat(root / "DREAMER.mat", simplify_cells=True)["DREAMER"]["Data"][1]["EEG"]["stimuli"]
    signal = get_corpus("dreamer").read(root, frame.iloc[18 + 5]).signal
    np.testing.assert_allclose(signal, np.asarray(stimuli[5]).T * 1e-6, rtol=1e-6)
    assert (frame["group"].iloc[23], frame["text"].iloc[23]) == ("p02", "06")
    assert set(frame["valence"]) == {1.0, 2.0, 3.0, 4.0, 5.0}


def test_a_rating_beyond_the_scale_of_dreamer(tmp_path: Path) -> None:
    make.write_dreamer(tmp_path, rating=7.0)
    with pytest.raises(RecordingError, match="valence and arousal rated 7, 7; expected 1 to 5"):
        get_corpus("dreamer").scan(tmp_path)


def test_a_struct_without_its_fields(tmp_path: Path) -> None:
    savemat(tmp_path / "DREAMER.mat", {"DREAMER": {"Data": 1.0, "Version": "2"}})
    with pytest.raises(RecordingError, match=r"DREAMER\.mat: no field EEG_SamplingRate"):
        get_corpus("dreamer").scan(tmp_path)


# AMIGOS -----------------------------------------------------------------------------------------------------


def test_amigos_has_arousal_first_a_baseline_and_clips_that_were_not_seen(tmp_path: Path) -> None:
    root = make.make_amigos(tmp_path)
    manifest = get_corpus("amigos").scan(root)
    row = manifest.frame.iloc[1]
    assert (row["arousal"], row["valence"], row["text"]) == (2.0, 8.0, "2")
    assert row["duration_s"] == 701 / 128 - amigos.BASELINE_S
    data = loadmat(root / row["path"])["joined_data"][0, 1]
    np.testing.assert_allclose(
        get_corpus("amigos").read(root, row).signal, data[640:, :14].T * 1e-6, rtol=1e-6
    )
    assert any("a clip that was not seen or not rated left out" in note for note in manifest.notes)
    assert manifest.skipped == []


def test_an_amigos_file_in_a_folder_of_its_own_name(tmp_path: Path) -> None:
    place = tmp_path / "data_preprocessed" / "Data_Preprocessed_P03"
    make.write_amigos(place / "Data_Preprocessed_P03.mat")
    assert set(get_corpus("amigos").scan(tmp_path).frame["group"]) == {"P03"}


def test_values_of_amigos_that_are_not_finite(tmp_path: Path) -> None:
    path = make.write_amigos(tmp_path / "data_preprocessed" / "Data_Preprocessed_P09.mat")
    content = {name: value for name, value in loadmat(path).items() if not name.startswith("__")}
    content["joined_data"][0, 3][650, 2] = np.nan
    savemat(path, content)
    with pytest.raises(RecordingError, match="trial 4: EEG values that are not finite"):
        get_corpus("amigos").scan(tmp_path)
    assert len(get_corpus("amigos").scan(tmp_path, skip_bad=True)) == 17


# GAMEEMO ----------------------------------------------------------------------------------------------------


def test_gameemo_lies_in_hidden_folders_and_says_that_label_and_recording_are_one(tmp_path: Path) -> None:
    root = make.make_gameemo(tmp_path)
    manifest = get_corpus("gameemo").scan(root)
    assert list(manifest.frame["label"])[:4] == ["boring", "calm", "horror", "funny"]
    assert manifest.frame["path"].str.contains("/.csv format/").all()
    assert any("one recording per person and class" in note for note in manifest.notes)
    assert manifest.frame.groupby("group")["label"].nunique().to_dict() == {"S01": 4, "S02": 4}


def test_a_game_without_a_channel_or_with_words(tmp_path: Path) -> None:
    root = make.make_gameemo(tmp_path)
    path = root / "(S01)/Preprocessed EEG Data/.csv format/S01G1AllChannels.csv"
    text = path.read_text()
    path.write_text(text.replace("AF4", "Temperature", 1))
    with pytest.raises(RecordingError, match=r"S01G1AllChannels\.csv: no column AF4"):
        get_corpus("gameemo").scan(root)
    path.write_text(text.replace("\n", "\nlost,", 1))
    with pytest.raises(RecordingError, match=r"S01G1AllChannels\.csv.*(no table of numbers|not finite)"):
        get_corpus("gameemo").scan(root)


# FACED ------------------------------------------------------------------------------------------------------


def test_clips_of_faced_have_the_emotions_that_were_published(tmp_path: Path) -> None:
    root = make.make_faced(tmp_path)
    frame = get_corpus("faced").scan(root).frame
    labels = frame[frame["group"] == "sub000"].set_index("text")["label"]
    assert (labels["01"], labels["16"], labels["17"], labels["28"]) == (
        "anger",
        "neutral",
        "amusement",
        "tenderness",
    )
    counts = labels.value_counts().to_dict()
    assert counts.pop("neutral") == 4
    assert set(counts.values()) == {3}
    data = pickle.loads((root / "Processed_data/sub061.pkl").read_bytes())  # noqa: S301 - written by this test
    signal = get_corpus("faced").read(root, frame.iloc[28 + 6]).signal
    np.testing.assert_allclose(signal, data[6, :30] * 1e-6, rtol=1e-6)


def test_a_pickle_of_faced_that_would_run_code_stops_everything(tmp_path: Path) -> None:
    root = make.make_faced(tmp_path)
    (root / "Processed_data/sub061.pkl").write_bytes(pickle.dumps(Path("/tmp/x")))
    with pytest.raises(UnsafeFileError, match=r"sub061\.pkl: the pickle asks for"):
        get_corpus("faced").scan(root, skip_bad=True)


@pytest.mark.parametrize("content", [{"data": np.zeros(3)}, np.zeros((28, 30, 10)), np.zeros(4)])
def test_another_array_than_that_of_faced(content: object, tmp_path: Path) -> None:
    root = make.make_faced(tmp_path)
    (root / "Processed_data/sub061.pkl").write_bytes(pickle.dumps(content, protocol=4))
    with pytest.raises(RecordingError, match=r"sub061\.pkl: (holds a dictionary|data of shape)"):
        get_corpus("faced").scan(root)


def test_nothing_of_the_layout(tmp_path: Path) -> None:
    (tmp_path / "x.mat").write_bytes(b"x")
    for name in ("seed", "seed-iv", "dreamer", "amigos", "gameemo", "faced"):
        with pytest.raises(CorpusError, match=rf"no recording in the layout of '{name}'"):
            get_corpus(name).scan(tmp_path)
