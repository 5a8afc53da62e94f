"""What jmml relies on of DVC beyond its public interfaces: the first tests to run after a new release of DVC."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import yaml
from dvc.exceptions import DvcException

from jmml.errors import DataError, ProjectError
from pipelines.corpora.dvc_record import DvcRecord, errors_reported, hash_of, hash_of_folder, track
from pipelines.workspace.project import Project


@pytest.fixture
def folder(project: Project) -> Path:
    """A folder with names that DVC may sort or write in its own way, and a file that it is told to leave out."""
    found = project.raw_dir / "named"
    for name in ("b/1.wav", "a/10.wav", "a/2.wav", "a.wav", "ä ö.wav", "A.wav", "left-out.tmp"):
        path = found / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (project.root / ".dvcignore").write_text("*.tmp\n")
    return found


def md5_of(folder: Path, files: list[Path]) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): hashlib.md5(path.read_bytes()).hexdigest() for path in files}


def test_the_hash_of_a_folder_is_the_one_that_dvc_gives_it(project: Project, folder: Path, capfd) -> None:
    given = track(project, folder)
    assert capfd.readouterr().out == ""
    pointer = yaml.safe_load(folder.with_name("named.dvc").read_text())
    assert pointer["outs"][0]["md5"] == given
    with DvcRecord.of(project) as record:
        files = record.files(folder)
        assert len(files) == 6  # all but the one left out
        assert record.hash_of(folder) == given == hash_of_folder(md5_of(folder, files))
        assert record.hash_of(project.raw_dir / "old") is None
        (folder / "a.wav").write_text("changed")
        (folder / "A.wav").rename(folder / "new.wav")
        assert record.changes(folder, md5_of(folder, record.files(folder))) == [
            "A.wav: file is gone",
            "new.wav: file was added",
            "a.wav: file was changed",
        ]


def test_a_project_without_git_or_dvc_is_one_line(project: Project) -> None:
    (project.root / ".git").rename(project.root / "away")
    with pytest.raises(ProjectError, match="is not a git repository"), DvcRecord.of(project):
        pass
    (project.root / "away").rename(project.root / ".git")
    (project.root / ".dvc").rename(project.root / "away")
    with pytest.raises(ProjectError, match="Run `git init` and `dvc init`"), DvcRecord.of(project):
        pass


@pytest.mark.parametrize(
    "text", ["../../../etc/x", "a" * 31, "A" * 32, f"{'a' * 32}.dir/..", f"{'a' * 32}\n"]
)
def test_a_hash_that_would_name_another_place_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="is not a hash of DVC"):
        hash_of(text)


def test_a_password_in_an_address_is_not_told() -> None:
    with pytest.raises(ProjectError) as caught, errors_reported():
        raise DvcException("cannot reach https://ann:s3cret-word@host/data")
    assert "s3cret-word" not in str(caught.value)
