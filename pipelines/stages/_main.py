"""Entry point of every stage: its command line, one writer at a time, an end with its DVC, and one line per failure."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from contextvars import ContextVar
from urllib.parse import quote

import psutil
from filelock import FileLock, Timeout

from jmml.errors import JMMLError, ProjectError
from jmml.printable import printable
from pipelines.corpora.unfinished import sweep
from pipelines.reporting.progress import Shown, no_progress, progress_bar, progress_lines
from pipelines.stages._early import ended, interrupt_raised
from pipelines.stages._parent import Parent
from pipelines.workspace.project import Project, keep_out_of_git
from pipelines.workspace.signals import termination_as_exit

TERMINATED = 128 + signal.SIGTERM
GRACE_S = 30.0  # in which a stage that was told to end has put away what it had begun

_quiet: ContextVar[bool] = ContextVar("quiet", default=False)


def main(stage: Callable[..., str], argv: list[str] | None = None) -> int:
    """Run ``stage(project)`` (or ``stage(project, corpus)``), print its summary, return the exit code.

    A failure a user can cause becomes one line on stderr and the exit code of its class;
    ``JMML_DEBUG=1`` shows the traceback instead. A second stage with the same outputs waits for the first, and one
    whose ``dvc repro`` is gone, however it ended, ends too.
    """
    name = stage.__name__
    parser = argparse.ArgumentParser(prog=f"python -m pipelines.stages.{name}", description=stage.__doc__)
    if "corpus" in stage.__annotations__:
        parser.add_argument("--corpus", required=True, help="name of a corpus in params.yaml")
    options = vars(parser.parse_args(argv))
    parent = Parent.find()
    _quiet.set(parent is not None and parent.quiet)
    try:
        with interrupt_raised():
            project = Project.find()
            sweep(project)
            with termination_as_exit(), _ended_with(parent, name), _one_writer(project, name, **options):
                print(printable(f"{name}: {stage(project, **options)}"))
    except (JMMLError, OSError) as error:
        if os.environ.get("JMML_DEBUG") == "1":
            raise
        failure = error if isinstance(error, JMMLError) else _from_os(error)
        during = "".join(f" ({note})" for note in getattr(error, "__notes__", ()))
        for line in failure.lines:
            print(printable(f"error: {line}{during}"), file=sys.stderr)
        return failure.exit_code
    except KeyboardInterrupt:
        _say(ended(name, signal.SIGINT))
        return 128 + signal.SIGINT
    except SystemExit as left:
        if left.code != TERMINATED:
            raise
        _end_children()
        _say(ended(name, signal.SIGTERM))
        return TERMINATED
    return 0


def stage_progress(label: str, unit: str) -> AbstractContextManager[Shown]:
    """A bar on a terminal, plain lines elsewhere, nothing below ``dvc repro --quiet``."""
    if _quiet.get():
        return no_progress()
    return progress_bar(label, unit) if sys.stderr.isatty() else progress_lines(label, unit)


@contextmanager
def _one_writer(project: Project, name: str, corpus: str | None = None) -> Iterator[None]:
    """Wait until no other process runs this stage on this corpus; its outputs are then ours alone."""
    folder = project.root / ".jmml" / "stages"
    folder.mkdir(parents=True, exist_ok=True)
    keep_out_of_git(folder.parent)
    shown = name if corpus is None else f"{name} {corpus}"
    lock = FileLock(folder / f"{quote(shown, safe='')}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        _say(f"{shown}: the same stage still runs in another process; waiting until it has ended")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _ended_with(parent: Parent | None, name: str) -> Iterator[None]:
    """For the length of a block: when DVC ends, this process ends as if it had been told to (SIGTERM)."""
    over, main_thread = threading.Event(), threading.get_ident()

    def end() -> None:
        if over.is_set():
            return
        _say(f"{name}: the `dvc repro` that started it is gone")
        # To the thread at work, whatever it waits for; sent to the process, another one might take it.
        signal.pthread_kill(main_thread, signal.SIGTERM)
        if not over.wait(GRACE_S):
            _end_children()
            os._exit(TERMINATED)

    try:
        if parent is not None:
            parent.when_gone(end)  # at once, where it is gone already
        yield
    finally:
        over.set()


def _end_children() -> None:
    """End the worker processes; what they have finished is kept, and nobody waits for the rest."""
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):  # it has ended
            child.terminate()


def _say(line: str) -> None:
    with suppress(OSError):  # nobody listens any more
        print(printable(line), file=sys.stderr, flush=True)


def _from_os(error: OSError) -> JMMLError:
    """A full disk or a missing permission is not a bug: name the file and the system's reason."""
    return ProjectError(
        error.strerror or str(error), where=error.filename, fix="make room or set permissions"
    )
