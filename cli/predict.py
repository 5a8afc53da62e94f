"""`jmml predict`: emotion and probabilities of recordings, from speech alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.output import JsonFlag, console, print_json


def predict(
    files: Annotated[
        list[Path], typer.Argument(help="Recordings: WAV, FLAC, MP3 or OGG.", show_default=False)
    ],
    model: Annotated[
        str, typer.Option("--model", "-m", help="Registry URI, or the folder of a saved model.")
    ] = "models:/jmml@champion",
    enrol: Annotated[
        list[Path] | None,
        typer.Option(
            "--enrol",
            help="Recordings of the same speaker (or a folder of them), for models trained with per-speaker "
            "normalisation. Repeatable.",
        ),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Recognise the emotion of recordings from speech alone.

    [bold]Examples[/bold]

      $ jmml predict call.wav

      $ jmml predict *.flac --json

      $ jmml predict call.wav --model models:/jmml/3 --enrol same_speaker/
    """
    from pipelines.registry.predict import predict_files
    from pipelines.workspace.project import Project

    result = predict_files(Project.find(), files, model, enrol=enrol or [])
    if json:
        print_json(result.as_dict())
        return
    from pipelines.reporting.terminal import plain_text

    out = console()
    out.print(f"{result.model} ({result.method}, {result.label_space})", style="dim", soft_wrap=True)
    for item in result.predictions:
        words = f" ({item.meaning})" if item.meaning != item.emotion else ""
        score = f"  {item.emotion}{words}  {item.probabilities[item.emotion]:.2f}"
        out.print(plain_text((str(item.file), "bold"), score), soft_wrap=True)
        block = "#" if out.options.ascii_only else "█"
        for name, value in sorted(item.probabilities.items(), key=lambda pair: -pair[1]):
            out.print(plain_text(f"  {name:<10} {value:5.2f}  ", (block * round(30 * value), "cyan")))
