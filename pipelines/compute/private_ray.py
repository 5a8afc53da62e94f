"""The private interfaces of Ray that jmml uses, all of them: the questions to a cluster's head, the login's reset, and
the end of its dumps on standard output.

Each may change with any release of Ray, hence the upper bound in ``pyproject.toml`` and the contract in
``tests/pipelines/compute/test_private_ray.py``. The public ways that were tried with Ray 2.60 do less:

``ray.core.generated`` (the head's own services)
    ``ray.init`` in a child process, then ``ray.nodes()``, takes 1.2 to 2.1 s beside the command's own start, where this
    takes 0.02 s; it works on the cluster's own machines alone, knows neither what is free on each node nor who uses
    it, and needs 20 s to say "failed to connect" where the token is wrong or missing. ``JobSubmissionClient`` and
    ``ray.util.state`` ask the dashboard, which listens on the head's loopback alone, and do not know what is free.
``ray._raylet.Config``, ``ray._raylet.AuthenticationTokenLoader``
    ``RAY_AUTH_*`` counts as it was when Ray was *imported* (set later, ``ray.init`` fails after 20 s), and which
    token a cluster wants is known only once it was asked. A process that drives Ray for this one would cost
    another start with all imports, and one process could never use two clusters with a token each.
``ray._private.worker.print_to_stdstream``
    A thread of Ray prints to ``sys.stdout`` for each worker and node that dies, whatever ``log_to_driver`` says. A
    ``sys.stdout`` that drops what this thread writes works until somebody puts another in its place, as
    ``contextlib.redirect_stdout``, notebooks and pytest do; the descriptor is the one that we print to as well.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import grpc
from ray._private import worker
from ray._raylet import AuthenticationTokenLoader, Config
from ray.core.generated import gcs_pb2, gcs_service_pb2, gcs_service_pb2_grpc


class Head:
    """The head of a cluster behind an open channel; every method asks it one question.

    Parameters
    ----------
    token : sent along with each question where there is one.
    seconds : for each answer.

    Raises
    ------
    grpc.RpcError : no answer, or a refusal, from each method.
    """

    def __init__(self, channel: grpc.Channel, token: str | None, seconds: float) -> None:
        self._channel = channel
        login = [] if token is None else [("authorization", f"Bearer {token}")]
        self._options: dict[str, Any] = {"metadata": login, "timeout": seconds}

    def greet(self) -> None:
        """The shortest of all questions."""
        self._nodes().GetClusterId(gcs_service_pb2.GetClusterIdRequest(), **self._options)

    def nodes(self) -> list[dict[str, Any]]:
        """Fields of :class:`~pipelines.compute.cluster_info.NodeState` for each living node, the head first."""
        found = self._nodes().GetAllNodeInfo(gcs_service_pb2.GetAllNodeInfoRequest(), **self._options)
        resources = gcs_service_pb2_grpc.NodeResourceInfoGcsServiceStub(self._channel)
        answer = resources.GetAllAvailableResources(
            gcs_service_pb2.GetAllAvailableResourcesRequest(), **self._options
        )
        free = {entry.node_id: dict(entry.resources_available) for entry in answer.resources_list}
        alive = [node for node in found.node_info_list if node.state == gcs_pb2.GcsNodeInfo.ALIVE]
        alive.sort(key=lambda node: (not node.is_head_node, node.start_time_ms))
        return [_node(node, free.get(node.node_id, {})) for node in alive]

    def users(self) -> set[str]:
        """The names that drivers gave under ``jmml`` in the metadata of their job, of those that run."""
        jobs = gcs_service_pb2_grpc.JobInfoGcsServiceStub(self._channel)
        found = jobs.GetAllJobInfo(gcs_service_pb2.GetAllJobInfoRequest(), **self._options).job_info_list
        return {
            job.config.metadata["jmml"] for job in found if not job.is_dead and "jmml" in job.config.metadata
        }

    def versions(self) -> Mapping[str, str]:
        """``ray_version`` and ``python_version`` of the cluster."""
        found: dict[str, str] = json.loads(self._value("cluster", "CLUSTER_METADATA") or "{}")
        return found

    def dashboard(self) -> str | None:
        """HOST:PORT of the dashboard, as seen on the head."""
        return self._value("dashboard", "dashboard") or None

    def _value(self, namespace: str, key: str) -> str:
        store = gcs_service_pb2_grpc.InternalKVGcsServiceStub(self._channel)
        question = gcs_service_pb2.InternalKVGetRequest(namespace=namespace.encode(), key=key.encode())
        return str(store.InternalKVGet(question, **self._options).value.decode())

    def _nodes(self) -> Any:
        return gcs_service_pb2_grpc.NodeInfoGcsServiceStub(self._channel)


def _node(info: Any, free: Mapping[str, float]) -> dict[str, Any]:
    total = dict(info.resources_total)
    return {
        "id": info.node_id.hex(),
        "ip": info.node_manager_address,
        "port": info.node_manager_port,
        "hostname": info.node_manager_hostname,
        "head": info.is_head_node,
        "cpus": total.get("CPU", 0.0),
        "gpus": total.get("GPU", 0.0),
        "free_cpus": free.get("CPU", 0.0),
        "free_gpus": free.get("GPU", 0.0),
        "labels": dict(info.labels),
    }


def reread_login() -> None:
    """Let Ray take ``RAY_AUTH_*`` from the environment again: whether to log in, and with which token."""
    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()


@contextmanager
def no_dumps() -> Iterator[None]:
    """No screenful of Ray's internal state on the *standard* output for each worker or node that dies.

    `--json` must stay JSON.
    """
    before = worker.print_to_stdstream
    worker.print_to_stdstream = _ignored
    try:
        yield
    finally:
        worker.print_to_stdstream = before


def _ignored(*arguments: Any, **options: Any) -> None:
    """In place of what Ray would print."""
