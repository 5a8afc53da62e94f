"""Score against the second objective."""

from __future__ import annotations

from pipelines.reporting.wording import many
from pipelines.sweep.record.history import Record, finite, score
from pipelines.sweep.record.state import Trial
from pipelines.sweep.show.charts import svg
from pipelines.sweep.show.charts.figure import (
    MAX_SINGLE,
    TALL,
    WIDE,
    WIDE_BOX,
    Figure,
    cost_axis,
    scatter,
    score_name,
)
from pipelines.sweep.show.charts.svg import Axis, element


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

    parts = svg.frame(
        WIDE_BOX, x, y, x_ticks=8, x_name="multiply-adds per utterance", y_name=score_name(record)
    )
    parts += scatter(trials, {trial.number: at(trial) for trial in trials})
    corners = [at(trial) for trial in front]
    if corners:
        parts.append(element("path", d=svg.steps([*corners, (right, corners[-1][1])]), class_="rising"))
        parts += [element("circle", cx=a, cy=b, r=5, class_="corner", data_n=trial.number)
                  for trial, (a, b) in zip(front, corners, strict=True)]  # fmt: skip
    caption = (
        f"{many(len(front), 'trial')} that no other beats both in score and in cost (Pareto front, orange): "
        "the highest score at each cost. Grey: stopped early."
    )
    picture = svg.svg(WIDE, TALL, parts, label="Score against cost with the Pareto front")
    return Figure(
        "pareto", "Score against cost", caption, [picture], wide=True, readout=len(trials) <= MAX_SINGLE
    )
