"""What several files of tests start once each."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import psutil
import pytest

from jmml.errors import SweepError
from tests import forked, workers
from tests.e2e import commands
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


@contextmanager
def small(address: str) -> Iterator[None]:
    """Sessions that begin in the block are small, and take their workers from the server at ``address``."""
    from ray._private import ray_constants
    from ray._private.node import Node

    with pytest.MonkeyPatch.context() as patch:
        for name in workers.LEFT_OUT_HERE:
            patch.setattr(Node, name, workers.left_out)
        patch.setenv(workers.ADDRESS, address)
        patch.setattr(ray_constants, "SETUP_WORKER_FILENAME", workers.__file__)
        yield


class Session:
    """The Ray session of this process, opened when a test asks for it and kept for the next that does."""

    def __init__(self, address: str) -> None:
        self._open = ExitStack()
        self._is_open = False
        self._address = address

    def open(self) -> None:
        from pipelines.compute.ray_session import ray_session

        if not self._is_open:
            with small(self._address):
                patiently(lambda: self._open.enter_context(ray_session(cpus=2, user="tests")))
            self._is_open = True

    def close(self) -> None:
        self._is_open = False
        self._open.close()


@pytest.fixture(scope="session")
def workers_of_this_process() -> Iterator[str]:
    """Where Ray's nodes find workers that have imported all but Ray."""
    with workers.workers_of(forked.context().Process) as address:
        yield address


@pytest.fixture(scope="session")
def ray_of_this_process(workers_of_this_process: str) -> Iterator[Session]:
    session = Session(workers_of_this_process)
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


def forked_ray(command: list[str], **options: Any) -> forked.Forked:
    """``subprocess.Popen`` for the ``ray start`` of :mod:`pipelines.compute.nodes`."""
    assert options["stderr"] == subprocess.STDOUT
    assert options["start_new_session"]
    log = Path(options["stdout"].name)
    return forked.node(command[1:], cwd=options["cwd"], env=options["env"], log=log)


class Nodes:
    """A cluster of this machine below a home of its own: a protected head of one CPU, begun when it is not there.

    Parameters
    ----------
    programs : folder of the `jmml` that runs in its jobs; its nodes and their workers are then forked like it
        (:mod:`tests.forked`). Without one all of them are what a user's are.
    """

    def __init__(self, folder: Path, programs: Path | None) -> None:
        self.folder, self.programs = folder, programs
        self.port, self.dashboard = free_port(), free_port()

    def environment(self, patch: pytest.MonkeyPatch) -> None:
        for name in LOGIN:
            patch.delenv(name, raising=False)
        patch.setenv("HOME", str(self.folder))
        patch.setenv("RAY_TMPDIR", str(self.folder))
        # A node that dies is noticed within seconds; one that is slow has ten of them for an answer.
        patch.setenv("RAY_health_check_period_ms", "500")
        patch.setenv("RAY_health_check_failure_threshold", "5")
        if self.programs is not None:
            began = SimpleNamespace(Popen=forked_ray, STDOUT=subprocess.STDOUT, DEVNULL=subprocess.DEVNULL)
            patch.setattr("pipelines.compute.nodes.subprocess", began)
            there = SimpleNamespace(executable=str(self.programs / "python"))
            patch.setattr("pipelines.compute.jobs.sys", there)

    def up(self) -> str:
        """The head's address."""
        from pipelines.compute import nodes

        found, _, _ = patiently(
            lambda: nodes.up(port=self.port, dashboard_port=self.dashboard, cpus=1, gpus=0)
        )
        return found.address


def processes_below(folder: Path) -> list[list[str]]:
    """The command lines of running processes that name a file below a folder."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            words = process.cmdline()
            if any(f"{folder}/" in word for word in words) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(words)
    return found


@pytest.fixture(scope="session")
def nodes_of_this_process() -> Iterator[Nodes]:
    from pipelines.compute import nodes

    folder = Path(tempfile.mkdtemp(prefix="jc"))  # short: Ray's sockets lie below it
    with commands.on_the_path(imported=()) as programs:
        found = Nodes(folder, programs)
        yield found
        with pytest.MonkeyPatch.context() as patch:
            found.environment(patch)
            nodes.down()
    assert not processes_below(folder)
    shutil.rmtree(folder, ignore_errors=True)


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
