"""Scores against each setting, and against what inference costs."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from pipelines.reporting import figures
from pipelines.reporting.figures import element
from pipelines.reporting.wording import many
from pipelines.sweep.record.history import Record, finite, score
from pipelines.sweep.record.state import Trial
from pipelines.sweep.show.charts.axes import Axis, frame
from pipelines.sweep.show.charts.figure import (
    MAX_SINGLE,
    TALL,
    WIDE,
    WIDE_BOX,
    Figure,
    categories,
    cost_axis,
    scatter,
    score_name,
)
from pipelines.sweep.show.importance import Importances

MIN_BIN = 5  # trials behind a median
BINS, MAX_SINGLE_BINS = 6, 12  # parts of a numeric axis that have a median each; integers that have one each
_PANEL, _PANEL_HEIGHT = 340.0, 226.0
_BOX = (44.0, 14.0, _PANEL - 14, _PANEL_HEIGHT - 48)


def slices(record: Record, found: Importances) -> Figure:
    """Score against each setting, the most important setting first."""
    keys = sorted(record.varying, key=lambda key: -found.shares.get(key, 0.0))
    y = Axis.between([score(trial) or 0.0 for trial in record.scored]).padded()
    panels = [panel for key in keys if (panel := _slice(record, key, y)) is not None]
    caption = (
        f"The best {score_name(record)} of each trial against one setting, whatever the others were. Blue: ran to its "
        "last epoch; grey: stopped early or still running; diamond: the best trial. Bars: median of the trials there, "
        f"where there are {MIN_BIN} or more. The search looks most where scores are high, so a rise can be its doing "
        "as well as the setting's."
    )
    if choices := categories(record, keys):
        caption += (
            f" Choices have a lane each, whatever their distance, and their points are spread sideways so that none "
            f"covers another: {', '.join(choices)}."
        )
    return Figure("slices", "Score by setting", caption, panels, readout=len(record.scored) <= MAX_SINGLE)


def _slice(record: Record, key: str, y: Axis) -> Markup | None:
    trials = [trial for trial in record.scored if key in trial.configuration]
    if not trials:
        return None
    values = [trial.configuration[key] for trial in trials]
    axis = Axis.of(values, record.space[key])
    x = axis if axis.kind == "category" else axis.padded(0.03)
    left, top, right, bottom = _BOX
    spread = np.random.default_rng(0).uniform(-0.25, 0.25, len(trials)) if axis.kind == "category" else None
    width = (right - left) / max(1, len(axis.categories))
    points: dict[int, tuple[float, float]] = {}
    for i, (trial, value) in enumerate(zip(trials, values, strict=True)):
        across, up = x.place(value), y.place(score(trial))
        if across is None or up is None:
            continue
        jitter = 0.0 if spread is None else float(spread[i]) * width
        points[trial.number] = (left + across * (right - left) + jitter, bottom - up * (bottom - top))
    parts = frame(_BOX, x, y, x_name=key)
    parts += scatter(trials, points)
    parts += [figures.line(*bar, "median") for bar in _medians(points, x, trials, key)]
    parts += _best_mark(record, points)
    return figures.svg(_PANEL, _PANEL_HEIGHT, parts, label=f"Score by {key}")


def _best_mark(record: Record, points: dict[int, tuple[float, float]]) -> list[Markup]:
    if record.best is None or record.best.number not in points:
        return []
    x, y = points[record.best.number]
    return [
        element("path", d=f"M{x:.1f} {y - 6.5:.1f}l6.5 6.5-6.5 6.5-6.5-6.5z", class_="mark", data_n=record.best.number)
    ]  # fmt: skip


def _medians(
    points: dict[int, tuple[float, float]], x: Axis, trials: Sequence[Trial], key: str
) -> list[tuple[float, float, float, float]]:
    """Bars at the median height of the trials at each category or integer, or in each sixth of the axis."""
    left, _, right, _ = _BOX
    single = x.kind == "linear" and x.whole and x.high - x.low <= MAX_SINGLE_BINS
    bins: dict[float, list[float]] = {}
    for trial in trials:
        value = trial.configuration[key]
        at = x.place(value)
        if at is not None and trial.number in points:
            centre = at if single or x.kind == "category" else (min(BINS - 1, int(at * BINS)) + 0.5) / BINS
            bins.setdefault(centre, []).append(points[trial.number][1])
    parts = len(x.categories) if x.kind == "category" else x.high - x.low if single else BINS
    half = 0.36 * (right - left) / max(1, parts)
    bars = []
    for centre, heights in sorted(bins.items()):
        if len(heights) >= MIN_BIN:
            middle, y = left + centre * (right - left), statistics.median(heights)
            bars.append((middle - half, y, middle + half, y))
    return bars


def pareto(record: Record) -> Figure:
    """Score against cost, with the trials that no other beats in both."""
    trials = [trial for trial in record.scored if finite(trial.cost) is not None]
    front = [trial for trial in record.state.front() if trial.number in {t.number for t in trials}]
    x = cost_axis([trial.cost or 0.0 for trial in trials]).padded(0.03)
    y = Axis.between([score(trial) or 0.0 for trial in trials]).padded()
    left, top, right, bottom = WIDE_BOX

    def at(trial: Trial) -> tuple[float, float]:
        across, up = x.place(trial.cost) or 0.0, y.place(score(trial)) or 0.0
        return left + across * (right - left), bottom - up * (bottom - top)

    parts = frame(WIDE_BOX, x, y, x_ticks=8, x_name="multiply-adds per utterance", y_name=score_name(record))
    parts += scatter(trials, {trial.number: at(trial) for trial in trials})
    corners = [at(trial) for trial in front]
    if corners:
        parts.append(element("path", d=figures.steps([*corners, (right, corners[-1][1])]), class_="rising"))
        parts += [element("circle", cx=a, cy=b, r=5, class_="corner", data_n=trial.number)
                  for trial, (a, b) in zip(front, corners, strict=True)]  # fmt: skip
    caption = (
        f"{many(len(front), 'trial')} that no other beats both in score and in cost (Pareto front, orange): "
        "the highest score at each cost. Grey: stopped early."
    )
    picture = figures.svg(WIDE, TALL, parts, label="Score against cost with the Pareto front")
    return Figure(
        "pareto", "Score against cost", caption, [picture], wide=True, readout=len(trials) <= MAX_SINGLE
    )
