"""The `jmml` command: parse, call one function of `pipelines`, print.

Imports of anything heavy live inside the commands, so that `jmml --help` answers at once.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Annotated

import typer

from cli import cluster, data, model, predict, protocol, results, study, sweep, ui
from cli.output import debug_wanted, encode_what_can_be, fail, say, unexpected
from jmml.errors import JMMLError

EPILOG = """
[bold]A first tour[/bold]

  $ make demo                         the whole path, on synthetic corpora

  $ jmml data add nemo PATH --use     your own recordings, under DVC

  $ dvc repro                         features, split, training, evaluation

  $ jmml sweep run quick              a search over both stages

  $ jmml study run worlds             whether EEG helped: every peer and control

  $ jmml model register               then: jmml model promote

  $ jmml predict call.wav             emotion from speech alone
"""

app = typer.Typer(
    name="jmml",
    help="Emotion recognition from speech, trained with EEG: data in DVC, sweeps on Ray, runs in MLflow.",
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(data.app, name="data")
app.add_typer(protocol.app, name="protocol")
app.add_typer(sweep.app, name="sweep")
app.add_typer(study.app, name="study")
app.add_typer(cluster.app, name="cluster")
app.add_typer(model.app, name="model")
app.command("results")(results.results)
app.command("predict")(predict.predict)
app.command("ui")(ui.ui)


def _print_version(wanted: bool) -> None:
    if wanted:
        say(f"jmml {version('jmml')}")
        raise typer.Exit


@app.callback()
def common(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the full traceback when something fails.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options that stand before any command."""


def main() -> None:
    """Entry point of the console script: one line per problem, an exit code per class of error."""
    encode_what_can_be()
    try:
        app()
    except JMMLError as error:
        if debug_wanted():
            raise
        sys.exit(fail(error))
    except OSError as error:
        if debug_wanted():
            raise
        where = "" if error.filename is None else f"{error.filename}: "
        reason = error.strerror or error
        say(f"error: {where}{reason}. Check the path, its permissions and free space", err=True)
        sys.exit(JMMLError.exit_code)
    except KeyboardInterrupt:
        say("interrupted", err=True)
        sys.exit(130)
    except Exception as error:
        if debug_wanted():
            raise
        sys.exit(unexpected(error))


if __name__ == "__main__":
    main()
