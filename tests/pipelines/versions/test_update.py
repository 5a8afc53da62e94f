from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from jmml.errors import CorpusError, DataError, RecordingError
from pipelines.corpora.scan import open_corpus, scan
from pipelines.corpora.verify import verify
from pipelines.versions import update as updating
from pipelines.versions.difference import counts
from pipelines.versions.update import recover, update
from pipelines.workspace.pointer import Pointer
from pipelines.workspace.project import Project
from pipelines.workspace.withdrawn import Withdrawal, write_down
from tests.pipelines.corpora.conftest import state, write_ravdess
from tests.pipelines.versions.conftest import NAME, bytes_of, commit, second_version, wav


def pointer(project: Project) -> Pointer:
    found = Pointer.read(project.raw_dir / f"{NAME}.dvc")
    assert found is not None
    return found


def test_new_bytes_take_the_place_and_are_tracked_and_accepted(project: Project, tmp_path: Path) -> None:
    one = write_ravdess(tmp_path / "one", 3)
    done = update(project, NAME, one)
    assert bytes_of(project.raw_dir / NAME) == bytes_of(one)
    assert (done.samples, done.groups) == (12, 3)
    assert done.rows is not None
    assert {kind: number for kind, number in counts(done.rows).items() if number} == {
        "added": 4, "removed": 1, "replaced": 1, "relabelled": 1, "renamed": 1,
    }  # fmt: skip
    assert pointer(project).md5 == pointer(project).accepted == done.dvc_hash != done.before
    verify(project, NAME).raise_if_changed()
    assert not [
        p.name for p in project.raw_dir.iterdir() if p.name.startswith(".") and p.name != ".gitignore"
    ]
    assert "changed: 4 added, 1 removed" in done.lines()[1]


def test_the_work_tree_is_accepted_as_it_is(project: Project) -> None:
    wav(project.raw_dir / NAME, 8, 1).unlink()
    done = update(project, NAME)
    assert done.rows is not None
    assert [(row.kinds, row.id) for row in done.rows] == [(("removed",), "03-01-08-01-01-01-01")]
    assert pointer(project).accepted == done.dvc_hash
    again = update(project, NAME)
    assert again.rows == []
    assert "not a byte differs" in again.lines()[0]


def test_what_cannot_be_used_changes_nothing(project: Project, tmp_path: Path) -> None:
    before = state(project.root)
    broken = write_ravdess(tmp_path / "broken", 3)
    wav(broken, 5, 2).write_bytes(b"RIFF")
    with pytest.raises(RecordingError, match="cannot be used"):
        update(project, NAME, broken)
    with pytest.raises(CorpusError, match="no such file or folder"):
        update(project, NAME, tmp_path / "nowhere")
    with pytest.raises(CorpusError, match="part of the corpus that it would replace"):
        update(project, NAME, project.raw_dir / NAME / "Actor_01")
    with pytest.raises(CorpusError, match="a stage makes it, or it was never added"):
        update(project, "old", tmp_path)
    assert state(project.root) == before


@pytest.mark.parametrize("moment", ["copying", "tracking"])
def test_a_failure_takes_everything_back(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    before, one = bytes_of(project.raw_dir), write_ravdess(tmp_path / "one", 3)

    def fail(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(updating, "bring" if moment == "copying" else "track", fail)
    with pytest.raises(KeyboardInterrupt):
        update(project, NAME, one)
    assert bytes_of(project.raw_dir) == before


def test_a_killed_update_is_taken_back_by_the_next_command(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, one = bytes_of(project.raw_dir), write_ravdess(tmp_path / "one", 3)
    with monkeypatch.context() as patch:  # kill -9 leaves everything as it is
        patch.setattr(updating, "_put_back", lambda *_, **__: None)
        patch.setattr(updating, "_remove", lambda *_: None)
        patch.setattr(updating, "track", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            update(project, NAME, one)
    assert bytes_of(project.raw_dir) != before
    recover(project, NAME)
    assert bytes_of(project.raw_dir) == before


def test_files_that_no_version_has_are_not_lost(project: Project, tmp_path: Path) -> None:
    mine = project.raw_dir / NAME / "Actor_01" / "notes.txt"
    mine.write_text("weeks of work")
    one = write_ravdess(tmp_path / "one", 3)
    with pytest.raises(CorpusError, match=r"1 file of the work tree are in no version.*Actor_01/notes\.txt"):
        update(project, NAME, one)
    assert mine.exists()
    update(project, NAME, one, force=True)
    assert not mine.exists()


def test_a_version_that_is_not_committed_is_not_lost(project: Project, tmp_path: Path) -> None:
    update(project, NAME, write_ravdess(tmp_path / "one", 3, (1, 3, 4)))
    other = second_version(tmp_path / "again")
    with pytest.raises(CorpusError, match="is in no revision of git"):
        update(project, NAME, other)
    commit(project.root, "three emotions")
    update(project, NAME, other)


def test_what_was_withdrawn_does_not_come_back(project: Project, tmp_path: Path) -> None:
    one = write_ravdess(tmp_path / "one", 3)
    rows = scan(NAME, open_corpus(NAME, project.corpus(NAME)), one).frame
    gone = rows[rows["group"] == "03"]
    hashes = tuple(gone["content_hash"])
    write_down(project, [Withdrawal("03", NAME, "speech", "2026-01-02T00:00:00+00:00", "ann", hashes)])
    with pytest.raises(DataError, match=r"4 recordings were withdrawn by 03 \(2026-01-02\)"):
        update(project, NAME, one)
    shutil.rmtree(one / "Actor_03")
    update(project, NAME, one)
