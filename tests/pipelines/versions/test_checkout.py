from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from dvc.repo import Repo

from jmml.config import load_params
from jmml.errors import CorpusError, DataError
from pipelines.corpora.dvc_record import DvcCache
from pipelines.corpora.verify import verify
from pipelines.versions.checkout import checkout
from pipelines.versions.history import history
from pipelines.versions.remove import remove
from pipelines.workspace.pointer import Pointer
from pipelines.workspace.project import Project
from tests.pipelines.corpora.conftest import state, write_ravdess
from tests.pipelines.versions.conftest import NAME, bytes_of, commit, git, second_version, wav


def test_bytes_and_pointer_of_a_revision_and_back(project: Project, tmp_path: Path) -> None:
    folder = project.raw_dir / NAME
    now = bytes_of(folder)
    others = {k: v for k, v in state(project.root).items() if NAME not in k and not k.startswith(".jmml")}
    done = checkout(project, NAME, "v1")
    assert bytes_of(folder) == bytes_of(write_ravdess(tmp_path / "one", 3))
    assert (done.files, done.commit) == (12, git(project.root, "rev-parse", "v1").strip())
    assert (project.raw_dir / f"{NAME}.dvc").read_text() == git(
        project.root, "show", f"v1:data/raw/{NAME}.dvc"
    )
    verify(project, NAME).raise_if_changed()
    assert {
        k: v for k, v in state(project.root).items() if NAME not in k and not k.startswith(".jmml")
    } == others
    checkout(project, NAME)
    assert bytes_of(folder) == now


def test_nothing_is_lost(project: Project) -> None:
    changed = wav(project.raw_dir / NAME, 5, 2)
    changed.write_bytes(changed.read_bytes() + b"x")
    with pytest.raises(CorpusError, match="1 file of the work tree are in no version"):
        checkout(project, NAME, "v1")
    assert changed.read_bytes().endswith(b"x")
    with pytest.raises(DataError, match="git knows no revision 'v9'"):
        checkout(project, NAME, "v9")
    with pytest.raises(DataError, match="git knows no revision '--all'"):
        checkout(project, NAME, "--all")
    checkout(project, NAME, "v1", force=True)
    verify(project, NAME).raise_if_changed()


def test_it_goes_on_where_it_was_killed(project: Project) -> None:
    """The pointer is the new one, some files are of the one version, some of the other, one is half-written."""
    folder, path = project.raw_dir / NAME, project.raw_dir / f"{NAME}.dvc"
    path.write_text(git(project.root, "show", f"v1:data/raw/{NAME}.dvc"))
    wav(folder, 8, 1).unlink()
    (folder / "Actor_01" / ".abcdefghijklmnopqrstuv.tmp").write_bytes(b"half")
    checkout(project, NAME, "v1")
    assert len(bytes_of(folder)) == 12
    verify(project, NAME).raise_if_changed()


def test_bytes_that_cannot_be_had_change_nothing(project: Project) -> None:
    before = bytes_of(project.raw_dir)
    with DvcCache.of(project) as cache:
        pointer = Pointer.parse(git(project.root, "show", f"v1:data/raw/{NAME}.dvc"), where="v1")
        listed = cache.listing(pointer.md5)
        assert listed is not None
        cache.forget([listed["Actor_03/03-01-01-01-01-01-03.wav"]])
    with pytest.raises(DataError, match="speech at v1: 1 of its files are not in DVC's cache"):
        checkout(project, NAME, "v1")
    assert bytes_of(project.raw_dir) == before


def test_one_corpus_travels_through_a_remote(project: Project, tmp_path: Path) -> None:
    """Pushed from here, checked out and read there, where the cache has never seen it."""
    with Repo(str(project.root)) as repo:
        with repo.config.edit("repo") as config:
            config["core"]["remote"] = "lab"
            config["remote"]["lab"] = {"url": str(tmp_path / "remote")}
        repo.push(targets=[str(project.raw_dir / f"{NAME}.dvc")])
    commit(project.root, "a remote")
    checkout(project, NAME, "v1")
    with Repo(str(project.root)) as repo:
        repo.push(targets=[str(project.raw_dir / f"{NAME}.dvc")])
    there = tmp_path / "colleague"
    git(tmp_path, "clone", "--quiet", str(project.root), str(there))
    other = Project(there)
    done = checkout(other, NAME, "v1")
    assert (done.files, bytes_of(other.raw_dir / NAME)) == (12, bytes_of(project.raw_dir / NAME))
    assert [(v.recordings, v.people) for v in history(other, NAME)] == [(None, None), (12, 3)]
    checkout(other, NAME, "v2")
    assert [(v.recordings, v.people) for v in history(other, NAME)] == [(9, 2), (12, 3)]


def test_a_removed_corpus_comes_back_with_its_entry(project: Project) -> None:
    before, settings = bytes_of(project.raw_dir / NAME), project.params_path.read_text()
    done = remove(project, NAME)
    assert done.paths == (f"data/raw/{NAME}", f"data/raw/{NAME}.dvc")
    assert not (project.raw_dir / NAME).exists()
    assert not (project.raw_dir / f"{NAME}.dvc").exists()
    assert NAME not in load_params(project.params_path).corpora
    assert "# in use" in project.params_path.read_text()
    commit(project.root, "without it")
    assert [v.dvc_hash is None for v in history(Project(project.root), NAME)] == [True, False, False]
    done_again = checkout(Project(project.root), NAME, "v2")
    assert done_again.entered
    assert bytes_of(project.raw_dir / NAME) == before
    assert load_params(project.params_path).corpora[NAME] == project.params.corpora[NAME]
    assert project.params_path.read_text() == settings


def test_a_corpus_that_lay_outside_of_the_project_is_not_put_there(project: Project, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    settings = project.params_path.read_text()
    project.params_path.write_text(settings.replace(f"path: data/raw/{NAME}", f"path: {outside}"))
    shutil.copy(project.raw_dir / f"{NAME}.dvc", f"{outside}.dvc")
    commit(project.root, "elsewhere", "elsewhere")
    project.params_path.write_text(settings)
    remove(Project(project.root), NAME, force=True)
    Path(f"{outside}.dvc").unlink()
    with pytest.raises(DataError, match="there was no corpus 'speech' under DVC"):
        checkout(Project(project.root), NAME, "elsewhere")
    assert not Path(f"{outside}.dvc").exists()
    assert not outside.exists()


def test_a_corpus_in_use_or_with_unsaved_files_is_not_removed(project: Project) -> None:
    before = bytes_of(project.root / "data")
    with pytest.raises(CorpusError, match="a stage makes it, or it was never added"):
        remove(project, "old")
    project.params_path.write_text(project.params_path.read_text().replace("speech: old ", "speech: speech "))
    with pytest.raises(CorpusError, match=r"the task uses it \(task.speech\)"):
        remove(Project(project.root), NAME)
    git(project.root, "checkout", "params.yaml")
    wav(project.raw_dir / NAME, 2, 2).write_bytes(b"new")
    with pytest.raises(CorpusError, match="would be lost"):
        remove(Project(project.root), NAME)
    wav(project.raw_dir / NAME, 2, 2).unlink()
    assert bytes_of(project.root / "data") == before


def test_versions_with_what_they_held(project: Project) -> None:
    second, first = history(project, NAME)
    assert (second.tags, second.subject, second.author) == (("v2",), "two actors", "Ann")
    assert (second.recordings, second.people, second.current) == (9, 2, True)
    assert (first.tags, first.recordings, first.people, first.current) == (("v1",), 12, 3, False)
    assert first.commit == git(project.root, "rev-parse", "v1").strip()
    commit_nothing = project.root / "note.txt"
    commit_nothing.write_text("other work")
    commit(project.root, "other work", "v2.1")
    assert [v.tags for v in history(project, NAME, counts=False)] == [("v2", "v2.1"), ("v1",)]
    with pytest.raises(CorpusError, match="unknown corpus 'speach'; did you mean 'speech'"):
        history(project, "speach")


def test_a_version_on_no_branch_is_found_by_its_tag(project: Project, tmp_path: Path) -> None:
    git(project.root, "checkout", "--quiet", "--detach", "v1")
    shutil.rmtree(project.raw_dir / NAME)
    git(project.root, "checkout", "--quiet", "-")
    second_version(project.raw_dir / NAME)
    verify(project, NAME).raise_if_changed()
    assert len(history(project, NAME, counts=False)) == 2
