"""The report of a sweep: one HTML page that needs nothing but itself, made from the sweep's journal alone."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from jmml.errors import SweepError, TrackingError
from jmml.files import atomic_path
from jmml.printable import printable
from pipelines.sweep.record.folder import SweepFolder
from pipelines.sweep.record.history import Record
from pipelines.sweep.show.page import render
from pipelines.workspace.project import Project

ARTIFACT = "report.html"


def _to_stderr(text: str) -> None:
    print(printable(text), file=sys.stderr)


def write_report(
    project: Project, name: str, output: Path | None = None, *, note: Callable[[str], None] = _to_stderr
) -> Path:
    """Write the report of a sweep, running or ended, and store it in the sweep's run as ``report.html``.

    Equal journals give equal files: a report says what was true at the last event of the journal.

    Parameters
    ----------
    output : file instead of ``report.html`` in the sweep's folder.
    note : is told, in one line, when the tracking store could not take the report; the file is there nevertheless.

    Raises
    ------
    SweepError : there is no such sweep, its journal is damaged, or the file cannot be written.
    """
    folder = SweepFolder.find(project, name)
    record = Record.read(folder)
    page = render(record)
    path = folder.report if output is None else output
    try:
        with atomic_path(path) as temporary:
            temporary.write_text(page, encoding="utf-8")
    except OSError as error:
        raise SweepError(
            f"the report cannot be written: {error.strerror or error}",
            where=path,
            fix="name another file with --output",
        ) from error
    if record.state.run_id is not None:
        try:
            _store(project, record.state.run_id, page)
        except TrackingError as error:
            note(f"the report is not in the tracking store: {error}")
    return path


def _store(project: Project, run_id: str, page: str) -> None:
    from pipelines.tracking.tracker import Tracker

    Tracker.connect(project).log_text(run_id, page, ARTIFACT)
