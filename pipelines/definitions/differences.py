"""Changes since a sweep or study began, from plain values: two definitions, or two fingerprints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pipelines.definitions.spaces import DISTRIBUTIONS

_SHORT = 12  # digits of a digest that are shown
_ABSENT = "not there"


def differences(recorded: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Differences between two definitions or fingerprints, a line each; descriptions do not count.

    Example
    -------
    >>> differences({"space": {"stage2.k": {"choice": [3, 6]}}}, {"space": {"stage2.k": {"choice": [3, 8]}}})
    ['space.stage2.k: choice [3, 6] -> choice [3, 8]']
    """
    before, after = dict(_leaves(recorded)), dict(_leaves(now))
    return [
        f"{key}: {before.get(key, _ABSENT)} -> {after.get(key, _ABSENT)}"
        for key in dict.fromkeys((*before, *after))
        if key != "description" and before.get(key, _ABSENT) != after.get(key, _ABSENT)
    ]


def _leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and len(value) == 1 and set(value) <= set(DISTRIBUTIONS):
            ((kind, of),) = value.items()
            yield f"{prefix}{key}", f"{kind} {_text(of)}"
        elif isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", _text(value)


def _text(value: object) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_text, value))}]"
    if isinstance(value, str) and len(value) >= 32 and set(value) <= set("0123456789abcdef"):
        return f"{value[:_SHORT]}..."
    return "none" if value is None else str(value)
