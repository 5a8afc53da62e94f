"""The end of a sweep: its best configuration on all training groups, and the outer fold opened once.

The label-only control and both simpler methods are refitted at the same configuration, seeds and fold, so
that every statement about the winner can be made as a difference. Nothing is selected here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import ray

from jmml.config import EvaluationConfig, MethodConfig, MethodName
from jmml.data.splits import Split
from jmml.evaluation.evidence import compare
from jmml.evaluation.leakage import Certificate
from jmml.experiment import TaskData, run_fold
from jmml.recogniser import EmotionRecogniser
from pipelines.sweep.plan import METHODS
from pipelines.sweep.trainable import prepare_worker

WINNER: MethodName = "jmml"
CONTROL: MethodName = "one-hot"


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
class _SeedResult:
    evidence: pd.DataFrame
    certificate: Certificate
    metrics: dict[str, float]
    recogniser: EmotionRecogniser


def refit(
    task: TaskData,
    split: Split,
    fold: int,
    config: MethodConfig,
    *,
    seeds: Sequence[int],
    device: str,
    code: str,
    evaluation: EvaluationConfig,
    gpus: float = 0.0,
    progress: Callable[[int, int], None] | None = None,
) -> Refit:
    """Fit every method with every seed, one Ray task per seed, and evaluate the outer fold.

    Parameters
    ----------
    config : the best configuration, with its best epoch as the number of stage-2 epochs.
    code : version of the package that workers must have.
    gpus : share of a GPU per task.
    progress : called with the number of seeds done and in all.
    """
    shared = ray.put((task, split))
    tasks = {
        _fit_seed.options(num_cpus=1, num_gpus=gpus).remote(shared, fold, config, seed, device, code): seed
        for seed in seeds
    }
    done: dict[int, _SeedResult] = {}
    waiting = list(tasks)
    while waiting:
        ready, waiting = ray.wait(waiting)
        try:
            done[tasks[ready[0]]] = ray.get(ready[0])
        except ray.exceptions.RayTaskError as error:
            raise error.cause if isinstance(error.cause, Exception) else error from None
        if progress is not None:
            progress(len(done), len(seeds))
    results = [done[seed] for seed in seeds]
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
    return Refit(
        evidence,
        certificate,
        comparison,
        results[0].recogniser,
        summary(comparison, [result.metrics for result in results]),
    )


def summary(comparison: pd.DataFrame, further: Sequence[dict[str, float]]) -> dict[str, float]:
    """The figures of the sweep's run: UAR of every method, the winner's interval and its difference to the
    label-only control, and the mean over seeds of what ``run_fold`` measured besides."""
    rows: dict[str, dict[str, Any]] = comparison.set_index("method").to_dict("index")
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


@ray.remote
def _fit_seed(
    shared: tuple[TaskData, Split], fold: int, config: MethodConfig, seed: int, device: str, code: str
) -> _SeedResult:
    """All methods with one seed; stage-1 models are shared between them."""
    prepare_worker(seed, code)
    task, split = shared
    memo: dict[str, Any] = {}
    frames, certificate = [], Certificate()
    winner: tuple[EmotionRecogniser, dict[str, float]] | None = None
    for method in METHODS:
        result = run_fold(task, split, fold, method, config, seed=seed, device=device, memo=memo)
        frames.append(result.evidence)
        certificate.extend(result.certificate, prefix=f"{method}/seed{seed}/")
        if method == WINNER:
            winner = result.recogniser, result.metrics
    assert winner is not None
    return _SeedResult(pd.concat(frames, ignore_index=True), certificate, winner[1], winner[0])
