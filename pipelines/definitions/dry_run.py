"""Dry run of a command that takes a definition: nothing is started or written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jmml.errors import JMMLError


@dataclass(frozen=True)
class DryRun:
    """Result of a dry run.

    Attributes
    ----------
    text : human-readable, a line each.
    values : the same as JSON.
    refusal : why nothing would be done; the first reason, as the command itself would raise it.
    """

    text: tuple[str, ...]
    values: dict[str, Any]
    refusal: JMMLError | None = None

    @property
    def exit_code(self) -> int:
        """The exit code the command itself would fail with, else 0."""
        return 0 if self.refusal is None else self.refusal.exit_code

    def lines(self) -> list[str]:
        """The text, with why the command would fail."""
        if self.refusal is None:
            return list(self.text)
        return [*self.text, *(f"it would fail: {line}" for line in self.refusal.lines)]

    def as_dict(self) -> dict[str, Any]:
        """The values; ``refused`` is null where nothing speaks against it."""
        return {**self.values, "refused": None if self.refusal is None else str(self.refusal)}


def in_columns(rows: Sequence[tuple[str, str]]) -> list[str]:
    """Headings and texts as lines, the texts below each other."""
    width = max(len(heading) for heading, _ in rows)
    return [f"{heading:<{width}}  {text}" for heading, text in rows]
