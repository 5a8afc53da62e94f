"""One driver's session of a sweep: from taking its lock, through search and refit, to closing it and giving it back.

Whatever happens, nothing is lost and no run is left open: every decision is in the sweep's journal first
(:mod:`pipelines.sweep.decide.driver`), and MLflow is filled from the journal (:mod:`pipelines.sweep.sync.mlflow_sync`).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Console

from jmml.errors import JMMLError, SweepError, TrackingError
from jmml.plugins import in_project
from pipelines.cache.content import prune
from pipelines.compute.worker import Origin
from pipelines.definitions.spaces import configure, describe
from pipelines.reporting.terminal import PlainConsole
from pipelines.reporting.wording import many
from pipelines.sweep.decide.driver import Driver
from pipelines.sweep.decide.search import build_search
from pipelines.sweep.definition.model import SweepDefinition
from pipelines.sweep.definition.plan import Plan
from pipelines.sweep.execute import artifacts, tuning
from pipelines.sweep.execute.capacity import Capacity, ray_for, room_for
from pipelines.sweep.execute.complete import refitted
from pipelines.sweep.execute.fingerprint import refit_digest
from pipelines.sweep.execute.outcome import SweepResult
from pipelines.sweep.execute.progress import Display, Progress
from pipelines.sweep.execute.refit import refit
from pipelines.sweep.execute.trainable import Points, TrialSettings, checkpoint_epochs
from pipelines.sweep.record.folder import SweepFolder
from pipelines.sweep.record.journal import Journal
from pipelines.sweep.record.state import SweepState, Trial
from pipelines.sweep.record.words import kept
from pipelines.sweep.sync.mlflow_sync import Shipper
from pipelines.tracking import runs
from pipelines.tracking.tracker import Tracker
from pipelines.workspace import lineage
from pipelines.workspace.environment import patience, stage1_limit
from pipelines.workspace.project import Project
from pipelines.workspace.signals import first_interrupt, heeding, stop_wanted
from pipelines.workspace.team import share_with_team, shared_folder, stage1_folder, this_driver

SCORES = {"mean": "val_uar", "lower-bound": "val_uar_low"}
DRAIN_ON_LEAVING_S = 20.0


class InterruptedSweepError(SweepError):
    """Ended by Ctrl-C, a termination signal or `jmml sweep stop`; what was finished is kept."""

    exit_code = 130  # 128 + SIGINT, as shells have it


@dataclass
class SweepSession:
    """One driver's session of a sweep, from taking its lock to giving it back.

    Attributes
    ----------
    total : trials wanted, those that are over included.
    length : bytes of the journal that the plan was made from; None for a new sweep.
    opening : the events that this session begins with.
    display : shows how the sweep gets on.
    """

    project: Project
    plan: Plan
    total: int
    folder: SweepFolder
    length: int | None
    mode: str
    opening: list[tuple[str, dict[str, Any]]]
    address: str | None
    quiet: bool
    console: Console | None
    search: Callable[..., Points]
    display: Display
    room: Callable[[], int] = field(init=False)
    run_id: str | None = field(init=False, default=None)
    shipper: Shipper | None = field(init=False, default=None)

    def run(self) -> SweepResult:
        """Run what is left to run, refit, and close the sweep."""
        try:
            return self._run()
        except (KeyboardInterrupt, SystemExit):  # while there was nothing to close, not yet or not any more
            again = (
                f"go on with `jmml sweep resume {self.folder.name}`"
                if self.folder.begun
                else "start it again"
            )
            raise InterruptedSweepError(
                "interrupted while Ray was starting or ending; nothing is lost",
                where=f"sweep {self.folder.name}",
                fix=again,
            ) from None

    def _run(self) -> SweepResult:
        patience()  # a wrong setting is said now, not at the end
        stage1_limit()
        share_with_team(shared_folder(self.project))
        shown = None if self.quiet else self.console or PlainConsole(stderr=True)
        with self.folder.hold():
            where = f"sweep {self.folder.name}"
            if self.length is None and self.folder.begun:
                raise SweepError("exists already", where=where, fix="choose another --name")
            if self.length is not None and self.folder.length != self.length:
                raise SweepError("was driven by someone else meanwhile", where=where, fix="try again")
            tracker = Tracker.connect(self.project)
            origin = lineage.collect(self.plan.project, list(self.plan.corpora))

            def note(text: str) -> None:
                if shown is not None:
                    shown.print(f"sweep {self.folder.name}: {text}", soft_wrap=True)

            note(f"joining Ray at {self.address}" if self.address else "starting Ray")
            with (
                ray_for(
                    self.plan, trials=self.total, address=self.address, on_death=self._ray_died, note=note
                ) as capacity,
                self.folder.opened() as journal,
            ):
                self._open(journal, capacity)
                self.room = room_for(self.plan.definition, trials=self.total, found=capacity)
                journal.sync()
                return self._work(tracker, origin, journal, capacity.concurrent, shown)

    def _open(self, journal: Journal, capacity: Capacity) -> None:
        """The first events of a session."""
        opening = [*self.opening]
        if self.mode == "run":
            kind, values = opening.pop(0)
            journal.append(kind, **values)
        journal.append("session", **this_driver(), mode=self.mode, **asdict(capacity))
        for kind, values in opening:
            if kind == "accept":  # checkpoints of other settings would fail every trial that has one
                self.folder.discard_checkpoints()
            journal.append(kind, **values)

    def _ray_died(self, reason: str) -> None:
        """Ray's own end takes this process with it within seconds: say so in time, and leave."""
        state = self.folder.state()
        message = SweepError(
            f"{reason}; {kept(state)}",
            where=f"sweep {state.name}",
            fix=f"go on with `jmml sweep resume {state.name}`",
        )
        os.write(2, f"error: {message}\n".encode())
        os._exit(message.exit_code)

    def _work(
        self,
        tracker: Tracker,
        origin: lineage.Lineage,
        journal: Journal,
        concurrent: int,
        shown: Console | None,
    ) -> SweepResult:
        state = self.folder.state()
        driver = Driver(
            journal,
            state,
            build_search(self.plan.definition),
            self.plan.definition,
            self.plan.params.method,
            concurrent=concurrent,
        )
        with self.display(state, shown, trouble=self._trouble) as display:
            with self._leaving(driver, tracker):
                run_id = self.run_id = tracker.start_sweep(
                    state.name,
                    sweep_id=state.id,
                    params=artifacts.sweep_params(self.plan),
                    tags=artifacts.sweep_tags(self.plan, state),
                    lineage=origin,
                )
                shipper = self.shipper = Shipper(self.folder, tracker, run_id)
                shipper.start()
                if state.run_id != run_id:
                    driver.write("run", run_id=run_id)
                tracker.log_text(run_id, self._wanted().to_yaml(), "definition.yaml")
                self._search(driver, display)
                with heeding(lambda: self.folder.asked_to_stop):
                    fitted = self._refit(driver, shipper, tracker, display, run_id)
                    artifacts.log_trials(tracker, run_id, self.folder)
                    shipper.drain(patience_s=patience())
                runs.end(tracker, run_id)
                driver.write("close", state="finished", reason=driver.ended_early or "")
                self.folder.discard_checkpoints()
            shipper.stop()
        prune(stage1_folder(self.project), stage1_limit())
        return fitted

    def _wanted(self) -> SweepDefinition:
        """The definition with the trials that were added."""
        definition = self.plan.definition
        added = self.total - self.plan.trials
        if not added:
            return definition
        budget = definition.budget.model_copy(update={"trials": self.total})
        return definition.model_copy(update={"budget": budget})

    def _search(self, driver: Driver, display: Progress) -> None:
        """Run all trials; returns when they are over, however they ended."""
        definition, params = self.plan.definition, self.plan.params
        shutil.rmtree(self.folder.path / "ray", ignore_errors=True)  # of a driver that was killed
        if driver.finished:
            return
        # Other machines of a cluster may have some of a namesake, or of this sweep before changes were accepted.
        checkpoints = self.folder.checkpoints / f"{driver.state.id}-{len(driver.state.accepted)}"
        for trial, epoch, path in checkpoint_epochs(checkpoints):
            known = driver.state.trials.get(trial)
            if known is None or epoch > known.epoch:  # ahead of the journal after a power failure
                shutil.rmtree(path, ignore_errors=True)
        shared = TrialSettings(
            search=in_project(self.search),
            sweep=driver.state.id,
            base=params.method,
            n_folds=params.protocol.inner_folds,
            seed=definition.seed,
            device="cuda" if definition.resources.gpus else params.device,  # a worker sees its own GPU alone
            score=SCORES[definition.objective.score],
            cost=definition.objective.cost is not None,
            threads=max(1, int(definition.resources.cpus)),
            stage1=stage1_folder(self.project),
            checkpoints=checkpoints,
            origin=Origin.here(),
        )
        with first_interrupt() as interrupted:
            while not driver.finished:
                tuning.run(
                    driver,
                    self.plan.training,
                    shared,
                    folder=self.folder.path / "ray",
                    display=display,
                    wanted_to_stop=stop_wanted(interrupted, lambda: self.folder.asked_to_stop),
                    room=self.room,
                )

    def _refit(
        self, driver: Driver, shipper: Shipper, tracker: Tracker, display: Progress, run_id: str
    ) -> SweepResult:
        """Fit the best configuration on all training groups and open the outer fold, unless that was done."""
        state, params = driver.state, self.plan.params
        best = _best(state)
        config = configure(params.method, {**best.chosen, "stage2.epochs": best.best_epoch})
        if not refitted(self.plan, state, best):
            seeds = params.protocol.seeds
            display.note(
                f"refitting trial {best.number} ({describe(best.chosen)}) and its controls, {many(len(seeds), 'seed')}"
            )
            fitted = refit(
                self.plan.task,
                self.plan.split,
                self.plan.definition.protocol.outer_fold,
                config,
                seeds=seeds,
                device=params.device,
                evaluation=params.evaluation,
                gpus=self.plan.definition.resources.gpus,
                stage1=stage1_folder(self.project),
            )
            display.note("writing to MLflow")
            shipper.drain(patience_s=patience())  # waits for a store that is away; what follows does not
            opened = len(state.refits) + 1
            model_uri = artifacts.log(
                tracker, run_id, self.plan, state, best, config, fitted, folder=self.folder, opened=opened
            )
            driver.write(
                "refit",
                trial=best.number,
                epoch=best.best_epoch,
                configuration=best.chosen,
                confidence=params.evaluation.confidence,
                metrics=fitted.metrics,
                comparison=artifacts.plain_rows(fitted.comparison),
                model_uri=model_uri,
                opened=opened,
                settings=refit_digest(self.plan),
            )
        return SweepResult.of(self.plan, state, config)

    def _trouble(self) -> str | None:
        """A current problem that does not stop the sweep; None where there is none."""
        shipper = self.shipper
        if shipper is None or shipper.trouble is None:
            return None
        return f"MLflow cannot be written ({shipper.trouble.what}); {shipper.waiting:,} bytes wait in the journal"

    @contextmanager
    def _leaving(self, driver: Driver, tracker: Tracker) -> Iterator[None]:
        """Close everything when the block fails; the first error is the one that is raised."""
        try:
            yield
        except BaseException as error:
            state = driver.state
            ended = not isinstance(error, Exception)
            reason = _reason(error, asked=self.folder.asked_to_stop)
            with first_interrupt() as hurried:  # pressed again: less is waited for, no less is closed
                with suppress(SweepError):  # the journal may be what failed
                    driver.broke_off()
                    driver.write("close", state="stopped" if ended else "failed", reason=reason)
                if self.shipper is not None and self.run_id is not None:
                    with suppress(TrackingError, KeyboardInterrupt):  # so may the store
                        self.shipper.drain(hurried, patience_s=DRAIN_ON_LEAVING_S)
                    self.shipper.stop()
                    if self.shipper.trouble is None:
                        runs.end(tracker, self.run_id, error, reason=reason)
            where = f"sweep {state.name}"
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise InterruptedSweepError(
                    f"{reason}; {kept(state)}",
                    where=where,
                    fix=f"go on with `jmml sweep resume {state.name}`",
                ) from None
            if isinstance(error, JMMLError) or ended:
                raise
            lines = str(error).strip().splitlines() or ["no message"]
            line = lines[
                -1 if lines[0].startswith("Traceback ") else 0
            ]  # Tune hands tracebacks on as messages
            raise SweepError(
                f"{type(error).__name__}: {line}",
                where=where,
                fix=f"{kept(state)}; go on with `jmml sweep resume {state.name}`",
            ) from error


def _best(state: SweepState) -> Trial:
    if state.best is None:
        failed = [trial for trial in state.trials.values() if trial.status == "failed"]
        if not failed:
            raise SweepError("no trial was run: the budget was used up before", where=f"sweep {state.name}")
        first = min(failed, key=lambda trial: trial.number)
        whose = "its only trial" if len(failed) == 1 else f"all {len(failed)} trials"
        raise SweepError(
            f"{whose} failed; trial {first.number} ({describe(first.configuration)}): {first.error}",
            where=f"sweep {state.name}",
        )
    return state.best


def _reason(error: BaseException, *, asked: str | None) -> str:
    if isinstance(error, KeyboardInterrupt):
        return f"stopped by {asked}" if asked else "interrupted"
    if isinstance(error, SystemExit):
        return "terminated"
    return str(error)[:2000]
