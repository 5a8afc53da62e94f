"""Resuming a sweep: the definition, the data and code as they are now, and what has changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jmml.errors import ConfigError
from pipelines.definitions import spaces
from pipelines.definitions.differences import differences
from pipelines.reporting.wording import many
from pipelines.sweep.decide.driver import budget_used
from pipelines.sweep.definition.model import SweepDefinition
from pipelines.sweep.definition.plan import Plan, plan
from pipelines.sweep.definition.reading import change, load_definition
from pipelines.sweep.execute.fingerprint import fingerprint
from pipelines.sweep.record.folder import SweepFolder
from pipelines.sweep.record.state import SweepState
from pipelines.workspace.project import Project


@dataclass(frozen=True)
class Continuation:
    """A sweep that is to go on.

    Attributes
    ----------
    changes : what differs from when it began, a line each.
    total : trials wanted then, extensions included.
    length : of the journal, in bytes, when it was read: nobody may have driven the sweep since.
    """

    folder: SweepFolder
    state: SweepState
    plan: Plan
    changes: list[str]
    total: int
    length: int


def to_resume(
    project: Project, name: str, *, source: str | Path | None = None, overrides: Sequence[str] = ()
) -> Continuation:
    """A sweep with its own definition, or with another one, or with some settings changed.

    Raises
    ------
    SweepError : there is no such sweep.
    ConfigError, DataError, ProtocolError : what :func:`pipelines.sweep.definition.plan.plan` finds wrong.
    """
    folder = SweepFolder.find(project, name)
    length = folder.length
    state = folder.state()
    definition = _definition(state, source, overrides)
    try:
        planned = plan(project, definition)
    except ConfigError as error:  # perhaps for what has changed
        raise ConfigError(
            [
                *error.problems,
                *(f"changed since the sweep began: {change}" for change in _seen(project, state)),
            ],
            where=f"sweep {name}",
        ) from None
    changes = _changes(state, planned)
    total = state.total
    if changes:  # what `extend` added stays
        total += planned.trials - state.definition.n_trials()
    return Continuation(folder, state, planned, changes, total, length)


def to_extend(project: Project, name: str, trials: int) -> Continuation:
    """A sweep with more trials.

    Raises
    ------
    SweepError : there is no such sweep.
    ConfigError : it cannot have more trials, or something has changed since it began.
    """
    folder = SweepFolder.find(project, name)
    length = folder.length
    state = folder.state()
    definition = state.definition
    if problem := _no_extension(definition, state, trials):
        raise ConfigError([problem], where=f"sweep {name}")
    planned = plan(project, definition)
    changes = _changes(state, planned)
    if changes:
        raise ConfigError(
            [f"changed since the sweep began: {change}" for change in changes]
            + [f"undo it, or first run `jmml sweep resume {name} --accept-changes`"],
            where=f"sweep {name}",
        )
    return Continuation(folder, state, planned, [], state.total + trials, length)


def check_changes(found: Continuation, *, accepted: bool) -> None:
    """Refuse to go on where something has changed, unless that is accepted and can be.

    Raises
    ------
    ConfigError : the message has every change, and what to do.
    """
    if not found.changes:
        return
    advice = _never(found)
    if advice is None and accepted:
        return
    advice = advice or "undo it, run a new sweep, or go on all the same with --accept-changes"
    raise ConfigError(
        [*(f"changed since the sweep began: {change}" for change in found.changes), advice],
        where=f"sweep {found.state.name}",
    )


# What decides which people trials have seen: with others held out, the outer fold would hold some of them.
_SEEN = ("held_out", "split", "task")


def _never(found: Continuation) -> str | None:
    """Why a sweep cannot go on with these changes even where they are accepted."""
    state, planned = found.state, found.plan
    now = fingerprint(planned)
    if state.epochs_done and any(state.fingerprint.get(key) != now[key] for key in _SEEN):
        return (
            "its trials have seen other data than they would now, perhaps people who are held out now: "
            "undo it, or run a new sweep"
        )
    if planned.definition.pbt is not None and (state.unfinished or found.total != state.total):
        return "a population cannot go on with other settings: undo it, or run a new sweep"
    gaps = sorted(set(range(1, max(state.trials, default=0))) - state.trials.keys())
    if gaps and planned.definition.lag < state.definition.lag:
        return (
            f"lag: trial {gaps[0]} was proposed and has not begun, and would need results that are not there: "
            "resume without this change first"
        )
    return None


def settings(planned: Plan) -> dict[str, Any]:
    """Settings as a journal records them: enough to see later whether anything has changed."""
    return {
        "definition": planned.definition.plain(),
        "base": planned.params.method.model_dump(mode="json"),
        "fingerprint": fingerprint(planned),
    }


def _changes(state: SweepState, planned: Plan) -> list[str]:
    now = settings(planned)
    return differences(state.definition.plain(), now["definition"]) + differences(
        state.fingerprint, now["fingerprint"]
    )


def _seen(project: Project, state: SweepState) -> list[str]:
    """Changes in the project's settings, as far as they can be seen without a plan."""
    now = project.params.method.model_dump(mode="json")
    return differences({"method": state.fingerprint.get("method", now)}, {"method": now})


def _definition(state: SweepState, source: str | Path | None, overrides: Sequence[str]) -> SweepDefinition:
    if source is not None:
        return load_definition(source, overrides=overrides, name=state.name)
    return change(state.definition, overrides) if overrides else state.definition


def _no_extension(definition: SweepDefinition, state: SweepState, trials: int) -> str | None:
    """Why a sweep cannot have more trials."""
    if trials < 1:
        return f"trials: {trials}, expected at least 1"
    if definition.pbt is not None:
        return "a population has no more members; run a new sweep with more trials"
    if used := budget_used(definition.budget, state):
        raised = f"raise it first: `jmml sweep resume {state.name} -s budget.hours=... --accept-changes`"
        return f"{used}; {raised.replace('hours', 'epochs') if 'epochs' in used else raised}"
    size = spaces.size(definition.space)
    if state.total + trials > size:
        holds = f"the space holds {many(size, 'configuration')}, and {state.total}"
        return f"{holds} {'is' if state.total == 1 else 'are'} wanted already; widen it in a new sweep"
    return None
