"""`jmml study run|stop|resume`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.definitions import DryRunFlag, print_dry_run
from cli.driving import AcceptChanges, AcceptConfound, Address, DataRev, Wait, option, repeated, whole
from cli.driving import submit as submit_to_cluster
from cli.output import JsonFlag, print_json, say
from cli.study.arguments import Name, Settings, Submit, Workers, definitions, found
from cli.study.look import print_results

if TYPE_CHECKING:
    from pipelines.study.run.runner import StudyRun


def run(
    definition: Annotated[
        str,
        typer.Argument(
            metavar="NAME|FILE",
            help="A YAML file (docs/studies.md), or the name of a ready-made definition (worlds, quick, corpora).",
            autocompletion=definitions,
        ),
    ] = "quick",
    settings: Settings = None,
    data_rev: DataRev = None,
    address: Address = None,
    submit: Submit = False,
    dry_run: DryRunFlag = False,
    recompute: Annotated[
        bool, typer.Option("--recompute", help="Compute every cell again, whatever is cached.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Write and track the results once more, though nothing changed.")
    ] = False,
    accept_confound: AcceptConfound = False,
    workers: Workers = None,
    json: JsonFlag = False,
) -> None:
    """Compute what is missing, certify every cell, write the report, track it all.

    Finished cells are kept whatever happens: `jmml study resume NAME`, or the same command, goes on from there.
    docs/studies.md has an example of a definition, every key, and what lies in the results.

    [bold]Examples[/bold]

      $ jmml study run worlds --dry-run

      $ jmml study run quick

      $ jmml study run corpora -s seeds=0,1,2 -s tuning.trials=1

      $ jmml study run worlds -s tasks=trial -s methods=jmml,controls

      $ jmml study run my_study.yaml --workers 8

      $ jmml study run corpora --address 10.0.0.5:6379 --submit
    """
    from pipelines.study.define.reading import at_revision, load_definition
    from pipelines.workspace.project import Project

    project = Project.find()
    loaded = load_definition(definition, overrides=settings or [], base=project.params.method)
    if data_rev is not None:
        loaded = at_revision(loaded, data_rev)
    if dry_run:
        from pipelines.study.run.dry_run import would_run

        shown = would_run(
            project, loaded, workers=workers, recompute=recompute, address=address, submitted=submit
        )
        print_dry_run(shown, json)
    elif submit:
        from pipelines.study.define.plan import plan
        from pipelines.study.run.runner import refuse_confounds

        planned = plan(project, loaded)  # what is wrong is said here, not in the job
        refuse_confounds(planned, accepted=accept_confound)
        words = ["run", whole(definition), *repeated(settings), *option("--data-rev", data_rev)]
        words += option("--workers", workers)
        words += [*option("--recompute", recompute), *option("--again", again)]
        _submit([*words, *option("--accept-confound", accept_confound)], loaded.name, address, json)
    else:
        from pipelines.study.run.runner import run_study

        result = run_study(
            project,
            loaded,
            workers=workers,
            recompute=recompute,
            again=again,
            accept_confound=accept_confound,
            address=address,
            quiet=json,
        )
        _finished(result, json)


def stop(name: Name, wait: Wait = 30.0, json: JsonFlag = False) -> None:
    """End a study gracefully, from any machine that sees the project; finished cells are kept, and it can be resumed.

    Cells at work are broken off and computed when the study is resumed. What a driver that died left open is closed.

    [bold]Examples[/bold]

      $ jmml study stop worlds
    """
    from pipelines.study.run.stopping import stop_study
    from pipelines.workspace.project import Project

    folder = found(name)
    if folder.held and not json:
        say(f"asking {folder.holder_text()} to stop study {name}; waiting")
    said = stop_study(Project.find(), name, wait_s=wait)
    if json:
        now = folder.state(folder.status()) if folder.begun else "stopped"
        print_json({"name": name, "status": now, "message": said})
    else:
        say(said)


def resume(
    name: Name,
    definition: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME|FILE]",
            help="A changed definition; the study's own if not given.",
            autocompletion=definitions,
            show_default=False,
        ),
    ] = None,
    settings: Settings = None,
    accept_changes: AcceptChanges = False,
    address: Address = None,
    submit: Submit = False,
    dry_run: DryRunFlag = False,
    workers: Workers = None,
    json: JsonFlag = False,
) -> None:
    """Go on with a study that was stopped, interrupted or killed: finished cells stay, the rest is computed.

    A definition, data or code that changed is shown and refused unless --accept-changes is given: cells that it
    concerns are computed anew.

    [bold]Examples[/bold]

      $ jmml study resume worlds

      $ jmml study resume worlds --dry-run

      $ jmml study resume worlds -s seeds=0,1,2 --accept-changes
    """
    from pipelines.workspace.project import Project

    project = Project.find()
    folder = found(name)
    if folder.held and not dry_run:
        raise folder.taken()
    changed: dict[str, Any] = {
        "source": definition,
        "overrides": settings or [],
        "accept_changes": accept_changes,
    }
    if dry_run:
        from pipelines.study.run.dry_run import would_resume

        shown = would_resume(project, name, workers=workers, address=address, submitted=submit, **changed)
        print_dry_run(shown, json)
    elif submit:
        words = ["resume", name, *([whole(definition)] if definition else []), *repeated(settings)]
        words += [*option("--accept-changes", accept_changes), *option("--workers", workers)]
        _submit(words, name, address, json)
    else:
        from pipelines.study.run.runner import resume_study

        _finished(resume_study(project, name, workers=workers, address=address, quiet=json, **changed), json)


def _finished(result: StudyRun, json: bool) -> None:
    if json:
        print_json(result.as_dict())
        return
    print_results(result.published.summary)
    for line in result.lines():
        say(line)


def _submit(words: list[str], name: str, address: str | None, json: bool) -> None:
    from pipelines.study.run.folder import StudyFolder
    from pipelines.workspace.project import Project

    project = Project.find()
    folder = StudyFolder.of(project, name)
    if folder.held:
        raise folder.taken()
    before = folder.version
    submit_to_cluster(project, words, folder, lambda: folder.version not in (0, before), address, json)
