"""Set up before any test module is imported."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

# Numba's cache is not safe against two processes that fill it at once: what one reads may be half-written, and every
# process after it ends in a crash. Set, not defaulted: workers of pytest-xdist inherit the variable of their parent.
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")
os.environ["NUMBA_CACHE_DIR"] = str(
    Path(tempfile.gettempdir()) / f"numba-{os.getuid()}-{os.getpid()}-{WORKER}"
)
