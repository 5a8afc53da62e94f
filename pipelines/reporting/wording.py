"""Counts, times and sentences as text, the same in every report; figures are in :mod:`jmml.evaluation.wording`."""

from __future__ import annotations

import math

MANY = 1e15  # from here on the last digits say nothing, and those of a float are not exact


def many(count: float, noun: str, several: str = "") -> str:
    """``1 seed``, ``2 seeds``, ``0.5 CPUs``, ``9 people`` (``several``); thousands are set apart by a narrow space."""
    number = grouped(count) if count < MANY and count == int(count) else f"{count:g}"
    return f"{number} {noun if count == 1 else several or f'{noun}s'}"


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


def rough_duration(seconds: float) -> str:
    """``40 s``, ``12 min``, ``3.5 h``: of an estimate, which is no more precise than that."""
    if seconds < 90:
        return f"{math.ceil(seconds)} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def sentence_case(text: str) -> str:
    """``text`` with a capital first letter, unless it begins with the symbol p."""
    return text if text.startswith("p ") else text[:1].upper() + text[1:]


def magnitude(number: float) -> str:
    """``950``, ``12.3k``, ``4.1M``, ``2.0G``."""
    for unit in ("", "k", "M"):
        if abs(number) < 1000:
            return f"{number:.1f}{unit}" if unit or number != int(number) else f"{int(number)}"
        number /= 1000
    return f"{number:.1f}G"
