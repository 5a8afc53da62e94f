"""What several files of tests start once each."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

import pytest

from jmml.errors import SweepError
from tests.pipelines.tracked import free_port

# What a person may have set to reach a cluster of theirs.
LOGIN = (
    "RAY_ADDRESS",
    "RAY_API_SERVER_ADDRESS",
    "RAY_AUTH_MODE",
    "RAY_AUTH_TOKEN",
    "RAY_AUTH_TOKEN_PATH",
)


T = TypeVar("T")


def patiently(start: Callable[[], T]) -> T:
    """Start Ray, which gives up after 30 s by itself, however busy the machine is: it is tried three times."""
    for _ in range(2):
        try:
            return start()
        except SweepError:
            continue
    return start()


class Session:
    """The Ray session of this process, opened when a test asks for it and kept for the next that does."""

    def __init__(self) -> None:
        self._open = ExitStack()
        self._is_open = False

    def open(self) -> None:
        from pipelines.compute.ray_session import ray_session

        if not self._is_open:
            patiently(lambda: self._open.enter_context(ray_session(cpus=2, user="tests")))
            self._is_open = True

    def close(self) -> None:
        self._is_open = False
        self._open.close()


@pytest.fixture(scope="session")
def ray_of_this_process() -> Iterator[Session]:
    session = Session()
    yield session
    session.close()


@pytest.fixture(scope="module")
def ray_of_two(ray_of_this_process: Session) -> None:
    """A Ray session with two CPUs, one for all files: ``pytestmark = pytest.mark.usefixtures("ray_of_two")``."""
    ray_of_this_process.open()


@pytest.fixture
def no_ray(ray_of_this_process: Session) -> None:
    """No Ray session in this process; the next test that wants one begins a new one."""
    ray_of_this_process.close()


class Nodes:
    """A cluster of this machine below a home of its own: a protected head of one CPU, begun when it is not there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.dashboard = free_port(), free_port()

    def environment(self, patch: pytest.MonkeyPatch) -> None:
        for name in LOGIN:
            patch.delenv(name, raising=False)
        patch.setenv("HOME", str(self.folder))
        patch.setenv("RAY_TMPDIR", str(self.folder))
        # A node that dies is noticed within seconds; one that is slow has ten of them for an answer.
        patch.setenv("RAY_health_check_period_ms", "500")
        patch.setenv("RAY_health_check_failure_threshold", "5")

    def up(self) -> str:
        """The head's address."""
        from pipelines.compute import nodes

        found, _, _ = patiently(
            lambda: nodes.up(port=self.port, dashboard_port=self.dashboard, cpus=1, gpus=0)
        )
        return found.address


@pytest.fixture(scope="session")
def nodes_of_this_process() -> Iterator[Nodes]:
    from pipelines.compute import nodes

    found = Nodes(Path(tempfile.mkdtemp(prefix="jc")))  # short: Ray's sockets lie below it
    yield found
    with pytest.MonkeyPatch.context() as patch:
        found.environment(patch)
        nodes.down()
    shutil.rmtree(found.folder, ignore_errors=True)


@pytest.fixture
def cluster(nodes_of_this_process: Nodes, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Environment in which a cluster runs, one for all tests that want it; ended by the process number on record."""
    nodes_of_this_process.environment(monkeypatch)
    address = nodes_of_this_process.up()
    return {
        "address": address,
        "port": str(nodes_of_this_process.port),
        "dashboard": str(nodes_of_this_process.dashboard),
    }
