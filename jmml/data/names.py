"""Names of people and labels that look like one and are several."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

SHOWN = 3


def normal(text: str) -> str:
    """A name in the one form that counts: NFC, without blanks around it."""
    return unicodedata.normalize("NFC", text).strip()


def alike(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Names that differ in case, blanks or the forms of letters alone, together.

    Example
    -------
    >>> alike(["Ann", "ann ", "Bob", "A nn"])
    [('A nn', 'Ann', 'ann ')]
    """
    together: dict[str, set[str]] = {}
    for name in names:
        key = "".join(unicodedata.normalize("NFKC", name).casefold().split())
        together.setdefault(key, set()).add(name)
    return sorted(tuple(sorted(group)) for group in together.values() if len(group) > 1)


def note(what: str, names: Iterable[str]) -> list[str]:
    """One line for names that differ in so little; none where there are none."""
    found = alike(names)
    if not found:
        return []
    shown = "; ".join(" and ".join(f"'{name}'" for name in group) for group in found[:SHOWN])
    more = f"; and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return [f"{what} whose names differ in case or blanks only: {shown}{more}"]
