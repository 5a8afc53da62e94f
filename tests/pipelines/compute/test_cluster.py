"""A real cluster on loopback: a head and further nodes on this machine, each ended by its process number."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import stat
import subprocess
import tempfile
import textwrap
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import psutil
import pytest

from jmml.errors import SweepError
from pipelines.compute import cluster_info, nodes, started_nodes
from pipelines.compute import token as tokens
from tests import forked
from tests.cli.console import run
from tests.pipelines.conftest import LOGIN, Nodes
from tests.pipelines.tracked import free_port
from tests.waiting import until


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in LOGIN:
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def entry(process: subprocess.Popen[bytes], **changes: str) -> started_nodes.Started:
    values = {
        "role": "worker",
        "pid": process.pid,
        "identity": started_nodes.identity(process.pid),
        "address": "10.0.0.1:6379",
        "token": "RAY_AUTH_TOKEN",
        "log": "log",
        "label": "x",
    }
    return started_nodes.Started(**(values | changes))


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "100"], start_new_session=True)
    yield process
    process.kill()
    process.wait()


# Without Ray -------------------------------------------------------------------------------------


def test_a_token_is_made_once_and_closed_to_others(home):
    token = tokens.make()
    assert token.path == home / ".ray" / "auth_token"
    assert stat.S_IMODE(token.path.stat().st_mode) == 0o600
    assert len(token.value) == 64
    assert token.value not in repr(token)
    token.path.chmod(0o644)  # as Ray leaves it
    assert tokens.make() == token
    assert stat.S_IMODE(token.path.stat().st_mode) == 0o600


def test_where_a_token_is_looked_for(home, monkeypatch):
    assert tokens.find() is None
    file = home / "elsewhere"
    file.write_text("b\n")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(file))
    assert tokens.find().value == "b"
    monkeypatch.setenv("RAY_AUTH_TOKEN", "a")
    assert tokens.find().environment() == {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "a"}
    named = tokens.find(file)
    assert named.value == "b"
    assert named.environment()["RAY_AUTH_TOKEN"] == ""


def test_a_token_file_that_cannot_be_used(home):
    with pytest.raises(SweepError, match="No such file"):
        tokens.find(home / "none")
    (home / "empty").touch()
    with pytest.raises(SweepError, match="empty"):
        tokens.find(home / "empty")


def test_a_process_is_known_by_its_start(sleeper):
    first = started_nodes.identity(sleeper.pid)
    assert first is not None
    assert first == started_nodes.identity(sleeper.pid)
    assert first != started_nodes.identity(os.getpid())
    sleeper.kill()
    until(lambda: started_nodes.identity(sleeper.pid) is None, "the end of a zombie, which is over")


def test_down_never_ends_a_process_that_got_the_number_later(home, sleeper):
    with started_nodes.changing() as started:
        started.append(entry(sleeper, identity="another boot:1"))
    assert nodes.down() == []
    assert sleeper.poll() is None
    assert started_nodes.read() == []


def test_down_ends_what_is_on_record_and_its_session(home):
    process = subprocess.Popen(["sh", "-c", "trap '' TERM; sleep 100 & wait"], start_new_session=True)
    try:
        until(lambda: psutil.Process(process.pid).children(), "the sleep of the shell")
        children = psutil.Process(process.pid).children()
        node = entry(process)
        with started_nodes.changing() as started:
            started.append(node)
        grace, nodes.GRACE_SECONDS = nodes.GRACE_SECONDS, 1
        try:
            assert nodes.down("10.0.0.2:6379") == []
            assert nodes.down() == [node]
        finally:
            nodes.GRACE_SECONDS = grace
        assert not node.running
        assert not any(child.is_running() for child in children)
    finally:
        process.kill()
        process.wait()


def test_records_of_several_nodes_and_a_broken_file(home, sleeper):
    with started_nodes.changing() as started:
        started += [entry(sleeper), entry(sleeper, role="head", label="y")]
    assert [node.label for node in started_nodes.read()] == ["x", "y"]
    assert started_nodes.newest().label == "y"
    started_nodes.path().write_text("{")
    assert started_nodes.read() == []


@pytest.mark.parametrize("address", ["nonsense", "host:", ":6379", "host:99999", "host:port"])
def test_an_address_of_another_form(home, address):
    with pytest.raises(SweepError, match="not the address of a Ray cluster"):
        cluster_info.resolve(address)


def test_what_an_address_means(home, monkeypatch, sleeper):
    assert cluster_info.resolve(None) is None
    assert cluster_info.resolve("a:1") == "a:1"
    with started_nodes.changing() as started:
        started.append(entry(sleeper))
    assert cluster_info.resolve("auto") == "10.0.0.1:6379"
    monkeypatch.setenv("RAY_ADDRESS", "b:2")
    assert cluster_info.resolve(None) == "b:2"
    assert cluster_info.resolve("auto") == "b:2"  # as Ray has it, and as its jobs need it
    assert cluster_info.resolve("a:1") == "a:1"


def test_a_cluster_that_ray_itself_started_is_found(home, monkeypatch, tmp_path):
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    (tmp_path / "ray").mkdir()
    with socket.socket() as head:
        head.bind(("127.0.0.1", 0))
        head.listen()
        address = f"127.0.0.1:{head.getsockname()[1]}"
        (tmp_path / "ray" / "ray_current_cluster").write_text(f"{address}\n")
        assert cluster_info.resolve("auto") == address
    for text in (address, "nonsense", ""):  # it has ended; a file of other content
        (tmp_path / "ray" / "ray_current_cluster").write_text(text)
        with pytest.raises(SweepError, match="no Ray cluster runs"):
            cluster_info.resolve("auto")


def test_no_cluster_on_this_machine(home, monkeypatch, tmp_path, capfd):
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    code, _, err = run(capfd, "cluster", "status")
    assert code == SweepError.exit_code
    assert "no Ray cluster runs on this machine" in err
    assert "jmml cluster up" in err
    code, out, _ = run(capfd, "cluster", "down")
    assert code == 0
    assert "nothing runs here" in out


def test_something_else_listens(home, monkeypatch):
    monkeypatch.setattr(cluster_info, "PROBE_SECONDS", 0.5)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(SweepError, match=r"did not answer|not a Ray cluster"):
            cluster_info.ask(address, None)
    with pytest.raises(SweepError, match="cannot reach"):
        cluster_info.ask(address, None)


@pytest.mark.parametrize("option", ["--port", "--dashboard-port"])
def test_a_port_that_is_taken(home, capfd, option):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports = {"--port": free_port(), "--dashboard-port": free_port()} | {option: taken.getsockname()[1]}
        code, _, err = run(capfd, "cluster", "up", *(f"{name}={port}" for name, port in ports.items()))
    assert code == SweepError.exit_code
    assert f"{option}: port {ports[option]} is taken" in err
    assert started_nodes.read() == []


def test_other_versions_are_refused():
    node = cluster_info.NodeState(
        "1", "10.0.0.1", 1, "big", True, 1, 0, 1, 0, {cluster_info.VERSION_LABEL: "0.0.1"}
    )

    def cluster(ray: str, python: str) -> cluster_info.Cluster:
        return cluster_info.Cluster("a:1", True, ray, python, None, (node,), ())

    same = platform.python_version()
    with pytest.raises(SweepError, match=r"runs Ray 1\.0"):
        cluster("1.0", same).check_versions("a:1")
    with pytest.raises(SweepError, match=r"runs Python 3\.0"):
        cluster(version("ray"), "3.0").check_versions("a:1")
    with pytest.raises(SweepError, match=r"runs jmml on big 0\.0\.1"):
        cluster(version("ray"), same).check_versions("a:1")


@pytest.mark.parametrize("has_token", [False, True])
def test_a_cluster_that_asks_for_no_token_is_not_joined(home, monkeypatch, has_token):
    if has_token:
        tokens.make()
    open_to_all = cluster_info.Cluster("a:1", False, version("ray"), platform.python_version(), None, (), ())
    monkeypatch.setattr(nodes, "ask", lambda address, token: open_to_all)
    monkeypatch.setattr(nodes, "_start", lambda *args: pytest.fail("a node was started"))
    with pytest.raises(SweepError, match="asks for no token: anyone who reaches it may run code"):
        nodes.join("a:1")


# A real cluster; sweeps on it are in sweep/test_on_cluster ------------------------------------------


JOINS = """
    import sys
    from pipelines.compute.ray_session import ray_session

    with ray_session(cpus=1, address=sys.argv[1]):
        pass
"""


def test_a_head_asks_for_its_token_at_once(cluster, tmp_path):
    wrong = tmp_path / "token"
    wrong.write_text("0" * 64)
    known = started_nodes.read()
    with pytest.raises(SweepError, match="does not accept the token in"):
        nodes.join(cluster["address"], token_file=wrong)
    with pytest.raises(SweepError, match="asks for a token"):
        cluster_info.ask(cluster["address"], None)
    out, err = tmp_path / "out", tmp_path / "err"
    driver = forked.script(
        textwrap.dedent(JOINS),
        [f"127.0.0.1:{cluster['port']}"],
        cwd=Path(__file__).parents[3],
        env=os.environ | {"RAY_AUTH_TOKEN_PATH": str(wrong)},
        out=out,
        err=err,
    )
    until(lambda: driver.poll() is not None, "the end of the driver")
    assert "does not accept the token" in err.read_text()  # Ray alone takes 20 s and does not say why
    assert started_nodes.read() == known


def test_the_dashboard_is_on_loopback_and_the_token_is_not_in_the_log(cluster):
    secret = tokens.find().value
    node = next(node for node in started_nodes.read() if node.role == "head" and node.running)
    assert secret not in Path(node.log).read_text()
    assert secret not in started_nodes.path().read_text()
    assert all(secret not in " ".join(p.cmdline()) for p in psutil.Process(node.pid).children(recursive=True))
    listening = {
        connection.laddr.ip
        for child in psutil.Process(node.pid).children()
        for connection in child.net_connections()
        if connection.status == "LISTEN" and connection.laddr.port == int(cluster["dashboard"])
    }
    assert listening == {"127.0.0.1"}


def test_up_again_and_up_elsewhere(cluster, capfd):
    ports = ("--port", cluster["port"], "--dashboard-port", cluster["dashboard"])
    code, out, _ = run(capfd, "cluster", "up", *ports)
    assert code == 0
    assert f"already up at {cluster['address']}" in out
    assert f"--address {cluster['address']}" in out
    assert tokens.find().value not in out
    code, _, err = run(capfd, "cluster", "up", "--port", str(free_port()))
    assert code == SweepError.exit_code
    assert "already up" in err
    assert len([node for node in started_nodes.read() if node.role == "head"]) == 1


@pytest.mark.long
def test_the_ray_of_this_environment_begins_a_head_and_down_ends_it(monkeypatch):
    """In the other tests its process is forked; there test_on_cluster has one ended that has lost its head."""
    folder = tempfile.mkdtemp(prefix="jc", dir="/tmp")  # short: Ray's sockets lie below it
    try:
        real = Nodes(Path(folder), None)
        real.environment(monkeypatch)
        address = real.up()
        (node,) = started_nodes.read()
        below = [psutil.Process(node.pid), *psutil.Process(node.pid).children(recursive=True)]
        assert "ray" in Path(below[0].cmdline()[1]).name
        assert len(nodes.status(address).nodes) == 1
        assert nodes.down() == [node]
        until(lambda: not any(process.is_running() for process in below), "the end of all processes")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
