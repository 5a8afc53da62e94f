"""What only Ray has: workers killed at work, its services and its files, a driver that leaves it behind.

One sweep suffers everything in turn, as each session on Ray takes as long as a sweep of the other files here.
"""

from __future__ import annotations

import pytest

from tests.faults.same import assert_same
from tests.faults.sweeps import AGENTS, GCS, RAYLET, SWEEP_S, WORKER, Child, Sweep
from tests.faults.test_ends import INTERRUPTED, assert_closed, ctrl_c
from tests.faults.test_kills import cut_off
from tests.workers import WHOLE

pytestmark = pytest.mark.slow


@pytest.fixture
def on_ray() -> bool:
    return True


def test_all_that_can_happen_to_ray(sweep, expected):
    one = sweep("tpe")
    driver = one.run(**{WHOLE: "yes"})
    interrupt_its_start(one, driver, RAYLET, Child.interrupt)

    driver = one.run(**{WHOLE: "yes"})
    has_reported(one, driver)
    damage_files_of_ray(one)
    kill_workers(one, driver, most=2)
    has_reported(one, driver)  # the sweep goes on
    driver.kill()
    driver.leaves_nothing()
    cut_off(one)
    leave_files_of_ray(one)

    for service in (RAYLET, GCS):
        driver = one.resume()
        has_reported(one, driver)
        (victim,) = driver.members(service)
        victim.kill()
        driver.fails(9, f"Ray's {service} ended", f"jmml sweep resume {one.name}")
        driver.leaves_nothing()

    driver = one.resume()
    has_reported(one, driver)
    ctrl_c(one, driver)
    driver.leaves_nothing()
    assert_closed(one)

    one.resume().succeeds()
    assert_same(one, expected("tpe"))


@pytest.mark.long
def test_workers_killed_one_after_another(sweep, expected):
    one = sweep("tpe")
    driver = one.run()
    for most in (1, 2):
        has_reported(one, driver)
        kill_workers(one, driver, most=most)
    assert driver.wait(SWEEP_S) == 0, str(driver)
    assert_same(one, expected("tpe"))


@pytest.mark.long
def test_terminated_while_ray_starts(sweep):
    one = sweep()
    driver = one.run(**{WHOLE: "yes"})
    interrupt_its_start(one, driver, AGENTS[0], Child.terminate)


def has_reported(sweep: Sweep, driver: Child) -> None:
    """Wait until trials at work have reported something new."""
    sweep.after(driver, "report", sweep.count("report") + 2)


def interrupt_its_start(sweep: Sweep, driver: Child, service: str, interrupt) -> None:
    """Its start, broken off, would leave agents behind for a minute, or end the driver with a crash."""
    driver.until(lambda: driver.members(service), f"{service} is there")
    interrupt(driver)
    driver.fails(INTERRUPTED, "interrupted while Ray was starting", "nothing is lost")
    driver.leaves_nothing()
    assert not sweep.folder.path.exists()


def damage_files_of_ray(sweep: Sweep) -> None:
    """Of Tune's own files, delete every second one, and cut the others off."""
    own = sorted(path for path in (sweep.folder.path / "ray").rglob("*") if path.is_file())
    assert own
    for number, path in enumerate(own):
        if number % 2:
            path.unlink()
        else:
            path.write_bytes(path.read_bytes()[:10])


def leave_files_of_ray(sweep: Sweep) -> None:
    """Files of an earlier driver that Tune would read, or stumble over."""
    left = sweep.folder.path / "ray" / "tune"
    left.mkdir(parents=True, exist_ok=True)
    (left / "experiment_state-2026-01-01_00-00-00.json").write_text('{"trial_data": [')
    (left / "tuner.pkl").write_bytes(b"\x80\x05")


def kill_workers(sweep: Sweep, driver: Child, *, most: int) -> None:
    """Kill workers until a trial that was at work is started again, and until no trial is without a worker."""
    attempts = sweep.count("start")
    known = {event["trial"] for event in sweep.events() if event["e"] == "start"}

    def again() -> bool:
        started = [event for event in sweep.events() if event["e"] == "start"][attempts:]
        return any(event["trial"] in known and event["attempt"] > 1 for event in started)

    while not again():  # one that dies between two trials is only replaced
        before = at_work(sweep)
        for victim in driver.members(WORKER)[:most]:
            victim.kill()

        def went_on(before: dict[int, int] = before) -> bool:
            now = at_work(sweep)
            return all(now.get(trial, attempt + 1) > attempt for trial, attempt in before.items())

        driver.until(went_on, f"trials {sorted(before)} are over or started again")


def at_work(sweep: Sweep) -> dict[int, int]:
    """The attempt of each trial that has begun and is not over."""
    found: dict[int, int] = {}
    for event in sweep.events():
        if event["e"] == "start":
            found[event["trial"]] = event["attempt"]
        elif event["e"] == "end":
            found.pop(event["trial"], None)
    return found
