"""Columns that tell the answer are found, alone and as an order, and honest features of few people are not."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import jmml
from benchmarks.telltales import MISTAKES, score, table
from jmml.config import FeaturesConfig, SyntheticConfig
from jmml.data.corpora import read_table
from jmml.data.features.extract import described
from jmml.data.ready.telltale import Rows, by_name, by_values
from jmml.data.synthetic import write_synthetic_eeg, write_synthetic_speech
from jmml.errors import DataError


def read(frame: pd.DataFrame, folder: Path, **options: object):  # type: ignore[no-untyped-def]
    frame.to_csv(folder / "t.csv", index=False)
    return read_table(folder / "t.csv", "lab", "speech", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_refused_by_name_and_taken_where_it_is_named(mistake: str, tmp_path: Path) -> None:
    frame = MISTAKES[mistake](table())
    added = [column or "Unnamed: 15" for column in frame if column not in table()]
    with pytest.raises(DataError, match=f"{len(added)} of {12 + len(added)} columns of numbers") as caught:
        read(frame, tmp_path)
    for column in added:
        assert f"'{column}' " in caught.value.what
    assert "\n" not in str(caught.value)
    assert len(read(frame, tmp_path, features=added).names) == 12 + len(added)
    assert len(read(frame, tmp_path, leave_out=added).names) == 12


def test_noise_alone_is_taken_and_scores_chance(tmp_path: Path) -> None:
    assert len(read(table(), tmp_path).names) == 12


def test_a_mistake_lifts_noise(tmp_path: Path) -> None:
    frame = MISTAKES["index under another name"](table())
    taken, left = read(frame, tmp_path, features=["x"]), read(frame, tmp_path, leave_out=["x"])
    assert score(taken, 10) > 0.7 > 0.35 > score(left, 10)


def rows(people: int, each: int, labels: int, seed: int = 0) -> Rows:
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(people), each)
    return Rows(who, np.arange(len(who)), rng.integers(0, labels, len(who)))


@pytest.mark.parametrize("people", [2, 3, 4, 8, 20])
@pytest.mark.parametrize("each", [2, 5, 30])
@pytest.mark.parametrize("labels", [2, 4])
def test_pitch_that_differs_between_people_is_a_feature(people: int, each: int, labels: int) -> None:
    for seed in range(20):
        known = rows(people, each, labels, seed)
        rng = np.random.default_rng(seed + 100)
        voice = rng.permutation(np.linspace(100, 240, people))[known.people]
        pitch = voice * 2 ** (rng.normal(0.4 * known.labels, 1.5) / 12)
        assert by_values(pitch, known) is None
        assert by_values(np.round(pitch), known) is None
        assert by_values(rng.poisson(3, len(voice)).astype(float), known) is None
        assert by_values((known.people % 2).astype(float), known) is None  # man or woman


@pytest.mark.parametrize(("effect", "each"), [(3.0, 5), (4.0, 10), (3.0, 100)])
def test_a_feature_that_tells_labels_very_well_is_one(effect: float, each: int) -> None:
    for seed in range(20):
        known = rows(4, each, 2, seed)
        good = np.random.default_rng(seed).normal(effect * known.labels, 1.0)
        assert by_values(good, known) is None


def test_windows_of_few_trials_are_no_evidence() -> None:
    known = Rows(np.repeat([0, 0, 1, 1], 30), np.repeat(np.arange(4), 30), np.repeat([0, 1, 0, 1], 30))
    of_trial = np.repeat([3.1, 4.7, 2.2, 5.3], 30)
    assert by_values(of_trial, known) is None


def test_an_age_is_a_feature_where_people_share_it() -> None:
    known = Rows(np.repeat(np.arange(8), 10), np.arange(80), np.repeat(np.arange(8) % 2, 10))
    ages = np.array([21, 22, 22, 25, 25, 31, 40, 21.0])[known.people]
    assert by_values(ages, known) is None


@pytest.mark.parametrize("modality", ["speech", "eeg"])
def test_no_feature_of_ours_is_called_like_anything_else(modality: str) -> None:
    channels = ("mono",) if modality == "speech" else ("Fp1", "F3", "F4", "Cz", "O2")
    names, _ = described(modality, channels, FeaturesConfig())  # type: ignore[arg-type]
    assert {name: by_name(name) for name in names if by_name(name)} == {}


@pytest.mark.parametrize(
    "name",
    ["hammarbergIndexV_sma3nz_amean", "F0semitoneFrom27.5Hz_sma3nz_stddevNorm", "cv", "jitterLocal_sma3nz_amean",
     "slopeV0-500_sma3nz_amean", "MeanVoicedSegmentLengthSec", "VoicedSegmentsPerSec", "mfcc1_sma3_amean",
     "de_alpha_Fp1", "modulation_index", "duration", "loudness_peaks_per_s",
     "age", "gender", "x1", "V1", "spectral_slope", "rate"],
)  # fmt: skip
def test_names_that_are_features(name: str) -> None:
    assert by_name(name) is None


@pytest.mark.parametrize(
    "name",
    ["", "Unnamed: 0", "Unnamed: 0.1", "index", "ID", "trial_id", "subjectID", "speaker_no", "emotion_code", "Valence",
     "SAM_arousal", "liking", "y", "trial", "window", "start", "onset", "fold", "split", "Sample Number", "session",
     "stimulus", "row_number", "file_id"],
)  # fmt: skip
def test_names_that_are_none(name: str) -> None:
    assert by_name(name) is not None


def test_features_of_both_worlds_are_features() -> None:
    for world in ("label", "trial"):
        for found in jmml.world_tables(world, people=6, trials=8):  # type: ignore[arg-type]
            known = Rows.of(found.index)
            assert [
                n for n, x in zip(found.names, found.X.T, strict=True) if by_values(x.astype(float), known)
            ] == []


@pytest.mark.long
@pytest.mark.parametrize("modality", ["speech", "eeg"])
def test_features_of_the_demo_are_features_in_whole_and_in_parts(modality: str, tmp_path: Path) -> None:
    write = write_synthetic_speech if modality == "speech" else write_synthetic_eeg
    write(tmp_path / "corpus", SyntheticConfig())
    found = jmml.extract_features(jmml.load_corpus(tmp_path / "corpus"))
    index = found.index.copy()
    if modality == "eeg":
        index["label"] = np.where(index["arousal"] > 5, "high", "low")
    people = sorted(index["group"].unique())
    parts = [np.ones(len(index), dtype=bool)]
    for labels in combinations(sorted(index["label"].unique()), 2):
        for number in (2, 3, 4, len(people)):
            parts.append((index["label"].isin(labels) & index["group"].isin(people[:number])).to_numpy())
    alarms = []
    for part in parts:
        known = Rows.of(index[part].reset_index(drop=True))
        alarms += [
            name
            for name, x in zip(found.names, found.X[part].T, strict=True)
            if by_values(x.astype(float), known)
        ]
    assert alarms == []
