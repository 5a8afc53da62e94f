from __future__ import annotations

import os
import socket

import pytest

from jmml.errors import SweepError
from pipelines.compute.cluster_info import origin
from pipelines.compute.ray_session import Resources, ray_session

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


def test_what_fits():
    have = Resources(cpus=10, gpus=1, nodes=2, largest=((2, 1), (8, 0)))
    assert have.fits(8, 0)
    assert have.fits(1, 0.5)
    assert not have.fits(3, 0.5)  # the CPUs and the GPU are on different nodes
    assert have.slots(2, 0) == 5
    assert have.slots(0.1, 0.1) == 10
    assert have.slots(1, 2) == 0
