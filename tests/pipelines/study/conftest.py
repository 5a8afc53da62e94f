"""Projects that the tests of studies share, made once and copied for tests that change them."""

from __future__ import annotations

import functools
import shutil
import subprocess

import pytest

from pipelines.study.publish import record
from pipelines.study.run import workers
from pipelines.workspace import lineage
from pipelines.workspace.project import Project
from tests.pipelines.study.inline import Inline
from tests.pipelines.study.studies import compute_all
from tests.pipelines.sweep.projects import write_project
from tests.pipelines.tracked import _store

installed = functools.cache(lineage.installed)


@pytest.fixture(autouse=True)
def _looked_once(monkeypatch):
    """What is installed does not change while tests run, and takes long to read."""
    monkeypatch.setattr(lineage, "installed", installed)


@pytest.fixture(scope="session")
def untouched(tmp_path_factory):
    """A project under git whose stages have been run, with an empty tracking store. Not to be changed."""
    project = write_project(tmp_path_factory.mktemp("untouched") / "project")
    (project.root / ".gitignore").write_text("/mlruns/\n/data/\n/results/\n")
    (project.root / "mlruns").mkdir()
    shutil.copy(f"{_store().name}/mlruns/mlflow.db", project.root / "mlruns" / "mlflow.db")
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "start"]):
        author = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
        subprocess.run(["git", "-C", str(project.root), *author, *command], check=True)
    return project


@pytest.fixture(scope="session")
def complete(untouched, tmp_path_factory):
    """The same with every cell of ``make()`` in its cache, none of them published. Not to be changed."""
    project = Project(shutil.copytree(untouched.root, tmp_path_factory.mktemp("complete") / "project"))
    compute_all(project)
    return project


@pytest.fixture
def project(untouched, tmp_path):
    """A project of its own, without any cell."""
    return Project(shutil.copytree(untouched.root, tmp_path / "project"))


@pytest.fixture
def computed(complete, tmp_path):
    """A project of its own, with all cells."""
    return Project(shutil.copytree(complete.root, tmp_path / "project"))


@pytest.fixture
def short_report(monkeypatch):
    """The report, which has tests of its own, is one line and one figure."""

    def write(folder, results):
        (folder / "report.html").write_text(f"{results.digest} {results.confidence}")
        (folder / "figures").mkdir()
        (folder / "figures" / "a.png").write_bytes(b"1")

    monkeypatch.setattr(record, "write_report", write)


@pytest.fixture
def without_ray(monkeypatch) -> Inline:
    """Blocks of cells run in this process; the value says what was asked of Ray."""
    return Inline().replace(monkeypatch, workers)
