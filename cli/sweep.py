"""`jmml sweep`: searches over both stages on Ray Tune."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.output import JsonFlag, print_json, print_table

app = typer.Typer(help="Hyperparameter sweeps on Ray Tune.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep `run` a subcommand although it is the only one."""


def _definitions(incomplete: str) -> list[str]:
    from pipelines.sweep.definition import READY_MADE

    return [name for name in sorted(READY_MADE) if name.startswith(incomplete)]


@app.command()
def run(
    definition: Annotated[
        str,
        typer.Argument(
            help="A YAML file, or the name of a ready-made definition (demo, quick).",
            autocompletion=_definitions,
            show_default=False,
        ),
    ],
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", "-s", help="Override one entry, as in trials=20 or stage2.k=3,4,8. Repeatable."
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the sweep; the definition's if not given.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and stop.")] = False,
    json: JsonFlag = False,
) -> None:
    """Search on inner folds, refit the best configuration, open the outer fold once.

    [bold]Examples[/bold]

      $ jmml sweep run demo

      $ jmml sweep run quick -s trials=20 -s stage2.k=2,3,4

      $ jmml sweep run my_sweep.yaml --dry-run
    """
    from pipelines.project import Project
    from pipelines.sweep.definition import load_definition

    project = Project.find()
    loaded = load_definition(definition, overrides=settings or [], name=name)
    if dry_run:
        from pipelines.sweep.plan import plan

        planned = plan(project, loaded)
        if json:
            print_json(planned.as_dict())
        else:
            for line in planned.lines():
                typer.echo(line)
        return
    from pipelines.sweep.runner import run_sweep

    result = run_sweep(project, loaded, quiet=json)
    if json:
        print_json(result.as_dict())
        return
    print_table(result.columns, result.rows(), title=result.title)
    for line in result.lines():
        typer.echo(line)
