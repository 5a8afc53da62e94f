"""How results and failures reach the terminal."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jmml.errors import JMMLError

if TYPE_CHECKING:
    from rich.console import Console

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON for machines instead of text.")]


def debug_wanted() -> bool:
    """``--debug`` anywhere on the command line, or ``JMML_DEBUG=1``."""
    return "--debug" in sys.argv[1:] or os.environ.get("JMML_DEBUG") == "1"


def fail(error: JMMLError) -> int:
    """Print every line of an error to stderr and return its exit code."""
    for line in error.lines:
        print(f"error: {line}", file=sys.stderr)
    return error.exit_code


def print_json(value: Any) -> None:
    """One JSON document on stdout; NaN is written as null."""
    print(json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False))


def print_yaml(value: Any) -> None:
    """One YAML document on stdout, keys in their order."""
    import yaml

    print(yaml.safe_dump(_plain(value), sort_keys=False, allow_unicode=True), end="")


def console() -> Console:
    """Rich console for people; wide enough for a table when the output is a pipe."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 120, highlight=False)


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None, left: int = 1
) -> None:
    """A plain table: the first ``left`` columns flush left, the others (numbers) flush right."""
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number < left else "right")
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    console().print(table)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and value != value:
        return None
    return value if isinstance(value, str | int | float | bool | type(None)) else str(value)
