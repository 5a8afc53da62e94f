from __future__ import annotations

import os
import socket
import subprocess
from types import SimpleNamespace

import psutil
import pytest

from jmml.errors import SweepError
from pipelines.compute import ray_session as session
from pipelines.compute.cluster_info import origin
from pipelines.compute.ray_session import Resources, ray_session, ray_watch
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("no_ray")


@pytest.mark.parametrize("form", ["127.0.0.1:{}", "ray://127.0.0.1:{}", "[::1]:{}"])
def test_a_cluster_that_is_not_there(monkeypatch, form):
    with socket.socket() as taken:  # bound, not listening: nothing else can answer at this port
        taken.bind(("127.0.0.1", 0))
        address = form.format(taken.getsockname()[1])
        monkeypatch.setenv("RAY_ADDRESS", address)
        monkeypatch.delenv("RAY_AIR_NEW_OUTPUT", raising=False)
        with pytest.raises(SweepError, match="cannot reach the Ray cluster") as caught, ray_session(cpus=1):
            pass
    assert f"RAY_ADDRESS={address}" in str(caught.value)
    assert "unset RAY_ADDRESS" in str(caught.value)
    assert "RAY_AIR_NEW_OUTPUT" not in os.environ


def test_an_address_is_called_as_it_was_given(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "h:1")
    assert origin("h:1") == origin(None) == "RAY_ADDRESS=h:1"  # which the command line takes for --address
    assert origin("h:2") == "--address h:2"


def test_an_address_beats_the_environment(monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv("RAY_ADDRESS", "elsewhere:1")
        with (
            pytest.raises(SweepError, match=f"--address {address}") as caught,
            ray_session(cpus=1, address=address),
        ):
            pass
    assert "leave out --address" in str(caught.value)


SLOW = "The current node timed out during startup. This could happen because some of the raylet failed"


def starts(monkeypatch, *failures):
    """``ray.init`` that fails so, one after the other, and leaves a process behind each time."""
    left, coming = [], list(failures)

    def init(**options):
        if coming:
            left.append(subprocess.Popen(["sleep", "100"]))
            raise Exception(coming.pop(0))

    monkeypatch.setattr(session.ray, "is_initialized", lambda: False)
    monkeypatch.setattr(session.ray, "init", init)
    monkeypatch.setattr(session.ray, "shutdown", lambda: None)
    monkeypatch.setattr(session, "_make_token", lambda: None)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    return left


def test_a_start_that_a_busy_machine_makes_too_slow_is_tried_again_and_leaves_nothing(monkeypatch):
    left, notes = starts(monkeypatch, SLOW, SLOW), []
    with ray_session(cpus=1, note=notes.append):
        assert len(left) == 2
        assert not any(psutil.pid_exists(process.pid) for process in left)
    assert len(notes) == 2
    assert all(note.startswith("waiting for Ray") for note in notes)


@pytest.mark.parametrize(("failures", "tries"), [([SLOW] * 3, 3), (["No space left on device"], 1)])
def test_a_start_that_fails_for_good_is_one_line(monkeypatch, failures, tries):
    left = starts(monkeypatch, *failures, "never reached")
    with pytest.raises(SweepError, match=r"cannot start Ray: .*try again"), ray_session(cpus=1):
        pass
    assert len(left) == tries
    assert not any(psutil.pid_exists(process.pid) for process in left)


def test_what_fits():
    have = Resources(cpus=10, gpus=1, nodes=2, largest=((2, 1), (8, 0)))
    assert have.fits(8, 0)
    assert have.fits(1, 0.5)
    assert not have.fits(3, 0.5)  # the CPUs and the GPU are on different nodes
    assert have.slots(2, 0) == 5
    assert have.slots(0.1, 0.1) == 10
    assert have.slots(1, 2) == 0


@pytest.mark.parametrize("service", ["raylet", "gcs_server"])
def test_the_death_of_ray_is_noticed(monkeypatch, service):
    """By itself Ray waits for ever, or aborts after a minute; what a driver does then is in tests/faults/test_kills."""
    monkeypatch.setattr(session, "_LOOK_SECONDS", 0.01)
    services = {name: subprocess.Popen(["sleep", "600"]) for name in ("raylet", "gcs_server")}
    monkeypatch.setattr(session, "_started", lambda kind: [services[kind]] if kind in services else [])
    reasons = []
    try:
        with ray_watch(reasons.append):
            services[service].kill()
            until(lambda: reasons, "the news")
    finally:
        for process in services.values():
            process.kill()
            process.wait()
    assert reasons == [f"Ray's {service} ended (exit status -9)"]  # once


def test_a_part_of_a_cluster_is_dead_when_it_has_refused_for_a_while(monkeypatch):
    clock, refusing = [0.0], set()
    node = {"NodeID": "n", "NodeManagerAddress": "10.0.0.2", "NodeManagerPort": 7}
    context = SimpleNamespace(get_node_id=lambda: "n", gcs_address="10.0.0.1:6379")
    monkeypatch.setattr(
        session, "ray", SimpleNamespace(get_runtime_context=lambda: context, nodes=lambda: [node])
    )
    monkeypatch.setattr(
        session, "reachable", lambda address, seconds: OSError() if address in refusing else None
    )
    monkeypatch.setattr(session, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    look = session._cluster_death()
    assert look() is None
    refusing.add("10.0.0.1:6379")
    for clock[0] in (1.0, 9.0):
        assert look() is None
    refusing.clear()
    assert look() is None  # it was away for a moment
    refusing.add("10.0.0.2:7")
    for clock[0] in (20.0, 29.0):
        assert look() is None
    clock[0] = 30.0
    assert look() == "the Ray cluster's node on this machine (10.0.0.2:7) has not answered for 10 s"
