"""`jmml study list|show|watch`: nothing of these disturbs a study."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cli.driving import Interval, Once
from cli.output import JsonFlag, console, print_json, print_table, say
from cli.study.arguments import Name, finished, found


def list_(json: JsonFlag = False) -> None:
    """Ready-made definitions, unfinished studies and finished ones; docs/studies.md: how to write your own."""
    from pipelines.study.define.reading import GUIDE, READY_MADE, load_definition
    from pipelines.study.publish.summary import finished as published
    from pipelines.study.run.folder import begun
    from pipelines.workspace.project import Project

    definitions = [load_definition(name) for name in READY_MADE]
    project = Project.find()
    done, unfinished = published(project), begun(project)
    if json:
        print_json(
            {
                "definitions": [
                    {"name": d.name, "description": d.description, "file": READY_MADE[d.name]}
                    for d in definitions
                ],
                "finished": [study.as_dict() for study in done],
                **({"unfinished": unfinished} if unfinished else {}),
            }
        )
        return
    print_table(
        ["definition", "tasks", "methods", "seeds", "what it compares"],
        [[d.name, len(d.tasks), len(d.methods), len(d.seeds), d.description] for d in definitions],
        left=5,
    )
    say(f"ready-made definitions: {READY_MADE['quick'].parent}; how to write your own: {GUIDE}", "")
    if unfinished:
        print_table(
            ["unfinished", "status", "cells", "by", "reason"],
            [
                [s["name"], s["status"], f"{s['done']} of {s['cells']}", s["user"], s["reason"]]
                for s in unfinished
            ],
            left=5,
        )
    if not done:
        going = next((s for s in unfinished if s["status"] == "running"), None) or next(
            iter(unfinished), None
        )
        step = (
            "run quick"
            if going is None
            else f"{'watch' if going['status'] == 'running' else 'resume'} {going['name']}"
        )
        say(f"no study is finished yet. Next: jmml study {step}")
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


def show(
    name: Annotated[str, typer.Argument(help="A finished study.", autocompletion=finished)],
    task: Annotated[str | None, typer.Option("--task", help="One task alone.")] = None,
    json: JsonFlag = False,
) -> None:
    """The primary contrast, the table of each task, and where the report is.

    [bold]Examples[/bold]

      $ jmml study show worlds

      $ jmml study show worlds --task trial --json
    """
    from pipelines.study.publish.summary import REPORT, folder_of
    from pipelines.study.run.watch import results
    from pipelines.workspace.project import Project

    project = Project.find()
    found = results(project, name)
    report = folder_of(project, name) / REPORT
    if task is not None:
        found = found.only(task)
    if json:
        print_json({**found.as_dict(), "report": report})
        return
    print_results(found)
    say(f"report: {report}")


def watch(name: Name, once: Once = False, interval: Interval = 1.0) -> None:
    """Follow a study from any terminal: cells, time left. Ctrl-C ends the watching alone.

    In a pipe: what there is now, then a line whenever cells are finished.

    [bold]Examples[/bold]

      $ jmml study watch worlds

      $ jmml study watch worlds --once
    """
    from pipelines.study.run.watch import watch as follow

    folder = found(name)
    try:
        follow(folder, console(), once=once, interval=interval)
    except KeyboardInterrupt:
        say(f"the study is not touched; end it with `jmml study stop {name}`", err=True)


def print_results(study: Any) -> None:
    """The primary contrasts first, then each task's table."""
    for task in study.tasks:
        say(task.headline(study.confidence))
    for task in study.tasks:
        title = f"{task.name}: UAR on people no method saw, chance {task.chance:.3f}"
        table = task.table(study.confidence)
        print_table(*table.terminal(), title=title)
        say(*filter(None, [task.footnote()]), *table.notes())
