"""The sweeps of a project: begin one, go on with one from wherever it was left, add trials, end one.

A sweep that was interrupted, stopped or killed goes on with :func:`resume_sweep` as if nothing had been; what one
session does is :class:`pipelines.sweep.turn.Turn`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import uuid4

from rich.console import Console

from jmml.errors import SweepError
from jmml.experiment import search_trial
from pipelines.project import Project
from pipelines.sweep.continuing import check_changes, settings, to_extend, to_resume
from pipelines.sweep.definition import SweepDefinition
from pipelines.sweep.folder import SweepFolder, share_with_team, shared_folder, status, user
from pipelines.sweep.outcome import SweepResult
from pipelines.sweep.plan import plan
from pipelines.sweep.reading import load_definition
from pipelines.sweep.shipper import Shipper
from pipelines.sweep.state import SweepState
from pipelines.sweep.trainable import Points
from pipelines.sweep.turn import Turn, kept, opened_journal, patience, this_driver
from pipelines.tracking import Status, Tracker


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
        project, planned, planned.trials, folder, None, "run", opening, address, quiet, console, search
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
    place = (found.plan, found.total, found.folder, found.length)
    return Turn(project, *place, "resume", opening, address, quiet, console, search).take()


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
    place = (found.plan, found.total, found.folder, found.length)
    return Turn(project, *place, "extend", opening, address, quiet, console, search).take()


def stop_sweep(project: Project, name: str, *, wait_s: float = 30.0) -> str:
    """Ask the driver of a sweep to end; where it died, or could not reach MLflow, close what it left open.

    What happened, in one line.

    Raises
    ------
    SweepError : there is no such sweep.
    TrackingError : the driver died, and the store that has its open runs cannot be reached.
    """
    folder = SweepFolder.find(project, name, starting=True)
    share_with_team(shared_folder(project))
    if folder.held:
        who = folder.holder_text()
        folder.ask_to_stop()
        until = time.monotonic() + wait_s
        while folder.held:
            if time.monotonic() > until:
                return f"asked {who} to stop; it has not ended yet, see `jmml sweep watch {name}`"
            time.sleep(0.2)
        if not folder.begun:
            return f"sweep {name} has stopped before it began; nothing is left of it"
        return f"sweep {name} has stopped; {kept(folder.state())}. Go on with `jmml sweep resume {name}`"
    state = folder.state()
    if state.closed and state.closed["state"] == "finished":  # which it is once MLflow has everything
        return f"sweep {name} is not running: finished, {kept(state)}"
    with folder.hold():
        state = folder.state()
        died = not state.closed
        left_open = _close(folder, state, Tracker.connect(project))
    if not died and not left_open:
        return f"sweep {name} is not running: {status(folder, state)}, {kept(state)}"
    why = "its driver had died" if died else "MLflow had been away"
    return f"sweep {name}: {why}; its runs are closed, {kept(state)}. Go on with `jmml sweep resume {name}`"


def _close(folder: SweepFolder, state: SweepState, tracker: Tracker) -> bool:
    """Bring what is left of a sweep that nobody drives into MLflow, and close its runs; whether any was open."""
    if not state.closed:
        with opened_journal(folder) as journal:
            journal.append(
                "session", **this_driver(), mode="stop", concurrent=0, cpus=0, gpus=0, address=None
            )
            journal.append("close", state="stopped", reason=f"its driver had died; closed by {user()}")
    run_id = state.run_id or tracker.find_sweep(state.id)  # it may have died before it noted the run
    if run_id is None or tracker.run(run_id).info.status != "RUNNING":
        return False
    status: Status = "FAILED" if state.closed and state.closed["state"] == "failed" else "KILLED"
    shipper = Shipper(folder, tracker, run_id)
    shipper.start()
    shipper.drain(patience_s=patience())
    shipper.stop()
    tracker.close_children(run_id, "KILLED")
    tracker.finish(run_id, status)
    return True


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
        state = folder.state()
        over = state.closed["state"] if state.closed else "open"
        if over != "finished" and not (over == "failed" and state.best is None):  # with nothing to go on from
            raise SweepError(
                "was begun and is not finished",
                where=f"sweep {folder.name}",
                fix=f"go on with `jmml sweep resume {folder.name}`, or choose another --name",
            )
        if exact:
            raise SweepError(
                f"exists already: {kept(state)}",
                where=f"sweep {folder.name}",
                fix=f"choose another --name, or add trials with `jmml sweep extend {folder.name} --trials N`",
            )
        number += 1
        folder = SweepFolder.of(project, f"{name}-{number}")
    return folder
