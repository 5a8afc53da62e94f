"""The web view of the tracked runs: the server's command line and links to the pages that matter.

The server listens on 127.0.0.1 alone. A team's own server (``MLFLOW_TRACKING_URI=http://...``) is linked to,
not started.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable
from urllib.parse import quote

from jmml.errors import TrackingError
from pipelines import store
from pipelines.project import Project

HOST = "127.0.0.1"
FIRST_PORT, TRIED_PORTS = 5000, 50
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
        "--backend-store-uri", uri,
        "--default-artifact-root", str(store.artifact_root(project, uri)),
        "--no-serve-artifacts",
    ]  # fmt: skip


def links(project: Project, host: str = HOST, port: int = FIRST_PORT) -> dict[str, str]:
    """Name -> address of the pages that answer the usual questions, best first."""
    from pipelines.tracking import KIND, MODEL_NAME, PARENT, SWEEP, TRIAL, Tracker

    tracker = Tracker.connect(project)
    uri = project.tracking_uri
    base = (
        store.redacted(uri).replace("***@", "").rstrip("/")
        if store.is_server(uri)
        else f"http://{host}:{port}"
    )
    experiment = f"{base}/#/experiments/{tracker.experiment().experiment_id}"
    pages = {"sweeps": _table(experiment, f"tags.`{KIND}` = '{SWEEP}'", "test_uar")}
    sweeps = tracker.runs(kind=SWEEP)
    if sweeps:
        trials = f"tags.`{KIND}` = '{TRIAL}' and tags.`{PARENT}` = '{sweeps[0].info.run_id}'"
        pages[f"trials of {sweeps[0].info.run_name}"] = _table(experiment, trials, "val_uar")
    pages["models"] = f"{base}/#/models/{MODEL_NAME}"
    return pages


def serve(project: Project, *, port: int | None = None, announce: Callable[[str], object] = print) -> None:
    """Start the server, announce the pages when it answers, and stay until it ends or Ctrl-C.

    For a team's server the pages are announced, and nothing is started.
    """
    if store.is_server(project.tracking_uri):
        _announce(links(project), announce)
        return
    port = choose_port(port)
    pages = links(project, HOST, port)  # before the server starts: this may create the store
    process = subprocess.Popen(
        server_command(project, port), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        _await_answer(process, port)
        _announce(pages, announce)
        announce("Ctrl-C stops it.")
        process.communicate()
    except KeyboardInterrupt:
        pass
    finally:
        process.terminate()
        process.wait()


def _await_answer(process: subprocess.Popen[bytes], port: int, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            _, errors = process.communicate()
            last = (errors.decode(errors="replace").strip().splitlines() or ["no message"])[-1]
            raise TrackingError(f"the server ended at once: {last}", where=f"{HOST}:{port}")
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            if probe.connect_ex((HOST, port)) == 0:
                return
        time.sleep(0.2)
    raise TrackingError(f"the server did not answer within {seconds:.0f} s", where=f"{HOST}:{port}")


def _announce(pages: dict[str, str], announce: Callable[[str], object]) -> None:
    width = max(map(len, pages))
    for name, address in pages.items():
        announce(f"{name:<{width}}  {address}")


def _table(experiment: str, query: str, metric: str) -> str:
    """The runs that match ``query``, best ``metric`` first."""
    order = quote(f"metrics.`{metric}`", safe="")
    return (
        f"{experiment}/runs?{MACHINE_LEARNING}&searchFilter={quote(query, safe='')}"
        f"&orderByKey={order}&orderByAsc=false"
    )
