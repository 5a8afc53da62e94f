from __future__ import annotations

import functools
import json
import shutil
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from cli.app import app
from cli.study import arguments
from pipelines.compute.jobs import Job
from pipelines.study.define.reading import GUIDE, READY_MADE
from pipelines.study.publish import record
from pipelines.study.run.folder import StudyFolder
from pipelines.study.run.runner import run_study
from pipelines.tracking.tracker import Tracker
from pipelines.workspace import lineage
from pipelines.workspace.project import Project
from tests.cli import console
from tests.pipelines.study.studies import CELLS, METHODS, compute_all, make
from tests.pipelines.sweep.projects import write_project


def run(capfd, *args: str) -> tuple[int, str, str]:
    return console.run(capfd, "study", *args)


@pytest.fixture(scope="module", autouse=True)
def _quick():
    """The report, which has tests of its own, is empty; what is installed is looked up once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(record, "write_report", lambda folder, results: (folder / "report.html").write_text(""))
        patch.setattr(lineage, "installed", functools.cache(lineage.installed))
        yield


@pytest.fixture(scope="module")
def computed(tmp_path_factory):
    """A project in whose cache every cell of a study lies, and whose store is empty. Not to be changed."""
    project = write_project(tmp_path_factory.mktemp("cli") / "project")
    compute_all(project)
    (project.root / "tiny.yaml").write_text(make().to_yaml())
    Tracker.connect(project).experiment()
    return project


@pytest.fixture(scope="module")
def published(computed, tmp_path_factory):
    """The same after the study was run to its end, and its summary. Not to be changed."""
    project = Project(shutil.copytree(computed.root, tmp_path_factory.mktemp("published") / "project"))
    return project, run_study(project, project.root / "tiny.yaml", quiet=True).published.summary


@pytest.fixture
def here(published, monkeypatch):
    """The study is finished; the value is its definition's file."""
    project, _ = published
    monkeypatch.setenv("JMML_PROJECT", str(project.root))
    return str(project.root / "tiny.yaml")


@pytest.fixture
def finished(published):
    return published[1]


@pytest.fixture
def own(published, tmp_path, monkeypatch):
    """A copy of the project with the finished study, to be changed."""
    project = Project(shutil.copytree(published[0].root, tmp_path / "project"))
    monkeypatch.setenv("JMML_PROJECT", str(project.root))
    return project


@pytest.mark.parametrize(
    "command",
    [(), ("run",), ("list",), ("show",), ("watch",), ("stop",), ("resume",)],
    ids=lambda c: " ".join(c) or "study",
)
def test_every_command_explains_itself(command):
    result = CliRunner().invoke(app, ["study", *command, "--help"])
    assert result.exit_code == 0
    assert "Usage:" in result.output


def test_dry_run_prints_the_plan_and_writes_nothing(capfd, published, here):
    project, _ = published
    before = sorted(project.root.rglob("*"))
    code, out, err = run(capfd, "run", here, "--dry-run", "--workers", "3")
    assert (code, err) == (0, "")
    assert f"{CELLS}: {CELLS} cached, 0 to compute" in out
    assert "nothing to compute" in out
    code, out, _ = run(capfd, "run", here, "-s", "seeds=0,1,2", "--dry-run")
    assert f"{CELLS * 3 // 2}: {CELLS} cached, {CELLS // 2} to compute" in out
    assert "by the cells computed before" in out
    code, out, _ = run(capfd, "run", here, "--dry-run", "--json", "--recompute")
    assert json.loads(out)["cells"] == {"total": CELLS, "cached": 0, "damaged": 0, "missing": CELLS}
    assert sorted(project.root.rglob("*")) == before


def test_a_dry_run_loads_no_ray_and_no_mlflow(here):
    code = (
        "import sys; sys.argv = ['jmml', 'study', 'run', sys.argv[1], '--dry-run']\n"
        "from cli.app import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "sys.exit(' '.join({'ray', 'mlflow'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code, here], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "cells" in done.stdout


def test_run_prints_the_contrast_first_then_the_table_and_the_report(capfd, computed, tmp_path, monkeypatch):
    project = Project(shutil.copytree(computed.root, tmp_path / "project"))
    monkeypatch.setenv("JMML_PROJECT", str(project.root))
    path = str(project.root / "tiny.yaml")
    code, out, err = run(capfd, "run", path)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("lab: JMML 0.")
    assert "best label-only control" in lines[0]
    for label in ("raw speech", "JEC-SSL only", "JMML *", "one-hot labels"):
        assert any(line.strip().startswith(label) for line in lines)
    assert lines[-3].startswith(f"0 cells computed, {CELLS} cached")
    assert lines[-2].startswith("tracked as run ")
    assert lines[-1].startswith("report: ")
    assert "already tracked as run " in run(capfd, "run", path)[1]
    assert "\ntracked as run " in run(capfd, "run", path, "--again")[1]


def test_overrides_keep_the_results_of_other_settings(capfd, own, finished):
    here = str(own.root / "tiny.yaml")
    name = f"tiny-{finished.digest[:8]}"
    _, out, _ = run(capfd, "run", here, "-s", "seeds=0", "--dry-run")
    assert f"a report of other settings lies under tiny; it will be kept as {name}" in out
    code, out, err = run(capfd, "run", here, "-s", "seeds=0")
    assert (code, err) == (0, "")
    assert f"the report of other settings that lay there is kept as {name}\n" in out
    code, out, _ = run(capfd, "show", name)
    assert code == 0
    assert f"p {finished.tasks[0].primary['p']:.3f}, the smallest possible with " in out or (
        f"p {finished.tasks[0].primary['p']:.3f} (cannot be below " in out
    )
    assert f"Holm p {finished.tasks[0].primary['p_holm']:.3f}" in out
    assert run(capfd, "show", "tiny")[1] != out
    _, out, _ = run(capfd, "list")
    assert name in out


def test_run_and_list_point_to_the_guide():
    for command in ("run", "list"):
        assert GUIDE in CliRunner().invoke(app, ["study", command, "--help"]).output


def test_run_for_machines(capfd, here, finished):
    code, out, err = run(capfd, "run", here, "--json")
    assert (code, err) == (0, "")
    data = json.loads(out)
    assert data["run_id"] == finished.run_id
    assert [row["method"] for row in data["tasks"][0]["rows"]] == [*METHODS, "label-only"]


def test_list_and_show(capfd, here, finished):
    code, out, _ = run(capfd, "list")
    assert code == 0
    for text in ("worlds", "quick", "corpora", "tiny", "lab: JMML", GUIDE, str(READY_MADE["quick"].parent)):
        assert text in out
    _, out, _ = run(capfd, "list", "--json")
    data = json.loads(out)
    assert {d["name"]: d["file"] for d in data["definitions"]} == {k: str(v) for k, v in READY_MADE.items()}
    assert [study["digest"] for study in data["finished"]] == [finished.digest]
    code, out, _ = run(capfd, "show", "tiny", "--task", "lab")
    assert code == 0
    assert out.startswith("lab: JMML 0.")
    assert out.splitlines()[-1].endswith("report.html")
    _, out, _ = run(capfd, "show", "tiny", "--json")
    assert json.loads(out)["tasks"][0]["primary"]["diff"] == finished.tasks[0].primary["diff"]


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("watch", "tinny"), 9, "no study 'tinny'; did you mean 'tiny'?"),
        (("resume", "tinny"), 9, "List them with `jmml study list`"),
        (("show", "tinny"), 10, "no finished study 'tinny'; did you mean 'tiny'?"),
        (("show", "tiny", "--task", "xyz"), 4, "no task 'xyz'; valid: lab"),
        (("show", "worlds"), 10, "study 'worlds' has not been run to its end. Run `jmml study run worlds`"),
        (("show", "nosuch"), 10, "no finished study 'nosuch'; valid: tiny. See `jmml study list`"),
        (
            ("run", "quick", "-s", "method.stage2.k=40"),
            3,
            "-s method.stage2.k=40: method: stage2.k = 40 is wider",
        ),
        (("run", "quick", "-s", "seeds=1,1"), 3, "seeds: 1 is named more than once"),
        (
            ("run", "quick", "-s", "tasks.projct.pairing=class"),
            3,
            "no task 'projct'; did you mean 'project'?",
        ),
        (
            ("run", "quick", "-s", "groups_per_fold=6"),
            5,
            "Lower groups_per_fold (of the study or of tasks.project)",
        ),
        (("run", "world"), 3, "did you mean 'worlds'?"),
        (("run", "worlds", "-s", "sedes=1"), 3, "did you mean 'seeds'?"),
        (("run", "--workers", "0"), 2, "--workers"),
    ],
)
def test_wrong_words_are_one_line_and_an_exit_code(capfd, here, finished, args, code, said):
    found, out, err = run(capfd, *args)
    assert (found, out) == (code, "")
    assert said in err
    if code != 2:
        assert err.count("\n") == 1


def test_every_problem_of_a_definition_is_a_line(capfd, here):
    code, _, err = run(capfd, "run", "worlds", "-s", "sedes=1", "-s", "tuning.trials=0", "-s", "claim=raw2")
    assert code == 3
    assert err.count("\n") == 3


def test_completion(here, finished, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert arguments.definitions("") == ["corpora", "quick", "worlds"]
    (tmp_path / "mine.yaml").touch()
    assert arguments.definitions("mi") == ["mine.yaml"]
    assert arguments.definitions("w") == ["worlds"]
    assert arguments.finished("ti") == ["tiny"]
    assert arguments.finished("x") == []
    assert arguments.studies("t") == ["tiny"]
    assert arguments.studies("x") == []
    assert arguments.settings("tuning.t") == ["tuning.trials="]
    assert "seeds=" in arguments.settings("")


@pytest.mark.parametrize(("status", "step"), [("running", "watch second"), ("interrupted", "resume first")])
def test_what_is_at_work_or_stands_still_is_what_comes_next(capfd, computed, monkeypatch, status, step):
    rows = [
        {"name": name, "status": state, "done": 1, "cells": 4, "user": "eva", "reason": ""}
        for name, state in (("first", "interrupted"), ("second", status))
    ]
    monkeypatch.setenv("JMML_PROJECT", str(computed.root))
    monkeypatch.setattr("pipelines.study.run.folder.begun", lambda project: rows)
    assert f"no study is finished yet. Next: jmml study {step}" in run(capfd, "list")[1]


def test_nothing_finished_yet(capfd, computed, monkeypatch):
    monkeypatch.setenv("JMML_PROJECT", str(computed.root))
    code, out, _ = run(capfd, "list")
    assert code == 0
    assert "no study is finished yet. Next: jmml study run quick" in out
    code, _, err = run(capfd, "show", "tiny")
    assert code == 10
    assert "none is finished yet. See `jmml study list`" in err
    code, _, err = run(capfd, "show", "worlds")
    assert code == 10
    assert "Run `jmml study run worlds`" in err


def test_a_study_is_watched_stopped_and_resumed(capfd, own, finished):
    assert run(capfd, "watch", "tiny", "--once") == (
        0,
        f"study tiny  finished\n{CELLS} of {CELLS} cells ({CELLS} kept from before)\n",
        "",
    )
    code, out, err = run(capfd, "stop", "tiny")
    assert (code, out, err) == (
        0,
        f"study tiny is not running: finished, {CELLS} of {CELLS} cells are kept\n",
        "",
    )
    code, out, _ = run(capfd, "stop", "tiny", "--json")
    assert json.loads(out)["status"] == "finished"
    code, out, err = run(capfd, "resume", "tiny")
    assert (code, err) == (0, "")
    assert f"0 cells computed, {CELLS} cached" in out
    assert f"already tracked as run {finished.run_id}" in out
    code, out, _ = run(capfd, "resume", "tiny", "--json")
    assert json.loads(out)["cells"] == {"total": CELLS, "computed": 0, "kept": CELLS}


def test_a_changed_study_is_resumed_only_where_that_is_accepted(capfd, own):
    code, out, err = run(capfd, "resume", "tiny", "-s", "seeds=0")
    assert (code, out) == (3, "")
    assert err.splitlines()[0] == ("error: study tiny: changed since the study began: seeds: [0, 1] -> [0]")
    assert "--accept-changes" in err
    code, out, _ = run(capfd, "resume", "tiny", "-s", "seeds=0", "--dry-run")
    assert code == 3
    assert "it would fail: " in out
    code, out, _ = run(capfd, "resume", "tiny", "-s", "seeds=0", "--dry-run", "--json", "--accept-changes")
    assert code == 0
    assert json.loads(out)["refused"] is None
    code, out, err = run(capfd, "resume", "tiny", "-s", "seeds=0", "--accept-changes")
    assert (code, err) == (0, "")
    assert f"0 cells computed, {CELLS // 2} cached" in out


def test_a_study_that_somebody_drives_is_not_driven_by_another(capfd, own):
    folder = StudyFolder.of(own, "tiny")
    with folder.hold():
        for words in (("run", str(own.root / "tiny.yaml")), ("resume", "tiny")):
            code, out, err = run(capfd, *words)
            assert (code, out) == (9, "")
            assert err.startswith("error: study tiny: is being driven by ")
            assert "jmml study watch tiny" in err
        code, out, _ = run(capfd, "resume", "tiny", "--dry-run")
        assert code == 9
        assert "it would fail: study tiny: is being driven by" in out


def test_a_dry_run_says_whether_this_machine_may_work_on_the_cluster(capfd, here):
    for words in (("run", here), ("resume", "tiny")):
        code, out, _ = run(capfd, *words, "--dry-run", "--address", "127.0.0.1:9")
        assert code == 9
        assert "it would fail: --address 127.0.0.1:9: cannot reach the Ray cluster" in out
        code, _, _ = run(capfd, *words, "--dry-run", "--address", "127.0.0.1:9", "--submit")
        assert code == 0  # the cluster would drive it


def test_a_study_is_handed_to_the_cluster_and_heard_of(capfd, own, monkeypatch):
    asked = []

    def submit(root, words, *, name, address):
        asked.append((root, words, name, address))
        status = StudyFolder.of(own, "tiny").status()
        StudyFolder.of(own, "tiny").save(status)  # the driver's first entry
        return "tiny-1"

    monkeypatch.setattr("pipelines.compute.jobs.submit", submit)
    monkeypatch.setattr("pipelines.compute.jobs.status", lambda job, address: Job(job, "RUNNING", ""))
    path = str(own.root / "tiny.yaml")
    code, out, err = run(capfd, "run", path, "-s", "seeds=0", "--again", "--submit", "--address", "h:1")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "submitted as job tiny-1; this terminal may be closed",
        "study tiny has begun",
        "watch it: jmml study watch tiny; end it: jmml study stop tiny",
    ]
    words = ["study", "run", path, "-s", "seeds=0", "--again"]
    assert asked == [(own.root, words, "tiny", "h:1")]
    code, out, _ = run(capfd, "resume", "tiny", "--submit", "--workers", "3", "--json")
    assert json.loads(out) == {"job": "tiny-1", "name": "tiny", "begun": True}
    assert asked[1][1] == ["study", "resume", "tiny", "--workers", "3"]
