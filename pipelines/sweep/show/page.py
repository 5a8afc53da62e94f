"""The page of a report: what the journal says, as texts and tables for its template."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from jmml.evaluation.wording import DASH
from pipelines.reporting import pages
from pipelines.reporting.wording import grouped
from pipelines.sweep.record.history import Record, finite, score
from pipelines.sweep.record.state import Trial
from pipelines.sweep.show.charts import draw
from pipelines.sweep.show.charts.effects import importance_words
from pipelines.sweep.show.importance import importances
from pipelines.sweep.show.page_definition import asked
from pipelines.sweep.show.page_results import best, facts, outer, status_words, verdict
from pipelines.sweep.show.page_timeline import differing, failures, happened, provenance, sessions, stage1
from pipelines.sweep.show.words import setting_text

TEMPLATES = Path(__file__).parent / "templates"
MAX_ROWS = 2000  # trials in the table


def render(record: Record) -> str:
    """The HTML page."""
    found = importances(
        [(record.configuration(trial), trial.best_score) for trial in record.scored], record.space
    )
    return pages.render(
        TEMPLATES,
        "report.html.jinja",
        style=(TEMPLATES / "report.css").read_text(encoding="utf-8"),
        script=(TEMPLATES / "report.js").read_text(encoding="utf-8"),
        kind="Sweep report",
        heading=record.state.name,
        lead=record.state.definition.description,
        about=f"{_person(record)}, {_day(record.state.created)}",
        status=record.status,
        status_words=status_words(record),
        verdict=verdict(record),
        figures_first=facts(record),
        best=best(record),
        outer=outer(record),
        asked=asked(record),
        figures=draw(record, found),
        importance=importance_words(found),
        table=table(record),
        failures=failures(record),
        stage1=stage1(record),
        sessions=sessions(record),
        happened=list(happened(record)),
        differing=differing(record),
        provenance=provenance(record),
        settings_name="Definition and settings",
        settings=yaml.safe_dump(
            {"definition": record.state.definition.plain(), "method": record.state.base},
            sort_keys=False,
            allow_unicode=True,
        ),
    )


def table(record: Record) -> dict[str, Any]:
    """Rows of trials; beyond ``MAX_ROWS`` the best of them."""
    placed = {trial.number for trial in record.ranked}
    ranked = [*record.ranked, *(trial for trial in record.trials if trial.number not in placed)]
    shown = ranked[:MAX_ROWS]
    costs = any(finite(trial.cost) is not None for trial in record.trials)
    errors = any(trial.error for trial in shown)
    keys = list(record.space)
    note = ""
    if len(ranked) > MAX_ROWS:
        note = (
            f"The best {grouped(MAX_ROWS)} of {grouped(len(ranked))} trials; all of them are in the file of "
            "`jmml sweep export`."
        )
    return {
        "note": note,
        "states": list(record.state.counts()),
        "head": ["Trial", "State", "Score", "Epoch", "Epochs", "Time", *(["Cost"] if costs else []), *keys]
        + (["Error"] if errors else []),
        "errors": errors,
        "rows": [
            {
                "number": trial.number,
                "state": trial.status,
                "best": trial is record.best,
                "cells": list(_cells(record, trial, keys, costs=costs)),
                "error": trial.error or "",
            }
            for trial in shown
        ],
    }


def _cells(record: Record, trial: Trial, keys: list[str], *, costs: bool) -> Iterator[str]:
    value = score(trial)
    yield DASH if value is None else f"{value:.4f}"
    yield str(trial.best_epoch) if value is not None else DASH
    yield f"{trial.epoch}"
    yield f"{trial.seconds(record.now):.1f}"
    if costs:
        cost = finite(trial.cost)
        yield DASH if cost is None else grouped(cost)
    configuration = record.configuration(trial)
    for key in keys:
        yield setting_text(configuration[key]) if key in configuration else DASH


def _person(record: Record) -> str:
    team = f" ({record.state.team})" if record.state.team else ""
    return f"{record.state.user or 'someone'}{team}"


def _day(t: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(t / 1000))
