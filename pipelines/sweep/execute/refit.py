"""The end of a sweep: its best configuration on all training groups, and the outer fold opened once.

The label-only control and both simpler methods are refitted at the same configuration, seeds and fold, so
that every statement about the winner can be made as a difference. Nothing is selected here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from jmml.config import EvaluationConfig, MethodConfig, MethodName
from jmml.data.splits import Split
from jmml.evaluation.evidence import compare
from jmml.evaluation.leakage import Certificate
from jmml.experiment import FoldResult, run_fold
from jmml.memo import Memo
from jmml.recogniser import EmotionRecogniser
from jmml.task import TaskData
from pipelines.cache.stage1 import Stage1Store
from pipelines.compute.pool import Block, JobError, RayWorkers, work_through
from pipelines.compute.ray_session import available
from pipelines.sweep.definition.plan import METHODS
from pipelines.workspace.fingerprint import code_digest

WINNER: MethodName = "jmml"
CONTROL: MethodName = "one-hot"
WORKER_START_S = 5.0


@dataclass(frozen=True)
class Refit:
    """The winner and its controls on the outer fold.

    Attributes
    ----------
    evidence : every prediction, all methods and seeds.
    certificate : which groups each fitted object of each method and seed saw.
    comparison : one row per method, differences against the one-hot control (``evidence.compare``).
    recogniser : the winner, fitted with the first seed.
    metrics : ``test_uar`` with its interval, ``<method>_uar``, and the winner's further measurements.
    """

    evidence: pd.DataFrame
    certificate: Certificate
    comparison: pd.DataFrame
    recogniser: EmotionRecogniser
    metrics: dict[str, float]


@dataclass(frozen=True)
class _Seed:
    """All methods with one seed; the winner's model stays where it was fitted."""

    evidence: pd.DataFrame
    certificate: Certificate
    metrics: dict[str, float]


def refit(
    task: TaskData,
    split: Split,
    fold: int,
    config: MethodConfig,
    *,
    seeds: Sequence[int],
    device: str,
    evaluation: EvaluationConfig,
    gpus: float = 0.0,
    stage1: Path | None = None,
    worker_start_s: float = WORKER_START_S,
) -> Refit:
    """Fit every method with every seed and evaluate the outer fold.

    The first seed is fitted in this process; it takes the others as well when that is quicker than starting
    workers for them, else they go to the workers of a pool. The results are the same either way.

    Parameters
    ----------
    config : the best configuration, with its best epoch as the number of stage-2 epochs.
    gpus : share of a GPU per worker.
    stage1 : folder of the stage-1 results that are shared.
    worker_start_s : seconds that a fresh worker needs to import everything.
    """
    began = time.monotonic()
    first, recogniser = _fit_seed(task, split, fold, config, seeds[0], device, stage1)
    others = seeds[1:]
    if len(others) * (time.monotonic() - began) < worker_start_s:
        further = {seed: _fit_seed(task, split, fold, config, seed, device, stage1)[0] for seed in others}
    else:
        there = "cuda" if gpus else device  # a worker sees its own GPU alone, as the first
        body = partial(_fit_seeds, fold=fold, config=config, device=there, stage1=stage1)
        further = _in_workers(body, (task, split), others, gpus=gpus)
    results = [first, *(further[seed] for seed in others)]
    evidence = pd.concat([result.evidence for result in results], ignore_index=True)
    certificate = Certificate()
    for result in results:
        certificate.extend(result.certificate)
    comparison = compare(
        evidence,
        task.classes,
        bootstrap=evaluation.bootstrap,
        confidence=evaluation.confidence,
        reference_method=CONTROL,
    )
    metrics = summary(comparison, [result.metrics for result in results])
    return Refit(evidence, certificate, comparison, recogniser, metrics)


def summary(comparison: pd.DataFrame, further: Sequence[dict[str, float]]) -> dict[str, float]:
    """The figures of the sweep's run: UAR of every method, the winner's interval and its difference to the
    label-only control, and the mean over seeds of what ``run_fold`` measured besides."""
    rows: dict[Any, dict[Any, Any]] = comparison.set_index("method").to_dict("index")
    best = rows[WINNER]
    metrics = {
        "test_uar": best["uar"],
        "test_uar_ci_low": best["ci_low"],
        "test_uar_ci_high": best["ci_high"],
        "test_accuracy": best["accuracy"],
        "test_macro_f1": best["macro_f1"],
        "test_ece": best["ece"],
        "test_uar_minus_one_hot": best["diff"],
        **{f"{method.replace('-', '_')}_uar": rows[method]["uar"] for method in METHODS if method != WINNER},
    }
    for key in sorted({key for one in further for key in one} - set(metrics)):
        metrics[key] = float(np.mean([one[key] for one in further if key in one]))
    return {key: float(value) for key, value in metrics.items() if np.isfinite(value)}


def _fit_seed(
    task: TaskData,
    split: Split,
    fold: int,
    config: MethodConfig,
    seed: int,
    device: str,
    stage1: Path | None,
) -> tuple[_Seed, EmotionRecogniser]:
    """All methods with one seed, stage-1 models shared between them, and the winner's model."""
    memo: Memo = {} if stage1 is None else Stage1Store(stage1)
    frames, certificate = [], Certificate()
    winner: FoldResult | None = None
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the number of threads changes the last digits
    try:
        for method in METHODS:
            result = run_fold(task, split, fold, method, config, seed=seed, device=device, memo=memo)
            frames.append(result.evidence)
            certificate.extend(result.certificate, prefix=f"{method}/seed{seed}/")
            winner = result if method == WINNER else winner
    finally:
        torch.set_num_threads(threads)
    assert winner is not None
    return _Seed(pd.concat(frames, ignore_index=True), certificate, winner.metrics), winner.recogniser


def _in_workers(
    body: Callable[..., Iterator[_Seed]], shared: tuple[TaskData, Split], seeds: Sequence[int], *, gpus: float
) -> dict[int, _Seed]:
    """One block of work per seed, on as many workers as Ray has room for."""
    results: dict[int, _Seed] = {}
    slots = available().slots(1.0, gpus)
    try:
        work_through(
            [Block("task", seed, (seed,)) for seed in seeds],
            RayWorkers(body, {"task": shared}, code=code_digest(), gpus=gpus),
            results.__setitem__,
            room=lambda: slots,
            advice="give it more memory, then resume the sweep",
        )
    except JobError as error:
        raise (error.cause if isinstance(error.cause, Exception) else error) from None
    return results


def _fit_seeds(
    shared: tuple[TaskData, Split],
    seeds: Sequence[int],
    *,
    fold: int,
    config: MethodConfig,
    device: str,
    stage1: Path | None,
) -> Iterator[_Seed]:
    """Body of a worker: fit the seeds of a block."""
    for seed in seeds:
        yield _fit_seed(*shared, fold, config, seed, device, stage1)[0]
