"""How results and failures reach the terminal."""

from __future__ import annotations

import io
import json
import os
import sys
import tempfile
import traceback
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jmml.errors import JMMLError
from jmml.printable import printable

if TYPE_CHECKING:
    from rich.console import Console

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def debug_wanted() -> bool:
    """``--debug`` anywhere on the command line, or ``JMML_DEBUG=1``."""
    return "--debug" in sys.argv[1:] or os.environ.get("JMML_DEBUG") == "1"


def fail(error: JMMLError) -> int:
    """Print every line of an error to stderr and return its exit code."""
    for line in error.lines:
        say(f"error: {line}", err=True)
    return error.exit_code


def encode_what_can_be() -> None:
    """Let the standard streams escape what their encoding lacks, and bytes of file names that are not text."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def unexpected(error: Exception) -> int:
    """One line for a fault of the program itself, and where its traceback is kept; the exit code."""
    from pipelines.workspace.values import without_secrets

    lines = without_secrets(str(error)).strip().splitlines()
    what = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    say(
        f"error: unexpected {what}. This is a fault of jmml: please report it with {_kept(error)}; "
        "the same command with --debug shows it here",
        err=True,
    )
    return JMMLError.exit_code


def _kept(error: Exception) -> str:
    """Write the traceback into a file that its owner alone can read; the file's path, or what stands for it."""
    from pipelines.workspace.values import without_secrets

    text = without_secrets("".join(traceback.format_exception(error)))
    try:
        handle, path = tempfile.mkstemp(prefix="jmml-error-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError:
        return "its traceback"
    return f"the traceback in {path}"


def say(*lines: str, err: bool = False) -> None:
    """Lines of text; what they hold of file names, users and messages of others is shown and not obeyed."""
    for line in lines:
        print(printable(line), file=sys.stderr if err else sys.stdout)


def elsewhere(variable: str, what: str) -> list[str]:
    """Under an empty list: where a colleague's entries would be looked for, unless that is where it was looked."""
    return [] if os.environ.get(variable) else [f"Where others have some: set {variable} to {what}"]


def print_json(value: Any) -> None:
    """One JSON document on stdout; NaN is written as null."""
    print(_escaped(json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False)))


def print_yaml(value: Any) -> None:
    """One YAML document on stdout, keys in their order."""
    import yaml

    print(yaml.safe_dump(_plain(value), sort_keys=False, allow_unicode=False), end="")


def _escaped(document: str) -> str:
    """JSON escapes the control characters below 32 itself; what else a terminal could obey is escaped here."""
    return "".join(
        char if char == "\n" or printable(char) == char else f"\\u{ord(char):04x}" for char in document
    )


def console() -> Console:
    """The console of standard output; wide enough for a table when the output is a pipe."""
    from pipelines.reporting.terminal import PlainConsole

    return PlainConsole(width=None if sys.stdout.isatty() else 120)


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None, left: int = 1
) -> None:
    """A plain table: the first ``left`` columns flush left, the others (numbers) flush right."""
    from pipelines.reporting.terminal import plain_table

    console().print(plain_table(columns, rows, title=title, left=left))


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
