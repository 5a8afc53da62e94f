"""Studies from start to end: one and its accidents on Ray, what is decided on the way in this process."""

from __future__ import annotations

import io
import json
import shutil
from collections import Counter

import pandas as pd
import pytest
from rich.console import Console

from jmml.config import parse_yaml
from jmml.errors import ModelError, ProjectError, ProtocolError, SweepError, TrackingError
from jmml.evaluation import evidence
from jmml.evaluation.leakage import Certificate
from pipelines.cache.cells import CellStore
from pipelines.study.define.plan import plan
from pipelines.study.define.reading import check
from pipelines.study.publish import record
from pipelines.study.publish.certificates import verify_cell
from pipelines.study.publish.summary import Summary, finished, folder_of, read
from pipelines.study.run import runner
from pipelines.study.run.runner import InterruptedStudyError, run_study
from pipelines.tracking.run_tags import STUDY
from pipelines.tracking.tracker import Tracker
from pipelines.workspace.project import Project
from tests.pipelines.confounded import save_confounded
from tests.pipelines.study import fakes
from tests.pipelines.study.studies import CELLS, FOLDS, METHODS, SEEDS, make

ONE_SEED = make(seeds=[0])
HALF = CELLS // len(SEEDS)


def study(project, definition=ONE_SEED, **options):
    return run_study(project, definition, quiet=True, workers=2, **{"cell": fakes.quick} | options)


def runs(project, **options):
    return Tracker.connect(project).runs(kind=STUDY, **options)


def no_ray(monkeypatch):
    def refuse(*args, **options):
        raise AssertionError("Ray is started")

    monkeypatch.setattr("pipelines.study.run.workers.compute", refuse)


def evidence_of(project, *, seeds=SEEDS):
    """The published rows of the methods that were run."""
    frame = evidence.load(folder_of(project, "tiny") / "evidence" / "lab.parquet")
    frame = frame[frame["seed"].isin(seeds) & (frame["method"] != "label-only")]
    return frame.sort_values(["method", "seed", "fold", "id"], ignore_index=True)


def computed_here(planned):
    """The rows of all cells of a plan, each computed for itself in this process."""
    (task,) = planned.tasks.values()
    cells = [
        fakes.quick(task.data, task.split, key.fold, key.method, task.candidates, seed=key.seed).evidence
        for key in planned.cells
    ]
    return pd.concat(cells).sort_values(["method", "seed", "fold", "id"], ignore_index=True)


def nothing_is_left(project):
    return runs(project) == [] and not folder_of(project, "tiny").exists()


# A study on Ray --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def console():
    return Console(file=io.StringIO(), width=80)


@pytest.fixture(scope="module")
def done(untouched, tmp_path_factory, console, ray_of_two):
    """A study that two workers ran to its end, every cell of it on record; its report is one line."""
    folder = tmp_path_factory.mktemp("study")
    project = Project(shutil.copytree(untouched.root, folder / "project"))
    cell = fakes.Recorder(folder / "calls")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(record, "write_report", lambda to, results: (to / "report.html").write_text("done"))
        result = run_study(project, make(audit="sample"), console=console, workers=2, cell=cell)
    return project, result, cell.calls


def test_one_finished_run_with_lineage_params_and_figures(done):
    project, result, _ = done
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
    project, result, _ = done
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
    _, result, _ = done
    entries = json.loads((result.published.folder / "certificate.json").read_text())
    assert [entry["cell"] for entry in entries] == [key.digest for key in result.plan.cells]
    for entry in entries:
        text = json.dumps({"entries": entry["entries"]})
        Certificate.from_json(text).check({m: set(names) for m, names in entry["evaluated"].items()})


def test_results_do_not_depend_on_where_cells_were_computed(done):
    project, result, _ = done
    pd.testing.assert_frame_equal(evidence_of(project), computed_here(result.plan))


def test_cells_of_a_block_run_in_one_worker_one_after_another(done):
    by_block = {}
    for method, fold, seed, audited, process, _ in done[2]:
        by_block.setdefault((fold, seed), []).append((method, process))
        assert audited == str((fold, seed) == ("0", "0"))
    assert len(by_block) == FOLDS * len(SEEDS)
    for calls in by_block.values():
        assert [method for method, _ in calls] == METHODS
        assert len({process for _, process in calls}) == 1


def test_one_line_per_block_without_a_terminal(done, console):
    lines = console.file.getvalue().splitlines()
    assert lines[0] == f"study tiny: {CELLS} cells to compute, starting Ray"
    assert lines[1].startswith("2 workers at work, on lab, fold ")
    assert len(lines) >= 2 + FOLDS * len(SEEDS)  # more where a block takes minutes
    assert lines[-1].startswith(f"{CELLS} of {CELLS} cells; last: lab, fold ")
    assert "about " in lines[2]
    assert "left" in lines[2]


def test_the_outcome_for_people_and_for_machines(done):
    project, result, _ = done
    data = json.loads(json.dumps(result.as_dict()))
    assert data["cells"] == {"total": CELLS, "computed": CELLS, "kept": 0}
    assert data["tasks"][0]["primary"]["claim"] == "jmml"
    assert result.lines()[0].startswith(f"{CELLS} cells computed, 0 cached")
    summary = read(project, "tiny")
    assert [study.name for study in finished(project)] == ["tiny"]
    (task,) = summary.tasks
    assert task.headline().startswith("lab: JMML 0.")
    head, rows = task.table(0.95).terminal()
    assert rows[2][0] == "JMML *"
    assert all(len(row) == len(head) for row in rows)
    assert "one-hot labels" in task.footnote()
    assert Summary.load(result.published.folder) == summary
    with pytest.raises(ProjectError, match=r"no finished study 'tinny'; did you mean 'tiny'\?"):
        read(project, "tinny")


# An accident on Ray ------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("ray_of_two", "short_report")
def test_a_worker_that_dies_is_replaced_once(project, tmp_path, monkeypatch):
    saved, save = [], CellStore.save
    monkeypatch.setattr(
        CellStore, "save", lambda s, key, *a, **o: (saved.append(key), save(s, key, *a, **o))[1]
    )
    cell = fakes.Dies(tmp_path / "once", "jmml", times=1)
    result = study(project, cell=cell)
    assert result.computed == HALF
    assert sorted(saved, key=str) == sorted(
        result.plan.cells, key=str
    )  # what had come back is not computed again
    calls = Counter(tuple(call[:3]) for call in cell.calls)
    assert set(calls) == {(key.method, str(key.fold), str(key.seed)) for key in result.plan.cells}
    again = [call for call, times in calls.items() if times > 1]  # finished, but lost with its worker
    assert max(calls.values()) <= 2
    assert {method for method, *_ in again} <= {"raw", "jec-ssl"}
    assert len({tuple(place) for _, *place in again}) <= 1
    pd.testing.assert_frame_equal(evidence_of(project), computed_here(result.plan))


# Resumption ------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("short_report")
def test_a_complete_study_is_neither_computed_nor_tracked_again(computed, monkeypatch):
    no_ray(monkeypatch)
    first = study(computed)
    assert (first.computed, first.published.tracked_now) == (0, True)
    report = first.published.folder / "report.html"
    before = report.stat().st_mtime_ns
    second = study(computed)
    assert (second.computed, second.published.tracked_now) == (0, False)
    assert second.published.summary == first.published.summary
    (run,) = runs(computed)
    assert second.published.lines()[0] == f"already tracked as run {run.info.run_id}; nothing changed"
    assert report.stat().st_mtime_ns == before
    third = study(computed, again=True)
    assert third.published.tracked_now
    assert len(runs(computed)) == 2
    assert third.published.summary.tasks == first.published.summary.tasks


@pytest.mark.usefixtures("short_report", "without_ray")
def test_another_study_shares_the_cells(project, tmp_path):
    study(project)
    calls = fakes.Recorder(tmp_path / "calls")
    result = study(project, make(name="wider", description="x"), cell=calls)
    assert result.computed == HALF == len(calls.calls)
    assert {call[2] for call in calls.calls} == {"1"}
    assert len(runs(project)) == 2


@pytest.mark.usefixtures("short_report", "without_ray")
def test_a_cell_that_fails_stops_the_study_which_goes_on_from_there_to_the_same_results(project, tmp_path):
    with pytest.raises(ModelError) as caught:
        study(project, cell=fakes.Fails(tmp_path / "calls", "jmml"))
    assert caught.value.exit_code == 6
    assert str(caught.value).startswith("method jmml, task lab, fold ")
    assert "stage1.p: no such width; expected 3" in str(caught.value)
    assert nothing_is_left(project)
    kept = plan(project, ONE_SEED).cached
    assert 2 <= len(kept) < HALF
    calls = fakes.Recorder(tmp_path / "rest")
    result = study(project, cell=calls)
    assert result.computed == HALF - len(kept) == len(calls.calls)
    pd.testing.assert_frame_equal(evidence_of(project), computed_here(result.plan))


@pytest.mark.usefixtures("without_ray")
def test_an_error_of_another_kind_is_one_line(project, tmp_path):
    with pytest.raises(SweepError) as caught:
        study(project, cell=fakes.Fails(tmp_path / "calls", "raw", ValueError("bad shape\nsecond line")))
    assert str(caught.value).startswith("method raw, task lab, fold ")
    assert str(caught.value).endswith(": ValueError: bad shape")


@pytest.mark.usefixtures("short_report", "without_ray")
def test_a_damaged_cell_is_computed_again(computed, tmp_path):
    key = plan(computed, ONE_SEED).cells[5]
    (CellStore.of(computed.root).path(key.digest) / "evidence.parquet").write_bytes(b"")
    calls = fakes.Recorder(tmp_path / "calls")
    assert study(computed, cell=calls).computed == 1
    assert [call[:3] for call in calls.calls] == [[key.method, str(key.fold), str(key.seed)]]


@pytest.mark.usefixtures("without_ray")
def test_ctrl_c_keeps_finished_cells(project, monkeypatch):
    stored = []

    class Pressed:
        """Ctrl-C is noted after five cells."""

        def __enter__(self):
            return lambda: len(stored) >= 5

        def __exit__(self, *error):
            return None

    save = CellStore.save
    monkeypatch.setattr("pipelines.study.run.workers.first_interrupt", Pressed)
    monkeypatch.setattr(CellStore, "save", lambda *a, **k: (save(*a, **k), stored.append(1))[0])
    with pytest.raises(
        InterruptedStudyError,
        match=rf"^study tiny: interrupted; \d+ of {HALF} cells are kept\. Go on with",
    ) as caught:
        study(project)
    assert caught.value.exit_code == 130
    assert nothing_is_left(project)
    assert 5 <= len(plan(project, ONE_SEED).cached) == len(stored) < HALF


# Certificates ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "method", "said"),
    [
        (fakes.without_certificate, "raw", "no leakage certificate"),
        (fakes.leaking, "raw", "'classifier/speech' was fitted on groups that are evaluated"),
        (fakes.leaking_eeg, "jmml", "'jec_ssl/eeg/encoders' was fitted on groups that are evaluated"),
        (fakes.incomplete, "raw", "no entry for 'search/selection' (speech)"),
        (fakes.other_rows, "raw", "samples that are not those of the training part"),
        (fakes.other_people, "raw", "the evidence and the outer fold differ in s0"),
    ],
)
def test_a_cell_that_proves_nothing_is_refused(untouched, cell, method, said):
    planned = plan(untouched, ONE_SEED)
    key = next(key for key in planned.cells if key.method == method)
    task = planned.tasks[key.task]
    arguments = (task.data, task.split, key.fold, key.method, task.candidates)
    verify_cell(task, key, fakes.quick(*arguments, seed=key.seed))
    with pytest.raises(ProtocolError) as caught:
        verify_cell(task, key, cell(*arguments, seed=key.seed))
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"{key}: ")


@pytest.mark.usefixtures("without_ray")
def test_a_study_is_refused_at_its_first_cell_that_proves_nothing(project):
    with pytest.raises(ProtocolError, match=r"^method raw, task lab, fold .*: .*groups that are evaluated"):
        study(project, cell=fakes.leaking)
    assert nothing_is_left(project)
    assert plan(project, ONE_SEED).cached == frozenset()


def test_a_planted_cell_is_refused_and_nothing_is_written(computed, monkeypatch):
    no_ray(monkeypatch)
    planned = plan(computed, ONE_SEED)
    key = planned.cells[-1]
    task = planned.tasks[key.task]
    for cell in (fakes.without_certificate, fakes.leaking):
        made = cell(task.data, task.split, key.fold, key.method, task.candidates, seed=key.seed)
        CellStore.of(computed.root).save(key, made, replace=True)
        assert plan(computed, ONE_SEED).missing == ()
        with pytest.raises(ProtocolError) as caught:
            study(computed)
        assert "method one-hot, task lab, fold 2, seed 0" in str(caught.value)
        assert nothing_is_left(computed)


# What else can go wrong ------------------------------------------------------------------------------------


def test_an_unreachable_store_stops_before_anything_starts(untouched, monkeypatch):
    no_ray(monkeypatch)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(TrackingError, match="cannot reach the tracking server"):
        study(untouched)


@pytest.mark.usefixtures("short_report", "without_ray")
def test_features_that_dvc_does_not_know_stop_a_study_unless_it_needs_none(project, monkeypatch):
    (project.root / "dvc.lock").unlink()
    with monkeypatch.context() as patch:
        no_ray(patch)
        with pytest.raises(ProjectError, match="no stage has been run yet"):
            study(project)
    tasks = {"w": {"world": "label", "people": 6, "trials": 12}}
    result = study(project, make(tasks=tasks, seeds=[0]))
    (run,) = runs(project)
    assert result.computed == HALF
    assert run.inputs.dataset_inputs == []


@pytest.mark.usefixtures("short_report")
def test_no_run_is_left_running_and_none_that_failed_is_taken_for_a_finished_one(computed, monkeypatch):
    no_ray(monkeypatch)
    accidents = [
        ("log_params", TrackingError("gone"), "FAILED"),
        ("log_points", KeyboardInterrupt(), "KILLED"),
        ("log_file", TrackingError("gone"), "FAILED"),
        ("log_file", KeyboardInterrupt(), "KILLED"),
    ]
    for number, (where, error, status) in enumerate(accidents, 1):

        def fail(*args, error=error, **options):
            raise error

        with monkeypatch.context() as patch:
            patch.setattr(Tracker, where, fail)
            with pytest.raises(InterruptedStudyError if status == "KILLED" else type(error)):
                study(computed)
        found = runs(computed)
        assert (len(found), found[0].info.status) == (number, status)
    result = study(computed)
    assert result.published.tracked_now
    (run,) = runs(computed, status="FINISHED")
    assert run.info.run_id == result.published.summary.run_id


def test_the_default_cell_is_the_real_one():
    from jmml.cell import run_cell

    assert runner.run_study.__kwdefaults__["cell"] is run_cell


def test_nothing_is_claimed_of_people_with_one_label_each_unless_someone_accepts_it(project, monkeypatch):
    no_ray(monkeypatch)
    save_confounded(project, project.params.task.speech)
    (task,) = plan(project, ONE_SEED).tasks.values()
    assert "7 of 8 people have one label alone" in task.text.description["confounds"]
    with pytest.raises(
        ProtocolError, match=r"study tiny: nothing can be claimed .* 7 of 8 .*--accept-confound"
    ):
        study(project)
    assert nothing_is_left(project)
    with pytest.raises(AssertionError, match="Ray is started"):
        study(project, accept_confound=True)
