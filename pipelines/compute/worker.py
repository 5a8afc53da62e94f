"""Preparation of a worker process: same code and libraries as the driver, few threads, its seed, no run to write to."""

from __future__ import annotations

import os
import random
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
import torch

from jmml.errors import JMMLError, SweepError
from pipelines.workspace.fingerprint import code_digest, libraries


class PlaceError(SweepError):
    """A fault of the machine or its disk rather than of the work: everything ends there, and can be resumed."""


_checked: set[Origin] = set()  # those that this process has been found to agree with


@dataclass(frozen=True)
class Origin:
    """What a driver computes with, which its workers must have too, or their results are filed under another's name.

    Attributes
    ----------
    release : version of the package.
    code : digest of its code (:func:`pipelines.workspace.fingerprint.code_digest`).
    libraries : name and version of those by which models are trained and scored.
    """

    release: str
    code: str
    libraries: tuple[tuple[str, str], ...]

    @classmethod
    def here(cls, code: str | None = None) -> Origin:
        """That of this process; ``code`` where it is known already."""
        return cls(version("jmml"), code or code_digest(), tuple(sorted(libraries().items())))


def prepare_worker(seed: int, origin: Origin, *, threads: int = 1) -> None:
    """Make this process a clean one: all as on the driver, few threads, seeded, no run to write to.

    Workers are reused and keep the state of global generators.

    Parameters
    ----------
    origin : of the driver.

    Raises
    ------
    PlaceError : this worker has another release, other libraries or other code than the driver.
    """
    if origin not in _checked:
        _compare(origin, Origin.here())
        _checked.add(origin)
    os.environ.pop("MLFLOW_RUN_ID", None)
    torch.set_num_threads(threads)
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - libraries that draw from the global generator
    torch.manual_seed(seed)


def _compare(driver: Origin, worker: Origin) -> None:
    host = socket.gethostname()
    there, here = ({"jmml": one.release, **dict(one.libraries)} for one in (driver, worker))
    for name in sorted({*there, *here}):
        if there.get(name) != here.get(name):
            raise PlaceError(
                f"a worker on {host} has {name} {here.get(name, 'not at all')}",
                expected=f"{there.get(name, 'none')} as on the driver",
                fix="update the cluster",
            )
    if driver.code != worker.code:
        raise PlaceError(
            f"the code of a worker on {host} is not that of the driver",
            where="jmml",
            fix="update the cluster, or resume if the code was edited meanwhile",
        )


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
