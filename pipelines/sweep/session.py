"""Starting Ray quietly, on this machine or on a cluster, and stopping what was started."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator, Mapping
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
}
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
            options["address"] = address
        else:
            options |= {
                "include_dashboard": False,
                "num_cpus": cpus,
                "num_gpus": gpus,
                "object_store_memory": 2 * data_bytes + _STORE_MARGIN,
            }
        try:
            ray.init(**options)
        except (ConnectionError, RuntimeError, OSError, ValueError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            if address:
                raise SweepError(
                    f"cannot join the Ray cluster: {reason}",
                    where=f"RAY_ADDRESS={address}",
                    fix="`ray status` names the cause; a wrong RAY_AUTH_TOKEN looks like no answer",
                ) from error
            raise SweepError(f"cannot start Ray: {reason}", fix="free memory or disk, try again") from error
        try:
            with _termination_as_exit():
                yield
        finally:
            ray.shutdown()


@contextmanager
def _termination_as_exit() -> Iterator[None]:
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
