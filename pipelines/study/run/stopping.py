"""Ending a study from outside: its driver is asked to; what a driver that died left open is closed."""

from __future__ import annotations

from dataclasses import replace

from pipelines.study.run.folder import OPEN, StudyFolder
from pipelines.workspace.project import Project
from pipelines.workspace.team import user


def stop_study(project: Project, name: str, *, wait_s: float = 30.0) -> str:
    """Ask the driver of a study to end; where it died, close what it left open. What happened, in one line.

    Raises
    ------
    SweepError : there is no such study.
    TrackingError : the driver died while it published, and the store that has its open run cannot be reached.
    """
    folder = StudyFolder.find(project, name, starting=True)
    if folder.held:
        who = folder.holder_text()
        if not folder.ask_and_wait(wait_s):
            return f"asked {who} to stop; it has not ended yet, see `jmml study watch {name}`"
        if not folder.begun:
            return f"study {name} has stopped before it began; nothing is left of it"
        return f"study {name} has stopped; {folder.status().cells}. Go on with `jmml study resume {name}`"
    status = folder.status()
    if status.state not in OPEN:
        return f"study {name} is not running: {status.state}, {status.cells}"
    from pipelines.tracking import runs  # seconds, which only these need
    from pipelines.tracking.run_tags import STUDY, STUDY_ID
    from pipelines.tracking.tracker import Tracker

    with folder.hold():
        status = folder.status()
        if status.state == "publishing":
            runs.close_left_open(Tracker.connect(project), STUDY, {STUDY_ID: status.id})
        reason = f"its driver had died; closed by {user()}"
        folder.save(replace(status, state="stopped", reason=reason, left=""))
    return f"study {name}: its driver had died; it is closed, {status.cells}. Go on with `jmml study resume {name}`"
