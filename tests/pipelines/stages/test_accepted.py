"""A changed file of a corpus that was added stops the stages, whatever DVC has made of it meanwhile."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml
from dvc.repo import Repo

from jmml.errors import CorpusError, DataError
from pipelines.corpora.add import add
from pipelines.stages._accepted import check_accepted, differences
from pipelines.stages.code import code
from pipelines.stages.ingest import ingest
from pipelines.versions.update import update
from pipelines.workspace.pointer import Pointer, pointer_path
from pipelines.workspace.project import Project
from tests.pipelines.corpora.conftest import write_project, write_ravdess


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("accepted")
    root = write_project(folder / "project")
    add(Project(root), "mine", write_ravdess(folder / "mine"), adapter="ravdess")
    return root


@pytest.fixture
def project(template: Path, tmp_path: Path) -> Project:
    return Project(shutil.copytree(template, tmp_path / "project"))


def change(project: Project) -> None:
    folder = project.raw_dir / "mine" / "Actor_01"
    (folder / "03-01-05-01-01-01-01.wav").write_bytes((folder / "03-01-04-01-01-01-01.wav").read_bytes())
    (folder / "03-01-03-01-01-01-01.wav").rename(folder / "03-01-06-01-01-01-01.wav")


DIFFERENCE = (
    r"mine: its files are not those that were added: Actor_01/03-01-03-01-01-01-01\.wav is gone; "
    r"Actor_01/03-01-06-01-01-01-01\.wav was added; Actor_01/03-01-05-01-01-01-01\.wav was changed\. "
    r"Accept them with `jmml data update mine`.*`jmml data checkout mine --force`"
)


def test_what_was_added_is_accepted(project: Project) -> None:
    check_accepted(project, project.params.corpora)
    ingest(project, "mine")
    ingest(project, "old")  # which DVC has never heard of
    pointer = Pointer.read(project.raw_dir / "mine.dvc")
    assert pointer is not None
    assert pointer.accepted == pointer.md5


@pytest.mark.parametrize("stage", [code, lambda project: ingest(project, "mine")], ids=["code", "ingest"])
def test_a_changed_file_stops_the_first_stages(project: Project, stage: object) -> None:
    change(project)
    before = (project.raw_dir / "mine.dvc").read_bytes()
    with pytest.raises(CorpusError, match=DIFFERENCE):
        stage(project)  # type: ignore[operator]
    assert (project.raw_dir / "mine.dvc").read_bytes() == before
    assert not project.manifest_path("mine").exists()
    assert not project.code_dir.exists()


def test_the_hash_that_dvc_records_by_itself_is_put_back(project: Project) -> None:
    """`dvc repro` writes the hash of what it finds into the pointer before any stage that reads it."""
    path = project.raw_dir / "mine.dvc"
    before = yaml.safe_load(path.read_text())
    change(project)
    with Repo(str(project.root)) as repo:
        repo.reproduce([str(path)])
    rewritten = yaml.safe_load(path.read_text())
    assert rewritten["outs"][0]["md5"] != before["outs"][0]["md5"]
    assert rewritten["meta"] == before["meta"]  # DVC keeps what is not its own
    with pytest.raises(CorpusError, match=DIFFERENCE):
        ingest(project, "mine")
    assert yaml.safe_load(path.read_text()) == before


def test_an_update_accepts_it(project: Project) -> None:
    (project.raw_dir / "mine" / "Actor_02" / "03-01-05-01-01-01-02.wav").unlink()
    with pytest.raises(CorpusError, match="is gone"):
        ingest(project, "mine")
    update(project, "mine")
    code(project)
    assert ingest(project, "mine").startswith("mine: 7 samples")


def test_pointers_of_earlier_versions_are_compared_with_the_files(project: Project) -> None:
    path = project.raw_dir / "mine.dvc"
    plain = yaml.safe_load(path.read_text())
    del plain["meta"]
    path.write_text(yaml.safe_dump(plain))
    check_accepted(project, ["mine"])
    change(project)
    with pytest.raises(CorpusError, match="was changed"):
        check_accepted(project, ["mine"])


def test_files_that_are_not_here_are_for_dvc_to_say(project: Project) -> None:
    shutil.rmtree(project.raw_dir / "mine")
    check_accepted(project, ["mine"])


def test_differences_of_a_listing() -> None:
    assert differences({"": "1"}, {"": "2"}) == ["the file was changed"]
    assert differences(None, {"a": "1"}) == ["DVC's cache has no listing to compare them with"]


@pytest.mark.parametrize(
    "text", ["", "outs: []", "outs: [{path: x}]", "outs: 3", "{", "meta: {jmml: 3}", "- a"]
)
def test_what_is_no_pointer_is_said(tmp_path: Path, text: str) -> None:
    path = pointer_path(tmp_path / "x")
    path.write_text(text)
    with pytest.raises(DataError, match=r"x\.dvc: is not a pointer of DVC"):
        Pointer.read(path)
