"""A pool of workers: blocks of jobs, which block runs when, and what happens when a worker dies.

:func:`work_through` decides all that and knows no Ray; it is given :class:`Workers`. Those of Ray are
:class:`RayWorkers`, actors in the session of this process (:mod:`pipelines.compute.ray_session`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import ray
from ray.exceptions import RayError, RayTaskError

from jmml.errors import SweepError
from jmml.plugins import in_project
from pipelines.compute.worker import Origin, ctrl_c_ignored, prepare_worker

RETRIES = 1  # of a block whose worker died
POLL_S = 0.3

J = TypeVar("J")
Body = Callable[[Any, Sequence[Any]], Iterator[Any]]


@dataclass(frozen=True)
class Block(Generic[J]):
    """Jobs that one worker does one after another; each result comes back by itself.

    Attributes
    ----------
    shared : name of the value, one of those that all workers share, that the worker is given with the jobs.
    seed : of the worker's global generators.
    """

    shared: str
    seed: int
    jobs: tuple[J, ...]


class JobError(Exception):
    """A job failed by itself; ``cause`` is what it raised. The pool says which ``job`` it was."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(str(cause))
        self.cause = cause
        self.job: Any = None


class WorkerDiedError(Exception):
    """A worker is gone, and with it what it was at."""


class Workers(Protocol):
    """Those who do the work."""

    def start(self, block: Block[Any]) -> object:
        """Give a block to a worker that is free, or to a new one; a handle on it."""
        ...

    def ready(self, handles: Iterable[object], *, timeout: float) -> Sequence[Any]:
        """The blocks of which something has come back, their end included; after ``timeout`` seconds, none."""
        ...

    def take(self, handle: Any) -> Any:
        """The next result of a block that is ready.

        Raises
        ------
        StopIteration : there are no more.
        JobError, WorkerDiedError : there will be no more.
        """
        ...

    def dismiss_idle(self) -> None:
        """Let go those who have no block, and with them the room they take."""
        ...

    def close(self) -> None:
        """End all of them, at work or not."""
        ...


@dataclass
class _Running(Generic[J]):
    """A block with the jobs that have not come back yet."""

    block: Block[J]
    left: list[J]
    deaths: int = 0


def work_through(
    blocks: Iterable[Block[J]],
    workers: Workers,
    finished: Callable[[J, Any], None],
    *,
    room: Callable[[], int],
    check: Callable[[], None] = lambda: None,
    note: Callable[[str], None] = lambda text: None,
    at_work: Callable[[Sequence[J]], None] = lambda jobs: None,
    advice: str,
) -> None:
    """Have every job done; ``finished(job, result)`` is called here, in order of arrival.

    Parameters
    ----------
    room : how many blocks may be at work at a time.
    check : called several times a second; what it raises ends the work.
    note : is told, in a line, of a worker that died.
    at_work : is told which jobs are being done, whenever these are others.
    advice : the next step when workers keep dying.

    Raises
    ------
    JobError : a job failed. What had come back was handed over before.
    SweepError : a worker died twice over one block.
    """
    waiting = deque(_Running(block, list(block.jobs)) for block in blocks)
    running: dict[Any, _Running[J]] = {}
    known: list[J] = []
    try:
        while waiting or running:
            while waiting and len(running) < max(1, room()):
                work = waiting.popleft()
                running[workers.start(Block(work.block.shared, work.block.seed, tuple(work.left)))] = work
            if (now := [work.left[0] for work in running.values() if work.left]) != known:
                at_work(known := now)
            if not waiting:
                workers.dismiss_idle()
            for handle in workers.ready(running, timeout=POLL_S):
                work = running[handle]
                try:
                    result = workers.take(handle)
                except StopIteration:
                    del running[handle]
                except JobError as error:
                    check()
                    error.job = running.pop(handle).left[0]
                    raise
                except WorkerDiedError as error:
                    check()
                    del running[handle]
                    waiting.appendleft(_once_more(work, error, advice))
                    note(f"a worker died over {work.left[0]}; its work is done once more")
                else:
                    finished(work.left.pop(0), result)
            check()
    finally:
        try:
            _hand_over(running, workers, finished)
        finally:
            workers.close()


def _once_more(work: _Running[J], error: WorkerDiedError, advice: str) -> _Running[J]:
    """``work`` with its jobs that are left, unless workers keep dying over it."""
    if work.deaths == RETRIES:
        reason = next(iter(str(error).strip().splitlines()), "no message")
        raise SweepError(
            f"the worker died {RETRIES + 1} times here or soon after: {reason}",
            where=work.left[0],
            fix=advice,
        ) from error
    return _Running(work.block, work.left, work.deaths + 1)


def _hand_over(running: dict[Any, _Running[J]], workers: Workers, finished: Callable[[J, Any], None]) -> None:
    """Hand over results that have come back already when the work is broken off; none where all is done."""
    while running and (ready := workers.ready(running, timeout=0)):
        for handle in ready:
            try:
                result = workers.take(handle)
            except (StopIteration, JobError, WorkerDiedError):  # one error is being raised already
                del running[handle]
                continue
            job = running[handle].left.pop(0)
            with suppress(Exception):  # likewise
                finished(job, result)


class RayWorkers:
    """Actors of Ray, each with a process, a CPU and a share of a GPU of its own while it lives.

    Parameters
    ----------
    body : does the jobs of a block: ``body(shared, jobs)`` yields a result for each of them, in order.
    shared : by name, what several blocks need; sent to each machine once.
    code : digest of the driver's code, which each worker is to have.
    gpus : of each worker.
    """

    def __init__(self, body: Body, shared: Mapping[str, Any], *, code: str, gpus: float = 0.0) -> None:
        self._body, self._origin, self._gpus = in_project(body), Origin.here(code), gpus
        self._shared = {name: ray.put(value) for name, value in shared.items()}
        self._idle: list[Any] = []
        self._at_work: dict[Any, Any] = {}

    def start(self, block: Block[Any]) -> object:
        worker: Any = _Worker
        actor = self._idle.pop() if self._idle else worker.options(num_gpus=self._gpus).remote()
        stream = actor.work.remote(
            self._body, self._origin, block.seed, self._shared[block.shared], block.jobs
        )
        self._at_work[stream] = actor
        return stream

    def ready(self, handles: Iterable[object], *, timeout: float) -> Sequence[Any]:
        streams: list[Any] = list(handles)
        return ray.wait(streams, num_returns=1 if timeout else len(streams), timeout=timeout)[0]

    def take(self, handle: Any) -> Any:
        try:
            return ray.get(next(handle))
        except StopIteration:
            self._idle.append(self._at_work.pop(handle))
            raise
        except RayTaskError as error:
            self._idle.append(self._at_work.pop(handle))
            raise JobError(error.cause) from error
        except RayError as error:
            self._end(self._at_work.pop(handle))
            raise WorkerDiedError(str(error).strip() or type(error).__name__) from error

    def dismiss_idle(self) -> None:
        while self._idle:
            self._end(self._idle.pop())

    def close(self) -> None:
        self.dismiss_idle()
        while self._at_work:
            self._end(self._at_work.popitem()[1])

    @staticmethod
    def _end(actor: Any) -> None:
        with suppress(RayError):  # it is dead already
            ray.kill(actor)


@ray.remote(num_cpus=1, max_restarts=0, max_task_retries=0)
class _Worker:
    @ray.method(num_returns="streaming")
    def work(self, *arguments: Any) -> Iterator[Any]:
        yield from in_a_worker(*arguments)


def in_a_worker(body: Body, origin: Origin, seed: int, shared: Any, jobs: Sequence[Any]) -> Iterator[Any]:
    """Body of a worker: compute a block, after making sure that it has the driver's code and libraries."""
    prepare_worker(seed, origin)
    with ctrl_c_ignored():
        yield from body(shared, jobs)
