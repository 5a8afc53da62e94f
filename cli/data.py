"""`jmml data`: corpora under DVC."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from cli import versions
from cli.listing import Columns, Event, Pattern, Table, TrialSeconds, pairs
from cli.output import JsonFlag, print_json, print_table, say
from jmml.errors import ProjectError

app = typer.Typer(
    help="Corpora: add, list, show, verify, versions; layouts that are read.", no_args_is_help=True
)


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="Name of the corpus in this project.", show_default=False)],
    path: Annotated[
        Path, typer.Argument(help="Folder of the corpus, or a feature table.", show_default=False)
    ],
    adapter: Annotated[
        str | None,
        typer.Option(help="Which reader; by default that of NAME, else the one that recognises the layout."),
    ] = None,
    modality: Annotated[
        str | None,
        typer.Option(help="speech or eeg; needed for feature tables, and where a folder holds both."),
    ] = None,
    use: Annotated[bool, typer.Option("--use", help="Make it the task's corpus for its modality.")] = False,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave unreadable recordings out; each is listed.")
    ] = False,
    table: Table = None,
    pattern: Pattern = None,
    columns: Columns = None,
    event: Event = None,
    trial_s: TrialSeconds = None,
    feature: Annotated[
        list[str] | None,
        typer.Option(
            "--feature", help="A column of a feature table that is one, whatever it looks like; repeatable."
        ),
    ] = None,
    leave_out: Annotated[
        list[str] | None,
        typer.Option("--leave-out", help="A column of a feature table that is no feature; repeatable."),
    ] = None,
    windows: Annotated[
        bool | None,
        typer.Option(
            "--windows/--no-windows",
            help="Whether rows of a feature table whose ids differ in their last number are of one recording.",
            show_default=False,
        ),
    ] = None,
    link: Annotated[
        bool,
        typer.Option("--link", help="Link to the files, copy nothing; DVC keeps hashes alone."),
    ] = False,
    follow_links: Annotated[
        bool,
        typer.Option("--follow-links", help="Take what links that lead out of the folder point to."),
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Show what is understood of a table, names or events; write nothing."),
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Check a corpus, copy it into the project and put it under DVC.

    Nothing is written unless every recording can be read. Recordings in a layout of their own are described by a table
    (CSV, TSV, Parquet, JSON Lines; its columns are guessed, or named with --map) or by the names of the files. EEG
    (EDF, BDF, GDF, BrainVision, EEGLAB, FIF, CNT) is cut into trials by events, by a table's start and end, or whole.

    [bold]Examples[/bold]

      $ jmml data add nemo ~/corpora/nEMO --use

      $ jmml data add ours ~/corpora/ours --table labels.csv --map label=emotion_2 --dry-run

      $ jmml data add calls ~/calls --pattern '{speaker}/{session}/*_{label}.flac'

      $ jmml data add brains ~/eeg --pattern '{subject}.edf' --event S1=happy --event S2=sad --trial-s 4

      $ jmml data add lab-eeg ~/lab/features.parquet --adapter table --modality eeg
    """
    from jmml.data.listing.trials import Cutting, parse_events, parse_window
    from pipelines.corpora.add import Columns as TableColumns
    from pipelines.corpora.add import add as add_corpus
    from pipelines.corpora.add import preview
    from pipelines.corpora.describing import Description
    from pipelines.workspace.project import Project

    window = None if trial_s is None else parse_window(trial_s)
    described = Description(
        table, pattern, pairs(columns), Cutting(parse_events(event or []), window), modality
    )
    project = Project.find()
    if dry_run:
        seen = preview(name, path, adapter=adapter, description=described)
        if json:
            print_json(seen.as_dict())
            return
        for line in seen.lines():
            say(line)
        return
    result = add_corpus(
        project,
        name,
        path,
        adapter=adapter,
        modality=modality,
        use=use,
        skip_bad=skip_bad,
        description=described,
        columns=TableColumns(feature or [], leave_out or [], windows),
        link=link,
        follow_links=follow_links,
    )
    if json:
        print_json(result.as_dict())
        return
    for line in result.lines():
        say(line)


@app.command("list")
def list_(json: JsonFlag = False) -> None:
    """List the corpora of this project and the state of each."""
    from pipelines.corpora.describe import list_corpora
    from pipelines.workspace.project import Project

    rows = list_corpora(Project.find())
    if json:
        print_json([row.as_dict() for row in rows])
        return
    print_table(
        ["corpus", "adapter", "modality", "used", "samples", "groups", "dvc"],
        [r.cells() for r in rows],
        left=4,
    )


@app.command()
def adapters(json: JsonFlag = False) -> None:
    """List the layouts that `jmml data add` reads, those of this project included.

    [bold]Example[/bold]

      $ jmml data adapters
    """
    from pipelines.corpora.describe import list_adapters
    from pipelines.workspace.project import Project

    with suppress(ProjectError):
        Project.find()  # whose own adapters count
    rows = list_adapters()
    if json:
        print_json([row.as_dict() for row in rows])
        return
    print_table(["adapter", "holds", "from", "layout"], [row.cells() for row in rows], left=4)


@app.command("check-adapter")
def check_adapter(
    adapter: Annotated[
        str, typer.Argument(help="Name of an adapter, or a Python file with one.", show_default=False)
    ],
    folder: Annotated[
        Path | None,
        typer.Argument(
            help="A few recordings to try it on; by default a corpus of this project that it reads.",
            show_default=False,
        ),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Try an adapter: what every adapter must do, line by line, and what it does not.

    Nothing in FOLDER is changed: files are damaged in a copy. The exit code is 4 where something does not hold.

    [bold]Examples[/bold]

      $ jmml data check-adapter corpora/lab_speech.py ~/lab/clips

      $ jmml data check-adapter lab-speech
    """
    from pipelines.corpora.check_adapter import check_adapter as check
    from pipelines.workspace.project import Project

    project = None
    with suppress(ProjectError):
        project = Project.find()
    found = check(adapter, folder, project=project)
    if json:
        print_json(found.as_dict())
    else:
        say(*found.lines())
    found.raise_if_broken()


@app.command("new-adapter")
def new_adapter(
    name: Annotated[str, typer.Argument(help="Name of the adapter.", show_default=False)],
    path: Annotated[Path, typer.Argument(help="Folder of the recordings.", show_default=False)],
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
    json: JsonFlag = False,
) -> None:
    """Write a first version of an adapter, corpora/NAME.py, from the names and tables under a folder, and try it.

    [bold]Example[/bold]

      $ jmml data new-adapter lab-speech ~/lab/clips
    """
    from pipelines.corpora.new_adapter import new_adapter as write
    from pipelines.workspace.project import Project

    written = write(Project.find(), name, path, force=force)
    if json:
        print_json(written.as_dict())
        return
    say(*written.lines())


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="Name of the corpus.", show_default=False)],
    json: JsonFlag = False,
) -> None:
    """Show what a corpus holds: groups, labels, durations, sample rates, hash.

    [bold]Example[/bold]

      $ jmml data show synthetic-speech
    """
    from pipelines.corpora.describe import show as show_corpus
    from pipelines.workspace.project import Project

    summary = show_corpus(Project.find(), name)
    if json:
        print_json(summary.as_dict())
        return
    for line in summary.lines():
        say(line)


@app.command()
def report(
    name: Annotated[str, typer.Argument(help="Name of the corpus.", show_default=False)],
    output: Annotated[
        Path | None,
        typer.Option(help="File to write; default: data/reports/NAME.html.", show_default=False),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Write one HTML page of a corpus: labels by person, confounds, waveforms, spectra, checks, what was left out.

    The page needs nothing but itself, and opens offline. It holds pictures of people's recordings: it stays out of git.

    [bold]Example[/bold]

      $ jmml data report nemo
    """
    from pipelines.corpora.report.page import write_report
    from pipelines.workspace.project import Project

    path = write_report(Project.find(), name, output)
    if json:
        print_json({"corpus": name, "report": str(path)})
        return
    say(f"{name}: {path}")


@app.command()
def verify(
    name: Annotated[
        str | None, typer.Argument(help="One corpus; all if not given.", show_default=False)
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Compare every recording with the hash recorded for it; a difference is an error.

    [bold]Example[/bold]

      $ jmml data verify nemo
    """
    from pipelines.corpora.verify import verify as verify_corpora
    from pipelines.workspace.project import Project

    report = verify_corpora(Project.find(), name)
    if json:
        print_json(report.as_dict())
    else:
        for line in report.lines():
            say(line)
    report.raise_if_changed()


@app.command()
def utterance(
    path: Annotated[Path, typer.Argument(help="WAV file to write.", show_default=False)],
    emotion: Annotated[str, typer.Option(help="One of the eight RAVDESS emotions.")] = "anger",
    speaker_seed: Annotated[
        int, typer.Option(min=0, help="Seed of the voice; never one of the corpus.")
    ] = 12345,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
) -> None:
    """Write one synthetic utterance of a speaker no corpus holds, to try `jmml predict` on.

    [bold]Example[/bold]

      $ jmml data utterance out/fresh.wav --emotion sadness
    """
    from pipelines.corpora.utterance import write_utterance
    from pipelines.workspace.project import Project

    line = write_utterance(Project.find(), path, emotion=emotion, speaker_seed=speaker_seed, force=force)
    say(line)


for command in (
    versions.update,
    versions.remove,
    versions.history,
    versions.checkout,
    versions.diff,
    versions.withdraw,
):
    app.command()(command)
