"""What librosa compiles when it is imported, for half a minute: once for all processes of the tests.

Numba's cache is not safe against two processes that fill it at once: what one reads may be half-written, and every
process after it ends in a crash. So one process compiles, and each worker of pytest-xdist has a copy, of which it and
what it starts only read. ``python -m tests.compiled`` compiles what is not there yet.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from filelock import FileLock

COMPILES = "import librosa.core.audio, librosa.core.pitch, librosa.util.utils"
TEMPORARY = Path(tempfile.gettempdir())
# Numba keeps what it compiled by the place of the source: another environment has files of its own.
PLACE = hashlib.sha256(sys.prefix.encode()).hexdigest()[:8]
SHARED = TEMPORARY / f"jmml-numba-{os.getuid()}-{version('numba')}-{version('librosa')}-{PLACE}"


def own() -> Path:
    """A folder for this process and those that it starts."""
    return TEMPORARY / f"numba-{os.getuid()}-{os.getpid()}-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"


def compiled(*, wait: bool) -> Path | None:
    """The folder of what is compiled; None where it is not there and is not to be waited for."""
    if not SHARED.is_dir() and wait:
        with FileLock(f"{SHARED}.lock"):
            if not SHARED.is_dir():
                half = SHARED.with_suffix(".half")
                shutil.rmtree(half, ignore_errors=True)
                environment = {**os.environ, "NUMBA_CACHE_DIR": str(half)}
                subprocess.run([sys.executable, "-c", COMPILES], env=environment, check=True)
                half.rename(SHARED)
    return SHARED if SHARED.is_dir() else None


if __name__ == "__main__":
    compiled(wait=True)
