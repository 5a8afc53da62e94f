"""Starting Ray quietly, on this machine or on a cluster, and stopping what was started."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psutil
import ray
from ray._private import utils, worker
from ray._raylet import AuthenticationTokenLoader, Config
from ray.job_config import JobConfig

from jmml.errors import SweepError
from pipelines.compute import token as tokens
from pipelines.compute.cluster_info import ask, origin, reachable, resolve
from pipelines.compute.nodes import token_for
from pipelines.compute.signals import later, termination_as_exit

# Our own table reports and our own callback logs; trials get absolute paths and no folder of their own.
_QUIET = {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",  # a trial that fails reports its error and no score
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",  # no snapshots: a sweep's journal is its truth
    "TUNE_MAX_PENDING_TRIALS_PG": "100000",  # workers start all at once, not one after another; we propose no more
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # first_interrupt instead: Tune's takes 15 s to stop
}
_STORE_MARGIN = 100 * 2**20  # bytes; Ray refuses an object store below 75 MiB
_LOOK_SECONDS = 1.0
_LEAVE_SECONDS = 1.0  # for what Ray has started to go by itself
_PATIENCE_SECONDS = 10.0  # a cluster's head may be busy, or away for a moment
_SERVICES = ("raylet", "gcs_server")
_TRIES = 3  # to start Ray on a busy machine
_TOO_SLOW = "timed out during startup"  # what Ray says of a node that was not there in time


@contextmanager
def ray_session(
    *,
    cpus: int,
    gpus: int = 0,
    data_bytes: int = 0,
    address: str | None = None,
    user: str | None = None,
    note: Callable[[str], None] = lambda text: None,
) -> Iterator[None]:
    """Ray for the length of a block.

    Attaches to the cluster at ``address`` or ``RAY_ADDRESS`` when one is given, uses a session that is already
    running in this process, and otherwise starts one on this machine with ``cpus`` CPUs, no dashboard and an
    object store sized for ``data_bytes`` of features. Ray's services listen on every network interface; a
    session started here is protected by the token in ``~/.ray/auth_token``, which is made when there is none.

    Parameters
    ----------
    address : HOST:PORT of a cluster's head, or ``auto`` for the one of this machine.
    user : name that `jmml cluster status` shows for what runs in the session.
    note : is told, in a line, what is waited for when a start takes longer than usual.

    Raises
    ------
    SweepError : Ray cannot be started; or the cluster does not answer, does not accept the token, runs other
        versions, or has no node on this machine, without which Ray takes no driver.
    """
    with _environment(_QUIET):
        if ray.is_initialized():
            yield
            return
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
        if user:
            options["job_config"] = JobConfig(metadata={"jmml": user})
        if resolved := resolve(address):
            secret = admitted(resolved, origin(address))
            options["address"] = resolved
        else:
            secret = {}
            _make_token()
            options |= {
                "address": "local",  # never a cluster that happens to run, or has run, on this machine
                "include_dashboard": False,
                "num_cpus": cpus,
                "num_gpus": gpus,
                "object_store_memory": 2 * data_bytes + _STORE_MARGIN,
            }
        with _authentication(secret), _no_dumps():
            try:
                with termination_as_exit():
                    _start(options, origin(address) if resolved else None, note)
                    yield
            finally:
                with suppress(KeyboardInterrupt, SystemExit), later():  # it ends as it is
                    _end()


def _start(options: Mapping[str, Any], cluster: str | None, note: Callable[[str], None]) -> None:
    """``ray.init``, whole: broken off half-way it leaves processes behind, or ends this one with a crash.

    Ray gives a node of its own half a minute to come up, whatever else the machine does, and has no setting for it.
    Another try finds Ray's files in memory, and the machine perhaps less busy.
    """
    for left in range(_TRIES - 1, -1, -1):
        before = {child.pid for child in psutil.Process().children()}
        try:
            with later(), _no_handler(), _silent():
                ray.init(**options)
            return
        except Exception as error:  # of the class itself, where a part of it does not come up
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            if cluster is not None:
                raise SweepError(
                    f"cannot join the Ray cluster: {reason}",
                    where=cluster,
                    fix="look at `jmml cluster status`",
                ) from error
            _discard(before)
            if _TOO_SLOW not in reason or not left:
                raise SweepError(
                    f"cannot start Ray: {reason}", fix="free memory or disk, try again"
                ) from error
            load = os.getloadavg()[0]
            note(f"waiting for Ray, which did not start within 30 s (load {load:.0f}); trying again")


def _discard(before: set[int]) -> None:
    """End what a start that failed has left, which belongs to no session that could be shut down."""
    ray.shutdown()
    left: list[psutil.Process] = []
    for child in psutil.Process().children():
        if child.pid not in before:
            with suppress(psutil.Error):
                left += [child, *child.children(recursive=True)]
    for process in left:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(left, timeout=_LEAVE_SECONDS)


def _end() -> None:
    """``ray.shutdown``, and the end of what the raylet of a session of our own has started.

    Ray gives a raylet a second to end its agents and workers, then kills it. On a busy machine that is too little, and
    the agents look for the raylet for a minute.
    """
    below: list[psutil.Process] = []
    for raylet in _started("raylet"):
        with suppress(psutil.Error):
            below += psutil.Process(raylet.pid).children(recursive=True)
    ray.shutdown()
    _, left = psutil.wait_procs(below, timeout=_LEAVE_SECONDS)
    for process in left:
        with suppress(psutil.Error):
            process.kill()


def _make_token() -> None:
    """Make the token that a session of our own asks for, readable by its owner alone: Ray's is readable by everybody.

    Raises
    ------
    SweepError : the file cannot be read or written.
    """
    try:
        tokens.make()
    except OSError as error:
        raise SweepError(
            f"the token that keeps others out of Ray cannot be made: {error.strerror or error}",
            where=tokens.default_path(),
            fix="make the folder writable, or set RAY_AUTH_TOKEN",
        ) from error


def admitted(address: str, where: str) -> dict[str, str]:
    """The environment with which this process may join a cluster; joins none. See :func:`ray_session` for errors."""
    if address.startswith("ray://"):
        if error := reachable(address):
            raise _unreachable(error, where)
        raise SweepError(
            "Ray Client connections (ray://) cannot drive a sweep",
            where=where,
            expected="HOST:PORT of the head, 6379 by default",
        )
    if error := reachable(address):
        raise _unreachable(error, where)
    token = token_for(address)
    cluster = ask(address, token, where=where)
    cluster.check_versions(where)
    if not any(node.here for node in cluster.nodes):
        raise SweepError(
            "this machine is no node of the cluster, and Ray takes drivers only on its nodes",
            where=where,
            fix=f"join with `jmml cluster join {address} --cpus 0`, or start the sweep on a node",
        )
    return token.environment() if cluster.protected and token else {"RAY_AUTH_MODE": "disabled"}


def _unreachable(error: OSError, where: str) -> SweepError:
    return SweepError(
        f"cannot reach the Ray cluster: {error.strerror or error}",
        where=where,
        fix="start the cluster, or "
        + ("unset RAY_ADDRESS" if where.startswith("RAY_ADDRESS") else "leave out --address")
        + " to use this machine alone",
    )


@contextmanager
def _authentication(secret: Mapping[str, str]) -> Iterator[None]:
    """Ray's ``RAY_AUTH_*`` for the length of a block; its native part reads them once, so it is told to again."""
    try:
        with _environment(secret, override=True):
            if secret:
                _reread()
            yield
    finally:
        if secret:
            _reread()


def _reread() -> None:
    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()


@dataclass(frozen=True)
class Resources:
    """What a session offers; ``largest`` is the (CPUs, GPUs) of each node that no other node exceeds in both."""

    cpus: float
    gpus: float
    nodes: int
    largest: tuple[tuple[float, float], ...]

    def fits(self, cpus: float, gpus: float) -> bool:
        """Whether one node can hold a trial of this size when it is otherwise empty."""
        return any(cpus <= node[0] and gpus <= node[1] for node in self.largest)

    def slots(self, cpus: float, gpus: float) -> int:
        """How many trials of this size fit at a time, at most: the division of nodes is not looked at."""
        counts = [
            int(have / want + 1e-9) for have, want in ((self.cpus, cpus), (self.gpus, gpus)) if want > 0
        ]
        return min(counts, default=0)


def available() -> Resources:
    """CPUs and GPUs in total of the running session, free or not."""
    sizes = [
        (node["Resources"].get("CPU", 0.0), node["Resources"].get("GPU", 0.0))
        for node in ray.nodes()
        if node["Alive"]
    ]
    largest = {
        size
        for size in sizes
        if not any(other != size and other[0] >= size[0] and other[1] >= size[1] for other in sizes)
    }
    return Resources(
        cpus=sum(size[0] for size in sizes),
        gpus=sum(size[1] for size in sizes),
        nodes=len(sizes),
        largest=tuple(sorted(largest)),
    )


def check_fits(cpus_per_trial: float, gpus_per_trial: float, have: Resources | None = None) -> Resources:
    """What is available, if a trial fits on some node; Ray would wait for such a node for ever.

    Parameters
    ----------
    have : what to look at; default: the running session.

    Raises
    ------
    SweepError : no node is large enough.
    """
    have = have or available()
    if have.fits(cpus_per_trial, gpus_per_trial):
        return have
    most_cpus = max((size[0] for size in have.largest), default=0.0)
    most_gpus = max((size[1] for size in have.largest), default=0.0)
    asked, largest = f"{cpus_per_trial:g} CPUs", f"{most_cpus:g} CPUs"
    if gpus_per_trial:
        asked, largest = f"{asked} and {gpus_per_trial:g} GPUs", f"{largest}, the most GPUs {most_gpus:g}"
        if cpus_per_trial <= most_cpus and gpus_per_trial <= most_gpus:
            largest += ", on different nodes"
    key = "resources.gpus" if gpus_per_trial > most_gpus else "resources.cpus"
    raise SweepError(
        f"a trial asks for {asked}, the largest of {have.nodes} node{'s' * (have.nodes != 1)} has {largest}",
        where=key,
        fix=f"lower {key}, or join a larger machine",
    )


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
    look = _local_death() if _started("raylet") else _cluster_death()

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


def _started(kind: str) -> list[subprocess.Popen[bytes]]:
    """Services of Ray that this process has started; none where it joined a cluster."""
    node: Any = worker._global_node
    return [] if node is None else [found.process for found in node.all_processes.get(kind, [])]


def _local_death() -> Callable[[], str | None]:
    """A function that names the service of this process's session that has ended."""
    services = [(kind, process) for kind in _SERVICES for process in _started(kind)]

    def look() -> str | None:
        for kind, process in services:
            if process.poll() is not None:
                return f"Ray's {kind} ended (exit status {process.returncode})"
        return None

    return look


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


@contextmanager
def _no_handler() -> Iterator[None]:
    """No handler of Ray's own for SIGTERM: it would raise ``SystemExit`` in the middle of ``ray.init``."""
    before = utils.set_sigterm_handler
    utils.set_sigterm_handler = _ignored
    try:
        yield
    finally:
        utils.set_sigterm_handler = before


@contextmanager
def _silent() -> Iterator[None]:
    """Nothing from this process on the error output: Ray's native part repeats every failed attempt there."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - a device, not a path
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@contextmanager
def _no_dumps() -> Iterator[None]:
    """No screenful of Ray's internal state on the *standard* output for each node that dies.

    ``log_to_driver=False`` does not cover it, and `--json` must stay JSON.
    """
    before = worker.print_to_stdstream
    worker.print_to_stdstream = _ignored
    try:
        yield
    finally:
        worker.print_to_stdstream = before


def _ignored(*arguments: Any, **options: Any) -> None:
    """In place of what Ray would do."""


def gpu_count(device: str) -> int:
    """How many GPUs the setting ``device`` asks for: none for ``cpu``, all there are for ``cuda``.

    Raises
    ------
    SweepError : there is no GPU.
    """
    if not device.startswith("cuda"):
        return 0
    import torch

    if not torch.cuda.is_available():
        raise SweepError("no GPU found", where=f"device: {device}", fix="set device: cpu in params.yaml")
    return torch.cuda.device_count()


@contextmanager
def _environment(values: Mapping[str, str], *, override: bool = False) -> Iterator[None]:
    """Environment variables for the length of a block; those that are set keep their value unless ``override``."""
    set_now = {name: value for name, value in values.items() if override or name not in os.environ}
    before = {name: os.environ.get(name) for name in set_now}
    os.environ.update(set_now)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
