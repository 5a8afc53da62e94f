"""State of a Ray cluster, asked of its head directly: an answer, or the reason why there is none, in milliseconds.

Ray's own way to join tries for 20 s and then says "failed to connect", whatever the reason.
"""

from __future__ import annotations

import contextlib
import os
import platform
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import grpc

from jmml.errors import SweepError
from pipelines.compute import started_nodes
from pipelines.compute.private_ray import Head
from pipelines.compute.token import Token

PROBE_SECONDS = 5
VERSION_LABEL, NODE_LABEL = "jmml-version", "jmml-node"
_DIRECT = (("grpc.enable_http_proxy", 0),)  # HTTP_PROXY is for other traffic


@dataclass(frozen=True)
class NodeState:
    """One living machine of a cluster; ``cpus`` and ``gpus`` in total and free."""

    id: str
    ip: str
    port: int
    hostname: str
    head: bool
    cpus: float
    gpus: float
    free_cpus: float
    free_gpus: float
    labels: Mapping[str, str]

    @property
    def here(self) -> bool:
        """Whether this machine is the node: one can only bind to an address of one's own."""
        try:
            with socket.socket(socket.AF_INET6 if ":" in self.ip else socket.AF_INET) as probe:
                probe.bind((self.ip, 0))
        except OSError:
            return False
        return True


@dataclass(frozen=True)
class Cluster:
    """A cluster that answered.

    Attributes
    ----------
    protected : whether it asks for a token.
    dashboard : HOST:PORT of dashboard and job server, as seen on the head; none if it has none.
    users : what runs on it now, by the name it gave (the sweep or study).
    """

    address: str
    protected: bool
    ray: str
    python: str
    dashboard: str | None
    nodes: tuple[NodeState, ...]
    users: tuple[str, ...]

    def check_versions(self, where: object) -> None:
        """Refuse a cluster whose machines would compute something else than this one.

        Raises
        ------
        SweepError : Ray, Python or jmml differ; Ray demands equal Python down to the patch release.
        """
        pairs = [("Ray", self.ray, version("ray")), ("Python", self.python, platform.python_version())]
        pairs += [
            (f"jmml on {node.hostname}", node.labels[VERSION_LABEL], version("jmml"))
            for node in self.nodes
            if VERSION_LABEL in node.labels
        ]
        for what, theirs, ours in pairs:
            if theirs != ours:
                raise SweepError(
                    f"the cluster runs {what} {theirs}",
                    where=where,
                    expected=f"{ours} as on this machine",
                    fix="install the same requirements.lock on every machine and start the cluster again",
                )


def resolve(address: str | None) -> str | None:
    """HOST:PORT for ``address`` or else ``RAY_ADDRESS``; none if neither is set.

    ``auto`` is ``RAY_ADDRESS`` where that is set, as Ray sets it for its jobs; else the cluster of the node that
    `jmml cluster` started last on this machine; else the one that Ray remembers.

    Raises
    ------
    SweepError : ``auto`` and no cluster runs here, or an address of another form.
    """
    named = os.environ.get("RAY_ADDRESS") or None
    given = named if address in (None, "", "auto") and named else address or None
    if given is None or given == "local":
        return None
    if given == "auto":
        if node := started_nodes.newest():
            return node.address
        found = _remembered()
        if not found or reachable(found):
            raise SweepError(
                "no Ray cluster runs on this machine",
                where=None if address == "auto" and not named else origin(address),
                fix="start one with `jmml cluster up`, or give HOST:PORT of its head",
            )
        return found
    host, _, port = given.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise SweepError(
            "not the address of a Ray cluster", where=origin(address), expected="HOST:PORT or auto"
        )
    return given


def _remembered() -> str | None:
    """The address of the cluster that `ray start` began last here, from the file that ``ray.init`` documents."""
    folder = os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp"
    try:
        found = (Path(folder) / "ray" / "ray_current_cluster").read_text().strip()
    except (OSError, UnicodeDecodeError):
        return None
    return found if found.rpartition(":")[2].isdecimal() else None


def origin(address: str | None) -> str:
    """Where an address came from, for messages."""
    named = os.environ.get("RAY_ADDRESS", "")
    return f"--address {address}" if address and address != named else f"RAY_ADDRESS={named}"


def reachable(address: str, seconds: float = PROBE_SECONDS) -> OSError | None:
    """Why nothing listens at HOST:PORT; ``None`` if something does."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=seconds).close()
    except OSError as error:
        return error
    return None


def ask(address: str, token: Token | None, *, where: object = None) -> Cluster:
    """The cluster at HOST:PORT, within a few seconds.

    The first question goes without the token, so that it is sent only to a cluster that asks for one.

    Raises
    ------
    SweepError : nothing listens there, something other than Ray does, or the token is missing or wrong.
    """
    where = where or address
    if failure := reachable(address):
        raise SweepError(
            f"cannot reach the Ray cluster: {failure.strerror or failure}",
            where=where,
            fix="start the cluster with `jmml cluster up` on its head node, or check address and firewall",
        )
    with grpc.insecure_channel(address, options=_DIRECT) as channel:
        protected = False
        try:
            Head(channel, None, PROBE_SECONDS).greet()
        except grpc.RpcError as error:
            protected = error.code() == grpc.StatusCode.UNAUTHENTICATED
            if not protected:
                raise _not_ray(error, where) from error
        if protected and token is None:
            raise SweepError(
                "the Ray cluster asks for a token and there is none here",
                where=where,
                fix="copy ~/.ray/auth_token from its head node to this machine, or set RAY_AUTH_TOKEN_PATH",
            )
        head = Head(channel, token.value if protected and token else None, PROBE_SECONDS)
        with _answers(where, token):
            versions = head.versions()
            return Cluster(
                address=address,
                protected=protected,
                ray=versions.get("ray_version", "unknown"),
                python=versions.get("python_version", "unknown"),
                dashboard=head.dashboard(),
                nodes=tuple(NodeState(**node) for node in head.nodes()),
                users=tuple(sorted(head.users())),
            )
    raise AssertionError("unreachable")


@contextlib.contextmanager
def _answers(where: object, token: Token | None) -> Iterator[None]:
    try:
        yield
    except grpc.RpcError as error:
        if error.code() != grpc.StatusCode.UNAUTHENTICATED:
            raise _not_ray(error, where) from error
        raise SweepError(
            f"the Ray cluster does not accept the token in {token.source if token else 'none'}",
            where=where,
            fix="copy ~/.ray/auth_token from the head node again",
        ) from error


def _not_ray(error: Any, where: object) -> SweepError:
    if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
        return SweepError(
            f"what listens there did not answer within {PROBE_SECONDS} s",
            where=where,
            expected="the head of a Ray cluster",
        )
    return SweepError(
        "what listens there is not a Ray cluster",
        where=where,
        expected="the port that `jmml cluster up` printed (6379 by default), not that of the dashboard",
    )
