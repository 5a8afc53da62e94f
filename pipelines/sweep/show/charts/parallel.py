"""Parallel coordinates: all trials in one picture."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from markupsafe import Markup

from jmml.evaluation.wording import DASH, number
from pipelines.reporting import figures
from pipelines.reporting.figures import element
from pipelines.reporting.wording import many
from pipelines.sweep.record.history import Record, finite, score
from pipelines.sweep.record.state import Trial
from pipelines.sweep.show.charts.axes import Axis
from pipelines.sweep.show.charts.figure import Figure, categories, cost_axis, score_name

SHADES = 8  # of the colour of a score, classes s0 to s7 of the style
GOLDEN = 0.6180339887  # multiples of it, modulo 1, lie evenly
_HEIGHT, _TOP, _LEFT, _RIGHT, _GAP, _FULL = 430.0, 62.0, 56.0, 40.0, 84.0, 1000.0


def parallel(record: Record) -> Figure:
    """One line per trial across one axis per setting, the score last; the best on top."""
    keys, trials = record.varying, record.trials
    values = {key: [t.configuration[key] for t in trials if key in t.configuration] for key in keys}
    axes = {key: Axis.of(values[key], record.space[key]) for key in keys}
    scores = Axis.between([score(trial) or 0.0 for trial in record.scored])
    costs = [cost for trial in record.scored if (cost := finite(trial.cost)) is not None]
    columns: list[tuple[str, Axis, Callable[[Trial], float | None]]] = [
        (key, axis, partial(_setting, key=key, axis=axis)) for key, axis in axes.items()
    ]
    if costs:
        multiply_adds = cost_axis(costs)
        columns.append(("cost", multiply_adds, lambda t: multiply_adds.place(finite(t.cost))))
    columns.append(("score", scores, lambda t: scores.place(score(t)) if t.status != "failed" else None))
    bottom = _HEIGHT - 34
    gap = max(_GAP, (_FULL - _LEFT - _RIGHT) / max(1, len(columns) - 1))
    across = [_LEFT + i * gap for i in range(len(columns))]
    absent = any(place(trial) is None for trial in record.scored for _, _, place in columns)
    width = across[-1] + _RIGHT

    shade = _shades(record)
    best = record.best
    others = [trial for trial in trials if trial.number not in shade]
    lines = []
    for trial in [*others, *reversed(record.ranked)]:
        places = [place(trial) for _, _, place in columns]
        if trial.number in shade:
            points = [
                (x, bottom + 18 if at is None else bottom - at * (bottom - _TOP))
                for x, at in zip(across, places, strict=True)
            ]
            class_ = "best" if trial is best else f"s{shade[trial.number]}"
        else:
            points = [
                (x, bottom - at * (bottom - _TOP))
                for x, at in zip(across, places, strict=True)
                if at is not None
            ]
            class_ = "none"
        if len(points) > 1:
            lines.append(element("path", d=figures.path(points), class_=class_, data_n=trial.number))
    opacity = 0.75 if len(lines) <= 60 else 0.5 if len(lines) <= 400 else 0.3 if len(lines) <= 2000 else 0.16
    parts: list[Markup] = [element("g", *lines, class_="lines", stroke_opacity=opacity)]
    for x, (key, axis, _) in zip(across, columns, strict=True):
        parts.append(figures.line(x, _TOP, x, bottom, "axis strong"))
        section, _, name = key.rpartition(".")
        parts.append(figures.text(x, _TOP - 32, section.removesuffix(".options"), "section", "middle"))
        parts.append(figures.text(x, _TOP - 17, _name(name), "name strong", "middle"))
        for at, words in axis.ticks(6):
            y = bottom - at * (bottom - _TOP)
            if axis.kind == "category":
                spread = 0.5 * min(0.5 / len(axis.categories), 0.08) * (bottom - _TOP)
                parts.append(figures.line(x, y - spread, x, y + spread, "bracket"))
                parts.append(figures.text(x, y - spread - 5, words, "tick halo category", "middle"))
            else:
                parts.append(figures.line(x - 4, y, x, y, "axis tick"))
                parts.append(figures.text(x - 7, y + 3.5, words, "tick halo", "end"))
        if absent:
            parts.append(figures.text(x - 7, bottom + 21.5, DASH, "tick halo", "end"))
    notes = [
        f"Every line is a trial, from setting to setting to its {score_name(record)} on the last axis; the stronger "
        "its colour, the higher the score. Orange: the best."
    ]
    if len(lines) > len(record.scored):
        notes.append("Dashed: trials without a score.")
    logs = [key for key, axis in axes.items() if axis.kind == "log"]
    if logs:
        notes.append(f"Logarithmic: {', '.join(logs)}.")
    if choices := categories(record, keys):
        notes.append(
            f"Choices stand at even distances, each a stretch of its axis on which its lines lie side by side: "
            f"{', '.join(choices)}."
        )
    if record.of("mutate"):
        notes.append("Settings changed while trials ran (PBT): a line shows the last ones.")
    label = f"Parallel coordinates of {many(len(lines), 'trial')} over {many(len(keys), 'setting')}"
    picture = figures.svg(width, _HEIGHT, parts, label=label, class_="parallel", natural=True)
    return Figure(
        "parallel", "All trials", " ".join(notes), [picture], wide=True, readout=True, legend=_legend(record)
    )


def _setting(trial: Trial, *, key: str, axis: Axis) -> float | None:
    """Where a trial crosses the axis of a setting; side by side where many have the same category."""
    at = axis.place(trial.configuration[key]) if key in trial.configuration else None
    if at is None or axis.kind != "category":
        return at
    return at + (trial.number * GOLDEN % 1 - 0.5) * min(0.5 / len(axis.categories), 0.08)


def _shades(record: Record) -> dict[int, int]:
    """Shade by trial: evenly from the 5 % quantile of the scores, so that a few bad ones do not take the range."""
    scores = np.array([trial.best_score for trial in record.scored])
    low, high = float(np.quantile(scores, 0.05)), float(scores.max())
    part = np.clip((scores - low) / (high - low), 0, 1) if high > low else np.ones(len(scores))
    shades = np.minimum((part * SHADES).astype(int), SHADES - 1)
    return {trial.number: int(shade) for trial, shade in zip(record.scored, shades, strict=True)}


def _legend(record: Record) -> Markup | None:
    scores = [trial.best_score or 0.0 for trial in record.scored]
    low, high = float(np.quantile(scores, 0.05)), max(scores)
    if high <= low:
        return None
    boxes = [element("rect", x=i * 16, y=0, width=16, height=10, class_=f"s{i}") for i in range(SHADES)]
    bar = figures.svg(SHADES * 16, 10, boxes, label="colours from low to high scores", class_="ramp")
    return (
        element("span", f"{number(low)} and below")
        + bar
        + element("span", number(high))
        + element("span", "best", class_="key best")
    )


def _name(name: str) -> str:
    return name if len(name) <= 13 else f"{name[:12]}…"
