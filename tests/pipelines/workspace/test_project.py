from __future__ import annotations

import os
from pathlib import Path

import pytest

from jmml.errors import ConfigError, CorpusError, ProjectError
from jmml.printable import printable
from pipelines.workspace.project import Project

PARAMS = """\
corpora:
  talk: {adapter: ravdess, modality: speech, path: data/raw/talk}
task: {speech: talk, eeg: null}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "params.yaml").write_text(PARAMS)
    (folder / "dvc.yaml").write_text("stages: {}\n")
    return folder


def test_found_upwards_from_a_folder_inside(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Project.find(root / "deep" / "er").root == root
    monkeypatch.chdir(root / "deep")
    assert Project.find().root == root


def test_a_folder_with_only_one_of_the_two_files_is_passed_over(root: Path) -> None:
    (root / "deep" / "params.yaml").write_text(PARAMS)
    assert Project.find(root / "deep" / "er").root == root


def test_environment_decides_unless_a_start_is_given(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JMML_PROJECT", str(root))
    assert Project.find().root == root
    with pytest.raises(ProjectError):
        Project.find(tmp_path)


def test_outside_of_any_project(tmp_path: Path) -> None:
    with pytest.raises(ProjectError) as failure:
        Project.find(tmp_path)
    assert str(failure.value) == (
        f"{tmp_path}: not inside a project; expected a folder with params.yaml and dvc.yaml here or above. "
        "Change into the project's folder, or set JMML_PROJECT to it"
    )
    assert failure.value.exit_code == 10


def test_environment_that_names_no_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "params.yaml").write_text(PARAMS)
    monkeypatch.setenv("JMML_PROJECT", str(tmp_path))
    with pytest.raises(ProjectError, match=r"no project folder, dvc\.yaml missing"):
        Project.find()


def test_settings_are_read_when_asked_for(root: Path) -> None:
    (root / "params.yaml").write_text("tusk: 1\n")
    project = Project(root)
    assert project.params_path == root / "params.yaml"
    with pytest.raises(ConfigError) as failure:
        _ = project.params
    assert len(failure.value.lines) == 3  # corpora missing, task missing, tusk unknown


def test_corpus_by_name(root: Path) -> None:
    project = Project(root)
    assert project.corpus("talk").adapter == "ravdess"
    assert project.corpus_dir("talk") == root / "data/raw/talk"
    with pytest.raises(CorpusError, match=r"unknown corpus 'talc'; did you mean 'talk'\?"):
        project.corpus("talc")


def test_every_path_lies_in_the_project(root: Path) -> None:
    project = Project(root)
    assert project.raw_dir == root / "data/raw"
    assert project.manifest_path("talk") == root / "data/manifests/talk.parquet"
    assert project.features_path("talk") == root / "data/features/talk.parquet"
    assert project.cache_dir == root / "data/cache/features"
    assert project.split_path == root / "data/splits.json"
    assert project.task_path == root / "data/task.json"
    assert project.cell_dir("jmml", 1, 2) == root / "models/cv/jmml/fold1-seed2"
    assert project.results_dir == root / "results"
    assert not (root / "data").exists()


def test_tracking_store(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Project(root).tracking_uri == f"sqlite:///{root}/mlruns/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    assert Project(root).tracking_uri == "http://127.0.0.1:5000"


def test_a_folder_whose_name_is_not_utf8_is_refused_once_and_clearly(root: Path) -> None:
    moved = root.rename(root.with_name(os.fsdecode(b"lab\xff")))
    with pytest.raises(ProjectError, match=r"is not UTF-8, .* need\. Rename the folder") as caught:
        Project.find(moved / "deep")
    assert str(caught.value) == printable(caught.value)
