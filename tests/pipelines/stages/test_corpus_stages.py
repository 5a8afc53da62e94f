"""``synthesize``, ``ingest`` and ``featurize``: from recordings to a feature table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import yaml

from jmml.data.features import speech as speech_features
from jmml.data.manifest import Manifest
from jmml.data.table import FeatureTable
from jmml.errors import CorpusError, DataError, RecordingError
from pipelines.stages.featurize import featurize
from pipelines.stages.ingest import ingest
from pipelines.stages.synthesize import synthesize
from pipelines.workspace.project import Project

SETTINGS = {
    "synthetic": {"speakers": 2, "repetitions": 1, "subjects": 2, "trials": 4, "trial_s": 2.0},
    "corpora": {
        "talk": {"adapter": "ravdess", "modality": "speech", "path": "data/raw/talk"},
        "waves": {"adapter": "deap", "modality": "eeg", "path": "data/raw/synthetic-eeg"},
        "lab": {"adapter": "table", "modality": "eeg", "path": "data/raw/lab"},
    },
    "task": {"speech": "talk", "eeg": None},
    "features": {"eeg": {"window_s": 1.0}},
}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(SETTINGS))
    (tmp_path / "dvc.yaml").touch()
    rng = np.random.default_rng(0)
    for emotion in (3, 4):
        file = tmp_path / f"data/raw/talk/Actor_01/03-01-{emotion:02d}-01-01-01-01.wav"
        file.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(file, rng.uniform(-0.1, 0.1, 16000), 16000)
    return Project(tmp_path)


def test_speech_from_files_to_features(project: Project) -> None:
    assert ingest(project, "talk") == "talk: 2 samples of 1 person"
    manifest = Manifest.load(project.manifest_path("talk"))
    assert manifest.corpus == "talk"
    assert list(manifest.frame["label"]) == ["03", "04"]
    featurize(project, "talk")
    table = FeatureTable.load(project.features_path("talk"))
    assert (table.corpus, table.modality) == ("talk", "speech")
    signal, rate = soundfile.read(project.corpus_dir("talk") / manifest.frame["path"][1], dtype="float32")
    settings = project.params.features.speech
    alone = speech_features.extract(signal, rate, settings, where="alone")
    np.testing.assert_array_equal(table.X[1], alone)
    assert table.names == speech_features.feature_names(settings)


def test_synthetic_corpora_are_read_by_their_adapters(project: Project) -> None:
    assert synthesize(project).startswith("2 speakers, 2 EEG subjects, ")
    assert {path.name for path in project.raw_dir.iterdir()} == {"talk", "synthetic-speech", "synthetic-eeg"}
    assert ingest(project, "waves") == "waves: 8 samples of 2 people"
    featurize(project, "waves")
    table = FeatureTable.load(project.features_path("waves"))
    assert len(table) == 16  # two windows of one second in each trial
    assert set(table.groups) == {"s01", "s02"}


def test_a_table_of_features_is_taken_as_it_is(project: Project) -> None:
    folder = project.corpus_dir("lab")
    folder.mkdir(parents=True)
    values = {"id": ["a", "b"], "group": ["x", "y"], "label": ["anger", "calm"], "alpha [V^2]": [1.5, 2.5]}
    pd.DataFrame(values).to_csv(folder / "f.csv", index=False)
    ingest(project, "lab")
    assert set(Manifest.load(project.manifest_path("lab")).frame["modality"]) == {"eeg"}
    featurize(project, "lab")
    table = FeatureTable.load(project.features_path("lab"))
    assert (table.corpus, table.modality, table.names, table.units) == ("lab", "eeg", ("alpha",), ("V^2",))
    np.testing.assert_array_equal(table.X, [[1.5], [2.5]])


def test_a_truncated_recording_stops_the_stage_and_leaves_the_manifest(project: Project) -> None:
    ingest(project, "talk")
    good = project.manifest_path("talk").read_bytes()
    file = next(project.corpus_dir("talk").rglob("*.wav"))
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(RecordingError, match=file.name):
        ingest(project, "talk")
    assert project.manifest_path("talk").read_bytes() == good
    assert list(project.manifests_dir.iterdir()) == [project.manifest_path("talk")]
    with pytest.raises(RecordingError, match=file.name):
        featurize(project, "talk")
    assert not project.features_path("talk").exists()


def test_a_corpus_of_the_other_modality_is_refused(project: Project) -> None:
    settings = yaml.safe_load(project.params_path.read_text())
    settings["corpora"]["waves"]["adapter"] = "nemo"
    project.params_path.write_text(yaml.safe_dump(settings))
    for stage in (ingest, featurize):
        with pytest.raises(CorpusError, match=r"corpora\.waves: adapter 'nemo' reads speech"):
            stage(project, "waves")


def test_missing_input_names_the_next_step(project: Project) -> None:
    with pytest.raises(CorpusError, match="unknown corpus 'tolk'; did you mean 'talk'"):
        ingest(project, "tolk")
    with pytest.raises(CorpusError, match="no such folder"):
        ingest(project, "waves")
    with pytest.raises(DataError, match=r"the manifest is missing. Run `dvc repro`"):
        featurize(project, "talk")
