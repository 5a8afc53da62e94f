"""A folder that one process drives at a time, on whatever machine: a sweep's, a study's.

lock           held by the driver; the system lets go of it when the driver dies
holder.json    who that is
stop           a request to the driver to end
"""

from __future__ import annotations

import fcntl
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar, Self

from filelock import FileLock, Timeout

from jmml.errors import SweepError, nearest
from jmml.files import atomic_path
from pipelines.workspace.project import Project
from pipelines.workspace.team import this_driver, user

LOOK_SECONDS = 1.0  # someone who looks whether a folder is held has its lock for a moment
ASKED_SECONDS = 0.2  # between two looks whether a driver that was asked to end has


class DrivenFolder(ABC):
    """One sweep or study on disk; nothing is created before :meth:`hold`.

    Attributes
    ----------
    kind : what it is, as in ``jmml sweep``.
    record : the file by which it has begun.
    """

    kind: ClassVar[str]

    def __init__(self, path: Path, record: str) -> None:
        self.path = path
        self.name = path.name
        self.record = path / record
        self._stop = path / "stop"
        self._holder = path / "holder.json"

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"

    @classmethod
    @abstractmethod
    def of(cls, project: Project, name: str) -> Self:
        """The folder of that name, whether it is there or not."""

    @classmethod
    @abstractmethod
    def all(cls, project: Project) -> list[Self]:
        """All that have begun."""

    @classmethod
    def find(cls, project: Project, name: str, *, starting: bool = False) -> Self:
        """An existing one.

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
                    where=found,
                    fix="try again in a moment",
                )
            known = [folder.name for folder in cls.all(project)]
            hint = nearest(name, known) if known else "there is none yet"
            raise SweepError(f"no {cls.kind} '{name}'; {hint}", fix=f"list them with `jmml {cls.kind} list`")
        return found

    @property
    @abstractmethod
    def begun(self) -> bool:
        """Whether its driver has made the first entry."""

    # Who drives it ---------------------------------------------------------------------------------

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Be the driver for the length of a block. Where nothing has begun by its end, no folder is left.

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
        """The error for someone who would drive it while another does."""
        return SweepError(
            f"is being driven by {self.holder_text()}",
            where=self,
            fix=f"look at it with `jmml {self.kind} watch {self.name}`, "
            f"end it with `jmml {self.kind} stop {self.name}`",
        )

    def _remove(self) -> None:
        """Take the folder away; others that wait for the lock see that it is gone, and make it anew."""
        with suppress(OSError):
            self.record.unlink(missing_ok=True)
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

    def ask_and_wait(self, seconds: float) -> bool:
        """Ask the driver to end and wait for that; whether it has ended.

        Raises
        ------
        SweepError : the folder cannot be written.
        """
        self.ask_to_stop()
        until = time.monotonic() + seconds
        while self.held:
            if time.monotonic() > until:
                return False
            time.sleep(ASKED_SECONDS)
        return True
