"""The cells of a study on Ray: one task per block of cells, results streamed back one by one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import ray
from ray import ObjectRefGenerator
from ray.exceptions import RayError, RayTaskError

from jmml.cell import CellResult
from jmml.config import MethodConfig
from jmml.data.splits import Split
from jmml.errors import ConfigError, JMMLError, SweepError
from jmml.task import TaskData
from pipelines.cache.cells import Key
from pipelines.compute.ray_session import gpu_count, ray_session
from pipelines.compute.signals import first_interrupt
from pipelines.study.define.plan import Block, StudyPlan
from pipelines.sweep.execute.trainable import prepare_worker
from pipelines.workspace.fingerprint import code_digest
from pipelines.workspace.task import data_bytes

RETRIES = 1  # of a block whose worker died
POLL_S = 0.3

CellFunction = Callable[..., CellResult]
Shared = tuple[TaskData, Split, tuple[MethodConfig, ...]]


@dataclass(frozen=True)
class BlockSettings:
    """What all blocks of a study share, besides the data; ``code`` is the digest of the package's files."""

    cell: CellFunction
    inner_folds: int
    device: str
    code: str
    version: str


@dataclass
class Running:
    """A block that a worker has; ``left`` are its cells that have not come back yet."""

    block: Block
    left: list[Key]
    deaths: int = 0


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
    gpus = gpu_count(plan.params.device)
    blocks = plan.blocks()
    size = sum(data_bytes(task.data) for task in plan.tasks.values())
    cpus = min(plan.workers, len(blocks))
    with first_interrupt() as interrupted, ray_session(cpus=cpus, gpus=gpus, data_bytes=size, note=note):
        pool = Pool(plan, cell, gpus=gpus, workers=cpus)
        try:
            pool.run(blocks, finished, interrupted, note)
        finally:
            pool.stop(finished)


class Pool:
    """The workers of one study, at most one block per CPU."""

    def __init__(self, plan: StudyPlan, cell: CellFunction, *, gpus: int, workers: int) -> None:
        self.plan, self.workers, self.gpus = plan, workers, gpus / workers
        # A worker sees its own GPU alone, as the first.
        device = "cuda" if gpus else plan.params.device
        self.settings = BlockSettings(cell, plan.inner_folds, device, plan.code, version("jmml"))
        self.shared = {
            name: ray.put((task.data, task.split, task.candidates)) for name, task in plan.tasks.items()
        }
        self.running: dict[ObjectRefGenerator, Running] = {}

    def run(
        self,
        blocks: Sequence[Block],
        finished: Callable[[Key, CellResult], None],
        interrupted: Callable[[], bool],
        note: Callable[[str], None],
    ) -> None:
        """Work through ``blocks``."""
        waiting = [Running(block, list(block.cells)) for block in blocks][::-1]
        while waiting or self.running:
            while waiting and len(self.running) < self.workers:
                self._start(waiting.pop())
            for stream in self._ready(POLL_S):
                try:
                    self._take(stream, finished)
                except RayTaskError as error:
                    _stop_if(interrupted)
                    raise _named(error, self.running.pop(stream).left[0]) from error
                except RayError as error:  # the worker died
                    _stop_if(interrupted)
                    died = self.running.pop(stream)
                    waiting.append(_once_more(died, error))
                    note(f"a worker died over {died.left[0]}; its cells are computed once more")
            _stop_if(interrupted)

    def stop(self, finished: Callable[[Key, CellResult], None]) -> None:
        """Hand over what has come back already, and end the rest."""
        while self.running and (ready := self._ready(0)):
            for stream in ready:
                try:
                    self._take(stream, finished)
                except (RayError, JMMLError):  # one is being reported already
                    del self.running[stream]
        for stream in self.running:
            ray.cancel(stream, force=True)
        self.running.clear()

    def _start(self, work: Running) -> None:
        remote = _compute_block.options(num_cpus=1, num_gpus=self.gpus)
        cells = [(key.digest, key.method, bool(key.parts["audited"])) for key in work.left]
        place = (work.block.fold, work.block.seed)
        self.running[remote.remote(self.shared[work.block.task], *place, cells, self.settings)] = work

    def _ready(self, timeout: float) -> list[ObjectRefGenerator]:
        streams = list(self.running)
        return ray.wait(streams, num_returns=1 if timeout else len(streams), timeout=timeout)[0]

    def _take(self, stream: ObjectRefGenerator, finished: Callable[[Key, CellResult], None]) -> None:
        """The next cell of a stream, or its end."""
        work = self.running[stream]
        try:
            name, result = ray.get(next(stream))
        except StopIteration:
            del self.running[stream]
            return
        key = work.left.pop(0)
        assert key.digest == name
        finished(key, result)


@ray.remote(num_returns="streaming", max_retries=0)
def _compute_block(
    shared: Shared, fold: int, seed: int, cells: Sequence[tuple[str, str, bool]], settings: BlockSettings
) -> Iterator[tuple[str, CellResult]]:
    """The cells ``(digest, method, audited)`` of one fold and seed, one by one; stage-1 models are shared."""
    prepare_worker(seed, settings.version)
    if code_digest() != settings.code:
        raise SweepError(
            "the worker's code is not that of the driver",
            where="jmml",
            fix="update the cluster, or run the study again if the code was edited meanwhile",
        )
    task, split, candidates = shared
    memo: dict[Any, Any] = {}
    with _ctrl_c_ignored():
        for name, method, audited in cells:
            yield (
                name,
                settings.cell(
                    task,
                    split,
                    fold,
                    method,
                    candidates,
                    seed=seed,
                    inner_folds=settings.inner_folds,
                    device=settings.device,
                    memo=memo,
                    audited=audited,
                ),
            )


@contextmanager
def _ctrl_c_ignored() -> Iterator[None]:
    """A terminal sends Ctrl-C to workers as well; what they are at is decided by the driver."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _stop_if(interrupted: Callable[[], bool]) -> None:
    if interrupted():
        raise KeyboardInterrupt


def _once_more(work: Running, error: RayError) -> Running:
    """``work`` with its cells that are left, unless workers keep dying over it."""
    if work.deaths == RETRIES:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise SweepError(
            f"the worker died {RETRIES + 1} times here or soon after: {reason}",
            where=work.left[0],
            fix="give it more memory, or lower --workers; finished cells are kept",
        ) from error
    return Running(work.block, work.left, work.deaths + 1)


def _named(error: RayTaskError, key: Key) -> JMMLError:
    """The failure of a cell, naming the cell; of the same class, so that the exit code stays."""
    cause = error.cause
    if isinstance(cause, SweepError):
        return cause
    if isinstance(cause, ConfigError):
        return ConfigError(cause.problems, where=key)
    if isinstance(cause, JMMLError):
        return type(cause)(str(cause), where=key)
    line = next(iter(str(cause).strip().splitlines()), "no message")
    return SweepError(f"{type(cause).__name__}: {line}", where=key)
