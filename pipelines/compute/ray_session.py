"""Starting Ray quietly, on this machine or on a cluster, and stopping what was started."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ray
from ray.job_config import JobConfig

from jmml.errors import SweepError
from pipelines.compute import token as tokens
from pipelines.compute.cluster_info import ask, origin, reachable, resolve
from pipelines.compute.nodes import token_for
from pipelines.compute.private_ray import reread_login
from pipelines.compute.ray_start import started
from pipelines.reporting.wording import many

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
        with _authentication(secret), started(options, origin(address) if resolved else None, note):
            yield


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
            "this machine is not part of the cluster; Ray only accepts drivers on cluster nodes",
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
                reread_login()
            yield
    finally:
        if secret:
            reread_login()


@dataclass(frozen=True)
class Resources:
    """Resources of a session; ``largest`` is the (CPUs, GPUs) of each node that no other node exceeds in both."""

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
    """Available resources, after checking that a trial fits on some node; otherwise Ray would wait for ever.

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
    asked, largest = many(cpus_per_trial, "CPU"), many(most_cpus, "CPU")
    if gpus_per_trial:
        asked, largest = (
            f"{asked} and {many(gpus_per_trial, 'GPU')}",
            f"{largest}, the most GPUs {most_gpus:g}",
        )
        if cpus_per_trial <= most_cpus and gpus_per_trial <= most_gpus:
            largest += ", on different nodes"
    key = "resources.gpus" if gpus_per_trial > most_gpus else "resources.cpus"
    raise SweepError(
        f"a trial asks for {asked}, the largest of {many(have.nodes, 'node')} has {largest}",
        where=key,
        fix=f"lower {key}, or join a larger machine",
    )


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
