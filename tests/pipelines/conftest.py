"""What several files of tests start once each."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipelines.tracked import free_port

# What a person may have set to reach a cluster of theirs.
LOGIN = (
    "RAY_ADDRESS",
    "RAY_API_SERVER_ADDRESS",
    "RAY_AUTH_MODE",
    "RAY_AUTH_TOKEN",
    "RAY_AUTH_TOKEN_PATH",
)


@pytest.fixture(scope="module")
def ray_of_two():
    """A Ray session with two CPUs, for all tests of a file: ``pytestmark = pytest.mark.usefixtures("ray_of_two")``."""
    from pipelines.sweep.session import ray_session

    with ray_session(cpus=2):
        yield


@pytest.fixture(scope="module")
def cluster() -> Iterator[dict[str, str]]:
    """Environment in which a protected head of one CPU runs; ended by the process number on record."""
    from pipelines.cluster import nodes

    folder = Path(tempfile.mkdtemp(prefix="jc"))  # short: Ray's sockets lie below it
    patch = pytest.MonkeyPatch()
    for name in LOGIN:
        patch.delenv(name, raising=False)
    patch.setenv("HOME", str(folder))
    patch.setenv("RAY_TMPDIR", str(folder))
    patch.setenv("RAY_health_check_period_ms", "500")  # a dead node is noticed sooner
    patch.setenv("RAY_health_check_failure_threshold", "3")
    try:
        port, dashboard = free_port(), free_port()
        found, _, started = nodes.up(port=port, dashboard_port=dashboard, cpus=1, gpus=0)
        assert started
        yield {"address": found.address, "port": str(port), "dashboard": str(dashboard)}
    finally:
        nodes.down()
        patch.undo()
        shutil.rmtree(folder, ignore_errors=True)
