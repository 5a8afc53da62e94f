"""What a sweep's driver does itself for each report, without Ray: simulated trials, up to ten thousand.

Journal, state and search take every report as they do in a sweep (:class:`pipelines.sweep.decide.driver.Driver`),
several trials at a time; a second reader follows the journal as the shipper and `jmml sweep watch` do; and every
hundred trials one frame of the live view is drawn. Times are of the processor, memory is of this process.
"""

from __future__ import annotations

import io
import random
import tempfile
import time
from pathlib import Path

import psutil
from rich.console import Console
from sweep_sides import SIMULATED_EPOCHS, simulated_trial

from jmml.config import MethodConfig
from pipelines.definitions.spaces import configure
from pipelines.sweep.decide.driver import Assignment, Driver
from pipelines.sweep.decide.search import build_search
from pipelines.sweep.definition.reading import check
from pipelines.sweep.record.journal import Follower, Journal
from pipelines.sweep.record.overview import TrialOverview
from pipelines.sweep.record.state import SweepState
from pipelines.sweep.show.view import view

CONCURRENT = 16
SPACE = {
    "stage1.r": {"int": [8, 24]},
    "stage1.alpha": {"loguniform": [0.3, 3.0]},
    "stage2.k": {"int": [2, 8]},
    "stage2.lr": {"loguniform": [1.0e-3, 1.0e-2]},
    "stage2.lam_c": {"loguniform": [0.1, 3.0]},
}


class Spent:
    """Processor seconds by kind of work, since they were last taken."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._since = time.process_time()

    def add(self, kind: str) -> None:
        """What passed since the last call was spent on ``kind``."""
        now = time.process_time()
        self._seconds[kind] = self._seconds.get(kind, 0.0) + now - self._since
        self._since = now

    def take(self) -> dict[str, float]:
        found, self._seconds = self._seconds, {}
        return found


def alone(algorithm: str, trials: int, *, step: int) -> None:
    """Print what reports, proposals, reading and drawing cost, by ``step`` trials."""
    print(
        f"\nthe driver's own parts, {trials} simulated trials of {SIMULATED_EPOCHS} reports, {algorithm} search; "
        "us per report, ms per trial and frame"
    )
    print(f"{'trials':>8} {'report':>8} {'read':>8} {'propose':>8} {'start+end':>10} {'frame':>8} {'MB':>8}")
    definition = check(
        {
            "name": "driver",
            "algorithm": algorithm,
            "scheduler": "none",
            "budget": {"trials": trials},
            "lag": CONCURRENT,
            "space": SPACE,
        }
    )
    process, spent = psutil.Process(), Spent()
    with tempfile.TemporaryDirectory() as folder:
        path, base = Path(folder) / "journal", MethodConfig()
        journal, state = Journal(path), SweepState()
        driver = Driver(journal, state, build_search(definition), definition, base, concurrent=CONCURRENT)
        first = {"id": "0", "name": "driver", "user": "", "team": "", "version": "0", "base": {}}
        driver.write("sweep", **first, definition=definition.plain(), fingerprint={}, total=trials)
        driver.write(
            "session",
            user="",
            host="",
            pid=0,
            mode="run",
            concurrent=CONCURRENT,
            cpus=1,
            gpus=0,
            address=None,
        )
        overview, follower, watched = TrialOverview(state), Follower(path), SweepState()
        console = Console(file=io.StringIO(), width=160, height=50, force_terminal=True)
        at_work: list[tuple[Assignment, list[dict[str, object]]]] = []
        rng, over, frames = random.Random(0), 0, 0
        spent.take()
        while over < trials:
            spent.add("other")
            while len(at_work) < CONCURRENT and isinstance(proposal := driver.next(), Assignment):
                spent.add("propose")
                driver.started(proposal.number, proposal.configuration)
                spent.add("start+end")
                points = list(simulated_trial(None, configure(base, proposal.configuration)))
                at_work.append((proposal, points[::-1]))
                spent.add("other")
            spent.add("propose")
            proposal, points = at_work[index := rng.randrange(len(at_work))]
            report = dict(points.pop())
            epoch = int(str(report.pop("epoch")))
            spent.add("other")
            driver.reported(proposal.number, epoch, {"score": report["val_uar"], "points": report})
            driver.tick()
            spent.add("report")
            if points:
                continue
            at_work.pop(index)
            driver.state.trials[proposal.number].epochs = SIMULATED_EPOCHS
            driver.ended(proposal.number)
            over += 1
            spent.add("start+end")
            if over % 100 == 0:
                for event in follower.read():
                    watched.apply(event)
                spent.add("read")
                overview.update()
                console.print(view(overview, width=160, height=50))
                console.file = io.StringIO()
                frames += 1
                spent.add("frame")
            if over % step == 0:
                cost = {kind: 1e3 * seconds for kind, seconds in spent.take().items()}
                print(
                    f"{over:>8} {1e3 * cost['report'] / (step * SIMULATED_EPOCHS):>8.1f} "
                    f"{1e3 * cost['read'] / (step * SIMULATED_EPOCHS):>8.1f} {cost['propose'] / step:>8.3f} "
                    f"{cost['start+end'] / step:>10.3f} {cost['frame'] / frames:>8.2f} "
                    f"{process.memory_info().rss / 2**20:>8.0f}",
                    flush=True,
                )
                frames = 0
        journal.close()
