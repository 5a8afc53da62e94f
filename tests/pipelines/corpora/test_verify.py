from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from jmml.errors import CorpusError, DataError
from pipelines.corpora.add import add
from pipelines.corpora.verify import verify
from pipelines.stages.ingest import ingest
from pipelines.workspace.project import Project


def test_verify_is_silent_about_what_is_unchanged(project: Project, corpus: Path) -> None:
    added = add(project, "mine", corpus)
    project = Project(project.root)
    ingest(project, "mine")
    report = verify(project, "mine")
    (check,) = report.checks
    assert check.problems == []
    assert check.recorded == check.current == added.dvc_hash
    report.raise_if_changed()


def test_verify_names_what_changed(project: Project, corpus: Path) -> None:
    add(project, "mine", corpus)
    project = Project(project.root)
    ingest(project, "mine")
    folder = project.raw_dir / "mine"
    changed, removed = (
        folder / "Actor_01/03-01-01-01-01-01-01.wav",
        folder / "Actor_02/03-01-05-01-01-01-02.wav",
    )
    stamp = changed.stat()
    data = bytearray(changed.read_bytes())
    data[-1] ^= 1  # one bit, the same size and time: what DVC's own status would not see
    changed.unlink()
    changed.write_bytes(data)
    os.utime(changed, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    removed.unlink()
    shutil.copy(changed, folder / "Actor_01/03-01-08-01-01-01-01.wav")

    report = verify(project, "mine")
    assert report.checks[0].problems == [
        "Actor_02/03-01-05-01-01-01-02.wav: file is gone",
        "Actor_01/03-01-08-01-01-01-01.wav: file was added",
        "Actor_01/03-01-01-01-01-01-01.wav: file was changed",
        "sample '03-01-05-01-01-01-02' is gone or cannot be used",
        "sample '03-01-08-01-01-01-01' is not in the manifest",
        "sample '03-01-01-01-01-01-01': content differs from the manifest",
    ]
    with pytest.raises(DataError, match=r"1 of 1 corpus differs from .*mine: Actor_02.*6 in all") as failure:
        report.raise_if_changed()
    assert failure.value.exit_code == 4
    assert report.as_dict()["ok"] is False
    assert len(report.lines()) == 7


def test_verify_of_all_lists_missing_and_untracked(project: Project, corpus: Path) -> None:
    add(project, "mine", corpus)
    shutil.rmtree(project.raw_dir / "mine")
    problems = {check.name: check.problems for check in verify(Project(project.root)).checks}
    assert problems == {"old": ["DVC has no record of it"], "mine": ["data/raw/mine is missing"]}


def test_verify_of_an_unknown_corpus(project: Project) -> None:
    with pytest.raises(CorpusError, match="unknown corpus 'odl'; did you mean 'old'"):
        verify(project, "odl")


def test_a_corpus_that_a_stage_will_make_is_not_changed(project: Project) -> None:
    shutil.rmtree(project.raw_dir / "old")
    assert "is missing" in verify(project, "old").checks[0].problems[0]  # nobody speaks of it
    (project.root / "dvc.yaml").write_text("stages:\n  make: {cmd: 'true', outs: [data/raw/old]}\n")
    report = verify(Project(project.root), "old")
    assert report.lines() == ["old: not made yet"]
    report.raise_if_changed()
