"""The death of Ray, noticed while a driver works: Ray itself does not tell."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil
import ray

from pipelines.compute.cluster_info import reachable
from pipelines.compute.ray_start import services

_LOOK_SECONDS = 1.0
_PATIENCE_SECONDS = 10.0  # a cluster's head may be busy, or away for a moment


@contextmanager
def ray_watch(on_death: Callable[[str], None]) -> Iterator[None]:
    """For the length of a block, call ``on_death(reason)`` once, in a thread of its own, when Ray dies.

    Ray does not tell a driver. When the raylet dies it waits for its tasks for ever; when the GCS dies its
    native part ends the process after 60 s, past every ``finally``. A session of this process is noticed dead
    within 2 s, by its processes. Of a cluster, the ports of its head and of this machine's node are tried; it
    counts as dead when one has refused for 10 s. ``on_death`` should say what is kept and call ``os._exit``:
    the main thread may be inside Ray for good.
    """
    over = threading.Event()
    own = services()
    look = _local_death(own) if own else _cluster_death()

    def watch() -> None:
        while not over.wait(_LOOK_SECONDS):
            reason = look()
            if reason is not None and not over.is_set():
                on_death(reason)
                return

    thread = threading.Thread(target=watch, name="ray-watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()


def _local_death(own: list[psutil.Process]) -> Callable[[], str | None]:
    """A function that names the service of this process's session that has ended."""
    names = {service: service.name() for service in own}

    def look() -> str | None:
        for service, name in names.items():
            if not service.is_running() or service.status() == psutil.STATUS_ZOMBIE:
                return f"Ray's {name} ended{_exit_status(service.pid)}"
        return None

    return look


def _exit_status(pid: int) -> str:
    """How a child ended, human-readable; it stays to be collected by who started it."""
    if sys.platform == "linux":
        try:
            found = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return ""
        if found is not None:
            status = found.si_status if found.si_code == os.CLD_EXITED else -found.si_status
            return f" (exit status {status})"
    return ""


def _cluster_death() -> Callable[[], str | None]:
    """A function that names the part of a joined cluster that has not answered for a while."""
    context = ray.get_runtime_context()
    here = context.get_node_id()
    ports = {"head": context.gcs_address}
    for node in ray.nodes():
        if node["NodeID"] == here:
            ports["node on this machine"] = f"{node['NodeManagerAddress']}:{node['NodeManagerPort']}"
    since: dict[str, float] = {}

    def look() -> str | None:
        for what, address in ports.items():
            if reachable(address, seconds=2.0) is None:
                since.pop(what, None)
            elif time.monotonic() - since.setdefault(what, time.monotonic()) >= _PATIENCE_SECONDS:
                return f"the Ray cluster's {what} ({address}) has not answered for {_PATIENCE_SECONDS:.0f} s"
        return None

    return look
