"""`jmml study`: every peer and every control on one protocol, on Ray."""

from __future__ import annotations

import typer

from cli.study import look, start

app = typer.Typer(
    help="Studies: methods, peers and controls compared; run, watch, stop, resume: no finished cell is ever lost.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)
app.command()(start.run)
app.command("list")(look.list_)
app.command()(look.show)
app.command()(look.watch)
app.command()(start.stop)
app.command()(start.resume)
