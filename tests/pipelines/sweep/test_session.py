from __future__ import annotations

import os
import socket

import pytest

from jmml.errors import SweepError
from pipelines.sweep.session import ray_session


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
