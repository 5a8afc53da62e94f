"""Start Ray nodes on this machine, and end those that were started here and no other."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

import psutil

from jmml.errors import SweepError
from pipelines.compute import started_nodes
from pipelines.compute import token as tokens
from pipelines.compute.cluster_info import NODE_LABEL, VERSION_LABEL, Cluster, NodeState, ask, resolve
from pipelines.compute.started_nodes import Started
from pipelines.compute.token import Token

START_SECONDS = 120  # 5 s on an idle machine
GRACE_SECONDS = 12  # Ray ends its own processes within about 5 s
_STEP = 0.2


def up(
    *,
    port: int = 6379,
    dashboard_port: int = 8265,
    cpus: int | None = None,
    gpus: int | None = None,
    node_ip: str | None = None,
) -> tuple[Cluster, Token, bool]:
    """Start the head of a cluster on this machine; if one runs here already, that one.

    Whoever reaches a Ray head may run code on it: it listens on every interface, whatever address it is
    told. The token is therefore always on. The dashboard listens on loopback alone.

    Returns
    -------
    The cluster, its token, and whether it was started now.

    Raises
    ------
    SweepError : a port is taken, the node does not come up, or a head with another port runs here.
    """
    head = next((node for node in started_nodes.read() if node.role == "head" and node.running), None)
    if head is not None:
        if not head.address.endswith(f":{port}"):
            raise SweepError(
                f"a cluster is already up at {head.address} on this machine",
                fix="use it, or end it first with `jmml cluster down`",
            )
        found = token_for(head.address)
        if found is None:
            raise SweepError("its token is gone", where=f"cluster {head.address}", fix="`jmml cluster down`")
        return ask(head.address, found), found, False
    _require_free("", port, "--port")
    _require_free("127.0.0.1", dashboard_port, "--dashboard-port")
    token = tokens.make()
    arguments = [
        "--head",
        f"--port={port}",
        "--dashboard-host=127.0.0.1",
        f"--dashboard-port={dashboard_port}",
        f"--ray-client-server-port={_free_port()}",  # not used; its fixed default may be taken
    ]
    address = f"127.0.0.1:{port}"
    _, cluster = _start("head", arguments, address, token, cpus, gpus, node_ip)
    return cluster, token, True


def join(
    address: str, *, token_file: Path | None = None, cpus: int | None = None, gpus: int | None = None
) -> tuple[Cluster, NodeState]:
    """Start a node of an existing cluster on this machine; several on one machine are possible.

    Raises
    ------
    SweepError : nothing answers, the token is wrong or missing, versions differ, or the node does not come up.
    """
    resolved = _real(resolve(address) or address)
    token = tokens.find(token_file) if token_file else token_for(resolved)
    cluster = ask(resolved, token)
    cluster.check_versions(resolved)
    if not cluster.protected:
        raise SweepError(
            "the cluster asks for no token: anyone who reaches it may run code on every node",
            where=resolved,
            fix="start it with `jmml cluster up`, or join with `ray start` if you mean it",
        )
    assert token is not None  # a protected cluster accepted it
    node, cluster = _start("worker", [f"--address={resolved}"], resolved, token, cpus, gpus, None)
    return cluster, node


def status(address: str | None = None, *, token_file: Path | None = None) -> Cluster:
    """The cluster at ``address``, ``RAY_ADDRESS``, or the one of this machine, as it is now.

    Raises
    ------
    SweepError : there is none, it does not answer, or the token is wrong or missing.
    """
    resolved = resolve(address) or resolve("auto")
    assert resolved is not None  # `auto` raises
    return ask(resolved, tokens.find(token_file) if token_file else token_for(resolved))


def down(address: str | None = None) -> list[Started]:
    """End the nodes started on this machine, workers first; with ``address`` those of that cluster.

    Each is known by its process number and start, so nothing else can be hit. A node is asked first; what
    has not gone after 12 s is killed. Returns what was ended.
    """
    wanted = _real(resolve(address) or address) if address else None
    ended = []
    for node in sorted(started_nodes.read(), key=lambda node: node.role == "head"):
        if wanted is not None and node.address != wanted:
            continue
        if end(node):
            ended.append(node)
        with started_nodes.changing() as nodes:
            if node in nodes:
                nodes.remove(node)
    return ended


def require_unused(address: str | None = None) -> None:
    """Refuse to end nodes of clusters on which something runs; a cluster that does not answer runs nothing.

    Parameters
    ----------
    address : as in :func:`down`.

    Raises
    ------
    SweepError : a cluster of which a node was started on this machine has users; the message names them.
    """
    wanted = _real(resolve(address) or address) if address else None
    running = {node.address for node in started_nodes.read() if node.running}
    for found in sorted(running if wanted is None else running & {wanted}):
        try:
            users = ask(found, token_for(found)).users
        except SweepError:
            continue
        if users:
            raise SweepError(
                f"in use by {', '.join(users)}",
                where=f"cluster {found}",
                fix="end what runs first (`jmml sweep stop NAME`), or end the nodes under it with --force",
            )


def end(node: Started) -> bool:
    """End one node with everything it started; whether there was anything to end."""
    members = _members(node)
    if not members:
        return False
    leader = [process for process in members if process.pid == node.pid]
    _signal(leader or members, signal.SIGTERM)  # `ray start --block` ends its children itself
    _, left = psutil.wait_procs(leader or members, timeout=GRACE_SECONDS)
    # What outlived the leader; what it started meanwhile has its session.
    left = {*left, *(process for process in members if process.is_running()), *_session(node.pid)}
    if left:
        _, left = psutil.wait_procs(left, timeout=2)
        _signal(left, signal.SIGKILL)
        psutil.wait_procs(left, timeout=5)
    return True


def token_for(address: str) -> Token | None:
    """The token that this machine has for a cluster: of the node that runs here, else as Ray looks for it."""
    for node in reversed(started_nodes.read()):
        if (
            node.address == address
            and node.running
            and (path := Path(node.token)).is_absolute()
            and path.exists()
        ):
            return tokens.find(path)
    return tokens.find()


def _start(
    role: str,
    arguments: list[str],
    address: str,
    token: Token,
    cpus: int | None,
    gpus: int | None,
    node_ip: str | None,
) -> tuple[NodeState, Cluster]:
    label = secrets.token_hex(6)
    started_nodes.folder().mkdir(parents=True, exist_ok=True, mode=0o700)
    log = started_nodes.folder() / f"{socket.gethostname()}-{role}-{label}.log"
    command = [
        str(_ray()),
        "start",
        "--block",
        *arguments,
        f"--labels={VERSION_LABEL}={version('jmml')},{NODE_LABEL}={label}",
        # Two nodes on one machine must not share the fixed ranges that are the default.
        "--min-worker-port=0",
        "--max-worker-port=0",
        "--dashboard-agent-listen-port=0",
        "--disable-usage-stats",
        "--log-style=record",
        "--log-color=false",
        *([f"--num-cpus={cpus}"] if cpus is not None else []),
        *([f"--num-gpus={gpus}"] if gpus is not None else []),
        *([f"--node-ip-address={node_ip}"] if node_ip else []),
    ]
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment | token.environment(),
            cwd=Path.home(),
            start_new_session=True,
        )
    node = Started(
        role, process.pid, started_nodes.identity(process.pid) or "", address, token.source, str(log), label
    )
    with started_nodes.changing() as nodes:
        nodes[:] = [other for other in nodes if other.running] + [node]
    try:
        state, cluster = _wait(process, node, token)
    except BaseException:
        end(node)
        with started_nodes.changing() as nodes:
            nodes[:] = [other for other in nodes if other.label != label]
        raise
    if role == "head":  # loopback will do here; others need the real one
        address = f"{state.ip}:{_port(address)}"
        with started_nodes.changing() as nodes:
            nodes[:] = [
                Started(**{**vars(other), "address": address}) if other.label == label else other
                for other in nodes
            ]
        cluster = ask(address, token)
    return state, cluster


def _wait(process: subprocess.Popen[bytes], node: Started, token: Token) -> tuple[NodeState, Cluster]:
    """Until the cluster shows the node."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SweepError(
                f"Ray did not start: {_reason(Path(node.log))}", where=node.log, fix="read the log, try again"
            )
        with contextlib.suppress(SweepError):
            cluster = ask(node.address, token)
            for state in cluster.nodes:
                if state.labels.get(NODE_LABEL) == node.label:
                    return state, cluster
        time.sleep(_STEP)
    raise SweepError(
        f"the node did not appear in the cluster within {START_SECONDS} s",
        where=node.log,
        fix="read the log; all TCP ports between the machines must be open",
    )


def _reason(log: Path) -> str:
    """The last line of a log that says something."""
    try:
        lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    except OSError:
        return "no log"
    errors = [line for line in lines if re.match(r"[\w.]*(Error|Exception): ", line)]
    return ((errors or lines)[-1] if lines else "no output")[:300]


def _ray() -> Path:
    """The `ray` of this environment."""
    path = Path(sys.executable).with_name("ray")
    if not path.exists():
        raise SweepError("no `ray` beside this Python", where=path, fix="pip install 'ray[default,tune]'")
    return path


def _require_free(host: str, port: int, option: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise SweepError(
                f"port {port} is taken: {error.strerror}",
                where=option,
                fix=f"choose another with {option}; `jmml cluster status` shows a cluster that runs here",
            ) from error


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


def _real(address: str) -> str:
    """For a loopback address, the one under which the head of this machine is on record."""
    host, _, port = address.rpartition(":")
    if host == "localhost" or host.strip("[]") == "::1" or host.startswith("127."):
        for node in started_nodes.read():
            if node.role == "head" and _port(node.address) == port:
                return node.address
    return address


def _port(address: str) -> str:
    return address.rpartition(":")[2]


def _members(node: Started) -> list[psutil.Process]:
    """The processes of a node; none if its number now belongs to something else."""
    found = started_nodes.identity(node.pid)
    if found is not None and found != node.identity:
        return []
    if found is None:  # the leader is gone: a session keeps its number while anything is left in it
        return [process for process in _session(node.pid) if _is_ray(process)]
    leader = psutil.Process(node.pid)
    with contextlib.suppress(psutil.Error):
        return list({leader, *leader.children(recursive=True), *_session(node.pid)})
    return []


def _session(number: int) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(OSError, psutil.Error):
            if os.getsid(process.pid) == number and process.uids().real == os.getuid():
                found.append(process)
    return found


def _is_ray(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return any("ray" in part for part in process.cmdline())
    return False


def _signal(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.send_signal(number)  # refuses a number that was given to another process since
