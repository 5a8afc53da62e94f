"""Arguments that `jmml sweep` and `jmml study` share where they take a definition."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.output import print_json, say

if TYPE_CHECKING:
    from pipelines.definitions.dry_run import DryRun

DryRunFlag = Annotated[
    bool,
    typer.Option("--dry-run", help="Print what would be done, or why it would fail, and stop."),
]


def names_and_files(kind: str, incomplete: str) -> list[str]:
    """Ready-made definitions of `kind` (`sweep`, `study`) and YAML files, by their beginning; loads nothing heavy."""
    import pipelines

    shipped = (Path(pipelines.__file__).parent / kind / "definitions").glob("*.yaml")
    names = sorted(path.stem for path in shipped)
    place = Path(incomplete).parent if "/" in incomplete else Path()
    files = sorted(str(path) for suffix in ("*.yaml", "*.yml") for path in place.glob(suffix))
    return [name for name in [*names, *files] if name.startswith(incomplete)]


def print_dry_run(found: DryRun, json: bool) -> None:
    """Print what a command would do; it ends as the command would."""
    if json:
        print_json(found.as_dict())
    else:
        for line in found.lines():
            say(line)
    if found.exit_code:
        raise typer.Exit(found.exit_code)
