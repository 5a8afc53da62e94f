"""`jmml results`: the comparison of methods on the outer folds."""

from __future__ import annotations

from cli.output import JsonFlag, print_json, print_table, say


def results(json: JsonFlag = False) -> None:
    """Compare the methods by UAR on the outer folds (after `dvc repro`).

    [bold]Examples[/bold]

      $ jmml results

      $ jmml results --json
    """
    from pipelines.stages.comparison import load_comparison
    from pipelines.workspace.project import Project

    comparison = load_comparison(Project.find())
    if json:
        print_json(comparison.as_dict())
        return
    print_table(*comparison.table.terminal(), title=comparison.title)
    for line in comparison.notes():
        say(line)
