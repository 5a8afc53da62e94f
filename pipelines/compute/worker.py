"""Preparation of a worker process: same code as the driver, few threads, its seed, no run to write to."""

from __future__ import annotations

import os
import random
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version

import numpy as np
import torch

from jmml.errors import JMMLError, SweepError
from pipelines.workspace.fingerprint import code_digest


class PlaceError(SweepError):
    """A fault of the machine or its disk rather than of the work: everything ends there, and can be resumed."""


_checked: set[str] = set()  # digests of code that this process has been found to have


def prepare_worker(seed: int, release: str, *, code: str, threads: int = 1) -> None:
    """Make this process a clean one: same code as the driver, few threads, seeded, no run to write to.

    Workers are reused and keep the state of global generators.

    Parameters
    ----------
    release : version of the package on the driver.
    code : digest of its code there (:func:`pipelines.workspace.fingerprint.code_digest`).

    Raises
    ------
    PlaceError : this worker has other code than the driver.
    """
    if version("jmml") != release:
        raise PlaceError(
            f"a worker on {socket.gethostname()} has jmml {version('jmml')}",
            expected=f"{release} as on the driver",
            fix="update the cluster",
        )
    if code not in _checked:
        if code_digest() != code:
            raise PlaceError(
                f"the code of a worker on {socket.gethostname()} is not that of the driver",
                where="jmml",
                fix="update the cluster, or resume if the code was edited meanwhile",
            )
        _checked.add(code)
    os.environ.pop("MLFLOW_RUN_ID", None)
    torch.set_num_threads(threads)
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - libraries that draw from the global generator
    torch.manual_seed(seed)


@contextmanager
def ctrl_c_ignored() -> Iterator[None]:
    """A terminal sends Ctrl-C to workers as well; what becomes of their work is decided by the driver."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def error_line(error: BaseException) -> str:
    """The message of our own errors, ``Type: first line`` of any other."""
    if isinstance(error, JMMLError):
        return str(error)
    lines = [text for text in str(error).strip().splitlines() if text.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}"
