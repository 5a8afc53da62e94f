"""Options by which a person says what columns and names of files mean."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Pattern = Annotated[
    str | None, typer.Option(help="How the files are named, such as '{speaker}_{text:d}_{label:a}.wav'.")
]
Columns = Annotated[
    list[str] | None,
    typer.Option("--map", metavar="FIELD=COLUMN", help="The column of a field; repeatable."),
]
Table = Annotated[
    Path | None, typer.Option(help="A table that names the recordings, their speakers and labels.")
]
Event = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME[=LABEL]", help="EEG: an event that begins a trial; repeatable."),
]
TrialSeconds = Annotated[
    str | None,
    typer.Option(
        "--trial-s", metavar="[FROM:]TO", help="EEG: seconds of a trial after its event, or of each file."
    ),
]


def pairs(columns: list[str] | None) -> dict[str, str]:
    """Field -> column of ``--map``; wrong usage where one is not ``FIELD=COLUMN``."""
    found = {}
    for word in columns or []:
        field, _, column = word.partition("=")
        if not (field and column):
            raise typer.BadParameter(f"'{word}' is not FIELD=COLUMN", param_hint="--map")
        found[field] = column
    return found
