"""Sweeps without Ray: the loop of Tune in this process, several trials at a time, in an order drawn from a seed.

The driver, the search, the scheduler, the trials and MLflow are the real ones; there are no workers. What Ray and Tune
themselves do is tested in test_run and test_whole by the sweeps that run on them, and by tests/faults/test_on_ray.

>>> with without_ray(order=3):
...     run_sweep(project, definition, quiet=True)
"""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from ray.tune.search import Searcher

from jmml.task import TaskData
from pipelines.sweep.decide.driver import Driver
from pipelines.sweep.execute import sweep_session, trainable, tuning
from pipelines.sweep.execute.capacity import Capacity
from pipelines.sweep.execute.progress import Progress
from pipelines.sweep.execute.trainable import TrialSettings, run_trial
from pipelines.workspace.signals import termination_as_exit

CPUS = 2
_this = threading.local()  # .worker: of the thread that runs a trial


@contextmanager
def without_ray(*, order: int = 0) -> Iterator[None]:
    """Sweeps that begin in the block run as on a machine of two CPUs; ``order`` decides which trial reports next."""

    @contextmanager
    def machine(plan: Any, *, trials: int, **options: Any) -> Iterator[Capacity]:
        with termination_as_exit():  # as Ray is started
            yield Capacity(
                plan.definition.trials_at_a_time(cpus=CPUS, gpus=0, trials=trials), CPUS, 0.0, None
            )

    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweep_session, "ray_for", machine)
        patch.setattr(sweep_session, "refit", partial(sweep_session.refit, worker_start_s=math.inf))
        patch.setattr(tuning, "run", partial(run, order=order))
        patch.setattr(trainable, "tune", SimpleNamespace(report=lambda values: _this.worker.report(values)))
        try:
            yield
        finally:
            torch.set_num_threads(threads)


def run(
    driver: Driver,
    training: TaskData,
    settings: TrialSettings,
    *,
    folder: Any,
    display: Progress,
    wanted_to_stop: Callable[[], BaseException | None],
    room: Callable[[], int],
    order: int,
) -> None:
    """In place of :func:`pipelines.sweep.execute.tuning.run`."""
    rng, names, numbers = np.random.default_rng(order), itertools.count(1), {}
    proposals = tuning.Proposals(driver, numbers)
    reports = tuning.Reports(driver, numbers, display, wanted_to_stop, room, settings.checkpoints)
    leaves = tuning.Verdicts(reports)
    at_work: dict[Any, _Worker] = {}
    try:
        reports.settle()
        proposed: Any = Searcher.FINISHED if driver.finished else None
        while True:
            while proposed != Searcher.FINISHED:
                proposed = proposals.suggest(name := f"trial{next(names)}")
                if not isinstance(proposed, dict):
                    break
                trial = _Trial(trial_id=name, config=proposed, last_result={}, error_file=None)
                reports.on_trial_start(0, [], trial)
                work = partial(run_trial, proposed, training=training, settings=settings)
                at_work[trial] = _Worker(work)
            if not at_work:
                assert proposed == Searcher.FINISHED, "the driver waits for trials that nobody runs"
                return
            trial = [*at_work][rng.integers(len(at_work))]
            result = at_work[trial].next_report()
            over = result is None or leaves(trial.trial_id, result)
            trial.last_result = result or trial.last_result
            if over:
                at_work.pop(trial).leave()
                reports.on_trial_complete(0, [], trial)
                proposals.on_trial_complete(trial.trial_id)
            reports.on_step_end(0, [])
    except tuning.Leave as leave:
        raise leave.cause.with_traceback(None) from None
    finally:
        for worker in at_work.values():
            worker.leave()


class _Trial(SimpleNamespace):
    """What is asked of a trial of Tune's."""

    __hash__ = object.__hash__  # type: ignore[assignment]
    __eq__ = object.__eq__


class _LeaveError(BaseException):
    """Ends the thread of a trial that was stopped; a trial takes an :class:`Exception` for its own."""


class _Worker:
    """A trial in a thread of its own, of which one at a time runs: while its next report is waited for."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work, self._said, self._left = work, None, False
        self._go, self._there = threading.Semaphore(0), threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def next_report(self) -> dict[str, Any] | None:
        """None when the trial is over."""
        self._said = None
        self._go.release()
        self._there.acquire()
        return self._said

    def leave(self) -> None:
        """End the trial where it is."""
        self._left = True
        self._go.release()
        self._thread.join()

    def report(self, values: dict[str, Any]) -> None:
        """In the trial, which goes on when the next report is asked for."""
        self._said = dict(values)
        self._there.release()
        self._await_turn()

    def _await_turn(self) -> None:
        self._go.acquire()
        if self._left:
            raise _LeaveError

    def _run(self) -> None:
        _this.worker = self
        try:
            self._await_turn()
            self._work()
        except _LeaveError:
            return
        finally:
            self._said = None
            self._there.release()
