"""Set up before any test module is imported."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
from filelock import FileLock

from jmml.plugins import use_project

# What librosa compiles when it is imported, for minutes of a busy machine. Numba's cache is not safe against two
# processes that fill it at once: what one reads may be half-written, and every process after it ends in a crash.
# So it is compiled once, by one process, and each worker has a copy, of which it and what it starts only read.
COMPILES = "import librosa.core.audio, librosa.core.pitch, librosa.util.utils"
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")
TEMPORARY = Path(tempfile.gettempdir())
# Numba keeps what it compiled by the place of the source: another environment has files of its own.
PLACE = hashlib.sha256(sys.prefix.encode()).hexdigest()[:8]
COMPILED = TEMPORARY / f"jmml-numba-{os.getuid()}-{version('numba')}-{version('librosa')}-{PLACE}"
OWN = TEMPORARY / f"numba-{os.getuid()}-{os.getpid()}-{WORKER}"


def compiled() -> Path | None:
    """The folder of what is compiled; a whole run makes it where it is not there, a single process goes without."""
    with FileLock(f"{COMPILED}.lock"):
        if not COMPILED.is_dir() and WORKER != "main":
            half = COMPILED.with_suffix(".half")
            shutil.rmtree(half, ignore_errors=True)
            environment = {**os.environ, "NUMBA_CACHE_DIR": str(half)}
            subprocess.run([sys.executable, "-c", COMPILES], env=environment, check=True)
            half.rename(COMPILED)
    return COMPILED if COMPILED.is_dir() else None


# Set, not defaulted: workers of pytest-xdist inherit the variable of their parent.
os.environ["NUMBA_CACHE_DIR"] = str(OWN)
if (source := compiled()) is not None:
    shutil.copytree(source, OWN, dirs_exist_ok=True)


@pytest.fixture(autouse=True)
def _left() -> Iterator[None]:
    """No test looks for additions in the folders of another one's project."""
    yield
    use_project(None)


def pytest_sessionfinish() -> None:
    """Leave no copy behind."""
    shutil.rmtree(OWN, ignore_errors=True)
