"""Set up before any test module is imported."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from jmml.plugins import use_project
from tests import compiled

# What a person may have set for work of their own: no test sees it.
for name in [*os.environ]:
    if name.startswith(("JMML_", "MLFLOW_", "RAY_")) and name != "JMML_REALDATA":
        del os.environ[name]

# What a shell runs in the background ignores Ctrl-C, and hands that on to all that it starts.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Set, not defaulted: workers of pytest-xdist inherit the variable of their parent.
OWN = compiled.own()
os.environ["NUMBA_CACHE_DIR"] = str(OWN)


def pytest_configure(config: pytest.Config) -> None:
    """The first process of a whole run compiles while its workers collect.

    What is imported and collected stays to the end: the garbage collector need not look through it again and
    again (half the time of collecting).
    """
    gc.disable()
    if config.getoption("numprocesses", None):
        subprocess.Popen([sys.executable, "-m", "tests.compiled"], cwd=Path(__file__).parents[1])


def pytest_collection_finish() -> None:
    """A whole run waits for what is compiled; a single process goes without."""
    gc.freeze()
    gc.enable()
    source = compiled.compiled(wait="PYTEST_XDIST_WORKER" in os.environ)
    if source is not None:
        shutil.copytree(source, OWN, dirs_exist_ok=True)


def pytest_sessionfinish() -> None:
    """Leave no copy behind."""
    shutil.rmtree(OWN, ignore_errors=True)


@pytest.fixture(autouse=True)
def _left() -> Iterator[None]:
    """No test looks for additions in the folders of another one's project."""
    yield
    use_project(None)
