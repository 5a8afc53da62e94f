"""Report section on the results of a sweep: the best trial, and the outer fold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jmml.evaluation.contrast import label_of
from jmml.evaluation.wording import DASH, interval, number
from pipelines.reporting.comparison import ComparisonTable, plain
from pipelines.reporting.wording import duration, grouped, many
from pipelines.sweep.record.history import Record, finite
from pipelines.sweep.show.charts.figure import score_name
from pipelines.sweep.show.page_definition import searched
from pipelines.sweep.show.words import moment, setting_text

COLUMNS = (
    "method", "uar", "interval", "difference", "difference_interval", "p", "p_holm", "accuracy", "macro_f1", "ece",
)  # fmt: skip


def verdict(record: Record) -> str:
    best = record.best
    if best is not None:
        leads = "leads" if record.status == "running" else "is the best"
        return (
            f"Trial {best.number} {leads} with {_a(score_name(record))} of {number(best.best_score)} "
            f"at epoch {best.best_epoch}"
        )
    if not record.trials:
        return "No trial has started"
    if all(trial.status == "failed" for trial in record.trials):
        return "Every trial failed" if len(record.trials) > 1 else "The only trial failed"
    return "No trial has a score yet"


def status_words(record: Record) -> str:
    state = record.state
    done = f"{grouped(state.over)} of {many(state.total, 'trial')} ended"
    words = {
        "running": f"The sweep is running; this is what was known at {moment(record.now)}. {done}.",
        "finished": f"The sweep finished: {done}.",
        "stopped": f"The sweep was stopped: {done}. It can be resumed.",
        "failed": f"The sweep failed: {done}.",
        "interrupted": f"The sweep was interrupted, its driver is gone: {done}. It can be resumed.",
    }[record.status]
    reason = (state.closed or {}).get("reason")
    return f"{words} Reason: {reason}." if reason and record.status in ("stopped", "failed") else words


def facts(record: Record) -> list[tuple[str, str, str]]:
    """Figure, what it is, and a note; a handful, for the head of the page."""
    state, best = record.state, record.best
    counts = ", ".join(f"{grouped(count)} {status}" for status, count in state.counts().items())
    facts = [("Trials", f"{grouped(state.over)} of {grouped(state.total)}", counts)]
    if best is not None:
        name = "inner folds, lower bound" if record.lower_bound else "inner folds"
        facts.append(("Best score", number(best.best_score), f"{name}, trial {best.number}"))
    if state.refits:
        metrics = state.refits[-1]["metrics"]
        low, high = (metrics.get(f"test_uar_ci_{end}") for end in ("low", "high"))
        found = plain({"n_groups": table(state.refits[-1]).groups, "ci_low": low, "ci_high": high})
        span = interval(found["ci_low"], found["ci_high"])
        facts.append(
            ("Outer fold", number(metrics.get("test_uar")), "UAR" if span == DASH else f"UAR, {span}")
        )
    facts.append(("Work", duration(state.seconds), many(len(state.sessions), "session")))
    if state.hit_rate is not None:
        facts.append(("Stage 1 reused", f"{100 * state.hit_rate:.0f} %", "of the models that were needed"))
    return facts


def best(record: Record) -> dict[str, Any] | None:
    """The best configuration beside what was searched."""
    best = record.best
    if best is None:
        return None
    chosen = record.configuration(best)
    tried = len(record.scored)
    note = (
        f"The score is the highest of {grouped(tried)} and selected as such, hence optimistically biased; report the "
        "outer-fold score."
        if tried > 1
        else ""
    )
    if record.lower_bound and finite(best.best_val_uar) is not None:
        note = f"Mean inner-fold UAR at that epoch: {number(best.best_val_uar)}. {note}"
    return {
        "rows": [(key, setting_text(chosen.get(key, DASH)), searched(record, key)) for key in record.space],
        "note": note.strip(),
    }


def outer(record: Record) -> dict[str, Any]:
    """The last refit and how often the outer fold was opened."""
    if not record.state.refits:
        words = "The outer fold has not been opened by this sweep."
        return {"words": words, "table": None, "metrics": [], "model": ""}
    event = record.state.refits[-1]
    opened = int(event.get("opened") or len(record.state.refits))
    words = f"The outer fold was opened {'once' if opened == 1 else 'twice' if opened == 2 else f'{opened} times'}"
    words += (
        ". No trial saw it."
        if opened == 1
        else ": after the first time its figures have been known, and a choice made by them biases the result."
    )
    best = record.best
    if best is not None and event.get("trial") not in (None, best.number):
        words += f" What was refitted is trial {event['trial']}; trial {best.number} has overtaken it since."
    shown = table(event)
    return {
        "words": words,
        "table": shown.html() if shown.rows else None,
        "reference": label_of(shown.reference) if shown.reference else None,
        "notes": shown.notes(),
        "size": _size(shown.rows),
        "metrics": [] if shown.rows else sorted(event["metrics"].items()),
        "model": event.get("model_uri") or "",
        "trial": event.get("trial"),
        "epoch": event.get("epoch"),
    }


def table(event: Mapping[str, Any]) -> ComparisonTable:
    """The comparison on the outer fold, as a ``refit`` event has it."""
    rows = event.get("comparison") or []
    return ComparisonTable.of(rows, COLUMNS, confidence=event.get("confidence"), claim="jmml")


def _size(rows: Sequence[Mapping[str, Any]]) -> str:
    found = [
        many(int(rows[0][key]), noun)
        for key, noun in (("n_groups", "speaker"), ("n_samples", "utterance"), ("n_seeds", "seed"))
        if rows and rows[0].get(key)
    ]
    return ", ".join(found)


def _a(words: str) -> str:
    return f"an {words}" if words[0] in "aeiou" else f"a {words}"
