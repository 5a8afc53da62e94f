"""kill -9, at chosen moments: of a worker, of the driver, of Ray's services."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from tests.faults.same import assert_same
from tests.faults.sweeps import GCS, RAYLET, TRIALS, WORKER, Child, Sweep

pytestmark = pytest.mark.slow


def run_exists(sweep: Sweep) -> bool:
    """Whether MLflow has the sweep's run, which the journal may not know yet."""
    identity = next((event["id"] for event in sweep.events() if event["e"] == "sweep"), None)
    database = sweep.project.mlruns_dir / "mlflow.db"
    if identity is None or not database.exists():
        return False
    with closing(sqlite3.connect(database, timeout=30)) as connection:
        query = "SELECT count(*) FROM tags WHERE key = 'jmml.sweep_id' AND value = ?"
        try:
            return bool(connection.execute(query, (identity,)).fetchone()[0])
        except sqlite3.OperationalError:  # the store is being set up
            return False


def in_the_first_trials(sweep: Sweep, driver: Child) -> None:
    sweep.after(driver, "start", 2)


def in_the_middle(sweep: Sweep, driver: Child) -> None:
    sweep.after(driver, "end", 3)
    sweep.after(driver, "report", 90)


def among_rungs(sweep: Sweep, driver: Child) -> None:
    """Trials wait for others, with their checkpoints."""
    driver.until(lambda: any("rung" in event for event in sweep.events()), "a trial waits at a rung")


def once_the_run_is_there(sweep: Sweep, driver: Child) -> None:
    driver.until(lambda: run_exists(sweep), "MLflow has the run")


def in_the_refit(sweep: Sweep, driver: Child) -> None:
    driver.says("refitting trial")


@pytest.mark.parametrize(
    ("algorithm", "moments"),
    [
        ("tpe", [in_the_first_trials, in_the_middle]),
        ("random", [once_the_run_is_there, in_the_refit]),
        ("hyperband", [among_rungs]),
        ("pbt", [among_rungs]),
    ],
)
def test_the_driver(sweep, expected, algorithm, moments):
    one = sweep(algorithm)
    for number, moment in enumerate(moments):
        driver = one.resume() if number else one.run()
        moment(one, driver)
        driver.kill()
        driver.leaves_nothing()
    one.resume().succeeds()
    assert_same(one, expected(algorithm))


def test_workers_while_the_sweep_goes_on(sweep, expected):
    one = sweep("tpe")
    driver = one.run()
    one.after(driver, "end", 2)
    one.after(driver, "report", 55)
    victim = driver.members(WORKER)[0]
    victim.kill()
    one.after(driver, "end", 4)
    for victim in driver.members(WORKER):
        victim.kill()
    driver.succeeds()
    assert_same(one, expected("tpe"))
    assert one.count("start") > TRIALS  # the killed ones were started again


@pytest.mark.parametrize("service", [RAYLET, GCS])
def test_a_service_of_ray(sweep, expected, service):
    one = sweep()
    driver = one.run()
    one.after(driver, "end", 2)
    one.after(driver, "report", 60)
    (victim,) = driver.members(service)
    victim.kill()
    driver.fails(9, f"Ray's {service} ended", f"jmml sweep resume {one.name}")
    driver.leaves_nothing()
    one.resume().succeeds()
    assert_same(one, expected("random"))
