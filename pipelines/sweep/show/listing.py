"""The sweeps of a project, read from their journals: a line for each."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jmml.errors import JMMLError
from pipelines.reporting.terminal import Column, plain_text
from pipelines.reporting.wording import grouped
from pipelines.sweep.record.folder import SweepFolder, status
from pipelines.sweep.record.state import OVER, SweepState
from pipelines.sweep.show.words import STYLES, counts_text
from pipelines.workspace.project import Project


@dataclass(frozen=True)
class Listed:
    """One sweep in a list of sweeps.

    Attributes
    ----------
    best : ``(score, trial)``.
    created, last : first and last event, ms since 1970.
    driver : who drives it; empty when nobody does.
    """

    name: str
    status: str
    user: str
    team: str
    total: int
    counts: dict[str, int]
    best: tuple[float, int] | None
    created: int
    last: int
    driver: str

    def trials_text(self) -> str:
        """``12/50 (4 running, 1 failed)``: trials over of those wanted."""
        over = sum(self.counts.get(key, 0) for key in OVER)
        others: dict[str, int] = {
            key: self.counts[key] for key in ("running", "waiting", "failed") if key in self.counts
        }
        said = f" ({counts_text(others, at_work=self.status == 'running')})" if others else ""
        return f"{grouped(over)}/{grouped(self.total)}{said}"

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "status": self.status,
            "user": self.user,
            "team": self.team,
            "total": self.total,
            "trials": self.counts,
            "best": None if self.best is None else {"score": self.best[0], "trial": self.best[1]},
            "created_ms": self.created,
            "last_ms": self.last,
            "driver": self.driver or None,
        }


def columns(sweeps: Sequence[Listed]) -> list[Column]:
    """The list as columns; a team and a driver where there is one."""
    cells = [
        Column("sweep", [sweep.name for sweep in sweeps], 0, "left"),
        Column("status", [plain_text(s.status, style=STYLES.get(s.status, "")) for s in sweeps], 0, "left"),
        Column("user", [sweep.user for sweep in sweeps], 2, "left"),
        Column("team", [sweep.team or "" for sweep in sweeps], 5, "left"),
        Column("trials", [sweep.trials_text() for sweep in sweeps], 1, "left"),
        Column("best", [f"{s.best[0]:.3f} (trial {s.best[1]})" if s.best else "" for s in sweeps], 1, "left"),
        Column("last event", [moment(sweep.last) for sweep in sweeps], 3, "left"),
        Column("driven by", [sweep.driver for sweep in sweeps], 4, "left"),
    ]
    return [column for column in cells if any(column.cells)]


def listed(
    project: Project, *, user: str | None = None, team: str | None = None
) -> tuple[list[Listed], list[str]]:
    """Sweeps, the latest first, and what is wrong with journals that cannot be read.

    Parameters
    ----------
    user, team : only theirs.
    """
    found, damaged = [], []
    for folder in SweepFolder.all(project):
        try:
            state = folder.state()
        except JMMLError as error:
            damaged.append(str(error))
            continue
        drivers = {session.event["user"] for session in state.sessions}
        if (user is None or user in drivers | {state.user}) and team in (None, state.team):
            found.append(_listed(folder, state))
    return sorted(found, key=lambda sweep: -sweep.last), damaged


def _listed(folder: SweepFolder, state: SweepState) -> Listed:
    now, best, holder = status(folder, state), state.best, folder.holder()
    assert best is None or best.best_score is not None
    return Listed(
        name=folder.name,
        status=now,
        user=state.user,
        team=state.team,
        total=state.total,
        counts=state.counts(),
        best=None if best is None or best.best_score is None else (best.best_score, best.number),
        created=state.created,
        last=state.sessions[-1].last if state.sessions else state.created,
        driver=f"{holder['user']} on {holder['host']}" if now == "running" and holder else "",
    )


def moment(ms: float) -> str:
    """``2026-07-28 14:03``, local time."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(ms / 1000))
