"""Ray Tune at the service of a driver: it starts workers, places trials on them, and brings reports.

Nothing is kept in Tune's own state. Its snapshots are switched off (in a test of ours they lost finished trials when
the driver was killed between two of them), its retries serve dead workers and nodes alone, and a trial that fails by
itself says so in a last report.
"""

from __future__ import annotations

import gc
import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.experiment import Trial as RayTrial
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from jmml.errors import JMMLError
from jmml.task import TaskData
from pipelines.compute.worker import PlaceError
from pipelines.reporting.wording import many
from pipelines.sweep.decide.driver import Driver
from pipelines.sweep.execute.keys import (
    CONFIGURATION,
    ERROR,
    FATAL,
    METRIC,
    MODE,
    NUMBER,
    PAYLOAD,
    SEGMENT,
    TIME,
)
from pipelines.sweep.execute.progress import Progress
from pipelines.sweep.execute.trainable import TrialSettings, forget_checkpoints, run_trial
from pipelines.sweep.record.state import Trial

MAX_DEATHS = 5  # of the workers and nodes of one trial
MOST_AT_ONCE = 2000  # proposals to one Tuner, which keeps tens of kilobytes of each of them until it ends


class Leave(BaseException):
    """Ends Tune's loop from a callback; Tune would wrap an :class:`Exception`."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(str(cause))
        self.cause = cause


def run(
    driver: Driver,
    training: TaskData,
    settings: TrialSettings,
    *,
    folder: Path,
    display: Progress,
    wanted_to_stop: Callable[[], BaseException | None],
    room: Callable[[], int],
) -> None:
    """Run trials until the driver has no more; returns when none is at work.

    Trials may be left to the driver at the end: call it again until :attr:`Driver.finished`.

    Parameters
    ----------
    training : the task without the outer fold. Only this goes into the object store, once per machine: workers
        cannot see the outer fold's groups.
    folder : for Tune's working files, deleted at the end.
    wanted_to_stop : asked between two steps of Tune's loop; what it returns is raised.
    room : how many trials fit at a time, asked between two steps.

    Raises
    ------
    JMMLError : the journal cannot be written, or every trial fails.
    KeyboardInterrupt, SystemExit : what ``wanted_to_stop`` returned.
    """
    definition = driver.definition
    numbers: dict[str, int] = {}
    reports = Reports(driver, numbers, display, wanted_to_stop, room, settings.checkpoints)
    resources = {"cpu": definition.resources.cpus}
    if definition.resources.gpus:
        resources["gpu"] = definition.resources.gpus
    left: BaseException | None = None
    try:
        reports.settle()  # what a driver had decided, which died before it could say so
        if driver.finished:
            return
        trainable = tune.with_parameters(run_trial, training=training, settings=settings)
        tune.Tuner(
            tune.with_resources(trainable, resources),
            tune_config=tune.TuneConfig(
                search_alg=Proposals(driver, numbers),
                scheduler=Placement(),
                num_samples=-1,
                reuse_actors=True,
                trial_name_creator=lambda trial: trial.trial_id,
                trial_dirname_creator=lambda trial: trial.trial_id,
            ),
            run_config=tune.RunConfig(
                name="tune",
                storage_path=str(folder),
                verbose=0,
                failure_config=tune.FailureConfig(max_failures=MAX_DEATHS),
                stop=Verdicts(reports),
                callbacks=[reports],
            ),
        ).fit()
    except Leave as leave:
        left = leave.cause.with_traceback(None)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if left is not None:
        gc.collect()  # with Tune's objects go its workers, which would keep their CPUs in a session that goes on
        raise left


class Proposals(Searcher):
    """The driver, as Tune asks a search: a configuration, None for later, or that there are no more.

    No more than ``driver.concurrent`` are with Tune at a time. What Tune calls a trial is one segment of ours where
    trials wait for each other.

    Parameters
    ----------
    numbers : the number of each trial by Tune's identifier, entered here.
    """

    def __init__(self, driver: Driver, numbers: dict[str, int]) -> None:
        super().__init__(metric=METRIC, mode=MODE)
        self.driver, self.numbers = driver, numbers
        self.live: set[str] = set()

    def suggest(self, trial_id: str) -> Any:
        if len(self.numbers) >= MOST_AT_ONCE:
            return Searcher.FINISHED
        if len(self.live) >= self.driver.concurrent:
            return None
        proposal = self.driver.next()
        if proposal is None:
            return None
        if proposal == "over":
            return Searcher.FINISHED
        self.numbers[trial_id] = proposal.number
        self.live.add(trial_id)
        return {
            NUMBER: proposal.number,
            CONFIGURATION: dict(proposal.configuration),
            SEGMENT: proposal.segment,
        }

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        self.live.discard(trial_id)

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune writes a file with all it was given, and the driver is live."""
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the journal has it."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the journal has it."""


class Reports(tune.Callback):
    """Callbacks from Tune's loop to the driver; called in the driver's process, never in a worker."""

    def __init__(
        self,
        driver: Driver,
        numbers: dict[str, int],
        display: Progress,
        wanted_to_stop: Callable[[], BaseException | None],
        room: Callable[[], int],
        checkpoints: Path,
    ) -> None:
        self.driver, self.numbers, self.display = driver, numbers, display
        self.wanted_to_stop, self.room, self.checkpoints = wanted_to_stop, room, checkpoints
        self.deaths: Counter[int] = Counter()  # by trial, of workers that Tune did not replace
        self.replaced: Counter[str] = Counter()  # by Tune's identifier, of those that it did

    def __getstate__(self) -> dict[str, Any]:
        """Nothing, as above."""
        return {}

    def on_trial_start(self, iteration: int, trials: list[RayTrial], trial: RayTrial, **info: Any) -> None:
        number = self.numbers[trial.trial_id]
        self._do(lambda: self.driver.started(number, dict(trial.config[CONFIGURATION])))

    def take_in(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Enter a report; whether the trial leaves its worker now."""
        if FATAL in result:
            raise Leave(PlaceError(result[ERROR]))
        if ERROR in result:
            return False
        number, epoch = self.numbers[trial_id], int(result[TIME])
        payload = {METRIC: float(result[METRIC]), **json.loads(result[PAYLOAD])}
        self._do(lambda: self.driver.reported(number, epoch, payload))
        return self.driver.leaves(number, epoch)

    def on_trial_complete(self, iteration: int, trials: list[RayTrial], trial: RayTrial, **info: Any) -> None:
        self._left(trial, (trial.last_result or {}).get(ERROR))

    def on_trial_recover(self, iteration: int, trials: list[RayTrial], trial: RayTrial, **info: Any) -> None:
        """A worker died, and another one takes its place."""
        self.replaced[trial.trial_id] += 1

    def on_trial_error(self, iteration: int, trials: list[RayTrial], trial: RayTrial, **info: Any) -> None:
        number = self.numbers[trial.trial_id]
        self.deaths[number] += 1
        deaths = max(self.deaths[number], self.replaced[trial.trial_id] + 1)
        if deaths > MAX_DEATHS:
            self._left(trial, death_line(trial, deaths))
        else:  # its worker died before the trial had begun: Tune does not try again then
            self._do(lambda: self.driver.again(number, dict(trial.config[CONFIGURATION])))

    def on_step_end(self, iteration: int, trials: list[RayTrial], **info: Any) -> None:
        self._do(self.driver.tick)
        self.driver.concurrent = self.room()
        self.settle()
        if (reason := self.wanted_to_stop()) is not None:
            raise Leave(reason)

    def settle(self) -> None:
        """End those trials that waited, and do not go on."""
        for ended in self._do(self.driver.settle):
            self._tidy(ended)

    def _left(self, trial: RayTrial, error: str | None) -> None:
        number = self.numbers[trial.trial_id]
        if number not in self.driver.state.trials:  # failed before it could start
            self._do(lambda: self.driver.started(number, dict(trial.config[CONFIGURATION])))
        ended = self._do(lambda: self.driver.left(number, error=error))
        if ended is not None:
            self._tidy(ended)

    def _tidy(self, trial: Trial) -> None:
        """After the end of a trial: its line, and its checkpoints, unless others may go on from them."""
        self.display.ended(trial)
        if self.driver.definition.pbt is None:
            forget_checkpoints(self.checkpoints, trial.number)

    def _do(self, action: Callable[[], Any]) -> Any:
        try:
            return action()
        except JMMLError as error:
            raise Leave(error) from error


class Verdicts(tune.Stopper):
    """Tune asks after every report whether the trial goes on, before it tells anybody else of it."""

    def __init__(self, reports: Reports) -> None:
        self.reports = reports

    def __getstate__(self) -> dict[str, Any]:
        """Nothing, as above."""
        return {}

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return self.reports.take_in(trial_id, result)

    def stop_all(self) -> bool:
        return False


class Placement(FIFOScheduler):
    """Every trial runs, in the order in which it came; which ones stop is decided elsewhere.

    Tune's own schedulers choose the next trial by going through all trials there ever were, at every step of its loop,
    which after ten thousand of them is a third of the driver's time: only living ones can be chosen. And a worker that
    has become free they give to a trial whose own worker is about to start, which is then called off: where trials take
    less time than a worker takes to start, no second worker ever does. Trials that are new, or whose worker died, have
    none; a worker is requested for each of them in the step in which they came.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._new: list[RayTrial] = []

    def on_trial_add(self, tune_controller: Any, trial: RayTrial) -> None:
        """Also called when a trial whose worker died is to run again."""
        self._new.append(trial)

    def choose_trial_to_run(self, tune_controller: Any) -> RayTrial | None:
        new, self._new = self._new, []
        for trial in new:
            if trial.status == RayTrial.PENDING:
                return trial
        living = tune_controller.get_live_trials()
        return next((trial for trial in living if trial.status == RayTrial.PENDING), None)


def death_line(trial: RayTrial, deaths: int) -> str:
    """Why Tune gave a trial up: its workers died, or could not be started."""
    text = ""
    if trial.error_file and Path(trial.error_file).is_file():
        text = Path(trial.error_file).read_text(encoding="utf-8", errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    reason = lines[-1] if lines else "no reason given"
    return f"its workers died {many(deaths, 'time')}: {reason}"
