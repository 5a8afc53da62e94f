"""Faults at random moments, for as long as one likes: ``python -m tests.faults.chaos --minutes 10 --seed 0``.

Each round is a new sweep with one to three faults, each followed by `jmml sweep resume` until it is through, and then
the full check. One line per round says what was done; ``--seed S --only N`` does round N again. The first violation
ends it with exit code 1 and keeps the round's folder.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from tests.faults.same import Outcome, assert_same, outcome
from tests.faults.servers import Server
from tests.faults.sweeps import ALGORITHMS, GCS, RAYLET, SWEEP_S, WORKER, Child, Sweep, make_project
from tests.workers import WHOLE

Fault = Callable[[Sweep, Child, random.Random], None]
MAX_RESUMES = 4  # after the last fault; one is enough when all is well
OFTEN = 0.6  # of the faults come while trials run, the others at any time, start and refit included
LONGEST_S = 25.0


def _kill(process: psutil.Process) -> None:
    with suppress(psutil.Error):
        process.kill()


def worker(sweep: Sweep, driver: Child, rng: random.Random) -> None:
    """kill -9 of one worker or of all of them."""
    found = driver.members(WORKER)
    for process in rng.sample(found, rng.randint(1, len(found))) if found else []:
        _kill(process)


def driver(sweep: Sweep, driver: Child, rng: random.Random) -> None:
    driver.kill()


def everything(sweep: Sweep, driver: Child, rng: random.Random) -> None:
    """As when the machine's power fails, though its disk keeps all that was written."""
    driver.end()


def raylet(sweep: Sweep, driver: Child, rng: random.Random) -> None:
    for process in driver.members(RAYLET):
        _kill(process)


def gcs(sweep: Sweep, driver: Child, rng: random.Random) -> None:
    for process in driver.members(GCS):
        _kill(process)


def ctrl_c(sweep: Sweep, driver: Child, rng: random.Random) -> None:
    driver.interrupt()


def ctrl_c_twice(sweep: Sweep, driver: Child, rng: random.Random) -> None:
    driver.interrupt()
    time.sleep(rng.uniform(0.0, 2.0))
    driver.interrupt()


def termination(sweep: Sweep, driver: Child, rng: random.Random) -> None:
    driver.terminate()


def stop(sweep: Sweep, driver: Child, rng: random.Random) -> None:
    if sweep.folder.journal.exists():
        sweep.stop().wait()


def full(sweep: Sweep, driver: Child, rng: random.Random) -> None:
    """No file of the driver's may grow any more."""
    size = sweep.folder.journal.stat().st_size if sweep.folder.journal.exists() else 1000
    with suppress(psutil.Error):
        psutil.Process(driver.pid).rlimit(
            psutil.RLIMIT_FSIZE, (size + rng.randint(0, 3000), psutil.RLIM_INFINITY)
        )


def ray_files(sweep: Sweep, driver: Child, rng: random.Random) -> None:
    """Ray Tune's own files are cut off or deleted, and the driver is killed."""
    for path in (sweep.folder.path / "ray").rglob("*"):
        with suppress(OSError):
            if path.is_file() and rng.random() < 0.5:
                path.unlink()
            elif path.is_file():
                path.write_bytes(path.read_bytes()[:10])
    driver.kill()


def half_a_line(sweep: Sweep, driver: Child, rng: random.Random) -> None:
    """The driver is killed while it writes."""
    driver.kill()
    driver.leaves_nothing()
    if sweep.folder.journal.exists():
        with sweep.folder.journal.open("ab") as file:
            file.write(b'0badc0de {"e":"report","t":17'[: rng.randint(1, 29)])


def second_driver(sweep: Sweep, driver: Child, rng: random.Random) -> None:
    """Someone else resumes it meanwhile, and is refused; when the driver ends just then, he goes on with it."""
    if sweep.folder.journal.exists():
        code = sweep.resume().wait()
        assert code in (0, 9), str(sweep.children[-1])


FAULTS: tuple[Fault, ...] = (
    worker, driver, driver, everything, raylet, gcs, ctrl_c, ctrl_c_twice, termination, stop, full, ray_files,
    half_a_line, second_driver,
)  # fmt: skip


class Round:
    """One sweep with its faults.

    Attributes
    ----------
    done : what was done, for the line that is printed.
    """

    def __init__(self, folder: Path, number: int, rng: random.Random, servers: bool) -> None:
        self.rng, self.done = rng, [] if not servers else ["server"]
        self.algorithm = rng.choice(sorted(ALGORITHMS))
        project = make_project(folder / "project")
        environment = {"JMML_TRACKING_PATIENCE": "10", WHOLE: "yes"}
        self.server = Server(folder / "server") if servers else None
        if self.server is not None:
            environment["MLFLOW_TRACKING_URI"] = self.server.uri
        self.sweep = Sweep(
            project, f"round{number}", shared=folder / "shared", algorithm=self.algorithm, **environment
        )

    def run(self, expected: Outcome) -> None:
        """Disturb, resume until it is through, check.

        Raises
        ------
        AssertionError : something is not as it would have been undisturbed.
        """
        try:
            if self.server is not None:
                self.server.start()
            child = self.sweep.run()
            for _ in range(self.rng.randint(1, 3)):
                self._disturb(child)
                child = self._next(child)
            resumes = 0
            while child.wait(SWEEP_S) != 0:
                self._expect_tidy(child)
                resumes += 1
                assert resumes <= MAX_RESUMES, str(child)
                child = self._next(child)
            assert_same(self.sweep, expected)
        finally:
            self.sweep.end()
            if self.server is not None:
                self.server.kill()

    def _disturb(self, child: Child) -> None:
        """Wait for a random moment, or the child's end, and do something."""
        count, delay = self.rng.randint(1, 120), self.rng.uniform(0, 0.5)
        early = self.rng.random() >= OFTEN
        delay = self.rng.uniform(0, LONGEST_S) if early else delay
        fault = self.rng.choice(FAULTS)
        away = self.server is not None and self.rng.random() < 0.7
        self.done.append(
            f"{fault.__name__}{' and server' if away else ''} after {delay:.2f} s"
            + ("" if early else f" and {count} events")
        )
        if not early:
            seen = len(self.sweep.events())
            with suppress(AssertionError):  # it ended before
                child.until(lambda: len(self.sweep.events()) >= seen + count, f"{count} events")
        end = time.monotonic() + delay
        while time.monotonic() < end and child.process.poll() is None:
            time.sleep(0.01)
        if self.server is not None and away:
            self.server.kill()
            if self.rng.random() < 0.5:
                time.sleep(self.rng.uniform(0, 3))
                self.server.start()
        if child.process.poll() is None:
            fault(self.sweep, child, self.rng)

    def _next(self, child: Child) -> Child:
        """The driver that goes on: the same one if it is through or survived, else a new one."""
        if child.process.poll() is None and self.done[-1].startswith(("worker", "second_driver")):
            return child
        child.wait(SWEEP_S)
        self._expect_tidy(child)
        child.leaves_nothing()
        if self.server is not None and self.server.process is None:
            self.server.start()
        if child.process.returncode == 0:
            return child
        return self.sweep.resume() if self.sweep.folder.journal.exists() else self.sweep.run()

    def _expect_tidy(self, child: Child) -> None:
        assert "Traceback" not in str(child), str(child)
        assert len(child.errors()) <= 1, str(child)


def undisturbed(folder: Path, algorithm: str) -> Outcome:
    """What a sweep comes to when nothing happens to it."""
    began = time.monotonic()
    made = make_project(folder)
    calm = Sweep(made, "calm", shared=made.root / "shared", algorithm=algorithm, on_ray=False)
    calm.run().succeeds()
    print(f"undisturbed {algorithm}: {time.monotonic() - began:.0f} s", flush=True)
    return outcome(calm)


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="one round, by its number")
    options = parser.parse_args(words)
    base = Path(tempfile.mkdtemp(prefix="chaos-"))
    expected: dict[str, Outcome] = {}
    end, number = time.monotonic() + 60 * options.minutes, options.only or 1
    while time.monotonic() < end:
        rng = random.Random(f"{options.seed}/{number}")
        folder = base / f"round{number}"
        one = Round(folder, number, rng, servers=rng.random() < 0.3)
        if one.algorithm not in expected:
            expected[one.algorithm] = undisturbed(base / one.algorithm, one.algorithm)
        began = time.monotonic()
        try:
            one.run(expected[one.algorithm])
        except Exception as error:
            print(
                f"seed {options.seed} round {number} {one.algorithm}: {'; '.join(one.done)}: VIOLATED",
                flush=True,
            )
            traceback.print_exception(error)
            print(f"kept: {folder}. Again: --seed {options.seed} --only {number}", flush=True)
            return 1
        took = time.monotonic() - began
        print(
            f"seed {options.seed} round {number} {one.algorithm}: {'; '.join(one.done)}: ok, {took:.0f} s",
            flush=True,
        )
        shutil.rmtree(folder, ignore_errors=True)
        number += 1
        if options.only:
            break
    shutil.rmtree(base, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
