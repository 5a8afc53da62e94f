"""What every stage shares: its command line, and one line per failure."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable

from jmml.errors import JMMLError, ProjectError
from pipelines.workspace.project import Project


def main(stage: Callable[..., str], argv: list[str] | None = None) -> int:
    """Run ``stage(project)`` (or ``stage(project, corpus)``), print its summary, return the exit code.

    A failure a user can cause becomes one line on stderr and the exit code of its class;
    ``JMML_DEBUG=1`` shows the traceback instead.
    """
    name = stage.__name__
    parser = argparse.ArgumentParser(prog=f"python -m pipelines.stages.{name}", description=stage.__doc__)
    if "corpus" in stage.__annotations__:
        parser.add_argument("--corpus", required=True, help="name of a corpus in params.yaml")
    options = vars(parser.parse_args(argv))
    try:
        print(f"{name}: {stage(Project.find(), **options)}")
    except (JMMLError, OSError) as error:
        if os.environ.get("JMML_DEBUG") == "1":
            raise
        failure = error if isinstance(error, JMMLError) else _from_os(error)
        during = "".join(f" ({note})" for note in getattr(error, "__notes__", ()))
        for line in failure.lines:
            print(f"error: {line}{during}", file=sys.stderr)
        return failure.exit_code
    except KeyboardInterrupt:
        print(
            f"{name}: interrupted; run `dvc repro` to go on, `dvc checkout` for the earlier outputs",
            file=sys.stderr,
        )
        return 130
    return 0


def _from_os(error: OSError) -> JMMLError:
    """A full disk or a missing permission is no bug: name the file and the system's reason."""
    return ProjectError(
        error.strerror or str(error), where=error.filename, fix="make room or set permissions"
    )
