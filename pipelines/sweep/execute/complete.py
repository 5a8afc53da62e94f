"""A sweep of which nothing is left to do: its outcome, without Ray and without a session in its journal."""

from __future__ import annotations

from pipelines.definitions.spaces import configure
from pipelines.sweep.definition.plan import Plan
from pipelines.sweep.execute.continuing import Continuation
from pipelines.sweep.execute.fingerprint import refit_digest
from pipelines.sweep.execute.outcome import SweepResult
from pipelines.sweep.record.state import SweepState, Trial
from pipelines.tracking.tracker import Tracker
from pipelines.workspace.project import Project


def complete(project: Project, found: Continuation) -> SweepResult | None:
    """The outcome of a sweep that is to be resumed and is complete; None where anything is left to do or to send.

    Raises
    ------
    TrackingError : the tracking store, which may lack something, cannot be reached.
    """
    state, best = found.state, found.state.best
    finished = state.closed is not None and state.closed["state"] == "finished"
    if found.changes or not finished or best is None or not refitted(found.plan, state, best):
        return None
    if found.folder.held or found.folder.length != found.length:  # a session says who drives it
        return None
    tracker = Tracker.connect(project)
    run_id = tracker.find_sweep(state.id)
    if run_id is None or run_id != state.run_id or tracker.run(run_id).info.status != "FINISHED":
        return None
    values = {**best.chosen, "stage2.epochs": best.best_epoch}
    return SweepResult.of(found.plan, state, configure(found.plan.params.method, values))


def refitted(plan: Plan, state: SweepState, best: Trial) -> bool:
    """Whether the last refit is that of this trial, at its best epoch, on all that decides it now."""
    if not state.refits:
        return False
    last, decides = state.refits[-1], refit_digest(plan)
    known = (last.get("trial"), last.get("epoch"), last.get("settings", decides))
    return known == (best.number, best.best_epoch, decides)
