"""Project folders for the end-to-end tests.

``reproduced`` has been through ``dvc repro`` and is committed. Every test gets a copy of its own.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from tests.e2e.commands import on_the_path
from tests.e2e.workspace import Workspace, make_workspace

__all__ = ["Workspace"]


@pytest.fixture(scope="session")
def commands() -> Iterator[Path]:
    """``dvc``, ``jmml`` and the stages, forked."""
    with on_the_path() as folder:
        yield folder


@pytest.fixture(scope="session")
def first_run(tmp_path_factory: pytest.TempPathFactory, commands: Path) -> tuple[Workspace, str]:
    """A folder after its first ``dvc repro``, not committed, and what that printed. Not to be changed.

    Made once for all workers of pytest-xdist.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "first"
    with FileLock(folder.with_suffix(".lock")):
        printed = folder / "printed.txt"
        if not printed.exists():
            shutil.rmtree(folder, ignore_errors=True)
            printed_now = make_workspace(folder / "project", commands).run("dvc", "repro")
            printed.write_text(printed_now)
    return Workspace(folder / "project", commands), printed.read_text()


@pytest.fixture
def reproduced(first_run: tuple[Workspace, str], tmp_path: Path) -> Workspace:
    workspace = first_run[0].copy(tmp_path / "project")
    workspace.commit()
    return workspace
