from __future__ import annotations

import shutil
import subprocess
from types import SimpleNamespace

import pytest

from pipelines.compute import ray_watch as watch
from tests.waiting import until


@pytest.mark.parametrize("service", ["raylet", "gcs_server"])
def test_the_death_of_ray_is_noticed(no_ray, monkeypatch, tmp_path, service):
    """By itself Ray waits for ever, or aborts after a minute; what a driver does then: tests/faults/test_on_ray."""
    monkeypatch.setattr(watch, "_LOOK_SECONDS", 0.01)
    services = {}
    for name in ("raylet", "gcs_server"):
        shutil.copy(shutil.which("sleep"), tmp_path / name)
        services[name] = subprocess.Popen([tmp_path / name, "600"])
    reasons = []
    try:
        with watch.ray_watch(reasons.append):
            services[service].kill()
            until(lambda: reasons, "the news")
    finally:
        for process in services.values():
            process.kill()
            process.wait()
    assert reasons == [f"Ray's {service} ended (exit status -9)"]  # once
    assert services[service].returncode == -9, "who started it still learns how it ended"


def test_a_part_of_a_cluster_is_dead_when_it_has_refused_for_a_while(monkeypatch):
    clock, refusing = [0.0], set()
    node = {"NodeID": "n", "NodeManagerAddress": "10.0.0.2", "NodeManagerPort": 7}
    context = SimpleNamespace(get_node_id=lambda: "n", gcs_address="10.0.0.1:6379")
    monkeypatch.setattr(
        watch, "ray", SimpleNamespace(get_runtime_context=lambda: context, nodes=lambda: [node])
    )
    monkeypatch.setattr(
        watch, "reachable", lambda address, seconds: OSError() if address in refusing else None
    )
    monkeypatch.setattr(watch, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    look = watch._cluster_death()
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
