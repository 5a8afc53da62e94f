"""The figures of a report: their type, and the parts that several of them share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from pipelines.reporting import figures
from pipelines.reporting.figures import element
from pipelines.sweep.record.history import Record
from pipelines.sweep.record.state import Trial
from pipelines.sweep.show.charts.axes import Axis

MAX_SINGLE = 500  # trials up to which every point is an element of its own, for the pointer
RANGE = 50.0  # a cost that varies by more is drawn in its logarithm
WIDE, TALL = 900.0, 380.0  # a picture as wide as the page
WIDE_BOX = (52.0, 34.0, WIDE - 20, TALL - 48)


@dataclass(frozen=True)
class Figure:
    """A drawn figure with what it says.

    Attributes
    ----------
    panels : pictures; several are laid out side by side as far as there is room.
    wide : is scrolled where there is too little room, in place of being shrunk.
    readout : has a line for the trial under the pointer.
    """

    name: str
    title: str
    caption: str
    panels: list[Markup] = field(default_factory=list)
    wide: bool = False
    readout: bool = False
    legend: Markup | None = None


def score_name(record: Record) -> str:
    """Name of the score, in words."""
    return "lower bound of the inner-fold UAR" if record.lower_bound else "inner-fold UAR"


def categories(record: Record, keys: Sequence[str]) -> list[str]:
    """Those settings that are drawn without a scale."""
    tried = {key: [t.configuration[key] for t in record.trials if key in t.configuration] for key in keys}
    return [key for key in keys if Axis.of(tried[key], record.space[key]).kind == "category"]


def scatter(trials: Sequence[Trial], points: dict[int, tuple[float, float]]) -> list[Markup]:
    """Points of trials, those that ran to the end in colour and on top."""
    parts = []
    for class_ in ("early", "full"):
        members = [t for t in trials if (t.status == "finished") == (class_ == "full")]
        placed = [(t.number, points[t.number]) for t in members if t.number in points]
        if len(trials) <= MAX_SINGLE:
            circles = [element("circle", cx=x, cy=y, r=3, data_n=number) for number, (x, y) in placed]
            parts.append(element("g", *circles, class_=f"dots {class_}"))
        elif placed:
            data = figures.dots(point for _, point in placed)
            parts.append(element("path", d=data, class_=f"many {class_}"))
    return parts


def cost_axis(costs: Sequence[float]) -> Axis:
    """The scale of multiply-adds."""
    return Axis.between(costs, log=min(costs) > 0 and max(costs) > RANGE * min(costs))
