"""Project folders whose names mean something in an address: everything stays inside, and is found again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pipelines.registry.promotion import list_versions, promote, register, resolve
from pipelines.tracking import store
from pipelines.tracking.tracker import Tracker
from pipelines.workspace.project import Project, sqlite_uri
from tests.pipelines.tracked import make_project, run_sweep

NAMES = ["what? now", "my%20proj", "a#b;c&d=e", "ü [b] 100%"]


@pytest.mark.parametrize("name", ["plain", *NAMES])
def test_the_address_of_a_database_leads_back_to_it(tmp_path: Path, name: str) -> None:
    path = tmp_path / name / "mlflow.db"
    assert store.database_path(sqlite_uri(path)) == path


def test_an_address_without_special_characters_is_the_plain_one() -> None:
    assert sqlite_uri(Path("/lab/project-1/mlruns/mlflow.db")) == "sqlite:////lab/project-1/mlruns/mlflow.db"


@pytest.mark.parametrize(
    ("location", "folder"),
    [
        ("/lab/a b", "/lab/a b"),
        ("file:///lab/a%2520b", "/lab/a%20b"),
        ("mlflow-artifacts:/1/x", None),
        ("s3://bucket/x", None),
    ],
)
def test_where_artifacts_lie(location: str, folder: str | None) -> None:
    assert store.local_folder(location) == (None if folder is None else Path(folder))


@pytest.mark.parametrize("name", NAMES)
def test_a_champion_is_found_in_a_folder_of_any_name_and_after_a_move(tmp_path: Path, name: str) -> None:
    (tmp_path / "first").mkdir()
    project = make_project(tmp_path / "first" / name)
    run_sweep(Tracker.connect(project), tmp_path)
    register(project)
    promote(project)
    moved = Project(shutil.copytree(project.root, tmp_path / "second" / name))
    shutil.rmtree(project.root)
    assert [version.aliases for version in list_versions(moved)] == [("champion",)]
    assert resolve(moved, "models:/jmml@champion").folder.is_relative_to(moved.root)
    # Nothing was made beside the project, under another reading of its name.
    assert [path.name for path in (tmp_path / "first").iterdir()] == []
    assert [path.name for path in (tmp_path / "second").iterdir()] == [name]
