"""`jmml data update|remove|history|checkout|diff|withdraw`: versions of corpora."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.listing import Columns, Event, Pattern, Table, TrialSeconds, pairs
from cli.output import JsonFlag, print_json, print_table, say

Name = Annotated[str, typer.Argument(help="Name of the corpus.", show_default=False)]
Force = Annotated[bool, typer.Option("--force", help="Also where files or a version would be lost.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def update(
    name: Name,
    path: Annotated[
        Path | None,
        typer.Argument(
            help="Folder or table of the new version; the files in the work tree if not given.",
            show_default=False,
        ),
    ] = None,
    table: Table = None,
    pattern: Pattern = None,
    columns: Columns = None,
    event: Event = None,
    trial_s: TrialSeconds = None,
    force: Force = False,
    json: JsonFlag = False,
) -> None:
    """Give a corpus new bytes, checked as by `jmml data add`, or change nothing; says which recordings changed.

    Without PATH the files in the work tree are accepted as they are now. Recordings in a layout of their own are
    described as for `jmml data add`.

    [bold]Examples[/bold]

      $ jmml data update nemo ~/corpora/nEMO-2

      $ jmml data update ours
    """
    from jmml.data.listing.trials import Cutting, parse_events, parse_window
    from pipelines.corpora.describing import Description
    from pipelines.versions.update import update as update_corpus
    from pipelines.workspace.project import Project

    window = None if trial_s is None else parse_window(trial_s)
    described = Description(table, pattern, pairs(columns), Cutting(parse_events(event or []), window))
    done = update_corpus(Project.find(), name, path, description=described, force=force)
    if json:
        print_json(done.as_dict())
        return
    say(*done.lines())


def remove(name: Name, yes: Yes = False, force: Force = False, json: JsonFlag = False) -> None:
    """Take a corpus out of the project; its versions stay in git and DVC, and `jmml data checkout` brings it back.

    [bold]Example[/bold]

      $ jmml data remove pilot
    """
    from pipelines.versions.remove import remove as remove_corpus
    from pipelines.workspace.project import Project

    project = Project.find()
    if not yes:
        typer.confirm(f"remove {project.corpus(name).path} from the work tree?", abort=True, err=True)
    done = remove_corpus(project, name, force=force)
    if json:
        print_json(done.as_dict())
        return
    say(*done.lines())


def history(
    name: Name,
    counts: Annotated[
        bool, typer.Option("--counts/--no-counts", help="Count recordings and people of each version.")
    ] = True,
    json: JsonFlag = False,
) -> None:
    """List the revisions at which a corpus changed, with what it held; * marks that of the work tree.

    Counts are of versions whose bytes are on this disk (`dvc fetch --all-commits` gets the others).

    [bold]Example[/bold]

      $ jmml data history nemo
    """
    from pipelines.versions.history import history as versions_of
    from pipelines.workspace.project import Project

    found = versions_of(Project.find(), name, counts=counts)
    if json:
        print_json([version.as_dict() for version in found])
        return
    heads = ["revision", "tags", "date", "dvc", "subject", "recordings", "people"]
    print_table(heads, [version.cells() for version in found], left=5)
    say(*(f"{version.commit[:12]}: {version.unread}" for version in found if version.unread))


def checkout(
    name: Name,
    rev: Annotated[str, typer.Argument(metavar="[REV]", help="A commit, tag or branch.")] = "HEAD",
    force: Force = False,
    json: JsonFlag = False,
) -> None:
    """Bring the files of one corpus, and its pointer, to a revision; everything else stays as it is.

    [bold]Examples[/bold]

      $ jmml data checkout nemo v1.2

      $ jmml data checkout nemo
    """
    from pipelines.versions.checkout import checkout as checkout_corpus
    from pipelines.workspace.project import Project

    done = checkout_corpus(Project.find(), name, rev, force=force)
    if json:
        print_json(done.as_dict())
        return
    say(*done.lines())


def diff(
    a: Annotated[str, typer.Argument(metavar="[A]", help="The earlier revision.")] = "HEAD",
    b: Annotated[
        str | None,
        typer.Argument(metavar="[B]", help="The later one; the work tree if not given.", show_default=False),
    ] = None,
    corpus: Annotated[
        list[str] | None, typer.Option("--corpus", help="A corpus; all that differ if not given. Repeatable.")
    ] = None,
    page: Annotated[
        Path | None, typer.Option("--page", help="Write an HTML page on which the differences can be heard.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """List recordings that were added, removed, replaced, relabelled or re-attributed between two revisions.

    [bold]Examples[/bold]

      $ jmml data diff

      $ jmml data diff v1.1 v1.2 --corpus nemo --page out/nemo.html
    """
    from pipelines.versions.diff import diff as compare
    from pipelines.workspace.project import Project

    project = Project.find()
    found = compare(project, a, b, names=corpus or [])
    written = None
    if page is not None:
        from pipelines.versions.page import write_page

        written = write_page(project, found, page)
    if json:
        print_json({**found.as_dict(), "page": written})
        return
    say(*found.lines(), *([] if written is None else [f"page: {written}"]))


def withdraw(
    person: Annotated[
        str, typer.Argument(help="Speaker or subject, as `jmml data show` names them.", show_default=False)
    ],
    corpus: Annotated[
        list[str] | None,
        typer.Option("--corpus", help="A corpus; all that were added if not given. Repeatable."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be removed; change nothing.")
    ] = False,
    yes: Yes = False,
    force: Force = False,
    json: JsonFlag = False,
) -> None:
    """Remove a person: recordings, features, cache entries; write it down, and list what was trained on them.

    Model versions that were trained on them are not promoted any more, and their recordings are refused wherever they
    come from again. What remains, in git's history and on remotes, is said.

    [bold]Examples[/bold]

      $ jmml data withdraw SP07 --dry-run

      $ jmml data withdraw 03 --corpus ravdess --yes
    """
    from pipelines.versions.withdraw import withdraw as withdraw_person
    from pipelines.workspace.project import Project

    project = Project.find()
    if not (dry_run or yes):
        seen = withdraw_person(project, person, names=corpus or [], dry_run=True)
        for line in seen.lines()[:-1]:
            say(line, err=True)
        typer.confirm(f"remove {person} for good?", abort=True, err=True)
    done = withdraw_person(project, person, names=corpus or [], dry_run=dry_run, force=force)
    if json:
        print_json(done.as_dict())
        return
    say(*done.lines())
