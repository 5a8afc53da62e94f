"""Shared folder of a team, writable by everyone: where sweeps and stage-1 results lie, and who is at work."""

from __future__ import annotations

import getpass
import os
import socket
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

from jmml.errors import SweepError
from pipelines.workspace.project import Project

SHARED = "JMML_SHARED"


def team_folder() -> Path | None:
    """``JMML_SHARED``; None where it is not set.

    Raises
    ------
    SweepError : it is not a folder. None is made, as that could hide a share that is not mounted.
    """
    named = os.environ.get(SHARED)
    if not named:
        return None
    path = Path(named).resolve()
    if not path.is_dir():
        raise SweepError(
            "is not a folder" if path.exists() else "is not there",
            where=f"{SHARED}={named}",
            expected="a folder that the whole team sees",
            fix=f"mount it or make it, or unset {SHARED}",
        )
    return path


def shared_folder(project: Project) -> Path:
    """Where sweeps lie: ``JMML_SHARED``, or the project's ``mlruns/``."""
    return team_folder() or project.mlruns_dir.resolve()


def stage1_folder(project: Project) -> Path:
    """Where stage-1 results lie, shared by all sweeps and studies."""
    team = team_folder()
    return team / "stage1" if team else project.root / ".jmml" / "stage1"


def share_with_team(folder: Path) -> None:
    """Where ``folder`` may be written by its group, let what this process writes from now on be so too.

    The usual umask would keep colleagues from going on with a sweep, and from using each other's stage-1 models.
    """
    with suppress(OSError):
        if folder.stat().st_mode & stat.S_IWGRP:
            os.umask(os.umask(0o022) & ~stat.S_IRWXG)


def user() -> str:
    """The name of the person at work; a container's user may have none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def this_driver() -> dict[str, Any]:
    """Who drives from here, for journal and lock."""
    return {"user": user(), "host": socket.gethostname(), "pid": os.getpid()}
