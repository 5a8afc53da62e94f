from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from jmml.errors import SweepError
from pipelines.sweep.gcs import origin
from pipelines.sweep.session import Resources, ray_session


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


def test_what_fits():
    have = Resources(cpus=10, gpus=1, nodes=2, largest=((2, 1), (8, 0)))
    assert have.fits(8, 0)
    assert have.fits(1, 0.5)
    assert not have.fits(3, 0.5)  # the CPUs and the GPU are on different nodes
    assert have.slots(2, 0) == 5
    assert have.slots(0.1, 0.1) == 10
    assert have.slots(1, 2) == 0


DYING = """
import os, time
import ray
from ray._private import worker
from pipelines.sweep.session import ray_session, ray_watch

def dead(reason):
    print(f"{time.monotonic() - killed:.1f} {reason}", flush=True)
    os._exit(1)

@ray.remote
def work():
    time.sleep(600)

with ray_session(cpus=1), ray_watch(dead):
    task = work.remote()
    time.sleep(1)
    killed = time.monotonic()
    worker._global_node.all_processes["SERVICE"][0].process.kill()
    ray.get(task)
"""


@pytest.mark.slow
@pytest.mark.parametrize("service", ["raylet", "gcs_server"])
def test_the_death_of_ray_is_noticed(service):
    result = subprocess.run(
        [sys.executable, "-c", DYING.replace("SERVICE", service)],
        capture_output=True,
        text=True,
        timeout=50,  # by itself Ray waits for ever, or aborts after 60 s
        cwd=Path(__file__).parents[3],
    )
    assert result.returncode == 1
    seconds, _, reason = result.stdout.strip().partition(" ")
    assert reason == f"Ray's {service} ended (exit status -9)"
    assert float(seconds) < 10
