"""The `jmml` command in this process, as its console script runs it."""

from __future__ import annotations

import sys

from cli.app import main


def run(capfd, *args: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of the command as the console script runs it."""
    code = 0
    argv, sys.argv = sys.argv, ["jmml", *args]
    try:
        main()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    finally:
        sys.argv = argv
    out, err = capfd.readouterr()
    return code, out, err
