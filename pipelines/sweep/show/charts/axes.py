"""Axes that know their scale, and the frame of a panel."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from jmml.evaluation.wording import MINUS
from pipelines.definitions.spaces import Dimension, Scalar
from pipelines.reporting import figures
from pipelines.sweep.show.importance import distinct, place
from pipelines.sweep.show.words import setting_text

MAX_CATEGORY = 14  # characters of a category's name on an axis


@dataclass(frozen=True)
class Axis:
    """A scale from values to 0 ... 1.

    Attributes
    ----------
    low, high : ends of a numeric scale.
    whole : ticks at integers alone.
    categories : of a scale without numbers; each has a place of its own, evenly spaced.
    """

    kind: Literal["linear", "log", "category"]
    low: float = 0.0
    high: float = 1.0
    whole: bool = False
    categories: tuple[Scalar, ...] = ()

    @classmethod
    def of(cls, values: Iterable[Scalar], dimension: Dimension | None = None) -> Axis:
        """The scale of a setting: its dimension's, wide enough for ``values``."""
        seen = list(values)
        numeric = bool(seen or dimension) and all(
            isinstance(v, int | float) and not isinstance(v, bool) for v in seen
        )
        if not numeric or (dimension is not None and dimension.kind == "choice"):
            listed = dimension.values if dimension is not None and dimension.kind == "choice" else ()
            return cls("category", categories=distinct([*listed, *seen]))
        bounds = dimension.bounds if dimension is not None else ()
        numbers = [float(v) for v in (*bounds, *seen) if v is not None and math.isfinite(v)]
        log = dimension is not None and dimension.kind.startswith("log") and min(numbers) > 0
        whole = all(isinstance(v, int) for v in (*bounds, *seen))
        return cls.between(numbers, log=log, whole=whole)

    @classmethod
    def between(cls, numbers: Sequence[float], *, log: bool = False, whole: bool = False) -> Axis:
        """A numeric scale over ``numbers``; a single number stands in the middle."""
        low, high = (min(numbers), max(numbers)) if numbers else (0.0, 1.0)
        if low == high:
            low, high = (
                (low / 2, high * 2) if log else (low - (abs(low) / 10 or 1), high + (abs(high) / 10 or 1))
            )
        return cls("log" if log else "linear", low, high, whole)

    def padded(self, part: float = 0.05) -> Axis:
        """The same scale with room beyond both ends."""
        if self.kind == "log":
            margin = (self.high / self.low) ** part
            return Axis("log", self.low / margin, self.high * margin, self.whole)
        margin = part * (self.high - self.low)
        return Axis(self.kind, self.low - margin, self.high + margin, self.whole, self.categories)

    def place(self, value: Scalar) -> float | None:
        """Where ``value`` lies, None when it does not lie on the scale."""
        if self.kind == "category":
            n = len(self.categories)
            return (place(self.categories, value) + 0.5) / n if n else None
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            return None
        if self.kind == "log":
            return math.log(value / self.low) / math.log(self.high / self.low) if value > 0 else None
        return (value - self.low) / (self.high - self.low)

    def ticks(self, wanted: int = 5) -> list[tuple[float, str]]:
        """Places and labels, at most about ``wanted`` on a numeric scale."""
        if self.kind == "category":
            labels = [_short(value) for value in self.categories]
            step = -(-len(labels) // 12) if labels else 1
            return [((i + 0.5) / len(labels), label) for i, label in enumerate(labels) if i % step == 0]
        values = _log_ticks(self.low, self.high, wanted) if self.kind == "log" else []
        if len(values) < 2:
            values = _linear_ticks(self.low, self.high, wanted, whole=self.whole)
        placed = zip(map(self.place, values), _labels(values), strict=True)
        return [(at, label) for at, label in placed if at is not None and -1e-9 <= at <= 1 + 1e-9]


def _linear_ticks(low: float, high: float, wanted: int, *, whole: bool) -> list[float]:
    raw = (high - low) / max(1, wanted)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * (1 - 1e-9))
    if whole:
        step = max(1.0, float(math.ceil(step)))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [i * step for i in range(first, last + 1)]


def _log_ticks(low: float, high: float, wanted: int) -> list[float]:
    decades = range(math.floor(math.log10(low) - 1e-9), math.ceil(math.log10(high) + 1e-9) + 1)
    for digits in ((1, 2, 5), (1, 3), (1,)):
        values = [d * 10.0**k for k in decades for d in digits]
        inside = [v for v in values if low * (1 - 1e-9) <= v <= high * (1 + 1e-9)]
        if len(inside) <= wanted + 1:
            return inside
    step = -(-len(inside) // wanted)
    return inside[::step]


def _labels(values: Sequence[float]) -> list[str]:
    """As few digits as tell the values apart, four at least."""
    labels: list[str] = []
    for digits in range(4, 16):
        labels = [_label(value, digits) for value in values]
        if len(set(labels)) == len(labels):
            break
    return labels


def _label(value: float, digits: int) -> str:
    if value == 0 or 1e-4 <= abs(value) < 1e6:
        digits = max(digits, len(str(int(abs(value)))))  # else Python takes the exponent
        return f"{value:.{digits}g}".replace("-", MINUS)
    exponent = math.floor(math.log10(abs(value)) + 1e-9)
    mantissa = f"{value / 10.0**exponent:.{digits - 1}g}".replace("-", MINUS)
    raised = str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"10{raised}" if mantissa == "1" else f"{mantissa}·10{raised}"


def _short(value: Scalar) -> str:
    text = setting_text(value)
    return text if len(text) <= MAX_CATEGORY else f"{text[: MAX_CATEGORY - 1]}…"


def frame(
    box: tuple[float, float, float, float],
    x: Axis,
    y: Axis,
    *,
    x_ticks: int = 5,
    y_ticks: int = 5,
    x_name: str = "",
    y_name: str = "",
) -> list[Markup]:
    """Grid, ticks and names of a panel whose inside is ``box`` (left, top, right, bottom)."""
    left, top, right, bottom = box
    parts: list[Markup] = []
    for at, words in y.ticks(y_ticks):
        height = bottom - at * (bottom - top)
        parts += [
            figures.line(left, height, right, height, "grid"),
            figures.text(left - 6, height + 3.5, words, anchor="end"),
        ]
    if x.kind == "category":  # a lane for each, so that it is not taken for a scale
        lane = (right - left) / max(1, len(x.categories))
        parts[:0] = [
            figures.element("rect", x=left + i * lane, y=top, width=lane, height=bottom - top, class_="band")
            for i in range(0, len(x.categories), 2)
        ]
    parts.append(figures.line(left, bottom, right, bottom, "axis"))
    ticks = x.ticks(x_ticks)
    crowded = x.kind == "category" and sum(len(words) + 2 for _, words in ticks) * 6 > right - left
    for i, (at, words) in enumerate(ticks):
        across = left + at * (right - left)
        lower = 12 if crowded and i % 2 else 0
        parts += [
            figures.line(across, bottom, across, bottom + 4 + lower, "axis"),
            figures.text(across, bottom + 16 + lower, words, anchor="middle"),
        ]
    if x_name:
        parts.append(figures.text((left + right) / 2, bottom + 34, x_name, "name", "middle"))
    if y_name:
        parts.append(figures.text(left - 6, top - 10, y_name, "name"))
    return parts
