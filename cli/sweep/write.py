"""`jmml sweep export|report`: files made of a sweep."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cli.output import JsonFlag, print_json, say
from cli.sweep.arguments import Name, found


class Format(StrEnum):
    csv = "csv"
    parquet = "parquet"
    json = "json"


def export(
    name: Name,
    format_: Annotated[
        Format | None,
        typer.Option("--format", "-f", help="By the file's name if not given, else csv.", show_default=False),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Where to; NAME.csv or NAME-epochs.csv if not given.", show_default=False
        ),
    ] = None,
    epochs: Annotated[
        bool,
        typer.Option(
            "--epochs",
            help="A row for each epoch of either stage and not for each trial; scores are of stage 2.",
        ),
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Write trials, their settings and scores as a table for other programs.

    [bold]Examples[/bold]

      $ jmml sweep export quick

      $ jmml sweep export quick --epochs --output quick.parquet
    """
    from pipelines.reporting.wording import many
    from pipelines.sweep.record.export import export as write

    folder = found(name)
    kind = _format(format_, output)
    path = output or Path(f"{name}{'-epochs' if epochs else ''}.{kind}")
    rows = write(folder, path, format=kind, epochs=epochs)
    if json:
        print_json({"name": name, "file": path.resolve(), "format": kind, "rows": rows})
    else:
        say(f"wrote {many(rows, 'row')} to {path}")


def report(
    name: Name,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Where to; beside the journal if not given.", show_default=False),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Write an HTML page that opens offline: parallel coordinates, importances, learning curves, all trials.

    [bold]Examples[/bold]

      $ jmml sweep report quick
    """
    from pipelines.sweep.show.report import write_report
    from pipelines.workspace.project import Project

    found(name)
    path = write_report(Project.find(), name, output=output)
    if json:
        print_json({"name": name, "file": path})
    else:
        say(f"report: {path}")


def _format(wanted: Format | None, output: Path | None) -> str:
    """The format asked for, that of the file's name, or CSV; a name that says another one is refused."""
    suffix = "" if output is None else output.suffix.removeprefix(".").lower()
    known = suffix in {kind.value for kind in Format}
    if wanted is not None and output is not None and known and suffix != wanted.value:
        raise typer.BadParameter(
            f"{wanted.value}, but {output.name} is the name of a {suffix} file; leave --format out, or end the name in "
            f".{wanted.value}",
            param_hint="--format",
        )
    if wanted is not None:
        return wanted.value
    if output is None:
        return Format.csv.value
    if not known:
        raise typer.BadParameter(
            f"{output.name} does not say which format; end it in .csv, .parquet or .json, or give --format",
            param_hint="--output",
        )
    return suffix
