"""`jmml ui`: the MLflow pages of this project."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.output import say


def ui(
    port: Annotated[
        int | None, typer.Option(help="Port on 127.0.0.1; the first free one from 5000 if not given.")
    ] = None,
) -> None:
    """Open the MLflow UI on 127.0.0.1, with links to the runs, the models and the registry.

    [bold]Examples[/bold]

      $ jmml ui

      $ jmml ui --port 5050
    """
    from pipelines.tracking.ui import serve
    from pipelines.workspace.project import Project

    serve(Project.find(), port=port, announce=say)
