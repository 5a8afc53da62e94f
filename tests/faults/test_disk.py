"""A full disk, on a file system of its own where the tests may mount one."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.faults.same import assert_same

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


def test_a_full_disk(sweep, expected, small_disk):
    # Without checkpoints, as each that is deleted would leave room for some lines more.
    one = sweep("tpe", checkpoints=60.0, **({"shared": small_disk} if small_disk else {}))
    driver = one.run()
    one.in_the_middle(driver, trials=2)
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


def fill(path: Path) -> None:
    """Write until nothing fits any more."""
    with path.open("wb", buffering=0) as ballast:
        for size in (MIB // 4, 512, 1):
            while True:
                try:
                    ballast.write(b"\0" * size)
                except OSError:
                    break
