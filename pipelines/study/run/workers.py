"""The cells of a study on a pool of workers: a block of cells for each, results handed over one by one."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from jmml.cell import CellResult
from jmml.config import MethodConfig
from jmml.data.splits import Split
from jmml.errors import ConfigError, JMMLError, SweepError
from jmml.memo import Memo
from jmml.task import TaskData
from pipelines.cache.cells import Key
from pipelines.cache.stage1 import Stage1Store
from pipelines.compute.cluster_info import resolve
from pipelines.compute.pool import Block, Body, JobError, RayWorkers, Workers, work_through
from pipelines.compute.ray_session import (
    Resources,
    available,
    check_fits,
    gpu_count,
    ray_session,
)
from pipelines.compute.ray_watch import ray_watch
from pipelines.compute.room import ChangingRoom
from pipelines.compute.worker import error_line
from pipelines.study.define.plan import StudyPlan
from pipelines.workspace.signals import first_interrupt, stop_wanted
from pipelines.workspace.task import data_bytes
from pipelines.workspace.team import share_with_team

CellFunction = Callable[..., CellResult]
Shared = tuple[TaskData, Split, tuple[MethodConfig, ...]]


@dataclass(frozen=True)
class Job:
    """One cell, as far as a worker has to know it; ``name`` is for display only."""

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
    stage1: Path | None = None,
    address: str | None = None,
    workers: int | None = None,
    begin: Callable[[], None] = lambda: None,
    asked: Callable[[], object] = lambda: None,
    on_death: Callable[[str], None] = lambda reason: None,
    note: Callable[[str], None],
    at_work: Callable[[Sequence[Key]], None] = lambda keys: None,
) -> None:
    """Compute every missing cell of a study; ``finished`` is called in this process, in order of arrival.

    Parameters
    ----------
    stage1 : folder of the stage-1 models that are shared with other blocks, studies and sweeps; None shares them in a
        block alone.
    address : of a Ray cluster; default: ``RAY_ADDRESS``, else this machine.
    workers : blocks at work at a time, at most; default: as many as the cluster has CPUs, or the plan says.
    begin : called once Ray is there.
    asked : whether somebody has asked to stop.
    on_death : see :func:`pipelines.compute.ray_session.ray_watch`.
    at_work : is told which cells are being computed, whenever these are others.

    Raises
    ------
    JMMLError : a cell cannot be computed; the error names it. Finished cells were handed over before.
    SweepError : Ray cannot start or be joined, a worker died twice over one block, or has other code.
    KeyboardInterrupt, SystemExit : Ctrl-C, a request to stop, a termination signal.
    """
    keys = {key.digest: key for key in plan.missing}
    blocks = [
        Block(block.task, block.seed, tuple(Job.of(key) for key in block.cells)) for block in plan.blocks()
    ]
    body = partial(
        compute_cells,
        cell=cell,
        inner_folds=plan.inner_folds,
        device="cuda" if plan.params.device.startswith("cuda") else plan.params.device,
        stage1=stage1,
    )
    with first_interrupt() as interrupted:
        wanted = stop_wanted(interrupted, asked)

        def check() -> None:
            if (stop := wanted()) is not None:
                raise stop

        with on_ray(
            plan,
            body,
            most=min(workers or len(blocks), len(blocks)),
            address=address,
            on_death=on_death,
            note=note,
        ) as (pool, room):
            begin()
            try:
                work_through(
                    blocks,
                    pool,
                    lambda job, result: finished(keys[job.digest], result),
                    room=room,
                    check=check,
                    note=note,
                    at_work=lambda jobs: at_work([keys[job.digest] for job in jobs]),
                    advice="give it more memory, or lower --workers; finished cells are kept",
                )
            except JobError as error:
                raise _named(error.cause, keys[error.job.digest]) from error


@contextmanager
def on_ray(
    plan: StudyPlan,
    body: Body,
    *,
    most: int,
    address: str | None,
    on_death: Callable[[str], None],
    note: Callable[[str], None],
) -> Iterator[tuple[Workers, Callable[[], int]]]:
    """Workers that have all that a study shares, and how many may be at work at a time: on the cluster at ``address``
    or ``RAY_ADDRESS``, else on this machine."""
    shared = {name: (task.data, task.split, task.candidates) for name, task in plan.tasks.items()}
    name = plan.definition.name
    if resolve(address := address or os.environ.get("RAY_ADDRESS")):
        with ray_session(cpus=1, address=address, user=name), ray_watch(on_death):
            there = available()
            at_most = min(most, max(1, int(there.cpus)))
            share = gpu_share(_gpus_of(there, plan.params.device), at_most)
            check_fits(1.0, share, there)
            room = ChangingRoom(lambda now: min(most, now.slots(1.0, share)), now=at_most)
            yield RayWorkers(body, shared, code=plan.code, gpus=share), room
        return
    at_most = min(most, plan.workers)
    gpus = gpu_count(plan.params.device)
    size = sum(data_bytes(task.data) for task in plan.tasks.values())
    with ray_session(cpus=at_most, gpus=gpus, data_bytes=size, note=note), ray_watch(on_death):
        yield RayWorkers(body, shared, code=plan.code, gpus=gpu_share(gpus, at_most)), lambda: at_most


def _gpus_of(there: Resources, device: str) -> int:
    if not device.startswith("cuda"):
        return 0
    if there.gpus < 1:
        raise SweepError(
            "no GPU found on the cluster", where=f"device: {device}", fix="set device: cpu in params.yaml"
        )
    return int(there.gpus)


def gpu_share(gpus: int, workers: int) -> float:
    """The part of a GPU that each worker has, so that all of them find a place; never more than one."""
    return 1 / math.ceil(workers / gpus) if gpus else 0.0


def compute_cells(
    shared: Shared,
    jobs: Sequence[Job],
    *,
    cell: CellFunction,
    inner_folds: int,
    device: str,
    stage1: Path | None,
) -> Iterator[CellResult]:
    """The cells of one fold and seed, one by one; stage-1 models are shared."""
    task, split, candidates = shared
    memo: Memo = {}
    if stage1 is not None:
        share_with_team(stage1.parent)
        memo = Stage1Store(stage1)
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
