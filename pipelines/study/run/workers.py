"""The cells of a study on a pool of workers: a block of cells for each, results handed over one by one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from jmml.cell import CellResult
from jmml.config import MethodConfig
from jmml.data.splits import Split
from jmml.errors import ConfigError, JMMLError, SweepError
from jmml.task import TaskData
from pipelines.cache.cells import Key
from pipelines.compute.pool import Block, Body, JobError, RayWorkers, Workers, work_through
from pipelines.compute.ray_session import gpu_count, ray_session
from pipelines.compute.signals import first_interrupt
from pipelines.compute.worker import error_line
from pipelines.study.define.plan import StudyPlan
from pipelines.workspace.task import data_bytes

CellFunction = Callable[..., CellResult]
Shared = tuple[TaskData, Split, tuple[MethodConfig, ...]]


@dataclass(frozen=True)
class Job:
    """One cell, as far as a worker has to know it; ``name`` is for people."""

    digest: str
    method: str
    fold: int
    seed: int
    audited: bool
    name: str

    @classmethod
    def of(cls, key: Key) -> Job:
        return cls(key.digest, key.method, key.fold, key.seed, bool(key.parts["audited"]), str(key))

    def __str__(self) -> str:
        return self.name


def compute(
    plan: StudyPlan,
    cell: CellFunction,
    finished: Callable[[Key, CellResult], None],
    *,
    note: Callable[[str], None],
) -> None:
    """Compute every missing cell of a study; ``finished`` is called in this process, in order of arrival.

    Raises
    ------
    JMMLError : a cell cannot be computed; the error names it. Finished cells were handed over before.
    SweepError : Ray cannot start, a worker died twice over one block, or has other code.
    KeyboardInterrupt, SystemExit : Ctrl-C, a termination signal.
    """
    keys = {key.digest: key for key in plan.missing}
    blocks = [
        Block(block.task, block.seed, tuple(Job.of(key) for key in block.cells)) for block in plan.blocks()
    ]
    at_most = min(plan.workers, len(blocks))
    gpus = gpu_count(plan.params.device)
    body = partial(
        compute_cells,
        cell=cell,
        inner_folds=plan.inner_folds,
        device="cuda" if gpus else plan.params.device,  # a worker sees its own GPU alone, as the first
    )
    with first_interrupt() as interrupted:

        def check() -> None:
            if interrupted():
                raise KeyboardInterrupt

        with on_ray(plan, body, workers=at_most, gpus=gpus, note=note) as workers:
            try:
                work_through(
                    blocks,
                    workers,
                    lambda job, result: finished(keys[job.digest], result),
                    room=lambda: at_most,
                    check=check,
                    note=note,
                    advice="give it more memory, or lower --workers; finished cells are kept",
                )
            except JobError as error:
                raise _named(error.cause, keys[error.job.digest]) from error


@contextmanager
def on_ray(
    plan: StudyPlan, body: Body, *, workers: int, gpus: int, note: Callable[[str], None]
) -> Iterator[Workers]:
    """Ray, with all that the workers of a study share."""
    size = sum(data_bytes(task.data) for task in plan.tasks.values())
    with ray_session(cpus=workers, gpus=gpus, data_bytes=size, note=note):
        shared = {name: (task.data, task.split, task.candidates) for name, task in plan.tasks.items()}
        yield RayWorkers(body, shared, code=plan.code, gpus=gpu_share(gpus, workers))


def gpu_share(gpus: int, workers: int) -> float:
    """The part of a GPU that each worker has, so that all of them find a place; never more than one."""
    return 1 / math.ceil(workers / gpus) if gpus else 0.0


def compute_cells(
    shared: Shared, jobs: Sequence[Job], *, cell: CellFunction, inner_folds: int, device: str
) -> Iterator[CellResult]:
    """The cells of one fold and seed, one by one; stage-1 models are shared."""
    task, split, candidates = shared
    memo: dict[str, Any] = {}
    for job in jobs:
        yield cell(
            task,
            split,
            job.fold,
            job.method,
            candidates,
            seed=job.seed,
            inner_folds=inner_folds,
            device=device,
            memo=memo,
            audited=job.audited,
        )


def _named(cause: BaseException, key: Key) -> JMMLError:
    """The failure of a cell, naming the cell; of the same class, so that the exit code stays."""
    if isinstance(cause, SweepError):
        return cause
    if isinstance(cause, ConfigError):
        return ConfigError(cause.problems, where=key)
    if isinstance(cause, JMMLError):
        return type(cause)(str(cause), where=key)
    return SweepError(error_line(cause), where=key)
