"""Values on their way into the tracking store: names, texts, lengths, pieces."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from jmml.errors import TrackingError


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """Environment variables for the length of a block; MLflow reads its time limits from there."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """``{"stage2": {"k": 3}}`` -> ``("stage2.k", 3)``."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def as_text(value: object) -> str:
    """``value`` in words; floats to six significant digits."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def refuse_long(values: Mapping[str, str], limit: int, what: str, run_id: str) -> None:
    """:class:`TrackingError` for the first value beyond ``limit`` characters; MLflow would cut it off."""
    for key, value in values.items():
        if len(value) > limit:
            raise TrackingError(
                f"{what} '{key}' has {len(value)} characters",
                where=f"run {run_id}",
                expected=f"at most {limit}",
                fix="store it as a file with log_text",
            )


def batches(items: Sequence[Any], size: int) -> Iterable[Sequence[Any]]:
    """``items`` in pieces of at most ``size``."""
    return (items[start : start + size] for start in range(0, len(items), size))
