"""What jmml relies on of Ray beyond its public interfaces: the first tests to run after a new release of Ray."""

from __future__ import annotations

import os
import threading
from types import SimpleNamespace

import pytest
import ray

from pipelines.compute import cluster_info, private_ray, ray_start
from pipelines.compute import token as tokens


@pytest.fixture
def head(ray_of_two) -> cluster_info.Cluster:
    """What the head of the session that all files share says of itself."""
    return cluster_info.ask(ray.get_runtime_context().gcs_address, tokens.find())


def test_the_head_says_what_ray_s_public_interface_says_to_its_own_machines(head):
    (node,) = head.nodes
    (public,) = ray.nodes()
    assert node.id == public["NodeID"]
    assert (node.ip, node.port) == (public["NodeManagerAddress"], public["NodeManagerPort"])
    assert node.hostname == public["NodeManagerHostname"]
    assert (node.cpus, node.gpus) == (2, 0)
    assert node.labels == public["Labels"]
    assert node.head
    assert node.here
    assert (head.ray, head.protected) == (ray.__version__, True)


def test_the_head_says_what_is_free_on_each_node_and_who_uses_it(head):
    (node,) = head.nodes
    assert 0 <= node.free_cpus <= node.cpus
    assert head.users == ("tests",)
    assert head.dashboard is None or head.dashboard.startswith("127.0.0.1:")


def test_services_of_ray_are_children_with_these_names(ray_of_two):
    assert sorted(service.name() for service in ray_start.services()) == ["gcs_server", "raylet"]


def test_what_ray_prints_of_deaths_goes_through_the_function_that_is_replaced(monkeypatch):
    """The thread that prints looks the function up each time; what a real death prints is in test_pool."""
    from ray._private import worker

    died = {"job_id": None, "error_message": "a screenful"}
    over = threading.Event()
    listener = SimpleNamespace(
        gcs_error_subscriber=SimpleNamespace(subscribe=lambda: None, poll=lambda: (over.set(), died)),
        current_job_id=ray.JobID.nil(),
    )
    printed = []
    monkeypatch.setattr(worker, "_internal_kv_initialized", lambda: False)
    monkeypatch.setattr(worker, "print_to_stdstream", lambda data, **options: printed.append(data["lines"]))
    with private_ray.no_dumps():
        worker.listen_error_messages(listener, over)
    assert printed == []
    over.clear()
    worker.listen_error_messages(listener, over)
    assert printed == [["a screenful"]]


def test_the_login_is_taken_from_the_environment_again(no_ray, monkeypatch):
    from ray._raylet import AuthenticationMode, AuthenticationTokenLoader, get_authentication_mode

    def header() -> str:
        return str(AuthenticationTokenLoader.instance().get_token_for_http_header())

    before = os.environ.get("RAY_AUTH_MODE")
    try:
        monkeypatch.setenv("RAY_AUTH_MODE", "token")
        for secret in ("a" * 32, "b" * 32):
            monkeypatch.setenv("RAY_AUTH_TOKEN", secret)
            private_ray.reread_login()
            assert get_authentication_mode() == AuthenticationMode.TOKEN
            assert secret in header()
        monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
        private_ray.reread_login()
        assert get_authentication_mode() == AuthenticationMode.DISABLED
    finally:
        monkeypatch.undo()
        assert os.environ.get("RAY_AUTH_MODE") == before
        private_ray.reread_login()
