"""Set up before any test module is imported."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

# Numba's cache is not safe against two processes that fill it at once: a half-written entry ends both in a crash.
os.environ.setdefault(
    "NUMBA_CACHE_DIR",
    str(
        Path(tempfile.gettempdir())
        / f"numba-{os.getuid()}-{os.getpid()}-{os.environ.get('PYTEST_XDIST_WORKER', '0')}"
    ),
)
