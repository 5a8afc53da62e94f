"""Commands that run on a cluster's head node as Ray Jobs, so that the terminal that submitted them may go.

The job server is part of the dashboard and speaks a documented HTTP interface (docs.ray.io, "Ray Jobs REST
API"). It is spoken here directly: Ray's client for it lets ``RAY_ADDRESS`` override the address it is given
and waits without end for a server that does not answer.
"""

from __future__ import annotations

import os
import re
import secrets
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from jmml.errors import SweepError
from pipelines.compute.nodes import status as cluster_status
from pipelines.compute.nodes import token_for
from pipelines.tracking.store import redacted

SECONDS = 30
START_S = 180.0  # for a driver to begin: Ray takes half a minute, longer where the machine is busy
LOOK_S = 1.0  # between two looks
PASSED_ON = ("JMML_PROJECT", "JMML_SHARED", "MLFLOW_TRACKING_URI")
OVER = ("SUCCEEDED", "FAILED", "STOPPED")


@dataclass(frozen=True)
class Job:
    """One job as the server knows it.

    Attributes
    ----------
    state : ``PENDING``, ``RUNNING``, ``STOPPED``, ``SUCCEEDED`` or ``FAILED``.
    message : what the server says of it, human-readable.
    """

    id: str
    state: str
    message: str

    @property
    def over(self) -> bool:
        return self.state in OVER


def submit(project_root: Path, argv: Sequence[str], *, name: str, address: str | None = None) -> str:
    """Run `jmml ARGV` in the project's folder on the head node of a cluster; returns the job's id.

    Nothing is uploaded: the head node sees the same folder and has this Python environment at the same path.
    Of this terminal's environment, :data:`PASSED_ON` goes along, no credentials: everybody with the token can
    read a job's environment. The command itself takes no CPU of the cluster; it finds it with ``--address auto``,
    or ``RAY_ADDRESS``, which Ray sets for it.

    Raises
    ------
    SweepError : no cluster, no job server that can be reached from here, or it refuses the job.
    """
    job = f"{re.sub(r'[^A-Za-z0-9_.-]+', '-', name)}-{secrets.token_hex(4)}"
    script = Path(sys.executable).with_name("jmml")
    command = [str(script)] if script.exists() else [sys.executable, "-P", "-m", "cli.app"]
    entrypoint = f"cd {shlex.quote(str(project_root.resolve()))} && exec {shlex.join([*command, *argv])}"
    environment = _environment()
    answer = _call(
        address,
        "POST",
        "/api/jobs/",
        {
            "entrypoint": entrypoint,
            "submission_id": job,
            "runtime_env": {"env_vars": environment} if environment else {},
            "metadata": {"jmml": name},
        },
    )
    return str(answer["submission_id"])


def _environment() -> dict[str, str]:
    """Environment variables that are passed on to the job.

    Raises
    ------
    SweepError : the address of the tracking store has a password in it.
    """
    found = {key: os.environ[key] for key in PASSED_ON if os.environ.get(key)}
    store = found.get("MLFLOW_TRACKING_URI", "")
    if redacted(store) != store:
        raise SweepError(
            "holds a user name or password, and everybody with the cluster's token can read a job's environment",
            where=f"MLFLOW_TRACKING_URI={redacted(store)}",
            fix="leave it out of the address and set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD for the "
            "head's user, or set the whole address there and unset it here",
        )
    return found


def status(job: str, *, address: str | None = None) -> Job:
    """How a job is doing. Raises :class:`~jmml.errors.SweepError` for an unknown one."""
    answer = _call(address, "GET", f"/api/jobs/{job}")
    return Job(id=job, state=answer["status"], message=answer.get("message") or "")


def logs(job: str, *, address: str | None = None) -> str:
    """Output of the command so far."""
    return str(_call(address, "GET", f"/api/jobs/{job}/logs")["logs"])


def await_start(
    job: str, begun: Callable[[], bool], *, what: str = "sweep", address: str | None = None
) -> bool:
    """Wait until the driver that a job runs has begun its work, or has found none to do; whether within ``START_S``.

    Parameters
    ----------
    begun : whether the driver has made its first entry; this machine sees the journal, the job server does not.
    what : the work, for the message.

    Raises
    ------
    SweepError : the job failed, or was stopped, without one; the message has the job's own error.
    """
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        found = status(job, address=address)  # asked first: an entry made before the job's end is seen below
        if begun() or found.state == "SUCCEEDED":  # there may have been nothing left to do
            return True
        if found.over:
            lines = logs(job, address=address).splitlines()
            errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
            reason = "; ".join(errors) or found.message or found.state.lower()
            raise SweepError(f"ended before the {what} began: {reason}", where=f"job {job}")
        time.sleep(LOOK_S)
    return False


def _call(address: str | None, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    url, headers = _server(address)
    try:
        with requests.Session() as session:
            session.trust_env = False  # no proxy of the environment between here and the token's owner
            response = session.request(method, url + path, json=body, headers=headers, timeout=SECONDS)
    except requests.RequestException as error:
        raise SweepError(
            "cannot reach the cluster's job server",
            where=url,
            fix="it listens on the head node alone: submit there, or open `ssh -L 8265:127.0.0.1:8265 HEAD` "
            "and set RAY_API_SERVER_ADDRESS=http://127.0.0.1:8265",
        ) from error
    if response.status_code in (401, 403):
        raise SweepError(
            "the job server does not accept the token",
            where=url,
            fix="copy ~/.ray/auth_token from the head node",
        )
    if response.status_code == 404:
        raise SweepError(
            "the cluster knows no such job", where=f"{url}{path}", fix="look at `jmml sweep list`"
        )
    if not response.ok:
        lines = response.text.strip().splitlines() or [""]
        raise SweepError(f"the job server answered {response.status_code}: {lines[-1][:300]}", where=url)
    answer: dict[str, Any] = response.json()
    return answer


def _server(address: str | None) -> tuple[str, dict[str, str]]:
    """URL of the job server and the headers it wants; ``RAY_API_SERVER_ADDRESS`` wins, as in Ray."""
    if given := os.environ.get("RAY_API_SERVER_ADDRESS"):
        token = token_for("")
        return given.rstrip("/"), {"Authorization": f"Bearer {token.value}"} if token else {}
    cluster = cluster_status(address)
    if cluster.dashboard is None:
        raise SweepError(
            "the cluster has no job server", where=cluster.address, fix="start it with `jmml cluster up`"
        )
    token = token_for(cluster.address) if cluster.protected else None
    return f"http://{cluster.dashboard}", {"Authorization": f"Bearer {token.value}"} if token else {}
