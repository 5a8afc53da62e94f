"""Ctrl-C once and twice, a termination signal, `jmml sweep stop`: each ends at once, keeps all, closes every run."""

from __future__ import annotations

import time

import pytest

from pipelines.run_tags import SWEEP_ID
from pipelines.sweep.stopping import stop_sweep
from tests.faults.same import assert_same, runs_of
from tests.faults.sweeps import AGENTS, RAYLET, Child, Sweep

pytestmark = pytest.mark.slow
INTERRUPTED = 130


def assert_closed(sweep: Sweep) -> None:
    """The journal is closed, and nothing is RUNNING in MLflow."""
    events = sweep.events()
    assert (events[-1]["e"], events[-1]["state"]) == ("close", "stopped")
    parent, children = runs_of(sweep)
    assert parent.info.status == "KILLED"
    assert parent.data.tags[SWEEP_ID] == events[0]["id"]
    ended = {f"{event['trial']:03d}" for event in events if event["e"] == "end"}
    statuses = {run.data.tags["jmml.trial_id"]: run.info.status for run in children}
    assert {name for name, status in statuses.items() if status == "FINISHED"} == ended
    assert set(statuses.values()) <= {"FINISHED", "KILLED"}


def begun(sweep: Sweep, driver: Child, *, trials: int) -> None:
    """So many trials are over, and the next ones are at work."""
    sweep.after(driver, "end", trials)
    sweep.after(driver, "report", 25 * trials + 10)


def test_ctrl_c_then_a_termination_signal(sweep, expected):
    one = sweep("tpe")
    driver = one.run()
    begun(one, driver, trials=1)
    driver.interrupt()
    line = driver.fails(INTERRUPTED, "interrupted; ", f"jmml sweep resume {one.name}")
    assert " of 8 trials are done and kept, best score " in line
    driver.leaves_nothing()
    assert_closed(one)
    driver = one.resume()
    begun(one, driver, trials=4)
    driver.terminate()
    driver.fails(INTERRUPTED, "terminated; ")
    driver.leaves_nothing()
    assert_closed(one)
    one.resume().succeeds()
    assert_same(one, expected("tpe"))


def test_ctrl_c_twice_then_a_request_to_stop(sweep, expected, monkeypatch):
    one = sweep()
    driver = one.run()
    begun(one, driver, trials=2)
    driver.interrupt()
    time.sleep(0.15)  # as quickly as a person can
    driver.interrupt()
    driver.fails(INTERRUPTED, "interrupted; ")
    driver.leaves_nothing()
    assert one.events()[-1]["e"] == "close"
    driver = one.resume()
    begun(one, driver, trials=4)
    monkeypatch.setenv("JMML_SHARED", str(one.shared))
    assert stop_sweep(one.project, one.name).startswith(
        f"sweep {one.name} has stopped; "
    )  # by this process: a new one may come too late
    driver.fails(INTERRUPTED, "stopped by ")
    driver.leaves_nothing()
    assert_closed(one)
    one.resume().succeeds()
    assert_same(one, expected("random"))


@pytest.mark.parametrize(
    ("service", "interrupt"),
    [(RAYLET, Child.interrupt), (AGENTS[0], Child.terminate)],
    ids=["Ctrl-C with the raylet", "SIGTERM with its agents"],
)
def test_interrupted_while_ray_starts(sweep, service, interrupt):
    """Its start, broken off, would leave agents behind for a minute, or end the driver with a crash."""
    one = sweep()
    driver = one.run()
    driver.until(lambda: driver.members(service), f"{service} is there")
    interrupt(driver)
    driver.fails(INTERRUPTED, "interrupted while Ray was starting", "nothing is lost")
    driver.leaves_nothing()
    assert not one.folder.path.exists()
