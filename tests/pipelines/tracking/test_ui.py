from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from jmml.errors import TrackingError
from pipelines.tracking import ui
from pipelines.tracking.tracker import Tracker
from pipelines.workspace.project import Project
from tests import forked
from tests.faults.servers import SERVE
from tests.pipelines.tracked import free_port, make_lineage, make_project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path / "project")


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        yield held.getsockname()[1]


def option(command: list[str], name: str) -> str:
    return command[command.index(name) + 1]


def test_the_server_listens_on_this_machine_alone_over_the_project_store(project: Project) -> None:
    command = ui.server_command(project, ui.choose_port())
    assert option(command, "--host") == "127.0.0.1"
    assert option(command, "--backend-store-uri") == f"sqlite:///{project.mlruns_dir}/mlflow.db"
    assert option(command, "--default-artifact-root") == str(project.mlruns_dir / "artifacts")


@pytest.mark.parametrize("address", ["ada:secret@localhost/runs", "localhost/runs?password=secret"])
def test_a_password_is_not_put_on_the_command_line(
    project: Project, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    uri = f"postgresql://{address}"
    assert ui.server_environment(project) == {}
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setattr(ui.store, "check", lambda _: None)
    command = ui.server_command(project, ui.choose_port())
    assert "secret" not in " ".join(command)
    assert "--backend-store-uri" not in command
    # MLflow itself says from where it takes the address instead.
    from mlflow.cli import server

    (backend,) = [item for item in server.params if item.name == "backend_store_uri"]
    assert ui.server_environment(project) == {backend.envvar: uri}


def test_a_taken_port_is_stepped_over(taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ui, "FIRST_PORT", taken)
    assert taken < ui.choose_port() < taken + ui.TRIED_PORTS


def test_a_taken_port_that_was_asked_for_is_an_error(project: Project, taken: int) -> None:
    with pytest.raises(TrackingError, match=f"port {taken} is taken.*Leave --port out"):
        ui.server_command(project, taken)


@pytest.mark.parametrize("port", [-1, 70000])
def test_a_port_that_cannot_be_is_an_error(port: int) -> None:
    with pytest.raises(TrackingError, match=f"port {port} is taken or not allowed"):
        ui.choose_port(port)


def test_every_port_taken_is_an_error(taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ui, "FIRST_PORT", taken)
    monkeypatch.setattr(ui, "TRIED_PORTS", 1)
    with pytest.raises(TrackingError, match=f"no free port from {taken} to {taken}"):
        ui.choose_port()


@pytest.fixture
def sweep(project: Project) -> tuple[str, list[str]]:
    """A sweep of three trials, each better than the one before."""
    tracker = Tracker.connect(project)
    run = tracker.start_sweep("demo", params={}, tags={}, lineage=make_lineage())
    trials = []
    for score, name in enumerate(("t1", "t2", "t3")):
        trials.append(tracker.start_trial(run, name, {"stage1.p": 8, "stage2.k": score}))
        tracker.log_points(trials[-1], [("best_val_uar", score / 10, 1, 1)])
    return run, trials


def fragment(address: str) -> tuple[str, dict[str, str]]:
    """Experiment and query of a page's address."""
    parts = urlsplit(urlsplit(address).fragment)
    return parts.path.split("/")[2], {key: value[0] for key, value in parse_qs(parts.query).items()}


def answered(tracker: Tracker, experiment: str, state: dict[str, Any]) -> list[str]:
    """What MLflow answers to the filter and order of a page."""
    order = f"{state['orderByKey']} {'ASC' if state['orderByAsc'] in (True, 'true') else 'DESC'}"
    runs = tracker.client.search_runs([experiment], state["searchFilter"], order_by=[order])
    return [run.info.run_id for run in runs]


def test_before_the_first_sweep_there_are_no_trials_to_link_to(project: Project) -> None:
    assert list(ui.links(project, "127.0.0.1", 5001)) == ["sweeps", "models"]


def test_links_open_the_tables_best_first_in_the_columns_that_matter(
    project: Project, sweep: tuple[str, list[str]]
) -> None:
    tracker = Tracker.connect(project)
    pages = ui.links(project, "127.0.0.1", 5001)
    assert list(pages) == ["sweeps", "trials of demo", "models"]
    assert pages["models"] == "http://127.0.0.1:5001/#/models/jmml"
    states = {}
    for name in ("sweeps", "trials of demo"):
        experiment, query = fragment(pages[name])
        assert query["workflowType"] == "machine_learning"
        tag = tracker.experiment().tags["mlflow.sharedViewState." + query["viewStateShareKey"]]
        states[name] = json.loads(tag)
    assert answered(tracker, experiment, states["sweeps"]) == [sweep[0]]
    assert answered(tracker, experiment, states["trials of demo"]) == sweep[1][::-1]
    columns = states["trials of demo"]["selectedColumns"]
    assert columns[0] == "metrics.`best_val_uar`"
    assert "params.`stage2.k`" in columns
    assert "params.`stage1.p`" not in columns, "equal in all trials"
    # By a score on the outer fold one would choose on it.
    assert {state["orderByKey"] for state in states.values()} == {"metrics.`best_val_uar`"}
    assert "metrics.`one_hot_uar`" in states["sweeps"]["selectedColumns"]
    assert ui.links(project, "127.0.0.1", 5001) == pages


def test_a_reader_who_may_not_write_gets_plain_links(
    project: Project, sweep: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise TrackingError("permission denied")

    monkeypatch.setattr(Tracker, "set_experiment_tag", refuse)
    experiment, query = fragment(ui.links(project, "127.0.0.1", 5001)["trials of demo"])
    assert answered(Tracker.connect(project), experiment, query) == sweep[1][::-1]


def test_a_team_server_is_linked_to_and_not_started(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://ada:secret@mlflow.example.org")
    with pytest.raises(TrackingError, match="is a server of its own") as caught:
        ui.server_command(project, 5001)
    assert "secret" not in str(caught.value)


def test_a_password_that_is_also_a_part_of_the_host_leaves_the_address_whole() -> None:
    assert ui.store.redacted("https://ada:mlflow@mlflow.example.org") == "https://***@mlflow.example.org"


@pytest.fixture
def bare_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """No processes that run jobs, nine of them, beside the server."""
    monkeypatch.setenv("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")


class ForkedServer:
    """In place of the ``subprocess.Popen`` of ``python -m mlflow server``, which takes ten seconds to import."""

    def __init__(
        self, command: list[str], *, env: dict[str, str], stdout: Any, stderr: Any, **options: Any
    ) -> None:
        assert command[:4] == [sys.executable, "-m", "mlflow", "server"]
        assert options == {"start_new_session": True}
        log = Path(f"/proc/{os.getpid()}/fd/{stdout.fileno()}")
        assert stderr is stdout
        self._process = forked.script(SERVE, command[4:], cwd=Path.cwd(), env=env, out=log, err=log)
        self.pid, self.poll = self._process.pid, self._process.poll

    def wait(self, timeout: float | None = None) -> int:
        try:
            return self._process.wait(timeout)
        except TimeoutError:
            raise subprocess.TimeoutExpired("mlflow server", timeout or 0) from None


@pytest.mark.parametrize("fresh", [False, pytest.param(True, marks=pytest.mark.long)])
@pytest.mark.usefixtures("bare_server")
def test_the_server_answers_and_stops_when_it_is_told_to(
    project: Project, monkeypatch: pytest.MonkeyPatch, fresh: bool
) -> None:
    if not fresh:
        there = SimpleNamespace(Popen=ForkedServer, TimeoutExpired=subprocess.TimeoutExpired)
        monkeypatch.setattr(ui, "subprocess", there)
    tracker = Tracker.connect(project)
    sweep = tracker.start_sweep("demo", params={}, tags={}, lineage=make_lineage())
    port, said, seen = free_port(), [], {}

    def announce(line: str) -> None:
        said.append(line)
        if "Ctrl-C" in line:
            request = urllib.request.Request(
                f"http://127.0.0.1:{port}/api/2.0/mlflow/runs/search",
                data=json.dumps({"experiment_ids": [tracker.experiment().experiment_id]}).encode(),
                headers={"Content-Type": "application/json"},
            )
            with urllib.request.urlopen(request, timeout=60) as answer:
                seen["runs"] = [run["info"]["run_id"] for run in json.load(answer)["runs"]]
            page = f"http://127.0.0.1:{port}/get-artifact?path=lineage/params.yaml&run_uuid={sweep}"
            with urllib.request.urlopen(page, timeout=60) as answer:
                seen["file"] = answer.read().decode()
            os.kill(os.getpid(), signal.SIGTERM)

    ui.serve(project, port=port, announce=announce)
    assert seen == {"runs": [sweep], "file": make_lineage().params}
    assert f"http://127.0.0.1:{port}/#/experiments/" in said[0]
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5)


def in_place_of_the_server(monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    """A process that starts at once; MLflow takes as long for either end as the test above."""
    command = [sys.executable, "-I", "-c", source]
    monkeypatch.setattr(ui, "server_command", lambda _, port: [*command, str(port)])


ANSWERS = """
import http.server, sys
class Well(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Well).serve_forever()
"""


def test_ctrl_c_stops_the_server(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    in_place_of_the_server(monkeypatch, ANSWERS)
    port, said = free_port(), []

    def announce(line: str) -> None:
        said.append(line)
        if "Ctrl-C" in line:
            os.kill(os.getpid(), signal.SIGINT)

    # A process that a shell put into the background may have been started with Ctrl-C ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        ui.serve(project, port=port, announce=announce)
    finally:
        signal.signal(signal.SIGINT, before)
    assert "Ctrl-C" in said[-1]
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5)


def test_a_server_that_cannot_start_is_one_line(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    in_place_of_the_server(
        monkeypatch, "import sys; sys.exit('Usage:\\nError: No such option: --no-such-option')"
    )
    with pytest.raises(TrackingError, match=r"the server ended at once: .*--no-such-option") as caught:
        ui.serve(project)
    assert "\n" not in str(caught.value)
