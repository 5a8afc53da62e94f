"""Wording for the journal of a sweep, shared by messages, views and reports."""

from __future__ import annotations

import time

from pipelines.reporting.wording import grouped, many
from pipelines.sweep.record.state import SweepState


def kept(state: SweepState) -> str:
    """``7 of 12 trials are done and kept, best score 0.612 (trial 3)``"""
    verb = "is" if 1 in (state.over, state.total) else "are"
    text = f"{state.over} of {many(state.total, 'trial')} {verb} done and kept"
    if state.best is not None:
        text += f", best score {state.best.best_score:.3f} (trial {state.best.number})"
    return text


def score_name(state: SweepState) -> str:
    """Name of the score that the search maximises."""
    return "lower bound" if state.definition.objective.score == "lower-bound" else "val_uar"


def unsaved_text(count: int) -> str:
    """That stage-1 models are lost to other trials, and why."""
    return f"{grouped(count)} could not be kept: the folder is full, or not writable for you"


def search_over(state: SweepState, *, open_trials: bool) -> bool:
    """Whether no trial will follow: all that were wanted are over, or a budget is used up and none is open."""
    if state.total and state.over >= state.total:
        return True
    if open_trials or not state.over:
        return False
    hours, epochs = state.definition.budget.hours, state.definition.budget.epochs
    return (hours is not None and state.seconds >= 3600 * hours) or (
        epochs is not None and state.epochs_done >= epochs
    )


def now_ms() -> int:
    """Now, as events have it."""
    return int(time.time() * 1000)
