from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from cli.app import app
from jmml.errors import SweepError
from pipelines.compute import nodes, started_nodes
from pipelines.compute.cluster_info import Cluster
from tests.cli import console


@pytest.mark.parametrize("command", ["up", "join", "status", "down"])
def test_help(command):
    result = CliRunner().invoke(app, ["cluster", command, "--help"])
    assert result.exit_code == 0
    assert "--help" in result.output


def test_join_needs_an_address():
    assert CliRunner().invoke(app, ["cluster", "join"]).exit_code == 2


@pytest.mark.parametrize("port", ["80", "70000", "x"])
def test_a_port_that_is_none(port):
    assert CliRunner().invoke(app, ["cluster", "up", "--port", port]).exit_code == 2


@pytest.fixture
def cluster(monkeypatch, tmp_path):
    """A node on record whose cluster has the users in this list; what is ended is in the other."""
    users, ended = ["team", "wide"], []
    node = started_nodes.Started(
        "head", os.getpid(), started_nodes.identity(os.getpid()), "10.0.0.5:6379", "x", "log", "x"
    )
    answer = Cluster("10.0.0.5:6379", True, "2", "3", None, (), ())
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(started_nodes, "read", lambda: [node])
    monkeypatch.setattr(nodes, "ask", lambda *args, **options: replace(answer, users=tuple(users)))
    monkeypatch.setattr(nodes, "end", lambda node: ended.append(node) or True)
    return users, ended


def test_down_is_refused_while_sweeps_run(capfd, cluster):
    users, ended = cluster
    code, out, err = console.run(capfd, "cluster", "down")
    assert (code, out, ended) == (SweepError.exit_code, "", [])
    assert err.startswith("error: cluster 10.0.0.5:6379: in use by team, wide. End what runs first")
    assert "--force" in err
    assert console.run(capfd, "cluster", "down", "--address", "10.0.0.6:6379")[0] == 0  # another one
    assert ended == []
    assert console.run(capfd, "cluster", "down", "--force")[:2] == (0, "ended head of 10.0.0.5:6379\n")
    users.clear()
    assert console.run(capfd, "cluster", "down")[0] == 0
    assert len(ended) == 2


def test_a_cluster_that_does_not_answer_can_be_ended(capfd, cluster, monkeypatch):
    def silent(*args, **options):
        raise SweepError("did not answer")

    monkeypatch.setattr(nodes, "ask", silent)
    assert console.run(capfd, "cluster", "down")[0] == 0
    assert len(cluster[1]) == 1


def test_the_group_imports_neither_ray_nor_psutil():
    code = (
        "import sys, cli.cluster; sys.exit(bool({'ray', 'psutil', 'grpc', 'pipelines'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
