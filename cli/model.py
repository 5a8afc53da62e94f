"""`jmml model`: the registry, from challenger to champion and back."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.driving import AcceptConfound
from cli.output import JsonFlag, elsewhere, print_json, print_table, say

app = typer.Typer(help="Models: register, list, promote, roll back.", no_args_is_help=True)
VersionArgument = Annotated[int | None, typer.Argument(help="Version number.", show_default=False)]


@app.command()
def register(
    run: Annotated[
        str | None,
        typer.Argument(
            help="Run id or name of a finished sweep; the newest if not given.", show_default=False
        ),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Register the model of a finished sweep as a new version, the `challenger`.

    [bold]Example[/bold]

      $ jmml model register
    """
    from pipelines.registry.promotion import register as register_model
    from pipelines.workspace.project import Project

    entry = register_model(Project.find(), run)
    if json:
        print_json(entry.as_dict())
    elif "champion" in entry.aliases:
        say(f"jmml version {entry.version} ({entry.run_name}) is registered already, and is the champion")
    else:
        say(f"jmml version {entry.version} ({entry.run_name}) is the challenger. Next: jmml model promote")


@app.command("list")
def list_(json: JsonFlag = False) -> None:
    """List the versions with their aliases and held-out scores."""
    from pipelines.registry.promotion import list_versions
    from pipelines.tracking.store import redacted
    from pipelines.workspace.project import Project

    project = Project.find()
    entries = list_versions(project)
    if json:
        print_json([entry.as_dict() for entry in entries])
        return
    if not entries:
        say(
            f"no versions yet in {redacted(project.tracking_uri)}",
            *elsewhere("MLFLOW_TRACKING_URI", "your team's store"),
            "Next: jmml sweep run demo, then jmml model register",
        )
        return
    columns = ["version", "aliases", "run", "test UAR", "95 % interval", "raw", "one-hot", "created"]
    rows = [entry.cells() for entry in entries]
    print_table(columns, rows, left=3)
    if any(row[columns.index("95 % interval")] == "-" for row in rows):
        say(
            "-: unknown; there is no interval below four speakers, nor for versions that were registered without one"
        )


@app.command()
def promote(
    version: VersionArgument = None, accept_confound: AcceptConfound = False, json: JsonFlag = False
) -> None:
    """Make a version the `champion`, if its evidence is complete and whole.

    Without VERSION, the challenger is promoted.

    [bold]Examples[/bold]

      $ jmml model promote

      $ jmml model promote 3
    """
    from pipelines.registry.promotion import promote as promote_model
    from pipelines.workspace.project import Project

    promotion = promote_model(Project.find(), version, accept_confound=accept_confound)
    if json:
        print_json(promotion.as_dict())
        return
    for verdict in promotion.verdicts:
        say(f"  ok  {verdict.name}: {verdict.reason}")
    before = f" (was {promotion.previous})" if promotion.previous else ""
    say(f"jmml version {promotion.version} is the champion{before}. Next: jmml predict FILE.wav")


@app.command()
def rollback(json: JsonFlag = False) -> None:
    """Give the `champion` alias back to the version that held it before."""
    from pipelines.registry.promotion import rollback as roll_back
    from pipelines.workspace.project import Project

    promotion = roll_back(Project.find())
    if json:
        print_json(promotion.as_dict())
    else:
        say(f"jmml version {promotion.version} is the champion again (was {promotion.previous})")
