"""Figures as text, the same in every report: three decimals, a typographic minus, a dash for what does not exist."""

from __future__ import annotations

import math

MINUS, DASH = "\N{MINUS SIGN}", "\N{EN DASH}"


def number(value: float | None, *, signed: bool = False) -> str:
    """Three decimals with a typographic minus; an en dash for what does not exist."""
    if value is None or not math.isfinite(value):
        return DASH
    text = f"{value:+.3f}" if signed else f"{value:.3f}"
    return "0.000" if float(text) == 0 else text.replace("-", MINUS)


def p_value(p: float | None) -> str:
    """``< 0.001``, three decimals, or an en dash."""
    return "< 0.001" if p is not None and p < 0.001 else number(p)


def interval(low: float | None, high: float | None, *, signed: bool = False) -> str:
    """``0.412 to 0.523``."""
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return DASH
    return f"{number(low, signed=signed)} to {number(high, signed=signed)}"


def many(count: int, noun: str) -> str:
    """``1 seed``, ``2 seeds``; thousands are set apart by a narrow space."""
    return f"{grouped(count)} {noun}{'' if count == 1 else 's'}"


def grouped(count: float) -> str:
    """``12 400``: a whole number, its thousands set apart."""
    return f"{count:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def duration(seconds: float) -> str:
    """``0.8 s``, ``42 s``, ``3 min 20 s``, ``5 h 12 min``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 1:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def sentence_case(text: str) -> str:
    """``text`` with a capital first letter, unless it begins with the symbol p."""
    return text if text.startswith("p ") else text[:1].upper() + text[1:]
