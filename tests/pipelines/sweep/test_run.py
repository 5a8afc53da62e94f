"""Whole sweeps and a SQLite store: one of the real search on Ray, one that stops and fails there, others without it."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from rich.console import Console

from jmml.config import MethodConfig, validate
from jmml.errors import ModelError, SweepError, TrackingError
from jmml.evaluation import evidence
from jmml.evaluation.leakage import Certificate
from pipelines.definitions.spaces import configure
from pipelines.registry.gates import Candidate, judge
from pipelines.sweep.definition.plan import plan
from pipelines.sweep.definition.reading import check
from pipelines.sweep.execute import artifacts, sweep_session
from pipelines.sweep.execute.continuing import settings
from pipelines.sweep.execute.stopping import stop_sweep
from pipelines.sweep.execute.sweep_session import InterruptedSweepError
from pipelines.sweep.record import journal
from pipelines.sweep.record.folder import SweepFolder
from pipelines.sweep.record.words import kept
from pipelines.sweep.runner import extend_sweep, resume_sweep, run_sweep
from pipelines.tracking.run_tags import PARENT, SWEEP, TRIAL
from pipelines.tracking.serving import weights_folder
from pipelines.tracking.tracker import Tracker
from pipelines.workspace import lineage
from pipelines.workspace.team import stage1_folder
from tests.pipelines.sweep import fakes
from tests.pipelines.sweep.inline import without_ray
from tests.pipelines.sweep.projects import SEEDS, definition, write_project

EPOCHS = 3  # of stage 2 in the project's settings
FOLD = 1  # not the one that is taken where none is named
GRID = {"stage1.p": {"choice": [5, 3, 4]}, "stage2.epochs": {"choice": [fakes.EPOCHS]}}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    root = tmp_path_factory.mktemp("sweep") / "project"
    made = write_project(root, store=True)
    (root / ".gitignore").write_text("/mlruns/\n/data/\n")
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "start"]):
        author = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
        subprocess.run(["git", "-C", str(root), *author, *command], check=True)
    return made


@pytest.fixture(scope="module")
def tracker(project):
    return Tracker.connect(project)


def make(**changes):
    return check(definition(**changes))


@contextmanager
def here(*, order=0):
    """Sweeps without Ray, and without the figures of their outcome, which those on Ray have."""
    with without_ray(order=order), pytest.MonkeyPatch.context() as patch:
        patch.setattr(artifacts, "draw", lambda *_: None)
        yield


def sweep(project, planned, **options):
    with here():
        return run_sweep(project, planned, quiet=True, **options)


def points(project, name):
    """Every metric of every epoch, as the journal has it."""
    events = journal.read(SweepFolder.of(project, name).journal)
    return {(e["trial"], e["epoch"]): e["points"] for e in events if e["e"] == "report"}


def newest(tracker):
    return tracker.runs(kind=SWEEP)[0]


def children(tracker, run_id):
    runs = tracker.runs(kind=TRIAL, parent=run_id)
    return sorted(runs, key=lambda run: run.data.tags["jmml.trial_id"])


def history(tracker, run, key):
    points = tracker.client.get_metric_history(run.info.run_id, key)
    return {point.step: point.value for point in points}


@pytest.fixture(scope="module")
def console():
    return Console(file=io.StringIO(), width=80)


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """Where the trials of the real thing write down what their workers see."""
    return tmp_path_factory.mktemp("seen")


@pytest.fixture(scope="module")
def finished(ray_of_two, project, console, seen):
    """The real thing on Ray: three random configurations on two workers, both stages, refit, evidence."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_RUN_ID", "0123")
        return run_sweep(
            project, make(protocol={"outer_fold": FOLD}), console=console, search=fakes.Witness(seen)
        )


@pytest.fixture(scope="module")
def witnessed(finished, seen):
    return [json.loads(path.read_text()) for path in seen.glob("*.json")]


def test_one_run_per_sweep_and_one_below_it_per_trial(finished, tracker):
    parent = tracker.run(finished.run_id)
    trials = children(tracker, finished.run_id)
    assert parent.info.status == "FINISHED"
    assert [run.data.tags["jmml.trial_id"] for run in trials] == ["001", "002", "003"]
    assert {run.info.status for run in trials} == {"FINISHED"}
    assert all(run.data.tags[PARENT] == finished.run_id for run in trials)


def test_every_epoch_of_every_trial_is_tracked(finished, tracker):
    stage1 = finished.plan.params.method.stage1.epochs
    for run, trial in zip(children(tracker, finished.run_id), finished.trials, strict=True):
        scores = history(tracker, run, "val_uar")
        assert sorted(scores) == list(range(1, EPOCHS + 1))
        assert max(scores.values()) == trial.best_val_uar
        assert min(step for step, value in scores.items() if value == trial.best_val_uar) == trial.best_epoch
        keys = set(run.data.metrics)
        assert {"val_uar_std", "edcc_cae/rho_train", "edcc_cae/rho_held_out"} <= keys
        for key in {key for key in keys - {"best_val_uar"} if not key.startswith("stage1_")}:
            steps = stage1 if key.startswith("jec_ssl/") else EPOCHS
            assert sorted(history(tracker, run, key)) == list(range(1, steps + 1)), key


def test_a_trial_carries_its_whole_configuration(finished, tracker):
    for run, trial in zip(children(tracker, finished.run_id), finished.trials, strict=True):
        params = run.data.params
        assert params["stage1.p"] == str(trial.configuration["stage1.p"])
        assert float(params["stage2.lam_c"]) == pytest.approx(trial.configuration["stage2.lam_c"], rel=1e-5)
        assert params["stage2.hidden"] == str(finished.plan.params.method.stage2.hidden)
        assert {"seed", "outer_fold"} <= set(params)


def test_the_best_configuration_is_the_argmax_of_the_tracked_scores(finished, tracker):
    runs = children(tracker, finished.run_id)
    table = {
        (number, step): value
        for number, run in enumerate(runs, 1)
        for step, value in history(tracker, run, "val_uar").items()
    }
    number, epoch = max(table, key=lambda key: (table[key], -key[0], -key[1]))
    assert (finished.best.number, finished.best.best_epoch) == (number, epoch)
    searched = finished.trials[number - 1].configuration
    expected = configure(finished.plan.params.method, {**searched, "stage2.epochs": epoch})
    assert finished.config == expected
    parent = tracker.run(finished.run_id)
    assert parent.data.tags["jmml.best_trial"] == str(number)
    assert parent.data.metrics["best_val_uar"] == table[number, epoch]


def test_the_run_passes_every_gate(finished, tracker, tmp_path):
    parent = tracker.run(finished.run_id)
    folder = tracker.download(finished.run_id, "evidence", tmp_path)
    logged = tracker.client.get_logged_model(finished.model_uri.removeprefix("models:/"))
    model = weights_folder(Path(logged.artifact_location.removeprefix("file://")))
    candidate = Candidate(parent.info.status, parent.data.tags, parent.data.metrics, folder, model)
    assert [verdict for verdict in judge(candidate) if not verdict.passed] == []
    frame = evidence.load(folder / "evidence.parquet")
    assert set(frame["method"]) == {"raw", "jec-ssl", "jmml", "one-hot"}
    assert set(frame["seed"]) == set(SEEDS)
    speech, eeg = finished.plan.split.fold(FOLD)
    assert set(frame["group"]) == {*speech.test, *eeg.test}
    certificate = Certificate.from_json((folder / "certificate.json").read_text())
    searched = {entry.modality: entry.groups for entry in certificate.entries if entry.name == "search"}
    assert searched == {"speech": tuple(sorted(speech.train)), "eeg": tuple(sorted(eeg.train))}
    names = {entry.name for entry in certificate.entries}
    assert {
        f"{method}/seed{seed}/classifier/speech" for method in set(frame["method"]) for seed in SEEDS
    } < names
    pd.testing.assert_frame_equal(
        pd.read_csv(folder / "comparison.csv")[["method", "uar"]], finished.comparison[["method", "uar"]]
    )
    for figure in ("comparison.png", "confusion.png", "correlation.png"):
        assert (folder / figure).read_bytes().startswith(b"\x89PNG")


def test_the_logged_files_describe_the_sweep(finished, tracker, tmp_path):
    folder = tracker.download(finished.run_id, "", tmp_path)
    written = yaml.safe_load((folder / "definition.yaml").read_text())
    assert check(written) == finished.plan.definition
    best = yaml.safe_load((folder / "best.yaml").read_text())
    assert validate(MethodConfig, best["method"]) == finished.config
    table = pd.read_csv(folder / "trials.csv")
    assert table["best_val_uar"].tolist() == [trial.best_val_uar for trial in finished.trials]
    assert table["stage2.lam_c"].tolist() == [t.configuration["stage2.lam_c"] for t in finished.trials]


def test_the_model_and_the_inputs_are_tracked(finished, tracker):
    model = tracker.client.get_logged_model(finished.model_uri.removeprefix("models:/"))
    assert model.status.value == "READY"
    assert model.source_run_id == finished.run_id
    inputs = tracker.run(finished.run_id).inputs.dataset_inputs
    assert {item.dataset.name for item in inputs} >= {"lab-speech features", "lab-eeg features"}


def test_one_line_per_trial_without_a_terminal(finished, console):
    lines = console.file.getvalue().splitlines()
    assert len([text for text in lines if text.startswith("trial ")]) == 3
    assert lines[-2].startswith(f"refitting trial {finished.best.number} ")


def test_the_outcome_for_people_and_for_machines(finished):
    head, rows = finished.table.terminal()
    assert [row[0] for row in rows] == finished.comparison["method"].tolist()
    assert all(len(row) == len(head) for row in rows)
    lines = finished.lines()
    assert f"best of 3 trials (3 finished): trial {finished.best.number}" in "\n".join(lines)
    assert lines[-1].endswith("Next: jmml model register")
    data = json.loads(json.dumps(finished.as_dict()))
    assert data["trials"] == {"finished": 3, "stopped": 0, "failed": 0}
    assert validate(MethodConfig, data["method"]) == finished.config
    scores = {row["method"]: row["uar"] for row in data["methods"]}
    assert scores["jmml"] == data["metrics"]["test_uar"]


def test_the_journal_lies_below_mlruns_and_tunes_own_files_are_gone(finished, project):
    folder = project.mlruns_dir / "sweeps" / "tiny"
    assert {"journal", "shipped.json", "lock"} == {path.name for path in folder.iterdir()}


def test_the_same_seed_gives_the_same_sweep(finished, project):
    """Wherever its trials run: beside each other in workers of Ray, or one after another here."""
    again = sweep(project, make(protocol={"outer_fold": FOLD}, concurrent=1))
    assert again.state.name == "tiny-2"  # the name was taken
    assert [t.configuration for t in again.trials] == [t.configuration for t in finished.trials]
    assert [t.best_val_uar for t in again.trials] == [t.best_val_uar for t in finished.trials]
    assert points(project, "tiny-2") == points(project, "tiny")
    pd.testing.assert_frame_equal(again.comparison, finished.comparison)


def test_refitting_in_workers_gives_the_same_evidence(finished, project):
    planned = finished.plan
    there = sweep_session.refit(
        planned.task,
        planned.split,
        planned.definition.protocol.outer_fold,
        finished.config,
        seeds=SEEDS,
        device="cpu",
        evaluation=planned.params.evaluation,
        worker_start_s=0.0,
    )
    pd.testing.assert_frame_equal(there.comparison, finished.comparison)
    assert there.metrics == finished.metrics


def test_trials_see_the_training_groups_alone(witnessed, project):
    fold = {modality: folds[FOLD] for modality, folds in json.loads(project.split_path.read_text()).items()
            if modality in ("speech", "eeg")}  # fmt: skip
    assert len(witnessed) == 3
    for trial in witnessed:
        for modality in ("speech", "eeg"):
            assert trial[modality] == sorted(fold[modality]["train"])
            assert not set(trial[modality]) & set(fold[modality]["test"])


def test_every_trial_starts_in_a_clean_worker(witnessed):
    assert os.getpid() not in {trial["process"] for trial in witnessed}
    assert len({trial["process"] for trial in witnessed}) < 3  # one has run two trials
    for trial in witnessed:
        assert trial["folds"] == [2, 0]
        assert trial["options"] == {"device": "cpu", "cost": False, "state": None}
        assert trial["threads"] == 1
        assert trial["MLFLOW_RUN_ID"] is None
        assert trial["draws"] == witnessed[0]["draws"]  # reused actors start every trial afresh
        assert not trial["writable"]  # the one copy in the object store


def test_the_worst_are_stopped_and_failures_are_recorded(ray_of_two, project, tracker, capfd):
    """On Ray."""
    scheduler = {"name": "asha", "grace_epochs": 1, "reduction": 2}
    planned = make(name="fails", algorithm="grid", space=GRID, scheduler=scheduler, concurrent=1)
    result = run_sweep(project, planned, quiet=True, search=fakes.fails_for_p4)
    assert capfd.readouterr() == ("", "")  # Ray tells the terminal nothing, not even of the failure
    assert [trial.configuration["stage1.p"] for trial in result.trials] == [5, 3, 4]
    assert [trial.status for trial in result.trials] == ["finished", "stopped", "failed"]
    assert result.trials[2].error == "stage1.p: no such width; expected 3"
    assert (result.best.number, result.best.best_epoch) == (1, 3)
    runs = children(tracker, result.run_id)
    assert [run.info.status for run in runs] == ["FINISHED", "FINISHED", "FAILED"]
    assert [run.data.tags["jmml.state"] for run in runs] == ["finished", "stopped", "failed"]
    assert len(history(tracker, runs[1], "val_uar")) < fakes.EPOCHS
    assert runs[2].data.tags["jmml.error"] == "stage1.p: no such width; expected 3"
    # A value that is not finite is left out by name: not the whole metric, and not the trial.
    assert runs[0].data.tags["jmml.not_finite"] == "edcc_cae/loss"
    assert sorted(history(tracker, runs[0], "edcc_cae/loss")) == [1, 3, 4]
    assert newest(tracker).info.status == "FINISHED"


def test_when_all_trials_fail_the_first_error_is_shown(project, tracker):
    planned = make(name="hopeless", algorithm="grid", space=GRID, concurrent=1)
    with pytest.raises(SweepError) as caught:
        sweep(project, planned, search=fakes.always_fails)
    assert caught.value.exit_code == 9
    text = str(caught.value)
    assert "the first 3 trials failed; trial 1 (stage1.p=5 stage2.epochs=4): ValueError: bad p=5" in text
    assert "second line" not in text
    run = newest(tracker)
    assert run.info.status == "FAILED"
    assert "sweep hopeless" in text
    assert {child.info.status for child in children(tracker, run.info.run_id)} == {"FAILED"}


@pytest.mark.parametrize(
    ("raised", "expected", "status"),
    [
        (KeyboardInterrupt(), InterruptedSweepError, "KILLED"),
        (signal.SIGTERM, InterruptedSweepError, "KILLED"),
        (ModelError("cannot be fitted"), ModelError, "FAILED"),
        (RuntimeError("out of memory\nmore"), SweepError, "FAILED"),
    ],
)
def test_whatever_stops_the_refit_no_run_stays_open(project, tracker, monkeypatch, raised, expected, status):
    def stop(*args, **kwargs):
        if isinstance(raised, signal.Signals):
            os.kill(os.getpid(), raised)
            time.sleep(10)  # the signal ends it
        raise raised

    def search(self, driver, display):
        """One finished trial and one that still runs, as the loop of Tune would leave them."""
        for number in (1, 2):
            driver.started(number, {"stage1.p": 3, "stage2.epochs": 1})
        driver.reported(1, 1, {"score": 0.5, "points": {"val_uar": 0.5}})
        driver.ended(1)

    monkeypatch.setattr(sweep_session.SweepSession, "_search", search)
    monkeypatch.setattr(sweep_session, "refit", stop)
    with pytest.raises(expected) as caught:
        sweep(
            project,
            make(
                name=f"refit-{status.lower()}-{expected.__name__.lower()}-{isinstance(raised, signal.Signals)}".lower(),
                trials=2,
            ),
        )
    assert caught.value.exit_code == (130 if status == "KILLED" else expected.exit_code)
    assert "\n" not in str(caught.value)
    run = newest(tracker)
    assert run.info.status == status
    assert [child.info.status for child in children(tracker, run.info.run_id)] == ["FINISHED", "KILLED"]


@pytest.fixture(scope="module")
def longer(project):
    """A sweep of three trials, and what it became with two more."""
    first = sweep(project, make(name="longer"), search=fakes.plain)
    with here(order=1):
        more = extend_sweep(project, "longer", trials=2, quiet=True, search=fakes.plain)
    return first, more


def test_more_trials_are_added_in_a_session_of_their_own(longer, project, tracker, monkeypatch, tmp_path):
    first, more = longer
    assert len(first.trials) == 3
    assert [trial.number for trial in more.trials] == [1, 2, 3, 4, 5]
    assert [trial.attempts for trial in more.trials] == [1] * 5
    assert more.run_id == first.run_id
    runs = children(tracker, more.run_id)
    assert [run.info.status for run in runs] == ["FINISHED"] * 5
    assert tracker.run(more.run_id).data.tags["jmml.trials"] == "5"
    files = tracker.download(more.run_id, "", tmp_path)  # also where no refit was due
    assert list(pd.read_csv(files / "trials.csv")["trial"]) == [1, 2, 3, 4, 5]
    assert check(yaml.safe_load((files / "definition.yaml").read_text())).n_trials() == 5
    kinds = [event["e"] for event in journal.read(SweepFolder.of(project, "longer").journal)]
    # The time between two sessions is of neither: it is the session's event that ends it.
    assert kinds.index("extend") == len(kinds) - 1 - kinds[::-1].index("session") + 1
    stage1 = stage1_folder(project)
    assert list(stage1.rglob("model.json"))  # of the refit
    monkeypatch.setenv("JMML_STAGE1_GB", "0")
    resume_sweep(project, "longer", quiet=True, search=fakes.plain)
    assert not list(stage1.rglob("model.json"))  # what finishes leaves what is allowed


def test_a_complete_sweep_is_said_to_be_complete_at_once(longer, project, tracker, monkeypatch):
    _, more = longer
    path = SweepFolder.of(project, "longer").journal
    before, shown = path.read_bytes(), Console(file=io.StringIO(), width=200)
    with monkeypatch.context() as patch:
        patch.setattr(sweep_session, "ray_for", None)  # which would be called
        again = resume_sweep(project, "longer", console=shown, search=fakes.plain)
    assert again.as_dict() == more.as_dict()
    assert again.config == more.config
    assert path.read_bytes() == before
    assert shown.file.getvalue() == (f"sweep longer: finished, {kept(again.state)}; nothing is left to do\n")
    tracker.client.update_run(more.run_id, status="RUNNING")  # what MLflow lacks is sent all the same
    with here():
        sent = resume_sweep(project, "longer", quiet=True, search=fakes.plain)
    assert (sent.refit, len(sent.trials)) == (more.refit, 5)
    assert tracker.run(more.run_id).info.status == "FINISHED"
    assert len(path.read_bytes()) > len(before)


def test_a_refit_with_other_seeds_is_another_refit(longer, project, tracker, tmp_path):
    """And what decides nothing about it, like a budget, opens the outer fold no second time."""
    _, before = longer
    options = {"accept_changes": True, "quiet": True, "search": fakes.plain}
    with here():
        same = resume_sweep(project, "longer", overrides=["budget.hours=9"], **options)
        assert same.refit == before.refit
        more = resume_sweep(project, "longer", overrides=["protocol.seeds=0,1,2"], **options)
    assert more.refit["opened"] == before.refit["opened"] + 1
    assert "(2 seeds)" in before.title
    assert "(3 seeds)" in more.title
    files = tracker.download(more.run_id, "evidence", tmp_path)
    assert set(evidence.load(files / "evidence.parquet")["seed"]) == {0, 1, 2}


def test_runs_that_could_not_be_closed_are_closed_by_stop(longer, project, tracker):
    """The store was away when the sweep was interrupted; its journal is closed."""
    done, _ = longer
    folder = SweepFolder.of(project, "longer")
    lines = [
        line for line in folder.journal.read_bytes().splitlines(keepends=True) if b'"e":"close"' not in line
    ]
    folder.journal.write_bytes(b"".join(lines))
    writer = journal.Journal(folder.journal)
    writer.append("close", state="stopped", reason="interrupted")
    writer.close()
    child = children(tracker, done.run_id)[0]
    for run_id in (done.run_id, child.info.run_id):
        tracker.client.update_run(run_id, "RUNNING")
    assert "MLflow had been away; its runs are closed" in stop_sweep(project, "longer")
    assert tracker.run(done.run_id).info.status == "KILLED"
    assert tracker.run(child.info.run_id).info.status == "FINISHED"  # as the journal has it
    assert "is not running: stopped" in stop_sweep(project, "longer")


def test_what_a_driver_that_died_left_open_is_closed_by_stop(project, tracker):
    """It died between the creation of the run and the note of its identifier."""
    folder = SweepFolder.of(project, "orphan")
    planned = plan(project, make(name="orphan"))
    run_id = tracker.start_sweep(
        "orphan", sweep_id="0" * 32, params={}, tags={}, lineage=lineage.collect(project, [])
    )
    with folder.hold():
        writer = journal.Journal(folder.journal)
        opening = {"id": "0" * 32, "name": "orphan", "user": "eva", "team": "", "version": "1", "total": 3}
        writer.append("sweep", **opening, **settings(planned))
        writer.close()
    assert tracker.run(run_id).info.status == "RUNNING"
    assert "its driver had died" in stop_sweep(project, "orphan")
    assert tracker.run(run_id).info.status == "KILLED"


def test_an_unreachable_store_stops_before_anything_starts(project, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(TrackingError, match="cannot reach the tracking server"):
        sweep(project, make(name="nowhere"))
    assert not SweepFolder.of(project, "nowhere").path.exists()


def test_no_run_is_left_running(finished, tracker):
    for kind in (SWEEP, TRIAL):
        assert tracker.runs(kind=kind, status="RUNNING") == []


def test_trials_of_the_real_search_learn_something(finished):
    assert np.mean([trial.best_val_uar for trial in finished.trials]) > 0.3  # chance 0.25
    assert os.environ.get("RAY_AIR_NEW_OUTPUT") is not None  # set while a session is open
