"""Dry runs of `jmml sweep run`, `resume` and `extend`: nothing is started or written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from jmml.errors import JMMLError, SweepError
from pipelines.definitions.dry_run import DryRun, in_columns
from pipelines.reporting.wording import grouped, many
from pipelines.sweep.definition.model import SweepDefinition
from pipelines.sweep.definition.plan import Plan, plan
from pipelines.sweep.execute.continuing import Continuation, check_changes, to_extend, to_resume
from pipelines.sweep.execute.estimate import estimate
from pipelines.sweep.execute.naming import unused
from pipelines.sweep.record.folder import SweepFolder
from pipelines.sweep.record.state import SweepState
from pipelines.sweep.show.plan import as_dict, rows
from pipelines.workspace.project import Project

_NAMED = 8  # trials that are named; more are counted


def would_run(
    project: Project,
    definition: SweepDefinition,
    *,
    name: str | None = None,
    address: str | None = None,
    submitted: bool = False,
) -> DryRun:
    """The plan of a new sweep, the name that it would get, and why the command would fail.

    Parameters
    ----------
    name, address : as of :func:`pipelines.sweep.runner.run_sweep`.
    submitted : whether the cluster would drive it: what it has room for is not looked at then.

    Raises
    ------
    ConfigError, DataError, ProtocolError : what :func:`pipelines.sweep.definition.plan.plan` finds wrong.
    """
    wanted, taken, renamed = name or definition.name, None, []
    try:
        folder = unused(project, wanted, exact=name is not None)
        definition = definition.model_copy(update={"name": folder.name})
        if folder.name != wanted:
            renamed = [f"there is a sweep {wanted} already, this one becomes {folder.name}"]
    except SweepError as error:
        taken = error
    planned = plan(project, definition)
    refusal = taken or (None if submitted else _no_room(planned, planned.trials, address))
    time = estimate(planned)
    values = {"name": definition.name, **as_dict(planned, time)}
    return DryRun((*in_columns(rows(planned, time)), *renamed), values, refusal)


def would_resume(
    project: Project,
    name: str,
    *,
    source: str | Path | None = None,
    overrides: Sequence[str] = (),
    accept_changes: bool = False,
    address: str | None = None,
    submitted: bool = False,
) -> DryRun:
    """Trials left to run, changes since the sweep began, and why the command would fail.

    Raises
    ------
    SweepError : there is no such sweep.
    ConfigError, DataError, ProtocolError : what :func:`pipelines.sweep.definition.plan.plan` finds wrong.
    """
    found = to_resume(project, name, source=source, overrides=overrides)
    refused = _refused(lambda: check_changes(found, accepted=accept_changes))  # names every change
    state, total = found.state, found.total
    again = f", of which {_named(state.unfinished)} began before" if state.unfinished else ""
    text = (
        _kept(state, total),
        f"to run: {many(max(0, total - state.over), 'trial')}{again}",
        *(f"changed since the sweep began: {change}" for change in found.changes if not refused),
    )
    refusal = refused or _held(found.folder) or (None if submitted else _no_room(found.plan, total, address))
    return DryRun(text, _values(found), refusal)


def would_extend(
    project: Project, name: str, trials: int, *, address: str | None = None, submitted: bool = False
) -> DryRun:
    """How many trials there would be, and why the command would fail.

    Raises
    ------
    SweepError : there is no such sweep.
    ConfigError : it cannot have more trials, or something has changed since it began.
    """
    found = to_extend(project, name, trials)
    state, total = found.state, found.total
    learnt = f"; {found.plan.definition.algorithm} goes on with all that it has learnt"
    text = (
        _kept(state, state.total),
        f"to run: {many(total - state.over, 'trial')}, so that there are {grouped(total)}{learnt}",
    )
    refusal = _held(found.folder) or (None if submitted else _no_room(found.plan, total, address))
    return DryRun(text, _values(found), refusal)


def _values(found: Continuation) -> dict[str, Any]:
    return {
        "name": found.state.name,
        "total": found.total,
        "over": found.state.over,
        "to_run": max(0, found.total - found.state.over),
        "began_before": found.state.unfinished,
        "changes": found.changes,
    }


def _kept(state: SweepState, total: int) -> str:
    return (
        f"sweep {state.name}: {grouped(state.over)} of {many(total, 'trial')} are over and stay as they are"
    )


def _named(numbers: Sequence[int]) -> str:
    """``trial 7``, ``trials 3, 7 and 8``, ``112``."""
    if len(numbers) > _NAMED:
        return grouped(len(numbers))
    *first, last = map(str, numbers)
    return f"trials {', '.join(first)} and {last}" if first else f"trial {last}"


def _refused(check: Callable[[], None]) -> JMMLError | None:
    """The error that ``check`` raises, if any."""
    try:
        check()
    except JMMLError as error:
        return error
    return None


def _held(folder: SweepFolder) -> SweepError | None:
    return folder.taken() if folder.held else None


def _no_room(planned: Plan, trials: int, address: str | None) -> JMMLError | None:
    from pipelines.sweep.execute.capacity import check_room

    return _refused(lambda: check_room(planned.definition, trials=trials, address=address))
