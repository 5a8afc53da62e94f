"""Nodes that `jmml cluster` started on this machine: one file per machine, for homes that several machines share."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
from filelock import FileLock


@dataclass(frozen=True)
class Started:
    """One Ray node of this machine.

    Attributes
    ----------
    role : ``head`` or ``worker``.
    pid, identity : of `ray start --block`, which leads a session of its own; see :func:`identity`.
    address : HOST:PORT of the cluster.
    token : where its token lies, for messages and for `--address auto`.
    label : by which the cluster knows the node.
    """

    role: str
    pid: int
    identity: str
    address: str
    token: str
    log: str
    label: str

    @property
    def running(self) -> bool:
        return identity(self.pid) == self.identity


def folder() -> Path:
    return Path.home() / ".jmml" / "cluster"


def path() -> Path:
    return folder() / f"{socket.gethostname()}.json"


def identity(pid: int) -> str | None:
    """Identity of a process, to tell it from a later one with the same PID: the boot and its start in clock ticks.

    ``None`` when there is none, or it has ended and only waits to be collected.
    """
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        stat = Path(f"/proc/{pid}/stat")
        if not stat.exists():  # not Linux
            return f"{process.create_time():.2f}"
        ticks = stat.read_text().rpartition(")")[2].split()[19]
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}:{ticks}"
    except (psutil.Error, OSError):
        return None


def read() -> list[Started]:
    """Every node on record, running or not."""
    try:
        return [Started(**node) for node in json.loads(path().read_text())]
    except (FileNotFoundError, json.JSONDecodeError, TypeError):
        return []


@contextmanager
def changing() -> Iterator[list[Started]]:
    """The list of nodes, to be changed in place; written when the block ends, by one process at a time."""
    folder().mkdir(parents=True, exist_ok=True, mode=0o700)
    with FileLock(path().with_suffix(".lock"), timeout=30):
        nodes = read()
        yield nodes
        draft = path().with_suffix(f".{os.getpid()}")
        draft.write_text(json.dumps([asdict(node) for node in nodes], indent=1))
        draft.replace(path())


def newest() -> Started | None:
    """The node that was started last and still runs: what `--address auto` means on this machine."""
    return next((node for node in reversed(read()) if node.running), None)
