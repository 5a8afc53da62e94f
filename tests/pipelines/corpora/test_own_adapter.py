"""A corpus adapter and a feature extractor of the project's own, from `jmml data add` to the feature table."""

from __future__ import annotations

from pathlib import Path

from jmml.data.manifest import Manifest
from pipelines.stages.featurize import featurize
from pipelines.stages.ingest import ingest
from pipelines.workspace.project import Project
from tests.cli import console
from tests.jmml.data.corpora import make
from tests.jmml.plugins import own


def test_from_the_folder_to_the_table(project: Project, tmp_path: Path, monkeypatch, capfd) -> None:
    own.write(project.root, "corpora/lab_speech.py", "features/energy.py")
    for seed, name in enumerate(("01_anger_1", "01_calm_1", "02_joy_1", "02_sad_1")):
        make.write_wav(tmp_path / "lab" / f"{name}.wav", seed=seed)
    monkeypatch.setenv("JMML_PROJECT", str(project.root))
    code, _, err = console.run(capfd, "data", "add", "mine", str(tmp_path / "lab"))
    assert code == 0, err
    project = Project(project.root)
    assert project.corpus("mine").adapter == "lab-speech"
    assert ingest(project, "mine").startswith("mine: 4 samples of 2 people")
    assert Manifest.load(project.manifest_path("mine")).frame["label"].tolist() == [
        "anger",
        "calm",
        "joy",
        "sad",
    ]

    with project.params_path.open("a") as settings:
        settings.write("\nfeatures: {speech: {extractor: energy, options: {frames: 4}}}\n")
    project = Project(project.root)
    assert featurize(project, "mine") == "mine: 4 rows of 2 speech features"
    code, out, _ = console.run(capfd, "data", "show", "mine")
    assert code == 0
    assert "lab-speech" in out
