"""The record of a study that is being computed: what it is, how far it is, who drives it.

    .jmml/studies/<name>/status.json    what is computed and how far it is; written after each cell
                         lock, holder.json, stop    see pipelines.workspace.driven

The cells themselves lie in the cache (:mod:`pipelines.cache.cells`), which is the truth: a study goes on from what is
there, whatever its record says.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from typing import Any
from uuid import uuid4

from jmml.errors import SweepError
from jmml.files import atomic_path
from pipelines.reporting.wording import many
from pipelines.study.define.plan import StudyPlan
from pipelines.workspace.driven import DrivenFolder
from pipelines.workspace.project import Project, keep_out_of_git
from pipelines.workspace.team import user

STATUS = "status.json"
OPEN = ("computing", "publishing")


@dataclass(frozen=True)
class Status:
    """How far a study is.

    Attributes
    ----------
    id : tag ``jmml.study_id`` of its run in MLflow.
    definition : as plain values; ``settings``, all else that its cells depend on; ``digest`` is over both.
    began : s since 1970.
    recompute : whether cells of before ``began`` do not count.
    total, kept : all cells, and those that were there when it began or was taken up again; ``done`` since then.
    last, left : the cell finished last, and how long the rest will take, in words.
    state : ``computing``, ``publishing``, ``finished``, ``stopped`` or ``failed``; the first two as long as it is
        driven, or when its driver died.
    reason : why it was stopped or has failed.
    """

    id: str
    name: str
    definition: dict[str, Any]
    settings: dict[str, Any]
    digest: str
    began: float
    total: int
    kept: int
    done: int = 0
    last: str = ""
    left: str = ""
    recompute: bool = False
    workers: int | None = None
    address: str | None = None
    user: str = field(default_factory=user)
    state: str = "computing"
    reason: str = ""

    @property
    def cells(self) -> str:
        """``12 of 24 cells are kept``"""
        there = self.kept + self.done
        return f"{there} of {many(self.total, 'cell')} {'is' if there == 1 else 'are'} kept"


class StudyFolder(DrivenFolder):
    """One study on disk; nothing is created before :meth:`hold`."""

    kind = "study"

    @classmethod
    def of(cls, project: Project, name: str) -> StudyFolder:
        return cls(project.root / ".jmml" / "studies" / name, STATUS)

    @classmethod
    def all(cls, project: Project) -> list[StudyFolder]:
        found = sorted((project.root / ".jmml" / "studies").glob(f"*/{STATUS}"))
        return [cls(path.parent, STATUS) for path in found]

    @property
    def begun(self) -> bool:
        return self.record.is_file()

    @contextmanager
    def hold(self) -> Iterator[None]:
        with suppress(OSError):  # said below
            keep_out_of_git(self.path.parent.parent)
        with super().hold():
            yield

    @property
    def version(self) -> int:
        """A number that is another one whenever the record was written; 0 when there is none."""
        try:
            return self.record.stat().st_mtime_ns
        except OSError:
            return 0

    def status(self) -> Status:
        """The current status, from the record.

        Raises
        ------
        SweepError : there is none, or it cannot be read.
        """
        try:
            return Status(**json.loads(self.record.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            raise SweepError(
                "not a study's record, or damaged",
                where=self.record,
                fix=f"start it again with `jmml study run`: finished cells are kept; or delete {self.path}",
            ) from None

    def save(self, status: Status) -> None:
        """Put ``status`` in the place of the record.

        Raises
        ------
        SweepError : the folder cannot be written.
        """
        try:
            with atomic_path(self.record) as path:
                path.write_text(json.dumps(asdict(status), indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            raise SweepError(
                f"cannot be written: {error.strerror or error}",
                where=self.record,
                fix="free space on that disk",
            ) from error

    def state(self, status: Status) -> str:
        """``running``, ``finished``, ``stopped``, ``failed``, or ``interrupted``: its driver died."""
        if self.held:
            return "running"
        return "interrupted" if status.state in OPEN else status.state


def begun(project: Project) -> list[dict[str, Any]]:
    """Studies that have begun and are not finished, as plain values; records that cannot be read are left out."""
    found = []
    for folder in StudyFolder.all(project):
        with suppress(SweepError):
            status = folder.status()
            if (state := folder.state(status)) != "finished":
                done = status.kept + status.done
                known = {"name": folder.name, "status": state, "cells": status.total, "done": done}
                found.append({**known, "user": status.user, "reason": status.reason})
    return found


def settings(plan: StudyPlan) -> dict[str, Any]:
    """All that the cells of a plan depend on besides its definition, as plain values."""
    return {
        "method": plan.params.method.model_dump(mode="json"),
        "protocol": plan.params.protocol.model_dump(mode="json"),
        "device": plan.params.device.partition(":")[0],
        "code": plan.code,
        "tasks": {
            key.task: {name: key.parts[name] for name in ("task", "split", "libraries")} for key in plan.cells
        },
    }


class Progress:
    """The record of a study while this process drives it, once it has begun."""

    def __init__(self, folder: StudyFolder, status: Status) -> None:
        self.folder, self.status, self.begun = folder, status, False

    def begin(self) -> None:
        """Make the first entry, in the place of that of the driver before."""
        self.begun = True
        self.folder.save(self.status)

    @classmethod
    def of(
        cls,
        folder: StudyFolder,
        plan: StudyPlan,
        *,
        id: str | None,
        began: float | None = None,
        recompute: bool = False,
        workers: int | None = None,
        address: str | None = None,
    ) -> Progress:
        """The record of a study that begins, or that is taken up again with its ``id``."""
        total = len({key.digest for key in plan.cells})  # one that two tasks share is one
        status = Status(
            id=id or uuid4().hex,
            name=plan.definition.name,
            definition=plan.definition.plain(),
            settings=settings(plan),
            digest=plan.digest,
            began=time.time() if began is None else began,
            total=total,
            kept=total - len(plan.missing),
            recompute=recompute,
            workers=workers,
            address=address,
        )
        return cls(folder, status)

    def note(self, **changes: Any) -> None:
        """Write what has changed."""
        self.status = replace(self.status, **changes)
        self.folder.save(self.status)

    @contextmanager
    def closing(self) -> Iterator[None]:
        """Note how the block ends, if it has begun; a disk that is full hides no other error."""
        try:
            yield
        except BaseException as error:
            state = "failed" if isinstance(error, Exception) else "stopped"
            if not self.begun:
                raise
            with suppress(SweepError):
                self.note(state=state, reason=self._reason(error), left="")
            raise
        self.note(state="finished", left="")

    def _reason(self, error: BaseException) -> str:
        if isinstance(error, KeyboardInterrupt):
            asked = self.folder.asked_to_stop
            return f"stopped by {asked}" if asked else "interrupted"
        return "terminated" if isinstance(error, SystemExit) else str(error)[:2000]
