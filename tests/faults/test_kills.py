"""kill -9 of the driver, at chosen moments, in the middle of a line too; what only Ray has is in test_on_ray."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest

from pipelines.sweep.record.journal import encode
from tests.faults.same import assert_same
from tests.faults.sweeps import Child, Sweep

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


def once_the_run_is_there(sweep: Sweep, driver: Child) -> None:
    driver.until(lambda: run_exists(sweep), "MLflow has the run")


def in_the_first_trials(sweep: Sweep, driver: Child) -> None:
    sweep.after(driver, "report", 4)


def in_the_middle(sweep: Sweep, driver: Child) -> None:
    sweep.in_the_middle(driver, trials=3)


def among_rungs(sweep: Sweep, driver: Child) -> None:
    """Trials wait for others, with their checkpoints."""
    driver.until(lambda: any("rung" in event for event in sweep.events()), "a trial waits at a rung")


def in_the_refit(sweep: Sweep, driver: Child) -> None:
    driver.says("refitting trial")


def cut_off(sweep: Sweep) -> None:
    """Take half of the journal's last line away, or add half a line where MLflow has that one: it was on the disk."""
    journal = sweep.folder.journal
    content = journal.read_bytes()
    last = content.rstrip(b"\n").rfind(b"\n") + 1
    shipped = sweep.folder.shipped
    if not shipped.exists() or json.loads(shipped.read_text())["offset"] <= last:
        content = content[: last + (len(content) - last) // 2]
    else:
        content += encode({"e": "report", "t": 0, "trial": 4})[:-9]
    journal.write_bytes(content)


@pytest.mark.parametrize(
    ("algorithm", "moments"),
    [
        ("tpe", [once_the_run_is_there, in_the_first_trials, in_the_middle, in_the_refit]),
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
        if moment is in_the_middle:
            cut_off(one)
    one.resume().succeeds()
    assert_same(one, expected(algorithm))
