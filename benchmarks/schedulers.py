"""What it costs that ASHA and median stopping do not depend on timing: ours against Ray Tune's own, simulated.

    python benchmarks/schedulers.py [--seeds 100]

Workers train simulated trials, which differ in how well they learn, how fast, and how long an epoch takes. Ours is the
driver of a sweep (:class:`pipelines.sweep.decide.driver.Driver`) with its journal in memory; beside it Tune's scheduler
objects are told the same reports of the same configurations, in the order in which the workers make them. What counts
is the noiseless score of the trial and epoch that has the best score, on the way when so many epochs are used up, and
at the end of a sweep of 60 trials; as the mean over seeds, and ours in per cent of Tune's.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
from ray.tune.schedulers import AsyncHyperBandScheduler, MedianStoppingRule, TrialScheduler

from jmml.config import MethodConfig
from pipelines.sweep.decide.driver import Driver
from pipelines.sweep.definition.reading import check
from pipelines.sweep.record.state import SweepState

EPOCHS, GRACE, REDUCTION = 45, 5, 3  # R, and the defaults of a definition
TRIALS = 60
BUDGETS = (5, 10)  # in trainings of full length; 60 trials take some 15
WORKERS = (4, 16)
CHANCE = 0.25
SETTINGS = 4


# Landscapes ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Curve:
    """One trial: its scores by epoch as they are measured and without noise, and the time of an epoch."""

    measured: list[float]
    exact: list[float]
    seconds: float


LANDSCAPES: dict[str, dict[str, float]] = {
    "even": {"noise": 0.005, "slow": 0.0, "decay": 0.0},
    "crossing": {"noise": 0.005, "slow": 40.0, "decay": 0.0},  # what is good learns slowly
    "noisy": {"noise": 0.03, "slow": 10.0, "decay": 0.004},  # and the longer ones overfit
}


def curve(place: np.ndarray, rng: np.random.Generator, *, noise: float, slow: float, decay: float) -> Curve:
    """A saturating curve: two settings say where it ends, one how fast it gets there.

    ``slow``: by how many epochs per unit of score the good ones are later; ``decay`` per epoch after the best one.
    """
    final = CHANCE + 0.45 * math.exp(-4 * ((place[0] - 0.6) ** 2 + (place[1] - 0.3) ** 2)) - 0.05 * place[2]
    rate = 2 + 6 * place[2] + slow * max(0.0, final - CHANCE)
    epochs = np.arange(1, EPOCHS + 1)
    rise = CHANCE + (final - CHANCE) * (1 - np.exp(-epochs / rate))
    exact = rise - decay * np.maximum(0, epochs - 3 * rate)
    measured = exact + noise * rng.standard_normal(EPOCHS)
    return Curve(measured.tolist(), exact.tolist(), float(np.exp(0.5 * rng.standard_normal())))


class Landscape:
    """The curves of the trials of one sweep, by number."""

    def __init__(self, name: str, seed: int) -> None:
        self._settings, self._seed = LANDSCAPES[name], seed
        self._known: dict[int, Curve] = {}

    def __getitem__(self, number: int) -> Curve:
        if number not in self._known:
            rng = np.random.default_rng([self._seed, number])
            self._known[number] = curve(rng.random(SETTINGS), rng, **self._settings)
        return self._known[number]


# The two sides -------------------------------------------------------------------------------------------------------


class Memory:
    """A journal that is lost."""

    def append(self, kind: str, **values: Any) -> dict[str, Any]:
        return {"e": kind, "t": 0, **values}

    def sync(self) -> None:
        pass


class Numbers:
    """A search that says nothing but whose turn it is."""

    def ready(self, number: int) -> bool:
        return True

    def propose(self, number: int) -> dict[str, float]:
        return {}

    def tell(self, number: int, values: object) -> None:
        pass

    restore = tell


class Ours:
    """The driver of a sweep, whose trials are those of the landscape."""

    def __init__(self, scheduler: dict[str, Any], trials: int) -> None:
        space = {"stage2.lr": {"loguniform": [1e-3, 1e-2]}}
        data = {"name": "s", "algorithm": "random", "scheduler": scheduler, "trials": trials, "space": space}
        base = MethodConfig()
        base = base.model_copy(update={"stage2": base.stage2.model_copy(update={"epochs": EPOCHS})})
        state, journal, search = SweepState(id="0", name="s", total=trials), Memory(), Numbers()
        self.driver = Driver(journal, state, search, check(data), base, concurrent=1)  # type: ignore[arg-type]
        self.waits = 0

    def next(self) -> tuple[int, int] | None:
        """A trial to train, and the epochs that it has behind it."""
        found = self.driver.next()
        if found is None or found == "over":
            return None
        self.driver.started(found.number, found.configuration)
        return found.number, found.segment.start

    def goes_on(self, number: int, epoch: int, score: float) -> bool:
        self.driver.reported(number, epoch, {"score": score, "points": {}})
        if epoch < EPOCHS and not self.driver.leaves(number, epoch):
            return True
        self.waits += self.driver.left(number) is None
        return False

    def settle(self) -> None:
        self.driver.settle()


class Tunes:
    """A scheduler of Ray Tune's, told what its loop would tell it."""

    waits = 0

    def __init__(self, name: str, trials: int) -> None:
        common: dict[str, Any] = {
            "time_attr": "epoch",
            "metric": "score",
            "mode": "max",
            "grace_period": GRACE,
        }
        self._scheduler: TrialScheduler
        if name == "median":
            self._scheduler = MedianStoppingRule(**common)
        else:
            self._scheduler = AsyncHyperBandScheduler(**common, max_t=EPOCHS, reduction_factor=REDUCTION)
        self._trials: dict[int, Any] = {}
        self._total = trials
        # Nobody waits for a worker: the median rule would pause trials in favour of those.
        self._loop: Any = SimpleNamespace(get_live_trials=list)

    def next(self) -> tuple[int, int] | None:
        number = len(self._trials) + 1
        if number > self._total:
            return None
        self._trials[number] = trial = Named(str(number))
        self._scheduler.on_trial_add(self._loop, trial)  # type: ignore[arg-type]
        return number, 0

    def goes_on(self, number: int, epoch: int, score: float) -> bool:
        result = {"epoch": epoch, "score": score}
        said = self._scheduler.on_trial_result(self._loop, self._trials[number], result)
        return epoch < EPOCHS and said != TrialScheduler.STOP

    def settle(self) -> None:
        pass


@dataclass(frozen=True, eq=False)
class Named:
    trial_id: str


# The simulation ------------------------------------------------------------------------------------------------------


@dataclass
class Outcome:
    """The score at each budget of epochs and at the end; epochs, the time by the clock, how often trials waited."""

    scores: list[float]
    epochs: float
    seconds: float
    waits: float


def simulate(side: Any, landscape: Landscape, workers: int) -> Outcome:
    """Train until all trials are over; a free worker takes what is next."""
    queue: list[tuple[float, int, int, int]] = []  # when an epoch ends, tie, trial, epoch
    now, used, ties = 0.0, 0, itertools.count()
    best, found = -math.inf, CHANCE
    scores: list[float] = []
    budgets = [EPOCHS * budget for budget in BUDGETS]
    while True:
        while len(queue) < workers and (taken := side.next()) is not None:
            number, behind = taken
            heapq.heappush(queue, (now + landscape[number].seconds, next(ties), number, behind + 1))
        if not queue:
            assert len(scores) == len(budgets), "the trials were over before the budgets"
            return Outcome([*scores, found], used, now, side.waits)
        now, _, number, epoch = heapq.heappop(queue)
        trial = landscape[number]
        used += 1
        if trial.measured[epoch - 1] > best:
            best, found = trial.measured[epoch - 1], trial.exact[epoch - 1]
        if side.goes_on(number, epoch, trial.measured[epoch - 1]):
            heapq.heappush(queue, (now + trial.seconds, next(ties), number, epoch + 1))
        side.settle()
        if used in budgets:
            scores.append(found)


def mean(side: Callable[[], Any], landscape: str, workers: int, seeds: int) -> Outcome:
    """Over seeds."""
    found = [simulate(side(), Landscape(landscape, seed), workers) for seed in range(seeds)]
    figures = (float(np.mean([getattr(one, key) for one in found])) for key in ("epochs", "seconds", "waits"))
    return Outcome(np.mean([one.scores for one in found], axis=0).tolist(), *figures)


def table(seeds: int, rules: list[str]) -> None:
    """Print one row for each rule, landscape and number of workers."""
    at = " | ".join(f"{budget} R" for budget in BUDGETS)
    print(f"{seeds} seeds, R = {EPOCHS} epochs, grace {GRACE}, reduction {REDUCTION}; per cent of Ray Tune's")
    print(
        f"| rule | landscape | workers | score after {at} | {TRIALS} trials | epochs | time | waits per trial |"
    )
    print("|" + "---|" * (7 + len(BUDGETS)))
    common = {"grace_epochs": GRACE, "reduction": REDUCTION}
    rows = []
    for name, landscape, workers in itertools.product(rules, LANDSCAPES, WORKERS):
        theirs = mean(lambda name=name: Tunes(name, TRIALS), landscape, workers, seeds)  # type: ignore[misc]
        ours = mean(lambda name=name: Ours({"name": name, **common}, TRIALS), landscape, workers, seeds)  # type: ignore[misc]
        row = [a / b for a, b in zip(ours.scores, theirs.scores, strict=True)]
        row += [ours.epochs / theirs.epochs, ours.seconds / theirs.seconds]
        rows.append(row)
        print(f"| {name} | {landscape} | {workers} | {texts(row)} | {ours.waits / TRIALS:.2f} |", flush=True)
    print(f"| mean | | | {texts(np.mean(rows, axis=0))} | |")


def texts(ratios: Any) -> str:
    return " | ".join(f"{100 * ratio:.1f}" for ratio in ratios)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--rules", nargs="*", default=["asha", "median"])
    options = parser.parse_args()
    table(options.seeds, options.rules)


if __name__ == "__main__":
    main()
