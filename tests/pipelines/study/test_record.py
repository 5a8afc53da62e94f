"""Publishing loses nothing and notices damage; every cell is cached, so that nothing starts Ray."""

from __future__ import annotations

import json
import shutil

import pytest

from jmml.errors import DataError
from jmml.evaluation import evidence
from pipelines.project import Project
from pipelines.run_tags import STUDY
from pipelines.study import record
from pipelines.study.cells import CellStore
from pipelines.study.folders import checksums, keep, kept_as
from pipelines.study.plan import plan
from pipelines.study.runner import run_study
from pipelines.study.summary import FILE, Summary, finished, folder_of, read
from pipelines.tracking import Tracker
from tests.pipelines.study import fakes
from tests.pipelines.study.studies import make
from tests.pipelines.sweep.projects import write_project


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A project with every cell of a study and an empty tracking store, which take seconds to make."""
    project = write_project(tmp_path_factory.mktemp("template") / "project")
    planned = plan(project, make())
    for key in planned.cells:
        task = planned.tasks[key.task]
        cell = fakes.quick(task.data, task.split, key.fold, key.method, task.candidates, seed=key.seed)
        CellStore.of(project.root).save(key, cell)
    Tracker.connect(project).experiment()
    return project


@pytest.fixture
def project(template, tmp_path, monkeypatch):
    def write(folder, results):
        (folder / "report.html").write_text(results.digest)
        (folder / "figures").mkdir()
        (folder / "figures" / "a.png").write_bytes(b"1")

    monkeypatch.setattr(record, "write_report", write)
    return Project(shutil.copytree(template.root, tmp_path / "project"))


def study(project, definition=None, **options):
    return run_study(project, definition or make(), quiet=True, **options)


def test_a_report_of_other_settings_is_kept_under_another_name(project):
    folder = folder_of(project, "tiny")
    first = study(project)
    (folder / "notes.txt").write_text("mine")
    before = checksums(folder)
    name = f"tiny-{first.plan.digest[:8]}"

    planned = plan(project, make(seeds=[0]))
    assert planned.kept_as == name
    second = study(project, make(seeds=[0]))
    kept = folder_of(project, name)
    assert second.published.kept_as == second.as_dict()["kept_as"] == name
    assert second.published.lines()[0] == f"the report of other settings that lay there is kept as {name}"
    assert checksums(kept) == before
    assert [(found.name, found.digest) for found in finished(project)] == [
        ("tiny", second.plan.digest),
        (name, first.plan.digest),
    ]
    assert read(project, name).tasks == first.published.summary.tasks
    assert read(project, name).intact(kept)
    assert set(evidence.load(folder / "evidence" / "lab.parquet")["seed"]) == {0}
    assert set(evidence.load(kept / "evidence" / "lab.parquet")["seed"]) == {0, 1}

    third = study(project)  # back to the first settings: its cells and its run are there
    assert third.published.kept_as == f"tiny-{second.plan.digest[:8]}"
    assert third.published.summary.run_id == first.published.summary.run_id
    assert third.published.summary.tasks == first.published.summary.tasks
    assert sorted(path.name for path in folder.parent.iterdir()) == sorted(
        ["tiny", name, third.published.kept_as]
    )
    study(project, make(seeds=[0]))  # what is kept once more gives way to nothing but itself
    assert len(list(folder.parent.iterdir())) == 3
    assert len(Tracker.connect(project).runs(kind=STUDY)) == 2


@pytest.mark.parametrize("file", ["evidence/lab.parquet", "report.html", "figures/a.png", "certificate.json"])
@pytest.mark.parametrize("damage", ["changed", "missing"])
def test_damage_is_noticed_and_the_folder_written_anew(project, file, damage):
    first = study(project)
    folder = folder_of(project, "tiny")
    before = checksums(folder)
    again = study(project)
    assert (again.published.written_now, again.published.lines()[0].endswith("nothing changed")) == (
        False,
        True,
    )
    if damage == "missing":
        (folder / file).unlink()
    else:
        (folder / file).write_bytes((folder / file).read_bytes() + b" ")
    second = study(project)
    run = first.published.summary.run_id
    assert second.published.lines()[0] == f"already tracked as run {run}; the report was written anew"
    assert second.published.kept_as == ""
    assert checksums(folder) == before == second.published.summary.files
    assert not study(project).published.written_now


def test_a_summary_that_was_changed_is_not_believed(project):
    first = study(project)
    folder = folder_of(project, "tiny")
    text = (folder / FILE).read_text()
    data = json.loads(text)
    data["tasks"][0]["primary"]["p"] = 0.001
    (folder / FILE).write_text(json.dumps(data))
    with pytest.raises(DataError, match="was changed"):
        read(project, "tiny")
    second = study(project)
    assert second.published.kept_as == "tiny-damaged"  # whose it was is not known any more
    assert second.published.summary.tasks == first.published.summary.tasks
    assert json.loads((folder_of(project, "tiny-damaged") / FILE).read_text()) == data
    (folder / FILE).unlink()
    assert study(project).published.kept_as == "tiny-damaged-2"


def test_names_that_are_taken(tmp_path):
    def put(name, digest):
        (tmp_path / name).mkdir()
        Summary(name, "", digest, "", 0, 0.95, []).save(tmp_path / name)

    folder = tmp_path / "a"
    assert kept_as(folder, "x") == ""
    folder.mkdir()
    assert kept_as(folder, "x") == ""
    folder.rmdir()
    put("a", "0123456789abcdef")
    assert kept_as(folder, "0123456789abcdef") == ""
    assert kept_as(folder, "x") == "a-01234567"
    put("a-01234567", "0123456700000000")
    assert kept_as(folder, "x") == "a-01234567-2"
    put("a-01234567-2", "0123456789abcdef")
    assert kept_as(folder, "x") == "a-01234567-2"
    keep(folder, "a-01234567-2")
    assert not folder.exists()
    assert Summary.load(tmp_path / "a-01234567-2").name == "a-01234567-2"
