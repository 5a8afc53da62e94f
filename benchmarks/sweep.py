"""Sweeps side by side: ours, the textbook script, and a bare loop, on the same trials.

    python benchmarks/sweep.py [overhead|throughput|scaling|asha|driver] [--quick] [--rounds N]

``ours`` is :func:`pipelines.sweep.runner.run_sweep` on a fresh project, its refit left out; ``textbook`` is
``sweep_textbook.py``; ``bare`` fits and scores with our estimators in a loop and does nothing else
(``sweep_task.epochs``), ``bare-memo`` does so in one process with a dictionary of stage-1 models. All have the same
configurations, seeds, folds and data, one thread per trial, and no early stopping but where that is measured; whether
their scores are the same to the last bit is checked in every round and printed. Each side runs in a process of its
own, one after the other in an order drawn anew per round, and ratios are taken within a round.

overhead    ours with a worker per core beside bare in a process per core; every trial has its own stage 1, so that
            nothing is reused
throughput  finished trials per hour where both stages vary, ours beside textbook, on as many workers as cores, and
            beside bare-memo, which is one process; trials of a few seconds
scaling     ours with one worker beside two, and bare in one process beside two, which share the cores as well
asha        time until 99 % of the best score of the full sweep, ours with and without ASHA, and textbook; the full
            sweeps also give trials per hour, of trials of 20 s and more
driver      what a report costs the driver, up to 10,000 trials (``sweep_driver.py``)

Wall times count from the first trial's start to the last trial's end in ``overhead``, and from the beginning of the
search, with Ray up, elsewhere. Processor times are of all processes of a side in that span. Both are printed with the
load of the machine: where others are at work, trust the processor times.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from sweep_task import APART, BOTH, LONG, QUICK, SHORT, Size, write_project

SIDES = Path(__file__).with_name("sweep_sides.py")
SAMPLE_SECONDS = 0.2
NEAR_BEST = 0.99


class Meter(threading.Thread):
    """Processor seconds of a process and all below it, and the memory of the process itself, over time."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._root, self._over = psutil.Process(pid), threading.Event()
        self._seen: dict[tuple[int, float], float] = {}
        self.rows: list[tuple[float, float, float, float]] = []  # time, all, root alone, MB of root

    def run(self) -> None:
        while not self._over.wait(SAMPLE_SECONDS):
            self._look()

    def _look(self) -> None:
        with suppress(psutil.Error):
            for process in [self._root, *self._root.children(recursive=True)]:
                with suppress(psutil.Error):
                    times = process.cpu_times()
                    self._seen[process.pid, process.create_time()] = times.user + times.system
            own = self._seen[self._root.pid, self._root.create_time()]
            memory = self._root.memory_info().rss / 2**20
            self.rows.append((time.time(), sum(self._seen.values()), own, memory))

    def stop(self) -> None:
        self._over.set()
        self.join()

    def between(self, begin: float, end: float, column: int = 1) -> float:
        """Processor seconds from one time to another (s since 1970); 2: of the root process alone."""
        table = np.array(self.rows)
        low, high = np.interp([begin, end], table[:, 0], table[:, column])
        return float(high - low)


@dataclass
class Outcome:
    """One side's run: see ``sweep_sides.py`` for ``found``; wall and processor seconds of a span."""

    found: dict[str, Any]
    meter: Meter
    load: float = field(default_factory=lambda: os.getloadavg()[0])

    @property
    def trials(self) -> list[dict[str, Any]]:
        return [self.found["trials"][number] for number in sorted(self.found["trials"], key=int)]

    @property
    def span(self) -> tuple[float, float]:
        """From the first trial's start to the last one's end."""
        return min(t["start"] for t in self.trials), max(t["end"] for t in self.trials)

    def wall(self, *, all_of_it: bool) -> float:
        first, last = self.span
        return last - (self.found["began"] if all_of_it else first)

    def cpu(self, *, all_of_it: bool) -> float:
        first, last = self.span
        return self.meter.between(self.found["began"] if all_of_it else first, last)

    def seconds_to(self, score: float) -> float | None:
        """Seconds from the beginning of the search until a trial reported ``score``."""
        times = [
            when
            for trial in self.trials
            for when, value in zip(trial["times"], trial["scores"], strict=True)
            if value >= score
        ]
        return min(times) - self.found["began"] if times else None


def run(side: str, size: Size, space: dict[str, Any], trials: int, concurrent: int, **extra: Any) -> Outcome:
    """One side on a fresh project; what it prints is shown when it fails."""
    request = {"space": space, "trials": trials, "concurrent": concurrent, "scheduler": "none"} | extra
    environment = {
        key: value for key, value in os.environ.items() if key not in ("JMML_SHARED", "RAY_ADDRESS")
    }
    environment |= {"OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0", "GIT_CEILING_DIRECTORIES": "/"}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "project"
        write_project(root, size)
        command = [sys.executable, str(SIDES), side, str(root), json.dumps(request)]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
        )
        meter = Meter(process.pid)
        meter.start()
        said, _ = process.communicate()
        meter.stop()
        if process.returncode:
            raise SystemExit(f"{side} failed:\n{said[-4000:]}")
        return Outcome(json.loads((root / f"{side}.json").read_text()), meter)


def in_turn(rng: np.random.Generator, sides: dict[str, tuple[str, dict[str, Any]]]) -> dict[str, Outcome]:
    """Every side once, in an order drawn anew."""
    names = list(sides)
    return {names[i]: run(sides[names[i]][0], **sides[names[i]][1]) for i in rng.permutation(len(names))}


def same_scores(outcomes: Sequence[Outcome]) -> str:
    """How far the scores of all epochs of all trials differ between sides."""
    columns = [np.concatenate([trial["scores"] for trial in one.trials]) for one in outcomes]
    if len({len(column) for column in columns}) > 1:
        return "DIFFERENT NUMBERS of scores"
    gap = max((float(np.abs(a - b).max()) for a, b in pairwise(columns)), default=0.0)
    return f"{len(columns[0])} scores, bit-identical" if gap == 0 else f"scores DIFFER by up to {gap:.2g}"


def quartiles(values: Sequence[float]) -> str:
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return f"{middle:.3f} ({low:.3f}-{high:.3f})"


def compare(
    rounds: int,
    sides: dict[str, tuple[str, dict[str, Any]]],
    *,
    against: str,
    all_of_it: bool,
) -> list[dict[str, Outcome]]:
    """Run the sides in turn and print wall and processor seconds per trial, and ratios to one of them."""
    rng, table = np.random.default_rng(0), []
    for _ in range(rounds):
        table.append(in_turn(rng, sides))
        print(f"  round {len(table)}: {same_scores(list(table[-1].values()))}", flush=True)
    print(
        f"  {'':<14} {'wall s/trial':>12} {'cpu s/trial':>12} {'wall ratio':>22} {'cpu ratio':>22} {'load':>6}"
    )
    for name in sides:
        rows = [outcomes[name] for outcomes in table]
        wall, spent = np.array([_cost(outcomes[name], all_of_it) for outcomes in table]).T
        base = np.array([_cost(outcomes[against], all_of_it) for outcomes in table]).T
        count, load = len(rows[0].trials), np.median([one.load for one in rows])
        print(
            f"  {name:<14} {np.median(wall) / count:>12.2f} {np.median(spent) / count:>12.2f} "
            f"{quartiles(wall / base[0]):>22} {quartiles(spent / base[1]):>22} {load:>6.1f}",
            flush=True,
        )
    return table


def _cost(outcome: Outcome, all_of_it: bool) -> tuple[float, float]:
    return outcome.wall(all_of_it=all_of_it), outcome.cpu(all_of_it=all_of_it)


def overhead(quick: bool, rounds: int) -> None:
    cores = len(os.sched_getaffinity(0))
    size, trials = (QUICK, 2 * cores) if quick else (LONG, 4 * cores)
    common = {"size": size, "space": APART, "trials": trials, "concurrent": cores}
    print(
        f"\noverhead: {trials} trials on {cores} cores, ours on one worker per core, bare in one process per core; "
        "no stage 1 in common; target: 1.05 at most"
    )
    table = compare(
        rounds,
        {"bare": ("bare", common), "ours": ("ours", common)},
        against="bare",
        all_of_it=False,
    )
    for side in ("bare", "ours"):
        inside = [float(np.median([t["end"] - t["start"] for t in one[side].trials])) for one in table]
        print(f"  {side}, seconds within a trial: {np.median(inside):.2f}")
    mine = [one["ours"] for one in table]
    driver = [one.meter.between(*one.span, column=2) / trials for one in mine]
    start = [one.span[0] - one.found["began"] for one in mine]
    print(
        f"  ours, seconds: of the driver's processor per trial {np.median(driver):.3f}; first worker up after "
        f"{np.median(start):.1f}, refit and report {np.median([one.found['refit'] for one in mine]):.1f} (not counted)"
    )


def throughput(quick: bool, rounds: int) -> None:
    cores = len(os.sched_getaffinity(0))
    size, trials = (QUICK, 4) if quick else (SHORT, 24)
    common = {"size": size, "space": BOTH, "trials": trials, "concurrent": cores}
    print(
        f"\nthroughput: {trials} trials, both stages vary (6 stage-1 configurations), {cores} workers, "
        "no early stopping; target: 3 times the trials per hour of the textbook script"
    )
    sides = {side: (side, common) for side in ("ours", "textbook", "bare-memo")}
    _per_hour(compare(rounds, sides, against="ours", all_of_it=True), list(sides))


def _per_hour(table: list[dict[str, Outcome]], sides: Sequence[str]) -> None:
    """Print the trials per hour of sides that ran all trials to their ends, and what was reused."""
    rates = {
        side: [3600 * len(one[side].trials) / one[side].wall(all_of_it=True) for one in table]
        for side in sides
    }
    print("  trials per hour: " + ", ".join(f"{side} {np.median(rate):.0f}" for side, rate in rates.items()))
    gains = [a / b for a, b in zip(rates["ours"], rates["textbook"], strict=True)]
    spent = [one["textbook"].cpu(all_of_it=True) / one["ours"].cpu(all_of_it=True) for one in table]
    print(f"  ours against textbook: {quartiles(gains)} times the trials per hour,")
    print(f"  {quartiles(spent)} times the trials per processor hour")
    print(f"  stage-1 models of ours: {table[-1]['ours'].found['memo']}")


def scaling(quick: bool, rounds: int) -> None:
    size, trials = (QUICK, 4) if quick else (LONG, 6)
    common = {"size": size, "space": APART, "trials": trials}
    print(
        f"\nscaling: {trials} trials on one worker and on two, and bare in one process and in two, which is what the "
        "machine has to give; target: 1.8 times as fast"
    )
    sides = {f"{side}, {n}": (side, common | {"concurrent": n}) for side in ("ours", "bare") for n in (1, 2)}
    table = compare(rounds, sides, against="ours, 1", all_of_it=False)
    for side in ("ours", "bare"):
        gains = [
            one[f"{side}, 1"].wall(all_of_it=False) / one[f"{side}, 2"].wall(all_of_it=False) for one in table
        ]
        print(f"  speed-up of {side}: {quartiles(gains)}")


def asha(quick: bool, rounds: int) -> None:
    cores = len(os.sched_getaffinity(0))
    size, trials = (QUICK, 4) if quick else (LONG, 24)
    common = {"size": size, "space": BOTH, "trials": trials, "concurrent": cores}
    sides: dict[str, tuple[str, dict[str, Any]]] = {
        "ours, asha": ("ours", common | {"scheduler": {"name": "asha", "grace_epochs": size.epochs[1] // 4}}),
        **{side: (side, common) for side in ("ours", "textbook")},
    }
    print(f"\nasha: {trials} trials, seconds until {NEAR_BEST:.0%} of the best score of the full sweep")
    rng, table = np.random.default_rng(0), []
    for _ in range(rounds):
        outcomes = in_turn(rng, sides)
        best = max(score for trial in outcomes["ours"].trials for score in trial["scores"])
        same = same_scores([outcomes[side] for side in ("ours", "textbook")])
        reached = {side: one.seconds_to(NEAR_BEST * best) for side, one in outcomes.items()}
        table.append((outcomes, reached))
        print(f"  round {len(table)}: best {best:.4f}; without ASHA {same}", flush=True)
    for side in sides:
        times = [time for _, reached in table if (time := reached[side]) is not None]
        text = quartiles(times) if times else "never"
        ends = [outcomes[side].wall(all_of_it=True) for outcomes, _ in table]
        tops = [max(max(t["scores"]) for t in outcomes[side].trials if t["scores"]) for outcomes, _ in table]
        print(
            f"  {side:<12} {text:>26} s, in {len(times)} of {rounds} rounds; "
            f"whole sweep {np.median(ends):.1f} s, best {np.median(tops):.4f}",
            flush=True,
        )
    _per_hour([outcomes for outcomes, _ in table], ["ours", "textbook"])


def driver(quick: bool, rounds: int) -> None:
    from sweep_driver import alone

    for algorithm in ("random", "tpe"):
        alone(algorithm, 1_000 if quick else 10_000, step=200 if quick else 1_000)
    trials, step = (40, 10) if quick else (1_500, 100)
    print(
        f"\nthe whole driver with Ray: {trials} simulated trials of 10 reports, 2 workers; by {step} trials"
    )
    print(f"{'trials':>8} {'wall ms/trial':>14} {'driver ms/trial':>16} {'driver MB':>10}")
    outcome = run("simulated", QUICK, {"stage2.lam_c": {"uniform": [0.1, 3.0]}}, trials, 2)
    ends = sorted(trial["end"] for trial in outcome.trials)
    memory = np.array(outcome.meter.rows)
    for last in range(step, trials + 1, step):
        begin, end = ends[last - step] if last > step else outcome.found["began"], ends[last - 1]
        spent = outcome.meter.between(begin, end, column=2)
        mb = np.interp(end, memory[:, 0], memory[:, 3])
        print(f"{last:>8} {1e3 * (end - begin) / step:>14.1f} {1e3 * spent / step:>16.1f} {mb:>10.0f}")


MEASUREMENTS = {
    "overhead": overhead,
    "throughput": throughput,
    "scaling": scaling,
    "asha": asha,
    "driver": driver,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="*", metavar="MEASUREMENT", help="which ones (default: all)")
    parser.add_argument("--quick", action="store_true", help="tiny trials and one round: to see that it runs")
    parser.add_argument("--rounds", type=int, default=3, help="rounds per comparison (default: %(default)s)")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.what if name not in MEASUREMENTS]
    if unknown:
        parser.error(f"unknown measurement {unknown[0]}; choose from {', '.join(MEASUREMENTS)}")
    print(
        f"{len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}; medians, ratios with quartiles"
    )
    for name in arguments.what or MEASUREMENTS:
        MEASUREMENTS[name](arguments.quick, 1 if arguments.quick else arguments.rounds)


if __name__ == "__main__":
    main()
