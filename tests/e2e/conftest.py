"""Project folders for the end-to-end tests.

``reproduced`` has been through ``dvc repro`` and is committed. Every test gets a copy of its own.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from filelock import FileLock

from tests.e2e.workspace import Workspace, make_workspace

__all__ = ["Workspace"]


@pytest.fixture(scope="session")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, str]:
    """A folder after its first ``dvc repro``, not committed, and what that printed. Not to be changed.

    Made once for all workers of pytest-xdist.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "first"
    with FileLock(folder.with_suffix(".lock")):
        printed = folder / "printed.txt"
        if not printed.exists():
            shutil.rmtree(folder, ignore_errors=True)
            printed_now = make_workspace(folder / "project").run("dvc", "repro")
            printed.write_text(printed_now)
    return Workspace(folder / "project"), printed.read_text()


@pytest.fixture
def reproduced(first_run: tuple[Workspace, str], tmp_path: Path) -> Workspace:
    workspace = first_run[0].copy(tmp_path / "project")
    workspace.commit()
    return workspace
