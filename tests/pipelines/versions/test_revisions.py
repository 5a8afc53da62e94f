from __future__ import annotations

from pathlib import Path

import pytest

from jmml.errors import CorpusError, DataError
from pipelines.versions.checkout import checkout
from pipelines.versions.history import history
from pipelines.versions.revisions import Recorded, contents, made_by_stages, resolve
from pipelines.workspace.project import Project
from tests.pipelines.versions.conftest import commit, git

LOCK = "schema: '2.0'\nstages:\n  synthesize:\n    cmd: x\n    outs:\n    - path: data/raw/old\n      md5: {}.dir\n"


def test_objects_of_git_by_name(project: Project) -> None:
    texts = contents(
        project, ["v1:./params.yaml", "v1:./no file at all", "v1:./data", "nonsense", "v2:./dvc.yaml"]
    )
    assert texts == [
        git(project.root, "show", "v1:params.yaml").encode(), None, None, None, b"stages: {}\n",
    ]  # fmt: skip
    assert contents(project, []) == []


def test_a_project_below_the_top_of_its_repository(project: Project, tmp_path: Path) -> None:
    top = tmp_path / "top"
    top.mkdir()
    git(top, "init", "--quiet")
    inner = top / "a project"
    inner.mkdir()
    for name in ("params.yaml", "dvc.yaml"):
        (inner / name).write_bytes((project.root / name).read_bytes())
    pointer = inner / "data/raw/speech.dvc"
    pointer.parent.mkdir(parents=True)
    pointer.write_bytes((project.raw_dir / "speech.dvc").read_bytes())
    commit(top, "all")
    recorded = Recorded(Project(inner), "speech", "HEAD")
    assert recorded.md5 == Recorded(project, "speech", "v2").md5
    assert recorded.pointer == pointer.read_bytes()


def test_corpora_that_a_stage_makes_are_in_the_lock_files(project: Project) -> None:
    """In that of all stages, where earlier releases have them, and in that of corpora."""
    (project.root / "dvc.lock").write_text(LOCK.format("1" * 32))
    commit(project.root, "one", "s1")
    (project.root / "data" / "dvc.lock").write_text(LOCK.format("2" * 32))
    commit(project.root, "two", "s2")
    assert [v.dvc_hash for v in history(project, "old", counts=False)] == [
        "2" * 32 + ".dir",
        "1" * 32 + ".dir",
    ]
    with pytest.raises(CorpusError, match="'old' was made by a stage"):
        checkout(project, "old", "s1")
    with pytest.raises(DataError, match="there was no corpus 'old' under DVC"):
        _ = Recorded(project, "old", "v1").md5


@pytest.mark.parametrize("text", [None, b"", b"3", b"stages: 3", b"stages: {a: {outs: [{path: x}]}}", b"{"])
def test_what_is_no_lock_file_names_nothing(text: bytes | None) -> None:
    assert made_by_stages(text) == {}


@pytest.mark.parametrize("rev", ["nope", "--all", "v1..v2", "HEAD:params.yaml", ""])
def test_what_is_no_revision(project: Project, rev: str) -> None:
    with pytest.raises(DataError, match="git knows no revision"):
        resolve(project, rev)
