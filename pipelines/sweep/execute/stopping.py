"""Ending a sweep from outside: its driver is asked to; what a driver that died left open is closed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.sweep.record.folder import SweepFolder, status
from pipelines.sweep.record.state import SweepState
from pipelines.sweep.record.words import kept
from pipelines.workspace.environment import patience
from pipelines.workspace.project import Project
from pipelines.workspace.team import share_with_team, shared_folder, this_driver, user

if TYPE_CHECKING:
    from pipelines.tracking.tracker import Tracker


def stop_sweep(project: Project, name: str, *, wait_s: float = 30.0) -> str:
    """Ask the driver of a sweep to end; where it died, or could not reach MLflow, close what it left open.

    What happened, in one line.

    Raises
    ------
    SweepError : there is no such sweep.
    TrackingError : the driver died, and the store that has its open runs cannot be reached.
    """
    folder = SweepFolder.find(project, name, starting=True)
    share_with_team(shared_folder(project))
    if folder.held:
        who = folder.holder_text()
        if not folder.ask_and_wait(wait_s):
            return f"asked {who} to stop; it has not ended yet, see `jmml sweep watch {name}`"
        if not folder.begun:
            return f"sweep {name} has stopped before it began; nothing is left of it"
        return f"sweep {name} has stopped; {kept(folder.state())}. Go on with `jmml sweep resume {name}`"
    state = folder.state()
    if state.closed and state.closed["state"] == "finished":  # which it is once MLflow has everything
        return f"sweep {name} is not running: finished, {kept(state)}"
    from pipelines.tracking.tracker import Tracker  # seconds, which only these need

    with folder.hold():
        state = folder.state()
        died = not state.closed
        left_open = _close(folder, state, Tracker.connect(project))
    if not died and not left_open:
        return f"sweep {name} is not running: {status(folder, state)}, {kept(state)}"
    why = "its driver had died" if died else "MLflow had been away"
    return f"sweep {name}: {why}; its runs are closed, {kept(state)}. Go on with `jmml sweep resume {name}`"


def _close(folder: SweepFolder, state: SweepState, tracker: Tracker) -> bool:
    """Bring what is left of a sweep that nobody drives into MLflow, and close its runs; whether any was open."""
    from pipelines.sweep.sync.mlflow_sync import Shipper
    from pipelines.tracking import runs

    if not state.closed:
        with folder.opened() as journal:
            journal.append(
                "session", **this_driver(), mode="stop", concurrent=0, cpus=0, gpus=0, address=None
            )
            journal.append("close", state="stopped", reason=f"its driver had died; closed by {user()}")
    run_id = state.run_id or tracker.find_sweep(state.id)  # it may have died before it noted the run
    if run_id is None or tracker.run(run_id).info.status != "RUNNING":
        return False
    shipper = Shipper(folder, tracker, run_id)
    shipper.start()
    shipper.drain(patience_s=patience())
    shipper.stop()
    runs.close_left(tracker, run_id, failed=state.closed is not None and state.closed["state"] == "failed")
    return True
