"""`jmml study`: every peer and every control on one protocol, on Ray."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cli.definitions import DryRunFlag, names_and_files, print_dry_run
from cli.output import JsonFlag, print_json, print_table, say

app = typer.Typer(help="Studies: methods, peers and controls compared.", no_args_is_help=True)


def _definitions(incomplete: str) -> list[str]:
    return names_and_files("study", incomplete)


def _settings(incomplete: str) -> list[str]:
    from pipelines.study.define.reading import KEYS

    return [f"{name}=" for name in KEYS.completions() if name.startswith(incomplete)]


def _finished(incomplete: str) -> list[str]:
    from jmml.errors import JMMLError
    from pipelines.study.publish.summary import finished
    from pipelines.workspace.project import Project

    try:
        return [study.name for study in finished(Project.find()) if study.name.startswith(incomplete)]
    except JMMLError:
        return []


@app.command()
def run(
    definition: Annotated[
        str,
        typer.Argument(
            metavar="NAME|FILE",
            help="A YAML file (docs/studies.md), or the name of a ready-made definition (worlds, quick, corpora).",
            autocompletion=_definitions,
        ),
    ] = "quick",
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            "-s",
            help="Override one entry, as in seeds=0,1 or tuning.trials=1. Repeatable.",
            autocompletion=_settings,
        ),
    ] = None,
    dry_run: DryRunFlag = False,
    recompute: Annotated[
        bool, typer.Option("--recompute", help="Compute every cell again, whatever is cached.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Write and track the results once more, though nothing changed.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Cells at the same time; default: one per CPU.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Compute what is missing, certify every cell, write the report, track it all.

    Finished cells are kept whatever happens: the same command goes on where it was stopped.
    docs/studies.md has an example of a definition, every key, and what lies in the results.

    [bold]Examples[/bold]

      $ jmml study run worlds --dry-run

      $ jmml study run quick

      $ jmml study run corpora -s seeds=0,1,2 -s tuning.trials=1

      $ jmml study run worlds -s tasks=trial -s methods=jmml,controls

      $ jmml study run my_study.yaml --workers 8
    """
    from pipelines.study.define.reading import load_definition
    from pipelines.workspace.project import Project

    project = Project.find()
    loaded = load_definition(definition, overrides=settings or [], base=project.params.method)
    if dry_run:
        from pipelines.study.run.dry_run import would_run

        print_dry_run(would_run(project, loaded, workers=workers, recompute=recompute), json)
        return
    from pipelines.study.run.runner import run_study

    result = run_study(project, loaded, workers=workers, recompute=recompute, again=again, quiet=json)
    if json:
        print_json(result.as_dict())
        return
    _print(result.published.summary)
    for line in result.lines():
        say(line)


@app.command("list")
def list_(json: JsonFlag = False) -> None:
    """Ready-made definitions, and studies that were run to their end; docs/studies.md: how to write your own."""
    from pipelines.study.define.reading import GUIDE, READY_MADE, load_definition
    from pipelines.study.publish.summary import finished
    from pipelines.workspace.project import Project

    definitions = [load_definition(name) for name in READY_MADE]
    done = finished(Project.find())
    if json:
        print_json(
            {
                "definitions": [
                    {"name": d.name, "description": d.description, "file": READY_MADE[d.name]}
                    for d in definitions
                ],
                "finished": [study.as_dict() for study in done],
            }
        )
        return
    print_table(
        ["definition", "tasks", "methods", "seeds", "what it compares"],
        [[d.name, len(d.tasks), len(d.methods), len(d.seeds), d.description] for d in definitions],
        left=5,
    )
    say(f"ready-made definitions: {READY_MADE['quick'].parent}; how to write your own: {GUIDE}", "")
    if not done:
        say("no study is finished yet. Next: jmml study run worlds")
        return
    print_table(
        ["finished", "cells", "when", "primary contrast"],
        [
            [study.name if not number else "", study.cells, study.created, task.headline(study.confidence)]
            for study in done
            for number, task in enumerate(study.tasks)
        ],
        left=4,
    )


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A finished study.", autocompletion=_finished)],
    task: Annotated[str | None, typer.Option("--task", help="One task alone.")] = None,
    json: JsonFlag = False,
) -> None:
    """The primary contrast, the table of each task, and where the report is.

    [bold]Examples[/bold]

      $ jmml study show worlds

      $ jmml study show worlds --task trial --json
    """
    from pipelines.study.publish.summary import REPORT, folder_of, read
    from pipelines.workspace.project import Project

    project = Project.find()
    found = read(project, name)
    report = folder_of(project, name) / REPORT
    if task is not None:
        found = found.only(task)
    if json:
        print_json({**found.as_dict(), "report": report})
        return
    _print(found)
    say(f"report: {report}")


def _print(study: Any) -> None:
    """The primary contrasts first, then each task's table."""
    for task in study.tasks:
        say(task.headline(study.confidence))
    for task in study.tasks:
        title = f"{task.name}: UAR on people no method saw, chance {task.chance:.3f}"
        table = task.table(study.confidence)
        print_table(*table.terminal(), title=title)
        say(*filter(None, [task.footnote()]), *table.notes())
