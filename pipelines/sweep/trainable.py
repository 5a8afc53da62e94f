"""One trial, as it runs in a worker: a configuration in, the score of each stage-2 epoch out."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from ray import tune

from jmml.config import MethodConfig
from jmml.errors import SweepError
from jmml.task import TaskData
from pipelines.sweep.search import BEST, METRIC, TIME, configuration_of
from pipelines.sweep.spaces import configure

Points = Iterator[dict[str, Any]]


@dataclass(frozen=True)
class TrialSettings:
    """What all trials of a sweep share, besides the data.

    Attributes
    ----------
    search : :func:`jmml.experiment.search_trial`, or what stands in for it in a test.
    code : version of the package on the driver; a worker with another one would compute something else.
    """

    search: Callable[..., Points]
    base: MethodConfig
    n_folds: int
    seed: int
    device: str
    code: str = version("jmml")


def run_trial(config: dict[str, Any], *, training: TaskData, settings: TrialSettings) -> None:
    """Score one configuration on inner folds and report every epoch.

    ``training`` comes from the object store, one copy per machine: the task without the outer fold. A report
    holds ``epoch``, ``val_uar`` and its running maximum, by which the scheduler and the search decide, and
    under ``points`` all metrics of the epoch (``history``: of the stage-1 epochs before it).
    """
    prepare_worker(settings.seed, settings.code)
    method = configure(settings.base, configuration_of(config))
    best = -np.inf
    for result in settings.search(
        training, method, n_folds=settings.n_folds, seed=settings.seed, device=settings.device
    ):
        points = dict(result)
        history = points.pop("history", {})
        epoch = points.pop("epoch")
        best = max(best, points["val_uar"])
        tune.report(
            {TIME: epoch, METRIC: points["val_uar"], BEST: best, "points": points, "history": history}
        )


def prepare_worker(seed: int, code: str) -> None:
    """Make this process a clean one: same code as the driver, one thread, seeded, no run to write to.

    Actors are reused by later trials and keep the state of global generators.

    Raises
    ------
    SweepError : this worker has another version of the package than the driver.
    """
    if version("jmml") != code:
        raise SweepError(
            f"worker has jmml {version('jmml')}",
            expected=f"{code} as on the driver",
            fix="update the cluster",
        )
    os.environ.pop("MLFLOW_RUN_ID", None)
    torch.set_num_threads(1)
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - libraries that draw from the global generator
    torch.manual_seed(seed)
