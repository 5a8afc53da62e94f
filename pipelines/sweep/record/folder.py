"""The folder of a sweep, which a whole team can share: its journal, and who drives it.

    <shared>/sweeps/<name>/journal        the truth, see pipelines.sweep.record.journal
                           shipped.json   how far MLflow has it
                           lock           held by the driver; the system lets go of it when the driver dies
                           holder.json    who that is
                           stop           `jmml sweep stop` asks the driver to end
                           checkpoints/   of trials that are at work
                           report.html    of `jmml sweep report`

``<shared>`` is the environment variable ``JMML_SHARED``, a folder that everyone on the team can write, or the
project's ``mlruns/``.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from jmml.errors import SweepError
from pipelines.sweep.record import journal
from pipelines.sweep.record.journal import Journal
from pipelines.sweep.record.state import SweepState
from pipelines.workspace.driven import DrivenFolder
from pipelines.workspace.project import Project
from pipelines.workspace.team import shared_folder


class SweepFolder(DrivenFolder):
    """One sweep on disk; nothing is created before :meth:`hold`."""

    kind = "sweep"

    def __init__(self, path: Path) -> None:
        super().__init__(path, "journal")
        self.journal = self.record
        self.shipped = path / "shipped.json"
        self.checkpoints = path / "checkpoints"
        self.report = path / "report.html"

    @classmethod
    def of(cls, project: Project, name: str) -> SweepFolder:
        """The folder of that name, whether it is there or not."""
        return cls(shared_folder(project) / "sweeps" / name)

    @classmethod
    def all(cls, project: Project) -> list[SweepFolder]:
        """Every sweep of the project, or of the team."""
        root = shared_folder(project) / "sweeps"
        found = [cls(path.parent) for path in sorted(root.glob("*/journal"))]
        return [folder for folder in found if folder.begun]

    @property
    def begun(self) -> bool:
        """Whether there is a sweep: a start that a full disk or the end of a machine cut off leaves a journal
        without any event, which is none."""
        return journal.begins(self.journal)

    @property
    def length(self) -> int:
        """Bytes of the journal."""
        return self.journal.stat().st_size

    def grown(self, length: int) -> bool:
        """Whether the journal has an event after its first ``length`` bytes: a driver has begun its work."""
        return self.begun and self.length > length

    def state(self) -> SweepState:
        """The current state, read from the journal."""
        return SweepState.read(self.journal)

    @contextmanager
    def opened(self) -> Iterator[Journal]:
        """The journal for the length of a block, to write in; only who holds the sweep may."""
        writer = Journal(self.journal)
        try:
            yield writer
        finally:
            with suppress(SweepError):
                writer.close()

    def discard_checkpoints(self) -> None:
        """Delete the checkpoints of trials; they serve trials that are at work alone."""
        shutil.rmtree(self.checkpoints, ignore_errors=True)


def status(folder: SweepFolder, state: SweepState) -> str:
    """``running``, ``finished``, ``stopped``, ``failed``, or ``interrupted``: its driver died."""
    if folder.held:
        return "running"
    return str(state.closed["state"]) if state.closed else "interrupted"
