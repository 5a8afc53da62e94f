"""How a sweep went: failures, sessions, what was changed and repeated, what it was made from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jmml.evaluation.wording import DASH
from pipelines.definitions.spaces import describe
from pipelines.reporting.wording import duration, grouped, many
from pipelines.sweep.record.history import Record
from pipelines.sweep.record.state import Trial
from pipelines.sweep.record.words import unsaved_text
from pipelines.sweep.show.words import MAX_LISTED, moment, resources, text
from pipelines.workspace.values import flatten, redacted


def failures(record: Record) -> list[dict[str, Any]]:
    """Errors, the most frequent first, with the trials they ended."""
    by_error: dict[str, list[Trial]] = {}
    for trial in record.trials:
        if trial.status == "failed":
            by_error.setdefault(trial.error or "no message", []).append(trial)
    ranked = sorted(by_error.items(), key=lambda item: (-len(item[1]), item[1][0].number))
    return [
        {
            "error": error,
            "count": len(trials),
            "trials": _numbers([trial.number for trial in trials]),
            "first": describe(trials[0].configuration),
        }
        for error, trials in ranked
    ]


def _numbers(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:MAX_LISTED]))
    return f"{shown} and {len(numbers) - MAX_LISTED} more" if len(numbers) > MAX_LISTED else shown


def stage1(record: Record) -> dict[str, str]:
    memo, rate = record.state.memo(), record.state.hit_rate
    if rate is None:
        return {}
    unsaved = record.state.unsaved
    return {
        "Computed": many(memo["computed"], "model") + (f"; {unsaved_text(unsaved)}" if unsaved else ""),
        "Loaded": f"{many(memo['loaded'], 'model')} that an earlier trial, another sweep or a colleague had computed",
        "Waited for": f"{many(memo['waited'], 'model')} that another trial was computing at that moment",
        "Reused": f"{100 * rate:.1f} % of {grouped(sum(memo.values()))}",
    }


def sessions(record: Record) -> list[list[str]]:
    rows = []
    for i, session in enumerate(record.state.sessions):
        event, close = session.event, record.closes.get(i)
        last = i == len(record.state.sessions) - 1
        ended = close["state"] if close else "at work" if last and record.status == "running" else "broke off"
        rows.append(
            [
                moment(event["t"]),
                f"{event.get('user', '')} on {event.get('host', '')}",
                str(event.get("mode", "")),
                duration(session.seconds),
                grouped(session.over),
                text(event.get("concurrent")) or DASH,
                resources(event) or DASH,
                redacted(str(event.get("address") or "this machine")),
                str(ended),
            ]
        )
    return rows


def happened(record: Record) -> Iterator[tuple[str, str]]:
    """Other events that changed the sweep, with their times."""
    for event in record.events:
        when = moment(event["t"])
        if event["e"] == "extend":
            yield when, f"Extended by {many(event['trials'], 'trial')} ({event.get('user', '')})."
        elif event["e"] == "accept":
            for change in event["changes"]:
                yield when, f"Accepted change: {change}"
        elif event["e"] == "refit":
            yield when, f"Trial {event['trial']} was refitted and the outer fold opened."


def differing(record: Record) -> dict[str, Any]:
    events = record.of("differs")
    by_trial: dict[int, list[int]] = {}
    for event in events:
        by_trial.setdefault(event["trial"], []).append(event["epoch"])
    return {
        "count": len(events),
        "rows": [
            (number_, ", ".join(map(str, sorted(set(epochs))[:MAX_LISTED])))
            for number_, epochs in list(by_trial.items())[:MAX_LISTED]
        ],
        "more": max(0, len(by_trial) - MAX_LISTED),
    }


def provenance(record: Record) -> list[tuple[str, str]]:
    """The digests that say what the sweep was computed from."""
    state = record.state
    lines = [("Sweep", state.id), ("User", state.user), ("Team", state.team)]
    lines += [("Started", moment(state.created)), ("Last event", moment(record.now))]
    digests = {key: value for key, value in state.fingerprint.items() if key != "held_out"}
    lines += [(key, redacted(text(value))) for key, value in flatten(digests)]
    return [(key, value) for key, value in lines if value]
