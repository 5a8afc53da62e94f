"""The web view of the tracked runs: the server's command line and links to the pages that matter.

The server listens on 127.0.0.1 alone. A team's own server (``MLFLOW_TRACKING_URI=http://...``) is linked to,
not started.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import quote

from jmml.errors import TrackingError
from pipelines.tracking import store
from pipelines.tracking.private_mlflow import SHARED_VIEW, view_state
from pipelines.workspace.project import Project
from pipelines.workspace.values import redacted

if TYPE_CHECKING:
    from pipelines.tracking.tracker import Run

HOST = "127.0.0.1"
FIRST_PORT, TRIED_PORTS = 5000, 50
SWEEP_METRICS = (
    "best_val_uar",  # the order: by a score on the outer fold one would choose on it
    "test_uar",
    "test_uar_ci_low",
    "test_uar_ci_high",
    "one_hot_uar",
    "jec_ssl_uar",
    "raw_uar",
)
TRIAL_METRICS = ("best_val_uar", "val_uar", "val_uar_std")
MACHINE_LEARNING = "workflowType=machine_learning"  # without it the runs open in the view for language models


def choose_port(wanted: int | None = None) -> int:
    """``wanted`` if it is free, or the first free port from 5000 on when none is wanted.

    Raises
    ------
    TrackingError : the wanted port is taken, or none of the tried ports is free.
    """
    for port in [wanted] if wanted is not None else range(FIRST_PORT, FIRST_PORT + TRIED_PORTS):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except (OSError, OverflowError):
                continue
            return port
    if wanted is not None:
        raise TrackingError(
            f"port {wanted} is taken or not allowed", where=HOST, fix="leave --port out for the next free one"
        )
    raise TrackingError(f"no free port from {FIRST_PORT} to {FIRST_PORT + TRIED_PORTS - 1}", where=HOST)


def server_command(project: Project, port: int | None = None) -> list[str]:
    """Command line of the server on ``port`` (default: the next free one) over the project's store.

    Raises
    ------
    TrackingError : the port is taken, or the store is itself a server.
    """
    uri = project.tracking_uri
    if store.is_server(uri):
        raise TrackingError(
            "is a server of its own, none is started", where=store.redacted(uri), fix="open that address"
        )
    store.check(uri)
    return [
        sys.executable, "-m", "mlflow", "server",
        "--host", HOST,
        "--port", str(choose_port(port)),
        "--workers", "1",
        *([] if server_environment(project) else ["--backend-store-uri", uri]),
        "--default-artifact-root", str(store.artifact_root(project, uri)),
        "--no-serve-artifacts",
    ]  # fmt: skip


def server_environment(project: Project) -> dict[str, str]:
    """Variables for the server: the store's address when it has a password, as every user of a machine can
    read the command lines of all."""
    uri = project.tracking_uri
    return {} if store.redacted(uri) == uri else {"MLFLOW_BACKEND_STORE_URI": uri}


def links(project: Project, host: str = HOST, port: int = FIRST_PORT) -> dict[str, str]:
    """Name -> address of the pages that answer the usual questions, best first.

    The tables open with the columns that matter. Such a view is kept as a tag of the experiment, as MLflow's
    "Share" button does; where the store may not be written, the tables open in the viewer's own columns.
    """
    from pipelines.tracking.run_tags import KIND, PARENT, SWEEP, TRIAL
    from pipelines.tracking.tracker import MODEL_NAME, Tracker

    tracker = Tracker.connect(project)
    uri = project.tracking_uri
    base = (
        store.redacted(uri).replace("***@", "").rstrip("/")
        if store.is_server(uri)
        else f"http://{host}:{port}"
    )
    experiment = f"{base}/#/experiments/{tracker.experiment().experiment_id}"

    def table(name: str, query: str, order: str, columns: list[str]) -> str:
        key, state = f"jmml-{name}", view_state(query, _metric(order), columns)
        try:
            tracker.set_experiment_tag(SHARED_VIEW + key, state)
        except TrackingError:
            return _plain(experiment, query, order)
        return f"{experiment}/runs?{MACHINE_LEARNING}&viewStateShareKey={key}"

    pages = {
        "sweeps": table(
            "sweeps", f"tags.`{KIND}` = '{SWEEP}'", SWEEP_METRICS[0], [_metric(m) for m in SWEEP_METRICS]
        )
    }
    sweeps = tracker.runs(kind=SWEEP)
    if sweeps:
        newest = sweeps[0].info
        trials = tracker.runs(kind=TRIAL, parent=newest.run_id)
        query = f"tags.`{KIND}` = '{TRIAL}' and tags.`{PARENT}` = '{newest.run_id}'"
        columns = [*(_metric(m) for m in TRIAL_METRICS), *(_param(p) for p in _varied(trials))]
        pages[f"trials of {newest.run_name}"] = table(
            f"trials-{newest.run_id[:8]}", query, TRIAL_METRICS[0], columns
        )
    pages["models"] = f"{base}/#/models/{MODEL_NAME}"
    return pages


def _metric(key: str) -> str:
    return f"metrics.`{key}`"


def _param(key: str) -> str:
    return f"params.`{key}`"


def _varied(runs: Sequence[Run]) -> list[str]:
    """Parameters that differ between ``runs``, or all of a single run."""
    values: dict[str, set[str]] = {}
    for run in runs:
        for key, value in run.data.params.items():
            values.setdefault(key, set()).add(value)
    return sorted(key for key, found in values.items() if len(found) > 1 or len(runs) == 1)


def _plain(experiment: str, query: str, order: str) -> str:
    """The runs that match ``query``, best ``order`` first, in the columns of the viewer's last visit."""
    key = quote(_metric(order), safe="")
    return (
        f"{experiment}/runs?{MACHINE_LEARNING}&searchFilter={quote(query, safe='')}"
        f"&orderByKey={key}&orderByAsc=false"
    )


def serve(project: Project, *, port: int | None = None, announce: Callable[[str], object] = print) -> None:
    """Start the server, announce the pages when it answers, and stay until it ends or Ctrl-C.

    For a team's server the pages are announced, and nothing is started.
    """
    if store.is_server(project.tracking_uri):
        _announce(links(project), announce)
        return
    port = choose_port(port)
    pages = links(project, HOST, port)  # before the server starts: this may create the store
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            server_command(project, port),
            env={**os.environ, **server_environment(project)},
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C reaches us alone; stopping its workers is our part
        )
        try:
            with _termination_as_interrupt():
                await_answer(process, port, log)
                _announce(pages, announce)
                announce("Ctrl-C stops it.")
                process.wait()
        except KeyboardInterrupt:
            pass
        finally:
            stop(process)


@contextmanager
def _termination_as_interrupt() -> Iterator[None]:
    """Let SIGTERM end us as Ctrl-C does, so that the server's workers are not left behind."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def await_answer(process: subprocess.Popen[bytes], port: int, log: BinaryIO, *, seconds: float = 90) -> None:
    """Wait until a server just started answers.

    Raises
    ------
    TrackingError : it ended (with the last line of its ``log``), or it stays silent.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            log.seek(0)
            last = (log.read().decode(errors="replace").strip().splitlines() or ["no message"])[-1]
            raise TrackingError(f"the server ended at once: {redacted(last)}", where=f"{HOST}:{port}")
        try:
            with urllib.request.urlopen(f"http://{HOST}:{port}/health", timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise TrackingError(f"the server did not answer within {seconds:.0f} s", where=f"{HOST}:{port}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a server that was started in a session of its own, with its workers."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(timeout=3)  # an open page in a browser keeps it from ending
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _announce(pages: dict[str, str], announce: Callable[[str], object]) -> None:
    width = max(map(len, pages))
    for name, address in pages.items():
        announce(f"{name:<{width}}  {address}")
