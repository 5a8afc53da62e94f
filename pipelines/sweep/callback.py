"""The link between Ray Tune's loop and everything that watches it: board, display and tracking store."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ray import cloudpickle, tune
from ray.exceptions import RayTaskError
from ray.tune.experiment import Trial as RayTrial

from jmml.config import MethodConfig
from jmml.errors import JMMLError
from pipelines.sweep.board import Board
from pipelines.sweep.search import METRIC, TIME, configuration_of
from pipelines.sweep.spaces import configure
from pipelines.sweep.table import Display
from pipelines.sweep.writer import Point, TrialWriter


class SweepCallback(tune.Callback):
    """Called in the driver by Tune's loop, never in a worker.

    Parameters
    ----------
    base : settings that hold wherever a trial's configuration says nothing.
    common : parameters that every trial's run carries besides its full configuration.
    interrupted : whether to stop; asked between two steps of the loop.
    """

    def __init__(
        self,
        board: Board,
        writer: TrialWriter,
        display: Display,
        base: MethodConfig,
        common: Mapping[str, Any],
        interrupted: Callable[[], bool],
    ) -> None:
        self.board, self.writer, self.display = board, writer, display
        self.base, self.common, self.interrupted = base, common, interrupted

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune writes its callbacks into the snapshot of the search, and these parts are live."""
        return {}

    def on_trial_start(self, iteration: int, trials: list[RayTrial], trial: RayTrial, **info: Any) -> None:
        number = next(i for i, other in enumerate(trials, 1) if other is trial)
        configuration = configuration_of(trial.config)
        method = configure(self.base, configuration)
        entry = self.board.start(trial.trial_id, number, configuration, method.stage2.epochs)
        self.writer.start(name(entry.number), {**method.model_dump(mode="json"), **self.common})

    def on_trial_result(
        self, iteration: int, trials: list[RayTrial], trial: RayTrial, result: dict[str, Any], **info: Any
    ) -> None:
        entry = self.board.report(trial.trial_id, int(result[TIME]), float(result[METRIC]), result["points"])
        points = trial_points(result, now_ms=int(time.time() * 1000))
        # The store knows no NaN. A diverging loss must not end the sweep: the trial's tag names it instead.
        entry.dropped |= {key for key, value, _, _ in points if not math.isfinite(value)}
        self.writer.points(name(entry.number), [point for point in points if math.isfinite(point[1])])

    def on_trial_complete(self, iteration: int, trials: list[RayTrial], trial: RayTrial, **info: Any) -> None:
        self._over(trial, "FINISHED", lambda: self.board.end(trial.trial_id))

    def on_trial_error(self, iteration: int, trials: list[RayTrial], trial: RayTrial, **info: Any) -> None:
        if trial.trial_id not in self.board.trials:  # failed before it could start
            self.on_trial_start(iteration, trials, trial)
        line = error_line(trial)
        self._over(trial, "FAILED", lambda: self.board.end(trial.trial_id, "failed", error=line))

    def on_step_end(self, iteration: int, trials: list[RayTrial], **info: Any) -> None:
        self.writer.tick()
        if self.interrupted():
            raise KeyboardInterrupt

    def _over(self, trial: RayTrial, status: str, end: Callable[[], Any]) -> None:
        entry = end()
        tags: dict[str, object] = {"jmml.state": entry.state, "jmml.best_epoch": entry.best_epoch}
        if entry.error:
            tags["jmml.error"] = entry.error[:2000]
        if entry.dropped:
            tags["jmml.not_finite"] = ", ".join(sorted(entry.dropped))
        if entry.best_val_uar is not None:
            point = ("best_val_uar", entry.best_val_uar, entry.best_epoch, int(time.time() * 1000))
            self.writer.points(name(entry.number), [point])
        self.writer.finish(name(entry.number), status, tags)
        self.display.finished(entry)


def name(number: int) -> str:
    """Name of a trial's tracked run below its sweep."""
    return f"{number:03d}"


def trial_points(result: Mapping[str, Any], *, now_ms: int) -> list[Point]:
    """Metric points of one report: this epoch's, and those of the stage-1 epochs when it brings them."""
    epoch = int(result[TIME])
    points = [(key, float(value), epoch, now_ms) for key, value in result["points"].items()]
    for key, values in result.get("history", {}).items():
        points += [(key, float(value), step, now_ms) for step, value in enumerate(values, 1)]
    return points


def error_line(trial: RayTrial) -> str:
    """Why a trial failed: the message of our own errors, ``Type: first line`` of any other."""
    file = trial.pickled_error_file  # written a moment ago by this process
    if file is None or not Path(file).is_file():
        return "failed without a message"
    error = cloudpickle.loads(Path(file).read_bytes())
    cause = error.cause if isinstance(error, RayTaskError) and error.cause is not None else error
    if isinstance(cause, JMMLError):
        return str(cause)
    lines = [text for text in str(cause).strip().splitlines() if text.strip()]
    return f"{type(cause).__name__}: {lines[0] if lines else 'no message'}"
