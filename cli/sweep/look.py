"""`jmml sweep list|show|watch|best`: nothing of these disturbs a sweep."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.driving import Interval, Once
from cli.output import JsonFlag, console, elsewhere, print_json, print_yaml, say
from cli.sweep.arguments import Name, found

FIRST = "jmml sweep run quick --dry-run"


def list_(
    mine: Annotated[bool, typer.Option("--mine/--all", help="Only sweeps that I started or drove.")] = False,
    team: Annotated[
        str | None, typer.Option("--team", help="Only sweeps of a team.", show_default=False)
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Sweeps of the project, or of everyone who shares JMML_SHARED; the latest first.

    [bold]Examples[/bold]

      $ jmml sweep list

      $ jmml sweep list --mine --json
    """
    from pipelines.reporting.terminal import fitted
    from pipelines.sweep.show.listing import columns, listed
    from pipelines.workspace.project import Project
    from pipelines.workspace.team import shared_folder, user

    project = Project.find()
    found, damaged = listed(project, user=user() if mine else None, team=team)
    if json:
        print_json({"sweeps": [sweep.as_dict() for sweep in found], "damaged": damaged})
        return
    if found:
        shown = console()
        shown.print(fitted(columns(found), shown.width))
    elif not damaged:
        whose = " of yours" if mine else f" of team {team}" if team else ""
        place = shared_folder(project) / "sweeps"
        if whose:
            say(f"no sweep{whose} in {place}; without --mine and --team: all")
        else:
            say(f"no sweep yet in {place}", *elsewhere("JMML_SHARED", "your team's folder"), f"Next: {FIRST}")
    for problem in damaged:
        say(problem, err=True)


def show(
    name: Name,
    trials: Annotated[
        str, typer.Option("--trials", help="How many trials to list, the best first; or all.")
    ] = "10",
    json: JsonFlag = False,
) -> None:
    """All about one sweep: definition, who drives it, best so far, failures, sessions, the outer fold, what is next.

    [bold]Examples[/bold]

      $ jmml sweep show quick

      $ jmml sweep show quick --trials all --json
    """
    from pipelines.reporting.terminal import fitted, labelled
    from pipelines.sweep.show.description import Description

    count = _count(trials)
    description = Description.of(found(name))
    if json:
        print_json(description.as_dict(count))
        return
    shown = console()
    shown.print(labelled(description.rows()))
    if description.state.trials and count != 0:
        shown.print()
        shown.print(description.table(count, shown.width))
    if description.state.sessions:
        shown.print()
        shown.print(fitted(description.sessions(), shown.width))


def watch(
    name: Name,
    once: Once = False,
    interval: Interval = 1.0,
) -> None:
    """Follow a sweep from any terminal: trials, best so far, speed, time left. Ctrl-C ends the watching alone.

    In a pipe: what there is now, then one line for each trial that ends.

    [bold]Examples[/bold]

      $ jmml sweep watch quick

      $ jmml sweep watch quick --once
    """
    from pipelines.sweep.show.watch import watch as follow

    folder = found(name, starting=True)
    try:
        follow(folder, console(), once=once, interval=interval)
    except KeyboardInterrupt:
        say(f"the sweep is not touched; end it with `jmml sweep stop {name}`", err=True)


def best(
    name: Name,
    json: JsonFlag = False,
    yaml: Annotated[
        bool, typer.Option("--yaml", help="Print the `method` section of params.yaml alone.")
    ] = False,
) -> None:
    """The best configuration so far, as the `method` section of params.yaml; with costs, all that are best for theirs.

    [bold]Examples[/bold]

      $ jmml sweep best quick

      $ jmml sweep best quick --yaml
    """
    from pipelines.sweep.record.best import best_method, method_of, trial_dict
    from pipelines.sweep.show.table import table
    from pipelines.sweep.show.words import best_text

    if json and yaml:
        raise typer.BadParameter(
            "one of --json and --yaml; --json has the method as well", param_hint="--yaml"
        )
    state = found(name).state()
    trial, method = best_method(state)
    section = method.model_dump(mode="json")
    front = state.front() if state.definition.objective.cost else []
    if json:
        print_json(
            {
                "name": name,
                "best": trial_dict(trial),
                "method": section,
                "front": [
                    {**trial_dict(t), "method": method_of(state, t).model_dump(mode="json")} for t in front
                ],
            }
        )
        return
    shown = console()
    if not yaml:
        shown.print(
            f"# sweep {name}, {best_text(state, trial)}", highlight=False, markup=False, soft_wrap=True
        )
        if front:
            from pipelines.reporting.wording import many

            shown.print(f"# {many(len(front), 'trial')} of which none is both better and cheaper:")
            shown.print(table(state, front, width=shown.width))
    note = "# for params.yaml; stage2.epochs is the best epoch, and the most that later sweeps train"
    shown.print(note, markup=False, highlight=False, soft_wrap=True)
    print_yaml({"method": section})


def _count(text: str) -> int | None:
    if text == "all":
        return None
    if not text.isdigit():
        raise typer.BadParameter(f"expected a number or all, got '{text}'", param_hint="--trials")
    return int(text)
