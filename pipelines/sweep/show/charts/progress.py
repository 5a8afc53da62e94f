"""How trials learned, and how the search went on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from pipelines.reporting import figures
from pipelines.reporting.figures import element
from pipelines.reporting.wording import grouped
from pipelines.sweep.record.history import Record, finite, score
from pipelines.sweep.record.state import Trial
from pipelines.sweep.show.charts.axes import Axis, frame
from pipelines.sweep.show.charts.figure import TALL, WIDE, WIDE_BOX, Figure, scatter, score_name

MAX_CURVES = 300  # learning curves in one picture


def curves(record: Record) -> Figure | None:
    """Score by epoch of stage 2."""
    ranked = [trial for trial in record.ranked if trial.epoch]
    if not ranked:
        return None
    shown = _thinned(ranked)
    epochs = max(trial.epoch for trial in shown)
    values = [value for trial in shown for value in trial.scores if finite(value) is not None]
    x, y = Axis.between([1, max(2, epochs)], whole=True), Axis.between(values).padded(0.03)
    left, top, right, bottom = WIDE_BOX
    lines, ends = [], []
    for trial in reversed(shown):
        points = []
        for epoch, value in enumerate(trial.scores, 1):
            across, up = x.place(epoch), y.place(value)
            if across is not None and up is not None:
                points.append((left + across * (right - left), bottom - up * (bottom - top)))
        if not points:
            continue
        class_ = "best" if trial is record.best else "full" if trial.status == "finished" else "early"
        if len(points) == 1:  # a line needs two ends
            points.append((points[0][0] + 3, points[0][1]))
        lines.append(element("path", d=figures.path(points), class_=class_, data_n=trial.number))
        if trial.status == "stopped":
            ends.append(points[-1])
    opacity = 0.85 if len(lines) <= 40 else 0.5 if len(lines) <= 120 else 0.3
    parts = frame(WIDE_BOX, x, y, x_ticks=10, x_name="epoch of stage 2", y_name=score_name(record))
    parts.append(element("g", *lines, class_="lines", stroke_opacity=opacity))
    crosses = "".join(f"M{a - 3:.1f} {b - 3:.1f}l6 6m0-6l-6 6" for a, b in ends)
    if crosses:
        parts.append(element("path", d=crosses, class_="cross"))
    caption = "Orange: the best trial; blue: ran to the last epoch; grey: did not"
    caption += ", a cross where the scheduler stopped one." if ends else "."
    if len(shown) < len(ranked):
        caption += (
            f" Shown are {len(shown)} of {grouped(len(ranked))} trials: the best {MAX_CURVES // 3}, and others evenly "
            "by rank."
        )
    picture = figures.svg(WIDE, TALL, parts, label="Learning curves", class_="curves")
    return Figure("curves", "Learning curves", caption, [picture], wide=True, readout=True)


def _thinned(ranked: Sequence[Trial]) -> Sequence[Trial]:
    """At most ``MAX_CURVES`` of them: the best third, the others evenly by rank."""
    if len(ranked) <= MAX_CURVES:
        return ranked
    head = MAX_CURVES // 3
    rest = np.unique(np.linspace(head, len(ranked) - 1, MAX_CURVES - head).round().astype(int))
    return [*ranked[:head], *(ranked[i] for i in rest)]


def budget(record: Record) -> Figure | None:
    """The best score so far by trials that ended, and by hours at work."""
    ended = [trial for trial in record.ended if trial.status != "failed" and score(trial) is not None]
    if not ended:
        return None
    best, rising = -np.inf, []
    order = {trial.number: place for place, trial in enumerate(record.ended, 1)}
    results = []
    for trial in ended:
        value = score(trial) or 0.0
        at = (float(order[trial.number]), record.worked(trial.ended or 0) / 3600)
        results.append((trial, at, value))
        if value > best:
            best = value
            rising.append((at, value))
    last = (float(len(record.ended)), max(record.state.seconds / 3600, results[-1][1][1]))
    rising.append((last, best))
    y = Axis.between([value for _, _, value in results]).padded()
    short = last[1] < 1.5
    unit, factor = ("minutes of work", 60.0) if short else ("hours of work", 1.0)
    resumed = [
        factor * sum(s.seconds for s in record.state.sessions[:i]) / 3600
        for i in range(1, len(record.state.sessions))
    ]
    panels = [
        _progress(
            record,
            [(t, at[0], v) for t, at, v in results],
            [(at[0], v) for at, v in rising],
            y,
            "trials that ended",
            [],
        ),
        _progress(
            record,
            [(t, factor * at[1], v) for t, at, v in results],
            [(factor * at[1], v) for at, v in rising],
            y,
            unit,
            resumed,
        ),
    ]
    caption = (
        f"Line: the best {score_name(record)} of the trials that had ended by then; points: each trial at its end, "
        "grey if it was stopped early."
    )
    if resumed:
        caption += " Dotted: the sweep was resumed; time between sessions does not count."
    return Figure("budget", "Best score by budget", caption, panels)


def _progress(
    record: Record,
    results: list[tuple[Trial, float, float]],
    rising: list[tuple[float, float]],
    y: Axis,
    name: str,
    marks: list[float],
) -> Markup:
    width, height = 520.0, 280.0
    box = left, top, right, bottom = 46.0, 14.0, width - 16, height - 48
    x = Axis.between([0.0, max(rising[-1][0], 1e-9)], whole=name.startswith("trials"))

    def at(across: float, value: float) -> tuple[float, float]:
        up = y.place(value) or 0.0
        return left + (x.place(across) or 0.0) * (right - left), bottom - up * (bottom - top)

    parts = frame(box, x, y, x_name=name)
    for mark in marks:
        across, _ = at(mark, y.low)
        parts.append(figures.line(across, top, across, bottom, "resumed"))
    parts += scatter([t for t, _, _ in results], {t.number: at(a, v) for t, a, v in results})
    parts.append(element("path", d=figures.steps([at(a, v) for a, v in rising]), class_="rising"))
    return figures.svg(width, height, parts, label=f"Best score by {name}")
