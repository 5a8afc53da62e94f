"""The ``dvc repro`` above a stage: whether it was asked to be quiet, and when it is gone.

DVC hands its settings to no stage, and a stage whose DVC was killed (-9, out of memory) would run on alone: a later
``dvc repro`` starts a second one.
"""

from __future__ import annotations

import os
import re
import select
import threading
from collections.abc import Callable
from dataclasses import dataclass
from itertools import dropwhile
from pathlib import PurePath

import psutil

STARTED_BY_DVC = "DVC_STAGE"  # which DVC sets for every stage
SHELLS = frozenset(("sh", "bash", "dash", "zsh", "ksh", "fish"))
ADOPTING = frozenset(("systemd", "init", "launchd"))  # who gets the children of the dead
QUIET = re.compile(r"--quiet|-[a-zA-Z]*q[a-zA-Z]*")


@dataclass(frozen=True)
class Parent:
    """A running ``dvc``, ``process``; None where it had died before the stage looked."""

    process: psutil.Process | None

    @classmethod
    def find(cls) -> Parent | None:
        """The DVC that started this process, through a shell or not; None where a person did."""
        if STARTED_BY_DVC not in os.environ:
            return None
        try:
            above = [process for process in psutil.Process().parents() if not _runs_a_command(process)]
            if not above or _adopts(above[0]):
                return cls(None)
            return cls(above[0])
        except psutil.Error:
            return cls(None)

    @property
    def quiet(self) -> bool:
        """Whether it was given ``--quiet``, which it keeps to itself: its command line says so."""
        try:
            words = [] if self.process is None else self.process.cmdline()
        except psutil.Error:
            return False
        options = dropwhile(lambda word: "dvc" not in PurePath(word).name, words)
        return any(map(QUIET.fullmatch, options))

    def when_gone(self, act: Callable[[], None]) -> None:
        """Call ``act``, in a thread, once this process has ended."""

        def wait() -> None:
            if self.process is not None:
                _wait(self.process)
            act()

        threading.Thread(target=wait, name="watch over DVC", daemon=True).start()


def _runs_a_command(process: psutil.Process) -> bool:
    """Whether this is the shell in which DVC runs the command of a stage."""
    return process.name() in SHELLS and "-c" in process.cmdline()


def _adopts(process: psutil.Process) -> bool:
    first = process.pid == 1 or process.name() in ADOPTING
    return first and not any(
        "dvc" in word for word in process.cmdline()
    )  # in a container DVC may be the first


def _wait(process: psutil.Process) -> None:
    """Return once a process, which need not be a child, has ended."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except (AttributeError, OSError):  # not Linux, an old one, or ended already
        process.wait()
        return
    try:
        if process.is_running():  # else another process has its number by now
            select.select([descriptor], [], [])
    finally:
        os.close(descriptor)
