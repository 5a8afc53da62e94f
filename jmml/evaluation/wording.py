"""Figures as text, the same in every table, figure and report: three decimals, a typographic minus, a dash for what
does not exist, and p-values with what the test could reach at best."""

from __future__ import annotations

import math

MINUS, DASH = "\N{MINUS SIGN}", "\N{EN DASH}"
NO_INTERVAL = "no interval below four speakers"
_SPELLED = (
    "no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"
)  # fmt: skip


def number(value: float | None, *, signed: bool = False) -> str:
    """Three decimals with a typographic minus; an en dash for what does not exist."""
    if value is None or not math.isfinite(value):
        return DASH
    text = f"{value:+.3f}" if signed else f"{value:.3f}"
    return "0.000" if float(text) == 0 else text.replace("-", MINUS)


def interval(low: float | None, high: float | None, *, signed: bool = False) -> str:
    """``0.412 to 0.523``."""
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return DASH
    return f"{number(low, signed=signed)} to {number(high, signed=signed)}"


def p_value(p: float | None) -> str:
    """``< 0.001``, three decimals, or an en dash."""
    return "< 0.001" if p is not None and p < 0.001 else number(p)


def speakers(count: int) -> str:
    """``one speaker``, ``nine speakers``, ``13 speakers``."""
    word = _SPELLED[count] if count < len(_SPELLED) else str(count)
    return f"{word} speaker{'' if count == 1 else 's'}"


def p_in_view(p: float, groups: int) -> str:
    """``p 0.004, the smallest possible with nine speakers`` or ``p 0.012 (cannot be below 0.004 with nine speakers)``.

    What the sign-flip test can reach is left out where three decimals would not show it.
    """
    least = _least(groups)
    if not math.isfinite(p) or least < 0.001:
        return f"p {p_value(p)}"
    if p <= least * (1 + 1e-6):
        return f"p {p_value(p)}, the smallest possible with {speakers(groups)}"
    return f"p {p_value(p)} (cannot be below {p_value(least)} with {speakers(groups)})"


def about_p(groups: int, family: int) -> str:
    """Note under a table of p-values: the test, the smallest p it can reach, and how Holm p is corrected."""

    def floor(least: float, where: str = "") -> str:
        return f"; it cannot be below {p_value(min(1.0, least))}{where}" if least >= 0.001 else ""

    least = _least(groups)
    text = f"p: paired sign-flip test over speakers{floor(least, f' with {speakers(groups)}')}."
    if family < 2:
        return f"{text} There is one comparison, so Holm p is p."
    return f"{text} Holm p: corrected for the {family} comparisons of the table{floor(family * least)}."


def _least(groups: int) -> float:
    from jmml.evaluation.statistics import smallest_p  # scipy takes its time

    return smallest_p(groups)
