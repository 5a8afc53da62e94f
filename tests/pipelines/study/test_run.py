"""Whole studies on Ray and a SQLite store: one Ray session for the file, cells that take no time."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from collections import Counter

import pandas as pd
import pytest
from rich.console import Console

from jmml.config import parse_yaml
from jmml.errors import ModelError, ProjectError, ProtocolError, SweepError, TrackingError
from jmml.evaluation import evidence
from jmml.evaluation.leakage import Certificate
from pipelines.project import Project
from pipelines.run_tags import STUDY
from pipelines.study import record, runner
from pipelines.study.cells import CellStore
from pipelines.study.certificates import verify_cell
from pipelines.study.definition import check
from pipelines.study.plan import plan
from pipelines.study.runner import InterruptedStudyError, run_study
from pipelines.study.summary import Summary, finished, folder_of, read
from pipelines.tracking import Tracker
from tests.pipelines.study import fakes
from tests.pipelines.study.studies import CELLS, FOLDS, METHODS, SEEDS, make
from tests.pipelines.sweep.projects import write_project

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ray_of_two")]


def new_project(folder):
    project = write_project(folder / "project")
    (project.root / ".gitignore").write_text("/mlruns/\n/data/\n/results/\n")
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "start"]):
        author = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
        subprocess.run(["git", "-C", str(project.root), *author, *command], check=True)
    return project


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A project with an empty tracking store, which takes seconds to make and none to copy."""
    project = new_project(tmp_path_factory.mktemp("template"))
    Tracker.connect(project).experiment()
    return project


@pytest.fixture
def project(template, tmp_path, monkeypatch):
    """A project of its own; the report, which has tests of its own, is one line."""

    def write(folder, results):
        (folder / "report.html").write_text(results.digest)

    monkeypatch.setattr(record, "write_report", write)
    return Project(shutil.copytree(template.root, tmp_path / "project"))


def study(project, definition=None, **options):
    return run_study(project, definition or make(), quiet=True, workers=2, **{"cell": fakes.quick} | options)


def runs(project, **options):
    return Tracker.connect(project).runs(kind=STUDY, **options)


def no_ray(monkeypatch):
    def refuse(*args, **options):
        raise AssertionError("Ray is started")

    monkeypatch.setattr("pipelines.study.workers.compute", refuse)


def evidence_of(project, name="tiny"):
    frame = evidence.load(folder_of(project, name) / "evidence" / "lab.parquet")
    return frame.sort_values(["method", "seed", "fold", "id"], ignore_index=True)


@pytest.fixture(scope="module")
def console():
    return Console(file=io.StringIO(), width=80)


@pytest.fixture(scope="module")
def done(tmp_path_factory, console):
    """A study that was run to its end."""
    project = new_project(tmp_path_factory.mktemp("study"))
    return project, run_study(project, make(), console=console, workers=2, cell=fakes.quick)


# What a finished study leaves ------------------------------------------------------------------------------


def test_one_finished_run_with_lineage_params_and_figures(done):
    project, result = done
    (run,) = runs(project)
    assert run.info.status == "FINISHED"
    assert run.info.run_id == result.published.summary.run_id
    tags, params, metrics = run.data.tags, run.data.params, run.data.metrics
    assert tags[record.DIGEST] == result.plan.digest
    assert tags["jmml.study"] == "tiny"
    assert tags["jmml.git_sha"] != "none"
    assert tags["jmml.git_dirty"] == "false"  # the cache keeps itself out of git
    assert tags["mlflow.source.name"] == "jmml study"
    assert params["methods"] == ", ".join(METHODS)
    assert params["seeds"] == "0, 1"
    assert params["tuning.trials"] == "2"
    assert params["tuning.space.stage1.p"] == "choice [3, 5]"
    table = pd.DataFrame(result.published.summary.task("lab").rows).set_index("method")
    for method in METHODS:
        assert metrics[f"lab/{method}/uar"] == table.loc[method, "uar"]
        assert (
            metrics[f"lab/{method}/ci_low"]
            <= metrics[f"lab/{method}/uar"]
            <= metrics[f"lab/{method}/ci_high"]
        )
    assert metrics["lab/primary/diff"] == pytest.approx(
        metrics["lab/jmml/uar"] - metrics["lab/label-only/uar"]
    )
    assert metrics["lab/primary/p_holm"] == metrics["lab/jmml/p_holm"]
    names = {item.dataset.name for item in run.inputs.dataset_inputs}
    assert names >= {"lab-speech features", "lab-eeg features"}


def test_the_run_holds_every_file_of_the_report(done, tmp_path):
    project, result = done
    folder = Tracker.connect(project).download(result.published.summary.run_id, "", tmp_path)
    local = {
        p.relative_to(result.published.folder).as_posix()
        for p in result.published.folder.rglob("*")
        if p.is_file()
    }
    logged = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert (
        logged
        >= local
        >= {"report.html", "definition.yaml", "certificate.json", "study.json", "evidence/lab.parquet"}
    )
    assert check(parse_yaml((folder / "definition.yaml").read_text())) == result.plan.definition
    frame = evidence.load(folder / "evidence" / "lab.parquet")
    assert set(frame["method"]) == {*METHODS, "label-only"}
    assert "lineage/environment.txt" in logged


def test_certificates_of_all_cells_are_kept(done):
    _, result = done
    entries = json.loads((result.published.folder / "certificate.json").read_text())
    assert [entry["cell"] for entry in entries] == [key.digest for key in result.plan.cells]
    for entry in entries:
        text = json.dumps({"entries": entry["entries"]})
        Certificate.from_json(text).check({m: set(names) for m, names in entry["evaluated"].items()})


def test_results_do_not_depend_on_where_cells_were_computed(done):
    project, result = done
    (task,) = result.plan.tasks.values()
    cells = [
        fakes.quick(task.data, task.split, key.fold, key.method, task.candidates, seed=key.seed).evidence
        for key in result.plan.cells
    ]
    expected = pd.concat(cells).sort_values(["method", "seed", "fold", "id"], ignore_index=True)
    found = evidence_of(project)
    pd.testing.assert_frame_equal(found[found["method"] != "label-only"].reset_index(drop=True), expected)


def test_one_line_per_block_without_a_terminal(done, console):
    lines = console.file.getvalue().splitlines()
    assert lines[0] == f"study tiny: {CELLS} cells to compute, starting Ray"
    assert len(lines) == 1 + FOLDS * len(SEEDS)
    assert lines[-1].startswith(f"{CELLS} of {CELLS} cells; last: lab, fold ")
    assert "about " in lines[1]
    assert "left" in lines[1]


def test_the_outcome_for_people_and_for_machines(done):
    project, result = done
    data = json.loads(json.dumps(result.as_dict()))
    assert data["cells"] == {"total": CELLS, "computed": CELLS}
    assert data["tasks"][0]["primary"]["claim"] == "jmml"
    assert result.lines()[0].startswith(f"{CELLS} cells computed, 0 cached")
    summary = read(project, "tiny")
    assert [study.name for study in finished(project)] == ["tiny"]
    (task,) = summary.tasks
    assert task.headline().startswith("lab: JMML 0.")
    assert [row[0] for row in task.table()][2] == "JMML *"
    assert all(len(row) == len(task.columns(0.95)) for row in task.table())
    assert "one-hot labels" in task.footnote()
    assert Summary.load(result.published.folder) == summary
    with pytest.raises(ProjectError, match=r"no finished study 'tinny'; did you mean 'tiny'\?"):
        read(project, "tinny")


# Resumption ------------------------------------------------------------------------------------------------


def test_a_complete_study_is_neither_computed_nor_tracked_again(project, monkeypatch, tmp_path):
    first = study(project)
    report = first.published.folder / "report.html"
    before = report.stat().st_mtime_ns
    no_ray(monkeypatch)
    second = study(project)
    assert (second.computed, second.published.tracked_now) == (0, False)
    assert second.published.summary == first.published.summary
    assert (
        second.published.lines()[0]
        == f"already tracked as run {runs(project)[0].info.run_id}; nothing changed"
    )
    assert report.stat().st_mtime_ns == before
    assert len(runs(project)) == 1
    third = study(project, again=True)
    assert third.published.tracked_now
    assert len(runs(project)) == 2
    assert third.published.summary.tasks == first.published.summary.tasks


def test_a_lost_report_is_written_again_for_the_same_run(project, monkeypatch):
    first = study(project)
    before = evidence_of(project)
    (first.published.folder / "report.html").unlink()
    no_ray(monkeypatch)
    second = study(project)
    assert (second.published.folder / "report.html").is_file()
    assert second.published.summary.run_id == first.published.summary.run_id
    assert len(runs(project)) == 1
    pd.testing.assert_frame_equal(evidence_of(project), before)


def test_another_study_shares_the_cells(project, tmp_path):
    study(project, make(seeds=[0]))
    calls = fakes.Recorder(tmp_path / "calls")
    result = study(project, make(name="wider", description="x"), cell=calls)
    assert result.computed == CELLS // 2 == len(calls.calls)
    assert {call[2] for call in calls.calls} == {"1"}
    assert len(runs(project)) == 2


def test_recompute_computes_everything(project, tmp_path):
    study(project)
    calls = fakes.Recorder(tmp_path / "calls")
    assert study(project, cell=calls, recompute=True).computed == CELLS == len(calls.calls)
    assert len(runs(project)) == 1


def test_a_cell_that_fails_stops_the_study_and_keeps_the_finished_ones(project, tmp_path):
    with pytest.raises(ModelError) as caught:
        study(project, cell=fakes.Fails(tmp_path / "calls", "jmml"))
    assert caught.value.exit_code == 6
    assert str(caught.value).startswith("method jmml, task lab, fold ")
    assert "stage1.p: no such width; expected 3" in str(caught.value)
    assert runs(project) == []
    assert not folder_of(project, "tiny").exists()
    kept = plan(project, make()).cached
    assert 2 <= len(kept) < CELLS
    calls = fakes.Recorder(tmp_path / "rest")
    assert study(project, cell=calls).computed == CELLS - len(kept) == len(calls.calls)


def test_an_error_of_another_kind_is_one_line(project, tmp_path):
    with pytest.raises(SweepError) as caught:
        study(project, cell=fakes.Fails(tmp_path / "calls", "raw", ValueError("bad shape\nsecond line")))
    assert str(caught.value).startswith("method raw, task lab, fold ")
    assert str(caught.value).endswith(": ValueError: bad shape")


def test_resumed_or_not_the_results_are_the_same(done, project, tmp_path):
    with pytest.raises(ModelError):
        study(project, cell=fakes.Fails(tmp_path / "calls", "one-hot"))
    result = study(project)
    assert 0 < result.computed < CELLS
    pd.testing.assert_frame_equal(evidence_of(project), evidence_of(done[0]))
    assert result.published.summary.tasks == done[1].published.summary.tasks


def test_a_damaged_cell_is_computed_again(project, tmp_path):
    first = study(project)
    store = CellStore.of(project.root)
    (store.path(first.plan.cells[5].digest) / "evidence.parquet").write_bytes(b"")
    calls = fakes.Recorder(tmp_path / "calls")
    assert study(project, cell=calls).computed == 1
    key = first.plan.cells[5]
    assert calls.calls[0][:3] == [key.method, str(key.fold), str(key.seed)]


def test_a_worker_that_dies_is_replaced_once(project, tmp_path, done, monkeypatch):
    saved, save = [], CellStore.save
    monkeypatch.setattr(
        CellStore, "save", lambda s, key, *a, **o: (saved.append(key), save(s, key, *a, **o))[1]
    )
    cell = fakes.Dies(tmp_path / "once", "jmml", times=1)
    result = study(project, cell=cell)
    assert result.computed == CELLS
    assert sorted(saved, key=str) == sorted(
        result.plan.cells, key=str
    )  # what had come back is not computed again
    calls = Counter(tuple(call[:3]) for call in cell.calls)
    assert set(calls) == {(key.method, str(key.fold), str(key.seed)) for key in result.plan.cells}
    again = [call for call, times in calls.items() if times > 1]  # finished, but lost with its worker
    assert max(calls.values()) <= 2
    assert {method for method, *_ in again} <= {"raw", "jec-ssl"}
    assert len({tuple(place) for _, *place in again}) <= 1
    pd.testing.assert_frame_equal(evidence_of(project), evidence_of(done[0]))


def test_a_worker_that_dies_twice_stops_the_study(project, tmp_path):
    cell = fakes.Dies(tmp_path / "twice", "jmml", times=9, saved=CellStore.of(project.root))
    with pytest.raises(SweepError, match=r"method jmml, .*: the worker died 2 times here or soon after"):
        study(project, cell=cell)
    assert runs(project) == []
    assert len(plan(project, make()).cached) >= 2


def test_cells_of_a_block_run_in_one_worker_and_share_a_memo(project, tmp_path):
    cell = fakes.Recorder(tmp_path / "calls")
    study(project, make(audit="sample"), cell=cell)
    by_block = {}
    for method, fold, seed, audited, process, _ in cell.calls:
        by_block.setdefault((fold, seed), []).append((method, process))
        assert audited == str((fold, seed) == ("0", "0"))
    for calls in by_block.values():
        assert [method for method, _ in calls] == METHODS
        assert len({process for _, process in calls}) == 1


def test_ctrl_c_keeps_finished_cells(project, monkeypatch):
    stored = []

    class Pressed:
        """Ctrl-C is noted after five cells."""

        def __enter__(self):
            return lambda: len(stored) >= 5

        def __exit__(self, *error):
            return None

    save = CellStore.save
    monkeypatch.setattr("pipelines.study.workers.first_interrupt", Pressed)
    monkeypatch.setattr(CellStore, "save", lambda *a, **k: (save(*a, **k), stored.append(1))[0])
    with pytest.raises(
        InterruptedStudyError, match=rf"interrupted after \d+ of {CELLS} cells, which are kept"
    ) as caught:
        study(project)
    assert caught.value.exit_code == 130
    assert runs(project) == []
    kept = len(plan(project, make()).cached)
    assert 5 <= kept < CELLS
    monkeypatch.undo()
    assert study(project).computed == CELLS - kept


# Certificates ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        (fakes.without_certificate, "no leakage certificate"),
        (fakes.leaking, "'classifier/speech' was fitted on groups that are evaluated"),
        (fakes.incomplete, "no entry for 'search/selection' (speech)"),
        (fakes.other_rows, "samples that are not those of the training part"),
        (fakes.other_people, "the evidence and the outer fold differ in s0"),
    ],
)
def test_a_cell_that_proves_nothing_is_refused_at_once(project, cell, said):
    with pytest.raises(ProtocolError) as caught:
        study(project, cell=cell)
    assert said in str(caught.value)
    assert str(caught.value).startswith("method raw, task lab, fold ")
    assert runs(project) == []
    assert not folder_of(project, "tiny").exists()
    assert plan(project, make()).cached == frozenset()


def test_an_encoder_that_saw_the_eeg_of_the_fold_is_refused(project):
    planned = plan(project, make())
    key = next(key for key in planned.cells if key.method == "jmml")
    task = planned.tasks[key.task]
    arguments = (task.data, task.split, key.fold, key.method, task.candidates)
    verify_cell(task, key, fakes.quick(*arguments, seed=key.seed))
    with pytest.raises(
        ProtocolError, match=r"'jec_ssl/eeg/encoders' was fitted on groups that are evaluated"
    ):
        verify_cell(task, key, fakes.leaking_eeg(*arguments, seed=key.seed))


@pytest.mark.parametrize("cell", [fakes.without_certificate, fakes.leaking])
def test_a_planted_cell_is_refused_and_nothing_is_written(project, monkeypatch, cell):
    planned = plan(project, make())
    store = CellStore.of(project.root)
    for number, key in enumerate(planned.cells):
        task = planned.tasks[key.task]
        make_cell = cell if number == len(planned.cells) - 1 else fakes.quick
        store.save(
            key, make_cell(task.data, task.split, key.fold, key.method, task.candidates, seed=key.seed)
        )
    assert plan(project, make()).missing == ()
    no_ray(monkeypatch)
    with pytest.raises(ProtocolError) as caught:
        study(project)
    assert "method one-hot, task lab, fold 2, seed 1" in str(caught.value)
    assert runs(project) == []
    assert not folder_of(project, "tiny").exists()


# What else can go wrong ------------------------------------------------------------------------------------


def test_an_unreachable_store_stops_before_anything_starts(project, monkeypatch):
    no_ray(monkeypatch)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(TrackingError, match="cannot reach the tracking server"):
        study(project)


def test_features_that_dvc_does_not_know_stop_before_anything_starts(project, monkeypatch):
    no_ray(monkeypatch)
    (project.root / "dvc.lock").unlink()
    with pytest.raises(ProjectError, match="no stage has been run yet"):
        study(project)


def test_a_world_needs_no_stage_at_all(project):
    (project.root / "dvc.lock").unlink()
    tasks = {"w": {"world": "label", "people": 6, "trials": 8}}
    result = study(project, make(tasks=tasks))
    (run,) = runs(project)
    assert result.computed == CELLS
    assert run.inputs.dataset_inputs == []


@pytest.mark.parametrize("where", ["log_points", "log_params", "log_file"])
@pytest.mark.parametrize(
    ("error", "status"), [(TrackingError("gone"), "FAILED"), (KeyboardInterrupt(), None)]
)
def test_no_run_is_left_running(project, monkeypatch, where, error, status):
    def fail(*args, **options):
        raise error

    study(project, make(seeds=[0], name="other"))
    monkeypatch.setattr(Tracker, where, fail)
    with pytest.raises(type(error)):
        study(project)
    monkeypatch.undo()
    assert runs(project, status="RUNNING") == []
    if status:
        assert runs(project)[0].info.status == status
    result = study(project)
    assert result.published.tracked_now
    assert result.computed == 0
    assert runs(project, status="FINISHED")[0].info.run_id == result.published.summary.run_id


def test_workers_with_other_code_are_refused(project, monkeypatch):
    monkeypatch.setattr("pipelines.study.plan.code_digest", lambda: "0" * 64)
    with pytest.raises(SweepError, match="the worker's code is not that of the driver"):
        study(project)


def test_the_default_cell_is_the_real_one():
    from jmml.cell import run_cell

    assert runner.run_study.__kwdefaults__["cell"] is run_cell
