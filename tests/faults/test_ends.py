"""Ctrl-C once and twice, a termination signal, `jmml sweep stop`: each ends at once, keeps all, closes every run."""

from __future__ import annotations

import re
import time

import pytest

from pipelines.sweep.execute.stopping import stop_sweep
from pipelines.tracking.run_tags import SWEEP_ID
from tests.faults.same import assert_same, runs_of
from tests.faults.sweeps import Child, Sweep

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


def ctrl_c(sweep: Sweep, driver: Child) -> str:
    driver.interrupt()
    line = driver.fails(INTERRUPTED, "interrupted; ", f"jmml sweep resume {sweep.name}")
    assert re.search(r" \d of 8 trials (is|are) done and kept, best score ", line)
    return "interrupted"


def termination(sweep: Sweep, driver: Child) -> str:
    driver.terminate()
    driver.fails(INTERRUPTED, "terminated; ")
    return "terminated"


def ctrl_c_twice(sweep: Sweep, driver: Child) -> str:
    driver.interrupt()
    time.sleep(0.15)  # as quickly as a person can
    driver.interrupt()
    driver.fails(INTERRUPTED, "interrupted; ")
    return "interrupted"


def request(sweep: Sweep, driver: Child) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JMML_SHARED", str(sweep.shared))
        said = stop_sweep(sweep.project, sweep.name)  # by this process: a new one may come too late
    assert said.startswith(f"sweep {sweep.name} has stopped; ")
    driver.fails(INTERRUPTED, "stopped by ")
    return "stopped by "


def test_every_way_to_end_it_early(sweep, expected):
    one = sweep("tpe")
    for number, end in enumerate((ctrl_c, termination, ctrl_c_twice, request)):
        driver = one.resume() if number else one.run()
        one.in_the_middle(driver, trials=(1, 2, 4, 5)[number])
        reason = end(one, driver)
        driver.leaves_nothing()
        assert one.events()[-1]["reason"].startswith(reason)
        if end is not ctrl_c_twice:  # then less is waited for
            assert_closed(one)
        assert one.events()[-1]["e"] == "close"
    one.resume().succeeds()
    assert_same(one, expected("tpe"))
