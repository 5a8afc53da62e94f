"""The sweeps of a project: begin one, go on with one from wherever it was left, add trials.

A sweep that was interrupted, stopped or killed goes on with :func:`resume_sweep` as if nothing had been; what one
session does is :class:`pipelines.sweep.execute.sweep_session.SweepSession`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import uuid4

from rich.console import Console

from jmml.experiment import search_trial
from pipelines.cache.content import prune
from pipelines.reporting.terminal import PlainConsole
from pipelines.sweep.definition.model import SweepDefinition
from pipelines.sweep.definition.plan import plan
from pipelines.sweep.definition.reading import load_definition
from pipelines.sweep.execute.complete import complete
from pipelines.sweep.execute.continuing import check_changes, settings, to_extend, to_resume
from pipelines.sweep.execute.naming import unused
from pipelines.sweep.execute.outcome import SweepResult
from pipelines.sweep.execute.sweep_session import SweepSession
from pipelines.sweep.execute.trainable import Points
from pipelines.sweep.record.words import kept
from pipelines.sweep.show.display import Display
from pipelines.workspace.environment import stage1_limit
from pipelines.workspace.project import Project
from pipelines.workspace.team import stage1_folder, user


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
    source, overrides : see :func:`pipelines.sweep.definition.plan.plan`.
    name : of the sweep. Without one it has the definition's, followed by a number when that is taken.
    team : whose sweep it is; default: the environment variable ``JMML_TEAM``.
    address : of a Ray cluster; default: ``RAY_ADDRESS``, else this machine.
    quiet : show no progress.
    console : where progress is shown; default: the standard error output.
    search : scores one configuration; exchanged in tests.

    Raises
    ------
    ConfigError, DataError, ProtocolError : before anything starts, see :func:`pipelines.sweep.definition.plan.plan`.
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
    return SweepSession(
        project,
        planned,
        planned.trials,
        folder,
        None,
        "run",
        opening,
        address,
        quiet,
        console,
        search,
        Display,
    ).run()


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

    Trials that ended are not run again. Of a sweep that is complete the outcome is read, without Ray and without
    another session, unless MLflow lacks something, which is sent.

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
    if (outcome := complete(project, found)) is not None:
        if not quiet:
            said = f"sweep {name}: finished, {kept(found.state)}; nothing is left to do"
            (console or PlainConsole(stderr=True)).print(said, soft_wrap=True)
        prune(stage1_folder(project), stage1_limit())
        return outcome
    if found.changes:
        accepted = {"changes": found.changes, **settings(found.plan), "total": found.total}
        opening.append(("accept", accepted))
    place = (found.plan, found.total, found.folder, found.length)
    return SweepSession(project, *place, "resume", opening, address, quiet, console, search, Display).run()


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
    return SweepSession(project, *place, "extend", opening, address, quiet, console, search, Display).run()
