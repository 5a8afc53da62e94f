"""A sweep from start to end, and again from wherever it was left: search on inner folds, refit, evidence.

Whatever happens, nothing is lost and no run is left open: every decision is in the sweep's journal first
(:mod:`pipelines.sweep.driver`), MLflow is filled from the journal (:mod:`pipelines.sweep.shipper`), and a sweep that
was interrupted, stopped or killed goes on with :func:`resume_sweep` as if nothing had been.
"""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import uuid4

from rich.console import Console

from jmml.errors import ConfigError, JMMLError, SweepError, TrackingError
from jmml.experiment import search_trial
from pipelines import lineage
from pipelines.code import code_digest
from pipelines.project import Project
from pipelines.sweep import results, session, tuning
from pipelines.sweep.capacity import Capacity, Room, ray_for
from pipelines.sweep.continuing import check_changes, settings, to_extend, to_resume
from pipelines.sweep.definition import SweepDefinition, load_definition
from pipelines.sweep.driver import Driver
from pipelines.sweep.folder import SweepFolder, stage1_folder, user
from pipelines.sweep.journal import Journal
from pipelines.sweep.outcome import SweepResult
from pipelines.sweep.plan import Plan, plan
from pipelines.sweep.refit import refit
from pipelines.sweep.search import build_search
from pipelines.sweep.shipper import Shipper
from pipelines.sweep.spaces import configure, describe
from pipelines.sweep.state import SweepState, Trial
from pipelines.sweep.table import Display
from pipelines.sweep.trainable import Points, TrialSettings, checkpoint_epochs
from pipelines.tracking import Tracker

SCORES = {"mean": "val_uar", "lower-bound": "val_uar_low"}
PATIENCE = "JMML_TRACKING_PATIENCE"  # s for which the end of a sweep waits for a store that takes nothing
PATIENCE_S, DRAIN_ON_LEAVING_S = 120.0, 20.0


class InterruptedSweepError(SweepError):
    """Ended by Ctrl-C, a termination signal or `jmml sweep stop`; what was finished is kept."""

    exit_code = 130  # 128 + SIGINT, as shells have it


class StopRequest(KeyboardInterrupt):
    """Someone asked the sweep to end with `jmml sweep stop`."""


def run_sweep(
    project: Project,
    source: str | Path | SweepDefinition,
    *,
    overrides: Sequence[str] = (),
    name: str | None = None,
    team: str | None = None,
    address: str | None = None,
    quiet: bool = False,
    console: Console | None = None,
    search: Callable[..., Points] = search_trial,
) -> SweepResult:
    """Run a new sweep and evaluate its best configuration on the outer fold.

    Parameters
    ----------
    source, overrides : see :func:`pipelines.sweep.plan.plan`.
    name : of the sweep. Without one it has the definition's, followed by a number when that is taken.
    team : whose sweep it is; default: the environment variable ``JMML_TEAM``.
    address : of a Ray cluster; default: ``RAY_ADDRESS``, else this machine.
    quiet : show no progress.
    console : where progress is shown; default: the standard error output.
    search : scores one configuration; exchanged in tests.

    Raises
    ------
    ConfigError, DataError, ProtocolError : before anything starts, see :func:`pipelines.sweep.plan.plan`.
    TrackingError : the tracking store cannot be reached at the start, or has not taken everything at the end.
    SweepError : the name is taken, Ray cannot start, a trial asks for more than there is, or every trial failed;
        :class:`InterruptedSweepError` after Ctrl-C or a request to stop.
    """
    definition = (
        source
        if isinstance(source, SweepDefinition)
        else load_definition(source, overrides=overrides, name=name, project=project)
    )
    folder = unused(project, name or definition.name, exact=name is not None)
    definition = definition.model_copy(update={"name": folder.name})
    planned = plan(project, definition)
    first = {
        "id": uuid4().hex,
        "name": folder.name,
        "user": user(),
        "team": team or os.environ.get("JMML_TEAM", ""),
        "version": version("jmml"),
        "total": planned.trials,
        **settings(planned),
    }
    opening = [("sweep", first)]
    return Turn(
        project, planned, planned.trials, folder, "run", opening, address, quiet, console, search
    ).take()


def resume_sweep(
    project: Project,
    name: str,
    *,
    source: str | Path | None = None,
    overrides: Sequence[str] = (),
    accept_changes: bool = False,
    address: str | None = None,
    quiet: bool = False,
    console: Console | None = None,
    search: Callable[..., Points] = search_trial,
) -> SweepResult:
    """Go on with a sweep that was interrupted, stopped, or whose driver, Ray or machine died.

    Trials that ended are not run again. A sweep that is complete is only checked: what MLflow lacks is sent.

    Parameters
    ----------
    source, overrides : a definition in place of the recorded one, changes to it.
    accept_changes : go on although the definition, the settings, the data or the code differ from when it began.

    Raises
    ------
    SweepError : there is no such sweep, someone drives it, or something differs (the message says what).
    """
    found = to_resume(project, name, source=source, overrides=overrides)
    opening: list[tuple[str, dict[str, Any]]] = []
    check_changes(found, accepted=accept_changes)
    if found.changes:
        accepted = {"changes": found.changes, **settings(found.plan), "total": found.total}
        opening.append(("accept", accepted))
    return Turn(
        project, found.plan, found.total, found.folder, "resume", opening, address, quiet, console, search
    ).take()


def extend_sweep(
    project: Project,
    name: str,
    *,
    trials: int,
    address: str | None = None,
    quiet: bool = False,
    console: Console | None = None,
    search: Callable[..., Points] = search_trial,
) -> SweepResult:
    """Add trials to a sweep; the search knows all that went before.

    When another configuration leads in the end, the outer fold is opened once more; the sweep's run and report say
    how often it was.

    Raises
    ------
    ConfigError : there is nothing to add to, or something differs since the sweep began.
    """
    found = to_extend(project, name, trials)
    opening = [("extend", {"trials": trials, "user": user()})]
    return Turn(
        project, found.plan, found.total, found.folder, "extend", opening, address, quiet, console, search
    ).take()


def stop_sweep(project: Project, name: str, *, wait_s: float = 30.0) -> str:
    """Ask the driver of a sweep to end; where it died, close what it left open. What happened, in one line.

    Raises
    ------
    SweepError : there is no such sweep.
    TrackingError : the driver died, and the store that has its open runs cannot be reached.
    """
    folder = SweepFolder.find(project, name)
    if folder.held:
        who = folder.holder_text()
        folder.ask_to_stop()
        until = time.monotonic() + wait_s
        while folder.held:
            if time.monotonic() > until:
                return f"asked {who} to stop; it has not ended yet, see `jmml sweep watch {name}`"
            time.sleep(0.2)
        return f"sweep {name} has stopped; {_kept(folder.state())}. Go on with `jmml sweep resume {name}`"
    state = folder.state()
    if state.closed:
        return f"sweep {name} is not running: {state.closed['state']}, {_kept(state)}"
    tracker = Tracker.connect(project)
    with folder.hold(), _opened(folder) as journal:
        state = folder.state()
        journal.append("session", **_me(), mode="stop", concurrent=0, cpus=0, gpus=0, address=None)
        journal.append("close", state="stopped", reason=f"its driver had died; closed by {user()}")
        run_id = state.run_id or tracker.find_sweep(state.id)  # it may have died before it noted the run
        if run_id is not None:
            shipper = Shipper(folder, tracker, run_id)
            shipper.start()
            shipper.drain(patience_s=_patience())
            shipper.stop()
            tracker.close_children(run_id, "KILLED")
            tracker.finish(run_id, "KILLED")
    done = f"sweep {name}: its driver had died; its runs are closed, {_kept(state)}"
    return f"{done}. Go on with `jmml sweep resume {name}`"


@dataclass
class Turn:
    """One driver's turn at a sweep, from taking its lock to giving it back."""

    project: Project
    plan: Plan
    total: int
    folder: SweepFolder
    mode: str
    opening: list[tuple[str, dict[str, Any]]]
    address: str | None
    quiet: bool
    console: Console | None
    search: Callable[..., Points]
    room: Room = field(init=False)

    def take(self) -> SweepResult:
        """Run what is left to run, refit, and close the sweep."""
        _patience()  # a wrong setting is said now, not at the end
        shown = None if self.quiet else self.console or Console(stderr=True)
        if shown is not None:
            where = f"joining Ray at {self.address}" if self.address else "starting Ray"
            shown.print(f"sweep {self.folder.name}: {where}", soft_wrap=True, highlight=False, markup=False)
        with self.folder.hold():
            if self.mode == "run" and self.folder.begun:
                raise SweepError(
                    "exists already", where=f"sweep {self.folder.name}", fix="choose another --name"
                )
            tracker = Tracker.connect(self.project)
            origin = lineage.collect(self.project, list(self.plan.corpora))
            with (
                ray_for(
                    self.plan, trials=self.total, address=self.address, on_death=self._ray_died
                ) as capacity,
                _opened(self.folder) as journal,
            ):
                self._open(journal, capacity)
                self.room = Room(self.plan.definition, trials=self.total, found=capacity)
                journal.sync()
                return self._work(tracker, origin, journal, capacity.concurrent, shown)

    def _open(self, journal: Journal, capacity: Capacity) -> None:
        """The first events of a turn."""
        opening = [*self.opening]
        if self.mode == "run":
            kind, values = opening.pop(0)
            journal.append(kind, **values)
        journal.append("session", **_me(), mode=self.mode, **asdict(capacity))
        for kind, values in opening:
            if kind == "accept":  # checkpoints of other settings would fail every trial that has one
                self.folder.discard_checkpoints()
            journal.append(kind, **values)

    def _ray_died(self, reason: str) -> None:
        """Ray's own end takes this process with it within seconds: say so in time, and leave."""
        state = self.folder.state()
        message = SweepError(
            f"{reason}; {_kept(state)}",
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
        run_id = tracker.start_sweep(
            state.name,
            sweep_id=state.id,
            params=results.sweep_params(self.plan),
            tags=results.sweep_tags(self.plan, state),
            lineage=origin,
        )
        driver = Driver(
            journal,
            state,
            build_search(self.plan.definition),
            self.plan.definition,
            self.plan.params.method,
            concurrent=concurrent,
        )
        shipper = Shipper(self.folder, tracker, run_id)
        with Display(state, shown, trouble=lambda: _trouble(shipper)) as display:
            shipper.start()
            with self._leaving(driver, shipper, tracker, run_id):
                if state.run_id != run_id:
                    driver.write("run", run_id=run_id)
                tracker.log_text(run_id, self.plan.definition.to_yaml(), "definition.yaml")
                self._search(driver, display)
                fitted = self._refit(driver, shipper, tracker, display, run_id)
                shipper.drain(patience_s=_patience())
                tracker.finish(run_id, "FINISHED")
                driver.write("close", state="finished", reason=driver.ended_early or "")
                self.folder.discard_checkpoints()
            shipper.stop()
        return fitted

    def _search(self, driver: Driver, display: Display) -> None:
        """Run all trials; returns when they are over, however they ended."""
        definition, params = self.plan.definition, self.plan.params
        shutil.rmtree(self.folder.path / "ray", ignore_errors=True)  # of a driver that was killed
        if driver.finished:
            return
        for trial, epoch, path in checkpoint_epochs(self.folder.checkpoints):
            known = driver.state.trials.get(trial)
            if known is None or epoch > known.epoch:  # ahead of the journal after a power failure
                shutil.rmtree(path, ignore_errors=True)
        shared = TrialSettings(
            search=self.search,
            sweep=driver.state.id,
            base=params.method,
            n_folds=params.protocol.inner_folds,
            seed=definition.seed,
            device="cuda" if definition.resources.gpus else params.device,  # a worker sees its own GPU alone
            score=SCORES[definition.objective.score],
            cost=definition.objective.cost is not None,
            threads=max(1, int(definition.resources.cpus)),
            stage1=stage1_folder(self.project),
            checkpoints=self.folder.checkpoints,
            code=code_digest(),
        )
        with session.first_interrupt() as interrupted:
            while not driver.finished:
                tuning.run(
                    driver,
                    self.plan.training,
                    shared,
                    folder=self.folder.path / "ray",
                    display=display,
                    wanted_to_stop=_stops(self.folder, interrupted),
                    room=self.room,
                )

    def _refit(
        self, driver: Driver, shipper: Shipper, tracker: Tracker, display: Display, run_id: str
    ) -> SweepResult:
        """Fit the best configuration on all training groups and open the outer fold, unless that was done."""
        state, params = driver.state, self.plan.params
        best = _best(state)
        chosen = best.best_configuration or best.configuration
        config = configure(params.method, {**chosen, "stage2.epochs": best.best_epoch})
        last = state.refits[-1] if state.refits else None
        if last is None or (last["trial"], last["epoch"]) != (best.number, best.best_epoch):
            seeds = params.protocol.seeds
            display.note(
                f"refitting trial {best.number} ({describe(chosen)}) and its controls, {len(seeds)} seeds"
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
            shipper.drain(patience_s=_patience())  # waits for a store that is away; what follows does not
            opened = len(state.refits) + 1
            model_uri = results.log(
                tracker, run_id, self.plan, state, best, config, fitted, folder=self.folder, opened=opened
            )
            driver.write(
                "refit",
                trial=best.number,
                epoch=best.best_epoch,
                configuration=chosen,
                confidence=params.evaluation.confidence,
                metrics=fitted.metrics,
                comparison=results.plain_rows(fitted.comparison),
                model_uri=model_uri,
                opened=opened,
            )
        return SweepResult.of(self.plan, state, config)

    @contextmanager
    def _leaving(self, driver: Driver, shipper: Shipper, tracker: Tracker, run_id: str) -> Iterator[None]:
        """Close everything when the block fails; the first error is the one that is raised."""
        try:
            yield
        except BaseException as error:
            state = driver.state
            ended = not isinstance(error, Exception)
            reason = _reason(error)
            with session.first_interrupt() as hurried:  # pressed again: less is waited for, no less is closed
                with suppress(SweepError):  # the journal may be what failed
                    driver.broke_off()
                    driver.write("close", state="stopped" if ended else "failed", reason=reason)
                with suppress(TrackingError, KeyboardInterrupt):  # so may the store
                    shipper.drain(hurried, patience_s=DRAIN_ON_LEAVING_S)
                shipper.stop()
                if shipper.trouble is None:
                    with suppress(TrackingError, KeyboardInterrupt):
                        tracker.set_tags(run_id, {"jmml.error": reason})
                        tracker.finish(run_id, "KILLED" if ended else "FAILED")
            where = f"sweep {state.name}"
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise InterruptedSweepError(
                    f"{reason}; {_kept(state)}",
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
                fix=f"{_kept(state)}; go on with `jmml sweep resume {state.name}`",
            ) from error


# ---------------------------------------------------------------------------------------------------------


def unused(project: Project, name: str, *, exact: bool) -> SweepFolder:
    """A folder for a new sweep of that name, numbered when the name is taken and not asked for.

    Raises
    ------
    SweepError : the name is taken, or the sweep that has it is not finished: it should be resumed.
    """
    folder, number = SweepFolder.of(project, name), 1
    while folder.begun:
        if folder.held:
            raise SweepError(
                f"is being driven by {folder.holder_text()}",
                where=f"sweep {folder.name}",
                fix=f"look with `jmml sweep watch {folder.name}`, or choose another --name",
            )
        closed = folder.state().closed
        if closed is None or closed["state"] == "stopped":
            raise SweepError(
                "was begun and is not finished",
                where=f"sweep {folder.name}",
                fix=f"go on with `jmml sweep resume {folder.name}`, or choose another --name",
            )
        if exact:
            raise SweepError(
                f"exists already: {_kept(folder.state())}",
                where=f"sweep {folder.name}",
                fix=f"choose another --name, or add trials with `jmml sweep extend {folder.name} --trials N`",
            )
        number += 1
        folder = SweepFolder.of(project, f"{name}-{number}")
    return folder


def _patience() -> float:
    """How long (s) the end of a sweep waits for a tracking store that takes nothing.

    Raises
    ------
    ConfigError : ``JMML_TRACKING_PATIENCE`` is no number of seconds.
    """
    text = os.environ.get(PATIENCE, "")
    try:
        seconds = float(text or PATIENCE_S)
    except ValueError:
        seconds = -1.0
    if not seconds >= 0:
        raise ConfigError([f"'{text}', expected seconds"], where=PATIENCE)
    return seconds


def _me() -> dict[str, Any]:
    return {"user": user(), "host": socket.gethostname(), "pid": os.getpid()}


@contextmanager
def _opened(folder: SweepFolder) -> Iterator[Journal]:
    journal = Journal(folder.journal)
    try:
        yield journal
    finally:
        with suppress(SweepError):
            journal.close()


def _stops(folder: SweepFolder, interrupted: Callable[[], bool]) -> Callable[[], BaseException | None]:
    """Whether to stop: Ctrl-C, or a request, for which the folder is looked at once a second."""
    looked = time.monotonic()

    def wanted() -> BaseException | None:
        nonlocal looked
        if interrupted():
            return KeyboardInterrupt()
        if time.monotonic() - looked < 1.0:
            return None
        looked = time.monotonic()
        who = folder.asked_to_stop
        return None if who is None else StopRequest(f"stopped by {who}")

    return wanted


def _best(state: SweepState) -> Trial:
    if state.best is None:
        failed = [trial for trial in state.trials.values() if trial.status == "failed"]
        if not failed:
            raise SweepError("no trial was run: the budget was used up before", where=f"sweep {state.name}")
        first = min(failed, key=lambda trial: trial.number)
        raise SweepError(
            f"all {len(failed)} trials failed; trial {first.number} ({describe(first.configuration)}): {first.error}",
            where=f"sweep {state.name}",
        )
    return state.best


def _reason(error: BaseException) -> str:
    if isinstance(error, StopRequest):
        return str(error)
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, SystemExit):
        return "terminated"
    return str(error)[:2000]


def _kept(state: SweepState) -> str:
    text = f"{state.over} of {state.total} trials are done and kept"
    if state.best is not None:
        text += f", best score {state.best.best_score:.3f} (trial {state.best.number})"
    return text


def _trouble(shipper: Shipper) -> str | None:
    if shipper.trouble is None:
        return None
    return f"MLflow cannot be written ({shipper.trouble.what}); {shipper.waiting:,} bytes wait in the journal"
