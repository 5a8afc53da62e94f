"""How long a sweep is going to take: by the last sweep on the same corpora, else by a short measurement."""

from __future__ import annotations

import itertools
import math
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from jmml.config import MethodConfig
from jmml.errors import SweepError
from jmml.task import TaskData
from pipelines.definitions import spaces
from pipelines.sweep.definition.plan import Plan
from pipelines.sweep.record import journal
from pipelines.sweep.record.folder import SweepFolder

if TYPE_CHECKING:
    from jmml.search import Folds

EPOCHS, MORE = 2, 10  # of stage 1, measured; what does not depend on their number is told apart by both
FOLDS = 2
MOST_EVENTS = 50_000  # of a journal, from its start
ENOUGH_S = 1.0  # a measurement this long is enough: what does not depend on epochs hardly counts
RAY_STARTS_S = 5.0


@dataclass(frozen=True)
class Speed:
    """Seconds of one worker per epoch of either stage, for one inner fold and both modalities; where from.

    ``start`` is what stage 1 takes besides its epochs.
    """

    start: float
    stage1: float
    stage2: float
    source: str


@dataclass(frozen=True)
class Estimate:
    """Estimated time of a sweep in which no trial is stopped early.

    Attributes
    ----------
    work : seconds of workers, refit included.
    seconds : of the clock, with as many trials at a time as fit on this machine.
    source : what it rests on.
    """

    work: float
    seconds: float
    source: str


def estimate(plan: Plan) -> Estimate:
    """The time of a plan, stage-1 models that trials share counted once."""
    speed = _of_last_sweep(plan) or _measured(plan)
    base, space = plan.params.method, plan.definition.space
    folds, seeds = plan.params.protocol.inner_folds, len(plan.params.protocol.seeds)
    stage1 = speed.start + _typical(space, "stage1.epochs", base.stage1.epochs) * speed.stage1
    epochs = _typical(space, "stage2.epochs", base.stage2.epochs)
    stage2 = epochs * speed.stage2
    all_epochs = min(plan.trials * epochs, plan.definition.budget.epochs or math.inf)
    search = folds * (plan.stage1_configurations * stage1 + all_epochs * speed.stage2)
    refit = seeds * (stage1 + stage2)
    seconds = search / max(1, plan.concurrent) + refit + RAY_STARTS_S
    if plan.definition.budget.hours is not None:
        seconds = min(seconds, 3600 * plan.definition.budget.hours + refit + RAY_STARTS_S)
    return Estimate(search + refit, seconds, speed.source)


def _typical(space: spaces.Space, key: str, default: int) -> float:
    if key not in space:
        return float(default)
    return statistics.fmean(value for value in space[key].corners() if isinstance(value, int | float))


# By the last sweep -------------------------------------------------------------------------------------


def _of_last_sweep(plan: Plan) -> Speed | None:
    """The speed in the newest journal that has one, for the same corpora."""
    folders = sorted(SweepFolder.all(plan.project), key=_modified, reverse=True)
    for folder in folders:
        try:
            events = list(itertools.islice(journal.read(folder.journal), MOST_EVENTS))
            if found := _speed(events, plan):
                return replace(found, source=f"by the sweep '{folder.name}'")
        except (SweepError, KeyError, TypeError, IndexError):
            continue  # damaged, or of another version
    return None


def _speed(events: list[dict[str, Any]], plan: Plan) -> Speed | None:
    first = events[0]
    theirs, rows = first["fingerprint"]["task"], _rows(plan.task)
    corpora = tuple(theirs[m]["corpus"] for m in ("speech", "eeg"))
    if corpora != plan.corpora:
        return None
    folds = first["fingerprint"]["protocol"]["inner_folds"]
    scale = rows / (theirs["speech"]["rows"] + theirs["eeg"]["rows"]) / folds
    base = first["base"]
    started: dict[int, tuple[int, Mapping[str, Any]]] = {}
    reported: dict[int, int] = {}
    epochs: list[float] = []
    before: list[tuple[float, int]] = []  # until the first score, and stage-1 epochs in that time
    for event in events:
        if event["e"] == "start":
            started[event["trial"]] = event["t"], event["configuration"]
            reported.pop(event["trial"], None)
        elif event["e"] == "report":
            trial = event["trial"]
            if trial in reported:
                epochs.append((event["t"] - reported[trial]) / 1000)
            elif trial in started and event["epoch"] == 1:
                memo = event.get("memo", {})
                if not memo.get("loaded") and not memo.get("waited"):
                    at, configuration = started[trial]
                    own = configuration.get("stage1.epochs", base["stage1"]["epochs"])
                    before.append(((event["t"] - at) / 1000, own))
            reported[trial] = event["t"]
    if not epochs or not before:
        return None
    stage2 = statistics.median(epochs)
    stage1 = statistics.median(max(0.0, seconds - stage2) / own for seconds, own in before)
    return Speed(0.0, scale * stage1, scale * stage2, "")


def _modified(folder: SweepFolder) -> float:
    try:
        return folder.journal.stat().st_mtime
    except OSError:
        return 0.0


def _rows(task: TaskData) -> int:
    return len(task.speech) + (0 if task.eeg is None else len(task.eeg))


# By a measurement --------------------------------------------------------------------------------------


def _measured(plan: Plan) -> Speed:
    """A few epochs of either stage on two inner folds, by one thread as in a worker."""
    import torch

    from jmml.search import prepare_folds

    protocol = plan.params.protocol
    folds = prepare_folds(plan.training, protocol.inner_folds, plan.definition.seed)
    folds = replace(folds, n_folds=FOLDS, parts=folds.parts[:FOLDS])
    configuration = next(spaces.stream(plan.definition.space, seed=plan.definition.seed))
    device = "cuda" if plan.definition.resources.gpus and torch.cuda.is_available() else "cpu"

    def run(epochs: int) -> tuple[float, float]:
        short = {"stage1.epochs": epochs, "stage2.epochs": 2}
        config = spaces.configure(plan.params.method, {**configuration, **short})
        return _run(folds, config, device)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        run(EPOCHS)  # the first one loads libraries and is slow
        stage1, epoch = run(EPOCHS)
        start, per_epoch = 0.0, stage1 / EPOCHS
        if stage1 + epoch < ENOUGH_S:
            more, _ = run(MORE)
            per_epoch = max(0.0, more - stage1) / (MORE - EPOCHS)
            start = max(0.0, stage1 - EPOCHS * per_epoch)
    finally:
        torch.set_num_threads(threads)
    return Speed(start / FOLDS, per_epoch / FOLDS, epoch / FOLDS, "by a few epochs measured just now")


def _run(folds: Folds, config: MethodConfig, device: str) -> tuple[float, float]:
    """Seconds of stage 1, and of one epoch of stage 2 with its score."""
    from jmml.search import InnerSearch

    began = time.perf_counter()
    scores = iter(InnerSearch(folds, config, device=device))
    next(scores)
    first = time.perf_counter()
    next(scores)
    epoch = time.perf_counter() - first
    return max(0.0, first - began - epoch), epoch
