"""Workers killed, a full disk, a journal that was cut off in the middle of a line, Ray's own files damaged."""

from __future__ import annotations

import json
import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from pipelines.sweep.record.journal import encode
from tests.faults.same import assert_same
from tests.faults.sweeps import WORKER, Child, Sweep

pytestmark = pytest.mark.slow
MIB = 2**20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path | None]:
    """A file system of 8 MiB; None where this user may mount none."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "faults", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode:
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_workers_killed_and_then_a_full_disk(sweep, expected, small_disk):
    one = sweep("tpe", shared=small_disk) if small_disk else sweep("tpe")
    driver = one.run()
    one.in_the_middle(driver, trials=1)
    kill_workers(one, driver, most=1)
    one.in_the_middle(driver, trials=3)  # the sweep goes on
    kill_workers(one, driver, most=2)
    one.in_the_middle(driver, trials=5)
    assert any(event["e"] == "start" and event["attempt"] > 1 for event in one.events())
    if small_disk:
        reason = "No space left on device"
        fill(small_disk / "ballast")
    else:  # no file of the driver may grow any more
        reason = "File too large"
        size = one.folder.journal.stat().st_size
        psutil.Process(driver.pid).rlimit(psutil.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    driver.fails(9, f"journal: cannot be written: {reason}")
    driver.leaves_nothing()
    if small_disk:
        refused = one.resume()
        refused.fails(refused.wait(), "No space left")
        (small_disk / "ballast").unlink()
    one.resume().succeeds()
    assert_same(one, expected("tpe"))


def kill_workers(sweep: Sweep, driver: Child, *, most: int) -> None:
    """Kill workers, and wait until every trial that was at work is over or was started again."""
    before = at_work(sweep)
    for victim in driver.members(WORKER)[:most]:
        victim.kill()

    def went_on() -> bool:
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


def fill(path: Path) -> None:
    """Write until nothing fits any more."""
    with path.open("wb", buffering=0) as ballast:
        for size in (MIB // 4, 512, 1):
            while True:
                try:
                    ballast.write(b"\0" * size)
                except OSError:
                    break


def test_a_journal_cut_off_and_ray_files_damaged(sweep, expected):
    one = sweep()
    driver = one.run()
    one.after(driver, "end", 1)
    own = sorted(path for path in (one.folder.path / "ray").rglob("*") if path.is_file())
    for number, path in enumerate(own):
        if number % 2:
            path.unlink()
        else:
            path.write_bytes(path.read_bytes()[:10])
    one.in_the_middle(driver, trials=3)
    driver.kill()
    driver.leaves_nothing()
    journal = one.folder.journal
    content = journal.read_bytes()
    last = content.rstrip(b"\n").rfind(b"\n") + 1
    if json.loads(one.folder.shipped.read_text())["offset"] <= last:  # else MLflow has it: it was on the disk
        content = content[: last + (len(content) - last) // 2]
    else:
        content += encode({"e": "report", "t": 0, "trial": 4})[:-9]
    journal.write_bytes(content)
    left = one.folder.path / "ray" / "tune"
    left.mkdir(parents=True, exist_ok=True)
    (left / "experiment_state-2026-01-01_00-00-00.json").write_text('{"trial_data": [')
    (left / "tuner.pkl").write_bytes(b"\x80\x05")
    one.resume().succeeds()
    assert_same(one, expected("random"))
