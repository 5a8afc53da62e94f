from __future__ import annotations

import logging
import math
import os
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from jmml.errors import TrackingError
from pipelines.tracking import store
from pipelines.tracking import tracker as tracking
from pipelines.tracking.store_errors import reported
from pipelines.tracking.tracker import Tracker
from pipelines.workspace.project import Project
from tests.forked import Forked, script
from tests.pipelines.tracked import make_lineage, make_project
from tests.waiting import until

CONNECT = """
import sys
from pipelines.workspace.project import Project
from pipelines.tracking.tracker import Tracker
tracker = Tracker.connect(Project(sys.argv[1]))
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path / "project")


@pytest.fixture
def tracker(project: Project) -> Tracker:
    return Tracker.connect(project)


@pytest.fixture
def sweep(tracker: Tracker) -> str:
    return tracker.start_sweep(
        "demo", params={"trials": 2}, tags={"jmml.split_digest": "ab"}, lineage=make_lineage()
    )


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


# Connecting ----------------------------------------------------------------------------------------------


def test_a_fresh_store_lies_under_mlruns_and_is_made_in_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    project = make_project(tmp_path / "a folder with spaces", fresh=True)
    tracker = Tracker.connect(project)
    run = tracker.start_sweep("demo", params={}, tags={}, lineage=make_lineage())
    assert (project.mlruns_dir / "mlflow.db").is_file()
    files = project.mlruns_dir / "artifacts" / run / "artifacts" / "lineage"
    assert (files / "environment.txt").read_text() == "numpy==2.0\ntorch==2.8\n"
    assert list(elsewhere.iterdir()) == []
    printed = capfd.readouterr()
    assert (printed.out, printed.err) == ("", "")
    assert logging.getLogger("alembic").level >= logging.ERROR


def in_another_process(source: str, *arguments: str, folder: Path, name: str = "child") -> Forked:
    """``source`` in a process of its own, whose output goes to ``NAME.out`` and ``NAME.err``."""
    out, err = folder / f"{name}.out", folder / f"{name}.err"
    return script(CONNECT + source, [*arguments], cwd=folder, env=dict(os.environ), out=out, err=err)


def test_processes_that_start_together_share_one_fresh_store(tmp_path: Path) -> None:
    root = make_project(tmp_path / "project", fresh=True).root
    source = "print(tracker.experiment().experiment_id)"
    workers = [
        in_another_process(source, str(root), folder=tmp_path, name=f"worker{number}") for number in range(4)
    ]
    until(lambda: all(worker.poll() is not None for worker in workers), "the end of all four")
    said = [path.read_text() for path in tmp_path.glob("worker*.err")]
    assert [worker.returncode for worker in workers] == [0] * 4, said
    assert len({path.read_text() for path in tmp_path.glob("worker*.out")}) == 1


def test_the_environment_names_another_store(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/team/runs.db")
    tracker = Tracker.connect(project)
    run = tracker.start_sweep("demo", params={}, tags={}, lineage=make_lineage())
    assert (tmp_path / "team" / "runs.db").is_file()
    assert (tmp_path / "team" / "artifacts" / run / "artifacts" / "lineage" / "params.yaml").is_file()
    assert not (project.mlruns_dir / "artifacts").exists()


def test_no_server_is_one_line_with_the_address_and_the_next_step(
    project: Project, monkeypatch: pytest.MonkeyPatch, closed_port: int
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://ada:secret@127.0.0.1:{closed_port}")
    with pytest.raises(TrackingError) as caught:
        Tracker.connect(project)
    message = str(caught.value)
    assert "\n" not in message
    assert f"http://***@127.0.0.1:{closed_port}" in message
    assert "secret" not in message
    assert "unset MLFLOW_TRACKING_URI" in message
    assert caught.value.exit_code == 7


SECRET_URIS = [
    "http://ada:secret@127.0.0.1:{port}",
    "http://ada:secret%2Fword@127.0.0.1:{port}/x",
    "postgresql://ada:se/secret@127.0.0.1:{port}/runs",
    "postgresql://ada:secret@x@127.0.0.1:{port}/runs",
    "postgresql://127.0.0.1:{port}/runs?user=ada&password=secret",
    "http://ada:secret@127.0.0.1:port",
    "http://ada:secret@[127.0.0.1",
    "http://ada:secret@\u2100x",
    "sqlite://ada:secret@host",
    "ftp://ada:secret@127.0.0.1:{port}",
]


@pytest.mark.parametrize("uri", SECRET_URIS)
def test_no_error_shows_the_password_of_the_address(
    project: Project, monkeypatch: pytest.MonkeyPatch, closed_port: int, uri: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri.format(port=closed_port))
    with pytest.raises(TrackingError) as caught:
        Tracker.connect(project)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "cannot open http://ada:secret@host:80/api: refused",
        "dsn 'postgresql+psycopg2://ada:secret@host/db' and http://other:secret@host",
        "connection string host=db user=ada password=secret port=1",
        "wrong password secret for ada",
    ],
)
def test_no_error_shows_the_password_that_another_error_names(text: str) -> None:
    with pytest.raises(TrackingError) as caught, reported("http://ada:secret@host", "reading"):
        raise OSError(text)
    assert "secret" not in str(caught.value)
    assert "***" in str(caught.value)
    assert str(caught.value).startswith("http://***@host: reading failed: ")
    assert "secret" not in str(store.unreachable("http://ada:secret@host", text))
    long = "x" * (store.MAX_REASON - 15)
    assert "secret" not in str(store.unreachable("http://ada:b@host", f"{long} http://ada:secret@host"))


def test_a_database_without_its_driver_names_the_missing_package(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(*_: object, **__: object) -> None:
        raise ModuleNotFoundError("No module named 'psycopg'", name="psycopg")

    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://ada:secret@127.0.0.1/runs")
    monkeypatch.setattr(store, "check", lambda uri: None)
    monkeypatch.setattr(tracking.mlflow, "MlflowClient", absent)
    with pytest.raises(TrackingError) as caught:
        Tracker.connect(project)
    assert str(caught.value) == (
        "postgresql://***@127.0.0.1/runs: opening the tracking store failed: the Python package "
        "'psycopg[binary]' is not installed. Install it beside jmml: pip install 'psycopg[binary]'"
    )


def test_an_unknown_host_is_reported(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://mlflow.invalid")
    with pytest.raises(TrackingError, match=r"https://mlflow\.invalid: cannot reach the tracking server"):
        Tracker.connect(project)


def test_a_server_that_never_answers_is_given_up_and_the_limits_are_put_back(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(tracking.PROBE, "MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "77")
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", raising=False)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(TrackingError, match="cannot reach the tracking server"):
            Tracker.connect(project)
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "77"
    assert "MLFLOW_HTTP_REQUEST_MAX_RETRIES" not in os.environ


@pytest.fixture
def other_service() -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(404)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_service_that_is_no_mlflow_server_is_reported(
    project: Project, monkeypatch: pytest.MonkeyPatch, other_service: int
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{other_service}")
    with pytest.raises(TrackingError, match="404") as caught:
        Tracker.connect(project)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("uri", ["mlruns", "file:///tmp/mlruns", "htp://host", "databricks"])
def test_an_address_of_no_known_kind_lists_the_kinds(
    project: Project, monkeypatch: pytest.MonkeyPatch, uri: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(TrackingError, match="expected one of http://, https://, postgresql://"):
        Tracker.connect(project)


def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    database = project.mlruns_dir / "mlflow.db"
    database.write_bytes(b"these are notes, not runs")
    with pytest.raises(TrackingError, match=r"mlflow\.db: is not a SQLite database"):
        Tracker.connect(project)
    assert database.read_bytes() == b"these are notes, not runs"


def test_a_deleted_experiment_says_how_to_restore_it(tracker: Tracker) -> None:
    identifier = tracker.experiment().experiment_id
    tracker.client.delete_experiment(identifier)
    with pytest.raises(TrackingError, match=f"mlflow experiments restore -x {identifier}"):
        tracker.experiment()


# A moved project -----------------------------------------------------------------------------------------


def test_a_moved_project_reads_its_old_files_and_writes_at_the_new_place(tmp_path: Path) -> None:
    before = make_project(tmp_path / "before")
    run = Tracker.connect(before).start_sweep("demo", params={}, tags={}, lineage=make_lineage())
    after = before.root.rename(tmp_path / "after")
    # Another process, as MLflow remembers the places of runs for as long as a process lives.
    source = (
        "run = sys.argv[2]; tracker.log_text(run, 'later', 'notes.txt'); "
        "print([file.path for file in tracker.client.list_artifacts(run, 'lineage')])"
    )
    child = in_another_process(source, str(after), run, folder=tmp_path)
    until(lambda: child.poll() is not None, "the end of the other process")
    assert child.returncode == 0, (tmp_path / "child.err").read_text()
    assert "lineage/params.yaml" in (tmp_path / "child.out").read_text()
    assert (after / "mlruns" / "artifacts" / run / "artifacts" / "notes.txt").read_text() == "later"
    assert not before.root.exists()


def test_relocating_changes_whole_folder_names_alone(tmp_path: Path, tracker: Tracker) -> None:
    root = tracker.project.mlruns_dir
    tracker.experiment()
    other = f"{root}/artifacts-of-others"
    tracker.client.create_experiment("other", other)
    moved = tmp_path / "moved" / "mlruns" / "artifacts"
    assert store.relocate(root / "mlflow.db", moved) == 0, "the files did not move along"
    moved.mkdir(parents=True)
    assert store.relocate(root / "mlflow.db", moved) == 1
    assert tracker.client.get_experiment_by_name("other").artifact_location == other
    assert tracker.client.get_experiment_by_name("jmml").artifact_location == str(moved)


# Runs ----------------------------------------------------------------------------------------------------


def test_a_sweep_carries_its_lineage(tracker: Tracker, sweep: str) -> None:
    run = tracker.run(sweep)
    assert run.info.run_name == "demo"
    tags = run.data.tags
    assert (tags["jmml.kind"], tags["jmml.git_sha"], tags["jmml.split_digest"]) == ("sweep", "5" * 40, "ab")
    assert tags["mlflow.source.git.commit"] == "5" * 40
    stored = {file.path for file in tracker.client.list_artifacts(sweep, "lineage")}
    assert stored == {
        "lineage/environment.txt",
        "lineage/lineage.json",
        "lineage/params.yaml",
        "lineage/uncommitted.diff",
    }


def test_datasets_are_recorded_with_their_dvc_hashes_and_can_be_searched(
    tracker: Tracker, sweep: str
) -> None:
    inputs = {item.dataset.name: item for item in tracker.run(sweep).inputs.dataset_inputs}
    assert {item.dataset.source_type for item in inputs.values()} == {"dvc"}
    corpus = inputs["talk"].dataset
    assert len(corpus.digest) == 36
    assert corpus.digest.endswith(".dir")
    assert '"path": "data/raw/talk"' in corpus.source
    assert {tag.key: tag.value for tag in inputs["talk features"].tags} == {
        "mlflow.data.context": "features",
        "jmml.modality": "speech",
    }
    experiment = tracker.experiment().experiment_id
    found = tracker.client.search_runs([experiment], f"dataset.digest = '{corpus.digest}'")
    assert [run.info.run_id for run in found] == [sweep]


def test_the_environment_variables_of_the_process_stay_out(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_SERVICE_TOKEN", "xyzzy-hunter2-plugh")
    Tracker.connect(project).start_sweep("demo", params={}, tags={}, lineage=make_lineage())
    files = [path for path in project.mlruns_dir.rglob("*") if path.is_file()]
    assert len(files) > 4
    assert not any(b"xyzzy-hunter2-plugh" in path.read_bytes() for path in files)


def test_a_trial_keeps_its_run_when_it_is_started_again(tracker: Tracker, sweep: str) -> None:
    first = tracker.start_trial(sweep, "trial_00001", {"stage2": {"k": 3}})
    tracker.finish(first, "FAILED")
    assert tracker.start_trial(sweep, "trial_00001", {"stage2": {"k": 3}}) == first
    later = Tracker.connect(tracker.project)
    assert later.start_trial(sweep, "trial_00001", {"stage2.k": 3}) == first
    assert later.run(first).info.status == "RUNNING"
    other = later.start_trial(sweep, "trial_00002", {"stage2.k": 4})
    assert other != first
    assert {run.info.run_id for run in later.runs(kind="trial", parent=sweep)} == {first, other}
    tags = later.run(first).data.tags
    assert (tags["mlflow.parentRunId"], tags["jmml.git_sha"]) == (sweep, "5" * 40)


def test_runs_are_listed_newest_first_and_by_status(tracker: Tracker, sweep: str) -> None:
    time.sleep(0.002)  # start times have a resolution of one millisecond
    second = tracker.start_sweep("again", params={}, tags={}, lineage=make_lineage())
    tracker.finish(sweep, "FINISHED")
    assert [run.info.run_id for run in tracker.runs()] == [second, sweep]
    assert [run.info.run_id for run in tracker.runs(status="FINISHED")] == [sweep]


def test_an_unused_store_has_no_runs(tracker: Tracker) -> None:
    assert tracker.runs() == []


# A sweep that is taken up again --------------------------------------------------------------------------


def test_a_sweep_has_one_run_whatever_died_while_it_was_opened(
    tracker: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def died(*_: object) -> None:
        raise KeyboardInterrupt

    def opened(**params: object) -> str:
        return tracker.start_sweep(
            "demo",
            params=params,
            tags={"jmml.team": "lab", "mlflow.user": "eva"},
            lineage=make_lineage(),
            sweep_id="s1",
        )

    with monkeypatch.context() as patched:
        patched.setattr(Tracker, "log_text", died)
        with pytest.raises(KeyboardInterrupt):
            opened(trials=2)
    run_id = opened(trials=2)
    trial = tracker.start_trial(run_id, "001", {})
    tracker.finish(run_id, "FAILED")
    assert opened(trials=5, seed=1) == run_id
    assert [run.info.run_id for run in tracker.runs()] == [run_id]
    run = tracker.run(run_id)
    assert run.info.status == "RUNNING"
    assert run.data.params == {"trials": "2", "seed": "1"}
    assert run.data.tags["jmml.changed_params"] == "trials: 2 -> 5"
    assert len(run.inputs.dataset_inputs) == 2
    assert len(tracker.client.list_artifacts(run_id, "lineage")) == 4
    tags = tracker.run(trial).data.tags
    assert (tags["jmml.sweep_id"], tags["jmml.team"], tags["mlflow.user"]) == ("s1", "lab", "eva")
    assert tracker.is_active(trial), "a trial is not taken for a second run of its sweep"
    other = tracker.start_sweep("demo", params={}, tags={}, lineage=make_lineage(), sweep_id="s2")
    assert other != run_id


def test_of_two_runs_of_one_trial_the_fuller_one_stays(tracker: Tracker, sweep: str) -> None:
    first = tracker.start_trial(sweep, "001", {})
    experiment = tracker.experiment().experiment_id
    twin = tracker.client.create_run(experiment, tags=dict(tracker.run(first).data.tags)).info.run_id
    tracker.log_points(twin, [("val_uar", 0.5, 1, 1)])
    assert tracker.find_trial(sweep, "001") == twin
    assert not tracker.is_active(first)
    assert tracker.start_trial(sweep, "001", {}) == twin
    assert tracker.find_trial(sweep, "002") is None


def test_what_a_dead_driver_left_open_is_closed(tracker: Tracker, sweep: str) -> None:
    first, second = (tracker.start_trial(sweep, name, {}) for name in ("001", "002"))
    tracker.finish(second, "FINISHED", ended=1_700_000_000_000)
    assert tracker.trial_names(sweep, "RUNNING") == {first: "001"}
    assert tracker.close_children(sweep, "KILLED") == 1
    assert tracker.close_children(sweep, "KILLED") == 0
    assert [tracker.run(run).info.status for run in (first, second, sweep)] == [
        "KILLED",
        "FINISHED",
        "RUNNING",
    ]
    assert tracker.run(second).info.end_time == 1_700_000_000_000


def test_models_of_broken_off_attempts_are_deleted(tracker: Tracker, sweep: str) -> None:
    experiment = tracker.experiment().experiment_id

    def model(status: str | None) -> str:
        made = tracker.client.create_logged_model(experiment, name="jmml", source_run_id=sweep)
        if status is not None:
            tracker.client.finalize_logged_model(made.model_id, status)
        return str(made.model_id)

    model(None)
    model("FAILED")
    earlier, good = model("READY"), model("READY")
    assert tracker.stale_models(sweep) == 2
    assert {m.model_id for m in tracker.client.search_logged_models([experiment])} == {earlier, good}
    assert tracker.stale_models(sweep, keep=[f"models:/{good}"]) == 1
    assert [m.model_id for m in tracker.client.search_logged_models([experiment])] == [good]
    assert tracker.stale_models(sweep, keep=[f"models:/{good}"]) == 0


def test_a_run_that_is_gone_and_a_refusal_are_told_apart(tracker: Tracker, sweep: str) -> None:
    trial = tracker.start_trial(sweep, "001", {"p": 1})
    with pytest.raises(store.LastingError) as refused:
        tracker.log_params(trial, {"p": 2})
    assert not isinstance(refused.value, store.RunGoneError)
    tracker.client.delete_run(trial)
    with pytest.raises(store.RunGoneError):
        tracker.log_points(trial, [("val_uar", 0.5, 1, 1)])
    with pytest.raises(store.RunGoneError):
        tracker.run("0" * 32)
    tracker.client.delete_run(sweep)
    with pytest.raises(store.RunGoneError):
        tracker.start_trial(sweep, "001", {})
    assert not tracker.is_active(sweep)


def test_a_write_is_one_request_for_up_to_a_thousand_values(
    tracker: Tracker, sweep: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    real = tracker.client.log_batch

    def counted(run_id: str, metrics: list, params: list, tags: list) -> None:
        sizes.append((len(metrics), len(params), len(tags)))
        real(run_id, metrics, params, tags)

    monkeypatch.setattr(tracker.client, "log_batch", counted)
    points = [("val_uar", 0.5, step, 1) for step in range(1200)]
    tracker.write(sweep, points=points, params={f"p{i}": i for i in range(130)}, tags={"a": 1, "b": 2})
    assert sizes == [(898, 100, 2), (302, 30, 0)]
    sizes.clear()
    tracker.write(sweep, points=points[:5], tags={"a": 1}, size=3)
    assert sizes == [(2, 0, 1), (3, 0, 0)]
    run = tracker.run(sweep)
    assert (len(run.data.params), run.data.tags["a"]) == (131, "1")


# Values --------------------------------------------------------------------------------------------------


def test_points_beyond_one_request_arrive_once_however_often_they_are_sent(
    tracker: Tracker, sweep: str
) -> None:
    trial = tracker.start_trial(sweep, "t", {})
    points = [("val_uar", step / 2500, step, 1_700_000_000_000 + step) for step in range(2500)]
    tracker.log_points(trial, points)
    tracker.log_points(trial, points[1200:])
    stored = tracker.client.get_metric_history(trial, "val_uar")
    assert [(m.key, m.value, m.step, m.timestamp) for m in sorted(stored, key=lambda m: m.step)] == points


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_point_that_is_not_finite_is_refused_before_anything_is_written(
    tracker: Tracker, sweep: str, value: float
) -> None:
    with pytest.raises(TrackingError, match=r"metric 'edcc_cae/loss' is -?(nan|inf) at step 4"):
        tracker.log_points(sweep, [("val_uar", 0.5, 4, 1), ("edcc_cae/loss", value, 4, 1)])
    assert tracker.run(sweep).data.metrics == {}


def test_parameters_are_flattened_and_never_change(tracker: Tracker, sweep: str) -> None:
    tracker.log_params(sweep, {"stage2": {"k": 3, "lr": 0.00123456789}, "classifier": {"options": {}}})
    params = tracker.run(sweep).data.params
    assert params == {"trials": "2", "stage2.k": "3", "stage2.lr": "0.00123457", "classifier.options": "{}"}
    with pytest.raises(TrackingError, match=f"writing parameters of run {sweep} failed"):
        tracker.log_params(sweep, {"stage2.k": 4})
    assert tracker.run(sweep).data.params["stage2.k"] == "3"


def test_more_than_a_hundred_parameters_and_tags_are_written(tracker: Tracker, sweep: str) -> None:
    many = {f"p{i}": i for i in range(230)}
    tracker.log_params(sweep, many)
    tracker.set_tags(sweep, many)
    assert tracker.run(sweep).data.params.keys() >= many.keys()
    assert tracker.run(sweep).data.tags.keys() >= many.keys()


def test_texts_that_mlflow_would_cut_are_refused(tracker: Tracker, sweep: str) -> None:
    with pytest.raises(TrackingError, match="parameter 'long' has 6001 characters; expected at most 6000"):
        tracker.log_params(sweep, {"long": "x" * 6001})
    with pytest.raises(TrackingError, match="tag 'long' has 8001 characters"):
        tracker.set_tags(sweep, {"long": "x" * 8001})


def test_a_run_that_does_not_exist_is_a_tracking_error(tracker: Tracker) -> None:
    with pytest.raises(TrackingError, match=f"reading run {'0' * 32} failed") as caught:
        tracker.run("0" * 32)
    assert "\n" not in str(caught.value)


def test_a_file_that_does_not_exist_is_a_tracking_error(tracker: Tracker, sweep: str, tmp_path: Path) -> None:
    with pytest.raises(TrackingError, match=r"storing absent\.png"):
        tracker.log_file(sweep, tmp_path / "absent.png", "evidence")
