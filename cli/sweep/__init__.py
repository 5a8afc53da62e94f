"""`jmml sweep`: searches over both stages, which a team starts, watches, stops, resumes and extends."""

from __future__ import annotations

import typer

from cli.sweep import look, start, write

app = typer.Typer(
    help="Hyperparameter sweeps on Ray Tune: run, watch, stop, resume, extend; nothing finished is ever lost.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)
app.command()(start.run)
app.command("list")(look.list_)
app.command()(look.show)
app.command()(look.watch)
app.command()(start.stop)
app.command()(start.resume)
app.command()(start.extend)
app.command()(look.best)
app.command()(write.export)
app.command()(write.report)
