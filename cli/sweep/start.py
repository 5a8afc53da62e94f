"""`jmml sweep run|stop|resume|extend`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from cli.definitions import DryRunFlag, print_dry_run
from cli.driving import AcceptChanges, Address, DataRev, Wait, option, repeated, whole
from cli.driving import submit as submit_to_cluster
from cli.output import JsonFlag, print_json, print_table, say
from cli.sweep.arguments import Name, Settings, Submit, definitions, found, free

if TYPE_CHECKING:
    from pipelines.sweep.execute.outcome import SweepResult

NewName = Annotated[str | None, typer.Option(help="Name of the sweep; the definition's if not given.")]
Team = Annotated[
    str | None, typer.Option(envvar="JMML_TEAM", help="Team that the sweep belongs to.", show_default=False)
]


def run(
    definition: Annotated[
        str,
        typer.Argument(
            metavar="NAME|FILE",
            help="A YAML file, or the name of a ready-made definition.",
            autocompletion=definitions,
            show_default=False,
        ),
    ],
    settings: Settings = None,
    name: NewName = None,
    team: Team = None,
    data_rev: DataRev = None,
    address: Address = None,
    submit: Submit = False,
    dry_run: DryRunFlag = False,
    json: JsonFlag = False,
) -> None:
    """Search on inner folds, refit the best configuration, open the outer fold once.

    Everything is on disk before it counts: whatever ends the sweep, `jmml sweep resume NAME` goes on from there.

    [bold]Examples[/bold]

      $ jmml sweep run quick --dry-run

      $ jmml sweep run quick -s trials=20 -s stage2.k=2,3,4 --name wider

      $ jmml sweep run quick --data-rev v1.2 --name before

      $ jmml sweep run my_sweep.yaml --address 10.0.0.5:6379 --submit
    """
    from pipelines.definitions.revisions import data_rev as at_revision
    from pipelines.sweep.definition.reading import load_definition
    from pipelines.sweep.execute.naming import unused
    from pipelines.workspace.project import Project

    project = Project.find()
    settings = [*at_revision(data_rev), *(settings or [])]
    loaded = load_definition(definition, overrides=settings, name=name, project=project)
    if dry_run:
        from pipelines.sweep.show.dry_run import would_run

        print_dry_run(would_run(project, loaded, name=name, address=address, submitted=submit), json)
        return
    own = unused(project, loaded.name, exact=name is not None).name
    if submit:
        from pipelines.sweep.definition.plan import plan

        plan(project, loaded)  # what is wrong is said here, not in the job
        words = ["run", whole(definition), *repeated(settings), "--name", own, *option("--team", team)]
        _submit(words, own, address, json)
    else:
        from pipelines.sweep.runner import run_sweep

        _finished(run_sweep(project, loaded, team=team, address=address, quiet=json), json)


def stop(
    name: Name,
    wait: Wait = 30.0,
    json: JsonFlag = False,
) -> None:
    """End a sweep gracefully, from any machine of the team; results are kept, and it can be resumed.

    Trials at work are broken off and run again when the sweep is resumed. The runs of a driver that died are closed.

    [bold]Examples[/bold]

      $ jmml sweep stop quick
    """
    from pipelines.sweep.execute.stopping import stop_sweep
    from pipelines.workspace.project import Project

    folder = found(name, starting=True)
    if folder.held and not json:
        say(f"asking {folder.holder_text()} to stop sweep {name}; waiting")
    said = stop_sweep(Project.find(), name, wait_s=wait)
    if json:
        from pipelines.sweep.record.folder import status

        now = status(folder, folder.state()) if folder.begun else "stopped"
        print_json({"name": name, "status": now, "message": said})
    else:
        say(said)


def resume(
    name: Name,
    definition: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME|FILE]",
            help="A changed definition; the sweep's own if not given.",
            autocompletion=definitions,
            show_default=False,
        ),
    ] = None,
    settings: Settings = None,
    accept_changes: AcceptChanges = False,
    address: Address = None,
    submit: Submit = False,
    dry_run: DryRunFlag = False,
    json: JsonFlag = False,
) -> None:
    """Go on with a sweep that was stopped, interrupted or killed: what is over stays, the rest runs.

    A definition, data or code that changed is shown and refused unless --accept-changes is given.

    [bold]Examples[/bold]

      $ jmml sweep resume quick

      $ jmml sweep resume quick --dry-run

      $ jmml sweep resume quick -s budget.hours=12 --accept-changes
    """
    from pipelines.workspace.project import Project

    project = Project.find()
    free(name, dry_run=dry_run)
    if dry_run:
        from pipelines.sweep.show.dry_run import would_resume

        planned = would_resume(
            project,
            name,
            source=definition,
            overrides=settings or [],
            accept_changes=accept_changes,
            address=address,
            submitted=submit,
        )
        print_dry_run(planned, json)
    elif submit:
        words = ["resume", name, *([whole(definition)] if definition else []), *repeated(settings)]
        _submit(words + (["--accept-changes"] if accept_changes else []), name, address, json)
    else:
        from pipelines.sweep.runner import resume_sweep

        result = resume_sweep(
            project,
            name,
            source=definition,
            overrides=settings or [],
            accept_changes=accept_changes,
            address=address,
            quiet=json,
        )
        _finished(result, json)


def extend(
    name: Name,
    trials: Annotated[
        int, typer.Option("--trials", "-n", min=1, help="How many trials to add.", show_default=False)
    ],
    address: Address = None,
    submit: Submit = False,
    dry_run: DryRunFlag = False,
    json: JsonFlag = False,
) -> None:
    """Add trials to a sweep; the search goes on with all that it has learnt.

    [bold]Examples[/bold]

      $ jmml sweep extend quick --trials 50
    """
    from pipelines.workspace.project import Project

    project = Project.find()
    free(name, dry_run=dry_run)
    if dry_run:
        from pipelines.sweep.show.dry_run import would_extend

        print_dry_run(would_extend(project, name, trials, address=address, submitted=submit), json)
    elif submit:
        _submit(["extend", name, "--trials", str(trials)], name, address, json)
    else:
        from pipelines.sweep.runner import extend_sweep

        _finished(extend_sweep(project, name, trials=trials, address=address, quiet=json), json)


def _finished(result: SweepResult, json: bool) -> None:
    if json:
        print_json(result.as_dict())
        return
    print_table(*result.table.terminal(), title=result.title)
    for line in result.lines():
        say(line)


def _submit(words: list[str], name: str, address: str | None, json: bool) -> None:
    from pipelines.sweep.record.folder import SweepFolder
    from pipelines.workspace.project import Project

    project = Project.find()
    folder = SweepFolder.of(project, name)
    length = folder.length if folder.begun else 0
    submit_to_cluster(project, words, folder, partial(folder.grown, length), address, json)
