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

import fcntl
import getpass
import json
import os
import shutil
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from jmml.errors import SweepError, nearest
from jmml.files import atomic_path
from pipelines.sweep.record import journal
from pipelines.sweep.record.journal import Journal
from pipelines.sweep.record.state import SweepState
from pipelines.workspace.project import Project

SHARED = "JMML_SHARED"
LOOK_SECONDS = 1.0  # someone who looks whether a sweep is held has its lock for a moment


def team_folder() -> Path | None:
    """``JMML_SHARED``; None where it is not set.

    Raises
    ------
    SweepError : it is no folder. None is made, as that could hide a share that is not mounted.
    """
    named = os.environ.get(SHARED)
    if not named:
        return None
    path = Path(named).resolve()
    if not path.is_dir():
        raise SweepError(
            "is no folder" if path.exists() else "is not there",
            where=f"{SHARED}={named}",
            expected="a folder that the whole team sees",
            fix=f"mount it or make it, or unset {SHARED}",
        )
    return path


def shared_folder(project: Project) -> Path:
    """Where sweeps lie: ``JMML_SHARED``, or the project's ``mlruns/``."""
    return team_folder() or project.mlruns_dir.resolve()


def stage1_folder(project: Project) -> Path:
    """Where stage-1 results lie, shared by all sweeps."""
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


class SweepFolder:
    """One sweep on disk; nothing is created before :meth:`hold`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name
        self.journal = path / "journal"
        self.shipped = path / "shipped.json"
        self.checkpoints = path / "checkpoints"
        self.report = path / "report.html"
        self._stop = path / "stop"
        self._holder = path / "holder.json"

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

    @classmethod
    def find(cls, project: Project, name: str, *, starting: bool = False) -> SweepFolder:
        """An existing sweep.

        Parameters
        ----------
        starting : also one whose driver is at work and has not entered anything yet.

        Raises
        ------
        SweepError : there is none of that name, and the message has the nearest one; or its driver only starts.
        """
        found = cls.of(project, name)
        if not found.begun:
            if found.held:
                if starting:
                    return found
                raise SweepError(
                    f"is being started by {found.holder_text()}: Ray takes half a minute",
                    where=f"sweep {name}",
                    fix="try again in a moment",
                )
            known = [folder.name for folder in cls.all(project)]
            hint = nearest(name, known) if known else "there is none yet"
            raise SweepError(f"no sweep '{name}'; {hint}", fix="list them with `jmml sweep list`")
        return found

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
        """What the journal says now."""
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

    # Who drives it ---------------------------------------------------------------------------------

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Be the driver for the length of a block. Where no sweep has begun by its end, no folder is left.

        Raises
        ------
        SweepError : someone else is; the message says who, where and since when.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SweepError(f"cannot be made: {error.strerror}", where=self.path) from error
        lock = FileLock(self.path / "lock", timeout=LOOK_SECONDS)
        try:
            lock.acquire()
        except Timeout:
            raise self.taken() from None
        except OSError as error:
            raise SweepError(f"cannot be locked: {error.strerror}", where=self.path) from error
        me = {**this_driver(), "since": int(time.time())}
        try:
            with atomic_path(self._holder) as path:
                path.write_text(json.dumps(me))
            self._stop.unlink(missing_ok=True)
            for left_over in self.path.glob(".*.json"):  # of a driver that was killed while it wrote
                left_over.unlink(missing_ok=True)
            yield
        finally:
            with suppress(OSError):
                self._holder.unlink(missing_ok=True)
                self._stop.unlink(missing_ok=True)
            if not self.begun:
                self._remove()
            lock.release()

    def taken(self) -> SweepError:
        """What is told to someone who would drive the sweep while another does."""
        return SweepError(
            f"is being driven by {self.holder_text()}",
            where=f"sweep {self.name}",
            fix=f"look at it with `jmml sweep watch {self.name}`, end it with `jmml sweep stop {self.name}`",
        )

    def _remove(self) -> None:
        """Take the folder away; others that wait for the lock see that it is gone, and make it anew."""
        with suppress(OSError):
            self.journal.unlink(missing_ok=True)
            (self.path / "lock").unlink(missing_ok=True)
            self.path.rmdir()

    @property
    def held(self) -> bool:
        """Whether a driver is at work, on any machine that shares the folder."""
        try:
            with (self.path / "lock").open("rb") as handle:
                # Shared, so that people who look do not take each other for the driver.
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def holder(self) -> dict[str, Any]:
        """Who drives it, as ``user, host, pid, since`` (s since 1970); empty when nobody said so."""
        with suppress(OSError, ValueError):
            found = json.loads(self._holder.read_text())
            if isinstance(found, dict):
                return found
        return {}

    def holder_text(self) -> str:
        """``eva on lab3 (process 4711), since 14:03``"""
        who = self.holder()
        if not who:
            return "another process"
        since = time.strftime("%Y-%m-%d %H:%M", time.localtime(who["since"]))
        return f"{who['user']} on {who['host']} (process {who['pid']}) since {since}"

    # Asking the driver to end ----------------------------------------------------------------------

    def ask_to_stop(self) -> None:
        """Leave a request that the driver sees within a second.

        Raises
        ------
        SweepError : the folder cannot be written.
        """
        try:
            self._stop.write_text(user())
        except OSError as error:
            raise SweepError(f"cannot be asked to stop: {error.strerror}", where=self.path) from error

    @property
    def asked_to_stop(self) -> str | None:
        """Who asked, None when nobody did."""
        try:
            return self._stop.read_text() or "someone"
        except OSError:
            return None

    def discard_checkpoints(self) -> None:
        """Delete the checkpoints of trials; they serve trials that are at work alone."""
        shutil.rmtree(self.checkpoints, ignore_errors=True)


def status(folder: SweepFolder, state: SweepState) -> str:
    """``running``, ``finished``, ``stopped``, ``failed``, or ``interrupted``: its driver died."""
    if folder.held:
        return "running"
    return str(state.closed["state"]) if state.closed else "interrupted"
