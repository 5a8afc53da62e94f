"""Starting Ray quietly, on this machine or on a cluster, and stopping what was started."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

import ray

from jmml.errors import SweepError

# Our own table reports and our own callback logs; trials get absolute paths and no folder of their own.
_QUIET = {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # first_interrupt instead: Tune's takes 15 s to stop
}
PROBE_SECONDS = 5
_STORE_MARGIN = 100 * 2**20  # bytes; Ray refuses an object store below 75 MiB


@contextmanager
def ray_session(*, cpus: int, gpus: int = 0, data_bytes: int = 0) -> Iterator[None]:
    """Ray for the length of a block.

    Attaches to the cluster at ``RAY_ADDRESS`` when that is set, uses a session that is already running in
    this process, and otherwise starts one on this machine with ``cpus`` CPUs, no dashboard and an object
    store sized for ``data_bytes`` of features. Ray's services listen on every network interface; a session
    started here is protected by the token in ``~/.ray/auth_token``, which Ray makes when there is none.

    Raises
    ------
    SweepError : Ray cannot be started, or the cluster does not answer.
    """
    with _environment(_QUIET):
        if ray.is_initialized():
            yield
            return
        address = os.environ.get("RAY_ADDRESS")
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
        if address:
            _probe(address)
            options["address"] = address
        else:
            options |= {
                "address": "local",  # never a cluster that happens to run, or has run, on this machine
                "include_dashboard": False,
                "num_cpus": cpus,
                "num_gpus": gpus,
                "object_store_memory": 2 * data_bytes + _STORE_MARGIN,
            }
        try:
            with _silent():
                ray.init(**options)
        except (ConnectionError, RuntimeError, OSError, ValueError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            if address:
                raise SweepError(
                    f"cannot join the Ray cluster: {reason}",
                    where=f"RAY_ADDRESS={address}",
                    fix="ask `ray status`; a protected cluster needs RAY_AUTH_MODE=token and RAY_AUTH_TOKEN",
                ) from error
            raise SweepError(f"cannot start Ray: {reason}", fix="free memory or disk, try again") from error
        try:
            with termination_as_exit():
                yield
        finally:
            ray.shutdown()


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


def _probe(address: str) -> None:
    """Refuse an address at which nothing listens; Ray itself would try for many minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return  # "auto" and other forms, which Ray resolves
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=PROBE_SECONDS).close()
    except OSError as error:
        raise SweepError(
            f"cannot reach the Ray cluster: {error.strerror or error}",
            where=f"RAY_ADDRESS={address}",
            fix="start the cluster, or unset RAY_ADDRESS to use this machine alone",
        ) from error


@contextmanager
def termination_as_exit() -> Iterator[None]:
    """Let SIGTERM raise ``SystemExit``, so that runs are closed; Ray's own handler aborts the process."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _exit)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _exit(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


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
def first_interrupt() -> Iterator[Callable[[], bool]]:
    """For the length of a block, Ctrl-C is noted instead of raised; a second one is raised.

    The value says whether it was pressed, for a loop that stops where nothing is half-done.
    """
    pressed = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield pressed.is_set
        return

    def note(number: int, frame: FrameType | None) -> None:
        if pressed.is_set():
            raise KeyboardInterrupt
        pressed.set()

    before = signal.signal(signal.SIGINT, note)
    try:
        yield pressed.is_set
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Environment variables for the length of a block; those that are set already keep their value."""
    added = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)
