"""kill -9, at chosen moments: of the driver, of Ray's services; of workers in `test_disk.py`."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from tests.faults.same import assert_same
from tests.faults.sweeps import GCS, RAYLET, Child, Sweep

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
    sweep.in_the_middle(driver, trials=3)


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


def test_services_of_ray(sweep, expected):
    one = sweep()
    for trials, service in ((1, RAYLET), (4, GCS)):
        driver = one.resume() if trials > 1 else one.run()
        one.in_the_middle(driver, trials=trials)
        (victim,) = driver.members(service)
        victim.kill()
        driver.fails(9, f"Ray's {service} ended", f"jmml sweep resume {one.name}")
        driver.leaves_nothing()
    one.resume().succeeds()
    assert_same(one, expected("random"))
