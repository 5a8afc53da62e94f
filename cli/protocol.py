"""`jmml protocol`: train and test parts, and what they share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.listing import Columns, Pattern, pairs
from cli.output import JsonFlag, print_json, print_table, say
from jmml.errors import ProjectError

if TYPE_CHECKING:
    from pipelines.protocol.audit import Audit
    from pipelines.workspace.project import Project

app = typer.Typer(help="Protocols: audit train and test lists.", no_args_is_help=True)
LEAK = 1  # exit code where a test part shares what it must not, or it cannot be told


@app.callback()
def protocol() -> None:
    """Train and test parts, and what they share."""


@app.command()
def audit(
    folds: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FOLDS]",
            help="A table, or a folder with a list per part; the folds of this project if left out.",
            show_default=False,
        ),
    ] = None,
    corpus: Annotated[
        str | None,
        typer.Option(help="A corpus of this project, or an adapter: who speaks what in which file."),
    ] = None,
    pattern: Pattern = None,
    columns: Columns = None,
    disjoint: Annotated[
        str | None,
        typer.Option(
            help="What a test part may not share: person, text, session, device; with commas. Default: person, or "
            "what the protocol of this project says of its own folds.",
            show_default=False,
        ),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Audit train and test lists without training anything.

    The exit code is 1 where there is a leak, or where none can be ruled out, as samples do not say who speaks. Read are
    CSV, Parquet, JSON Lines, JSON and plain lists, one table or a folder with a file per part and fold. Files and
    recordings that both sides have are always a leak.

    [bold]Examples[/bold]

      $ jmml protocol audit                    [dim]# the folds of this project[/dim]

      $ jmml protocol audit ravdess.csv

      $ jmml protocol audit lists/ --pattern '{speaker}_{text:d}_{label:a}.wav' --disjoint person,text

      $ jmml protocol audit folds.csv --corpus nemo --map part=usage --json
    """
    keys = None if disjoint is None else [name.strip() for name in disjoint.split(",") if name.strip()]
    if folds is None:
        found = _own(keys, corpus=corpus, pattern=pattern, map=columns)
    else:
        from pipelines.protocol.audit import audit as audit_lists

        found = audit_lists(
            folds,
            project=_project_here() if corpus is not None else None,
            corpus=corpus,
            pattern=pattern,
            columns=pairs(columns),
            disjoint=keys or ("person",),
        )
    if json:
        print_json(found.as_dict())
    else:
        print_table(*found.table(), title=found.title)
        for line in found.lines():
            say(line)
    raise typer.Exit(0 if found.passed else LEAK)


def _own(keys: list[str] | None, **of_lists: object) -> Audit:
    """The audit of the project's own folds, which need no describing."""
    from pipelines.protocol.own import audit_own
    from pipelines.workspace.project import Project

    if given := [name for name, value in of_lists.items() if value]:
        raise typer.BadParameter("describes lists, and none is named", param_hint=f"--{given[0]}")
    return audit_own(Project.find(), keys)


def _project_here() -> Project | None:
    """The project, where there is one: lists are audited anywhere."""
    from pipelines.workspace.project import Project

    try:
        return Project.find()
    except ProjectError:
        return None
