"""One trial, as it runs in a worker: a configuration in, the score of each stage-2 epoch out."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray import tune

from jmml.config import MethodConfig
from jmml.errors import JMMLError
from jmml.models.progress import Progress
from jmml.search import Folds, load_checkpoint, prepare_folds, save_checkpoint
from jmml.task import TaskData
from pipelines.cache.stage1 import Stage1Store
from pipelines.compute.worker import Origin, PlaceError, error_line, prepare_worker
from pipelines.definitions.spaces import configure
from pipelines.sweep.decide.segments import Segment
from pipelines.sweep.execute.keys import CONFIGURATION, ERROR, FATAL, METRIC, NUMBER, PAYLOAD, SEGMENT, TIME
from pipelines.workspace.team import share_with_team

CHECKPOINT_SECONDS = 30.0


Points = Iterator[dict[str, Any]]


@dataclass(frozen=True)
class TrialSettings:
    """Settings that all trials of a sweep share, besides the data.

    Attributes
    ----------
    search : :func:`jmml.experiment.search_trial`, or what stands in for it in a test.
    sweep : the sweep's identifier.
    score : the metric that is the objective, ``val_uar`` or ``val_uar_low``.
    cost : whether the inference cost is an objective too.
    stage1 : folder of the stage-1 results that are shared; None shares nothing.
    checkpoints : folder for the checkpoints of trials that take long, and of those that wait for others.
    code : digest of the driver's code; a worker with another one would compute something else.
    """

    search: Callable[..., Points]
    sweep: str
    base: MethodConfig
    n_folds: int
    seed: int
    device: str
    score: str
    cost: bool
    threads: int
    stage1: Path | None
    checkpoints: Path
    origin: Origin


def run_trial(config: dict[str, Any], *, training: TaskData, settings: TrialSettings) -> None:
    """Score one configuration on inner folds and report every epoch.

    ``training`` comes from the object store, one copy per machine: the task without the outer fold. A report holds
    the epoch, the score by which scheduler and search decide, and as JSON all that the journal keeps.
    A failure of the trial itself is its last report; only the death of the worker is left to Tune, which retries.
    """
    try:
        prepare_worker(settings.seed, settings.origin, threads=settings.threads)
        _search(config, training, settings)
    except PlaceError as error:
        tune.report({ERROR: str(error), FATAL: True})
    except Exception as error:
        tune.report({ERROR: error_line(error)})


def _search(config: Mapping[str, Any], training: TaskData, settings: TrialSettings) -> None:
    method = configure(settings.base, config[CONFIGURATION])
    folds, memo = _of_sweep(training, settings)
    if memo is not None:
        memo.take_counts()  # of a trial before it in this process, which failed
    number, segment = config[NUMBER], config[SEGMENT]
    own = settings.checkpoints / f"{number:03d}"
    run = settings.search(
        folds,
        method,
        device=settings.device,
        memo=memo,
        cost=settings.cost,
        state=_saved(settings.checkpoints, number, segment),
    )
    saved, kept = time.monotonic(), None
    for result in run:
        points = dict(result)
        report: dict[str, Any] = {TIME: points.pop("epoch"), METRIC: points[settings.score]}
        payload = {key: points.pop(key) for key in ("history",) if key in points}
        if "inference_cost" in points:
            payload["cost"] = points.pop("inference_cost")
        if memo is not None and any((counts := memo.take_counts()).values()):
            payload["memo"] = counts
        # A text: Tune keeps statistics of every number in a report, of every trial, for ever.
        report[PAYLOAD] = json.dumps({"points": points, **payload})
        if report[TIME] == segment.until and hasattr(run, "state"):
            # Before the report, after which others may go on from it; nobody needs those of two rungs ago any more.
            _keep_at_rung(_at_rung(settings.checkpoints, number, segment.until), run.state())
            forget_checkpoints(settings.checkpoints, number, before=segment.start)
        elif report[TIME] in segment.keep and hasattr(run, "state"):
            # Before the report too: if the answer is to wait, this worker is not asked again.
            left, kept = kept, _at_rung(settings.checkpoints, number, report[TIME])
            _save(kept, run.state())
            if left is not None:
                shutil.rmtree(left, ignore_errors=True)
        tune.report(report)
        if report[TIME] == segment.until:
            break
        # Only now: the report above is in the journal when Tune asks for the next.
        if time.monotonic() - saved >= CHECKPOINT_SECONDS and hasattr(run, "state"):
            _save(own, run.state())
            saved = time.monotonic()
    shutil.rmtree(own, ignore_errors=True)


def _keep_at_rung(path: Path, state: Progress) -> None:
    try:
        save_checkpoint(path, state)
    except (OSError, JMMLError) as error:
        raise PlaceError(
            f"a checkpoint that others may go on from cannot be written: {error}",
            where=path,
            fix="free space on that disk, or make the folder writable",
        ) from error


def _saved(checkpoints: Path, number: int, segment: Segment) -> Progress | None:
    """The state from which to go on; None to begin with the first epoch.

    Raises
    ------
    PlaceError : a member of a population is to go on from a checkpoint that is not there.
    """
    own = _loaded(checkpoints / f"{number:03d}")
    if own is not None and own[1]["epoch"] > segment.start:
        return own
    if segment.start == 0:
        return None
    source = number if segment.source is None else segment.source
    state = _loaded(_at_rung(checkpoints, source, segment.start))
    if state is None and segment.source is not None:
        raise PlaceError(
            f"the checkpoint of trial {source} at epoch {segment.start} is not there",
            where=checkpoints,
            fix="let all machines see the same JMML_SHARED",
        )
    return state


def _loaded(folder: Path) -> Progress | None:
    try:
        return load_checkpoint(folder)
    except JMMLError:  # there is none, or the end of a machine cut it off
        return None


def _at_rung(checkpoints: Path, number: int, rung: int) -> Path:
    return checkpoints / f"{number:03d}-{rung:06d}"


def forget_checkpoints(checkpoints: Path, number: int, *, before: int | None = None) -> None:
    """Delete what a trial has left; with ``before`` only what it left at rungs before that epoch."""
    for path in checkpoints.glob(f"{number:03d}-*"):
        if before is None or int(path.name.partition("-")[2]) < before:
            shutil.rmtree(path, ignore_errors=True)
    if before is None:
        shutil.rmtree(checkpoints / f"{number:03d}", ignore_errors=True)


def _save(own: Path, state: Progress) -> None:
    """Keep the state after an epoch; a disk that is full, or a figure that JSON has no word for, costs the checkpoint
    and not the trial."""
    with suppress(OSError, ValueError, JMMLError):
        save_checkpoint(own, state)


def checkpoint_epochs(folder: Path) -> Iterator[tuple[int, int, Path]]:
    """``(trial, epoch, path)`` of every trial that has a checkpoint below a sweep's folder of checkpoints."""
    for path in folder.glob("*/epoch*.json"):
        yield int(path.parent.name.partition("-")[0]), int(path.stem.removeprefix("epoch")), path.parent


# What a worker keeps from one trial to the next, of the sweep it works for: actors are reused.
_kept: dict[str, tuple[Folds, Stage1Store | None]] = {}


def _of_sweep(training: TaskData, settings: TrialSettings) -> tuple[Folds, Stage1Store | None]:
    """The inner folds, drawn once per worker and sweep, and the shared stage-1 results."""
    if settings.sweep not in _kept:
        _kept.clear()
        if settings.stage1 is not None:
            share_with_team(settings.stage1.parent)
        folds = prepare_folds(training, n_folds=settings.n_folds, seed=settings.seed)
        store = None if settings.stage1 is None else Stage1Store(settings.stage1, threads=settings.threads)
        _kept[settings.sweep] = folds, store
    return _kept[settings.sweep]
