"""Publishing loses nothing and notices damage; every cell is cached, so that nothing starts Ray."""

from __future__ import annotations

import json

import pytest

from jmml.errors import DataError
from jmml.evaluation import evidence
from pipelines.study.publish.folders import checksums, keep, kept_as
from pipelines.study.publish.summary import FILE, Summary, finished, folder_of, read
from pipelines.study.run.dry_run import would_run
from pipelines.study.run.runner import run_study
from pipelines.tracking.run_tags import STUDY
from pipelines.tracking.tracker import Tracker
from tests.pipelines.study.studies import make

pytestmark = pytest.mark.usefixtures("short_report")


def study(project, definition=None):
    return run_study(project, definition or make(seeds=[0]), quiet=True)


def test_a_report_of_other_settings_is_kept_under_another_name(computed):
    folder = folder_of(computed, "tiny")
    first = study(computed)
    (folder / "notes.txt").write_text("mine")
    before = checksums(folder)
    name = f"tiny-{first.plan.digest[:8]}"

    assert would_run(computed, make(seeds=[1])).values["kept_as"] == name
    second = study(computed, make(seeds=[1]))
    kept = folder_of(computed, name)
    assert second.published.kept_as == second.as_dict()["kept_as"] == name
    assert second.published.lines()[0] == f"the report of other settings that lay there is kept as {name}"
    assert checksums(kept) == before
    assert [(found.name, found.digest) for found in finished(computed)] == [
        ("tiny", second.plan.digest),
        (name, first.plan.digest),
    ]
    assert read(computed, name).tasks == first.published.summary.tasks
    assert read(computed, name).intact(kept)
    assert set(evidence.load(folder / "evidence" / "lab.parquet")["seed"]) == {1}
    assert set(evidence.load(kept / "evidence" / "lab.parquet")["seed"]) == {0}

    third = study(computed)  # back to the first settings: its cells and its run are there
    assert third.published.kept_as == f"tiny-{second.plan.digest[:8]}"
    assert third.published.summary.run_id == first.published.summary.run_id
    assert third.published.summary.tasks == first.published.summary.tasks
    assert sorted(path.name for path in folder.parent.iterdir()) == sorted(
        ["tiny", name, third.published.kept_as]
    )
    study(computed, make(seeds=[1]))  # what is kept once more gives way to nothing but itself
    assert len(list(folder.parent.iterdir())) == 3
    assert len(Tracker.connect(computed).runs(kind=STUDY)) == 2


def test_damage_is_noticed_and_the_folder_written_anew(computed):
    first = study(computed)
    folder = folder_of(computed, "tiny")
    before = checksums(folder)
    again = study(computed)
    assert not again.published.written_now
    assert again.published.lines()[0].endswith("nothing changed")

    files = ("evidence/lab.parquet", "report.html", "figures/a.png", "certificate.json", "definition.yaml")
    assert first.published.summary.intact(folder)
    for path in (folder / file for file in files):  # each alone is enough
        content = path.read_bytes()
        path.write_bytes(content + b" ")
        assert not first.published.summary.intact(folder)
        path.unlink()
        assert not first.published.summary.intact(folder)
        path.write_bytes(content)
    assert first.published.summary.intact(folder)

    (folder / "figures/a.png").write_bytes(b"2")
    (folder / "report.html").unlink()
    second = study(computed)
    run = first.published.summary.run_id
    assert second.published.lines()[0] == f"already tracked as run {run}; the report was written anew"
    assert second.published.kept_as == ""
    assert checksums(folder) == before == second.published.summary.files
    assert not study(computed).published.written_now


def test_a_summary_that_was_changed_is_not_believed(computed):
    first = study(computed)
    folder = folder_of(computed, "tiny")
    text = (folder / FILE).read_text()
    data = json.loads(text)
    data["tasks"][0]["primary"]["p"] = 0.001
    (folder / FILE).write_text(json.dumps(data))
    with pytest.raises(DataError, match="was changed"):
        read(computed, "tiny")
    second = study(computed)
    assert second.published.kept_as == "tiny-damaged"  # whose it was is not known any more
    assert second.published.summary.tasks == first.published.summary.tasks
    assert json.loads((folder_of(computed, "tiny-damaged") / FILE).read_text()) == data
    (folder / FILE).unlink()
    assert study(computed).published.kept_as == "tiny-damaged-2"


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
