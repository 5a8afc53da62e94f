"""Project folders for the end-to-end tests.

``workspace`` is fresh; ``reproduced`` has been through ``dvc repro`` and is committed. Every test gets a copy
of its own. ``project`` is the fresh one as the code sees it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.project import Project
from tests.e2e.workspace import Workspace, make_workspace

__all__ = ["Workspace"]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make_workspace(tmp_path / "project")


@pytest.fixture
def project(workspace: Workspace) -> Project:
    return workspace.project


@pytest.fixture(scope="session")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, str]:
    """A folder after its first ``dvc repro``, not committed, and what that printed. Not to be changed."""
    workspace = make_workspace(tmp_path_factory.mktemp("first") / "project")
    return workspace, workspace.run("dvc", "repro")


@pytest.fixture
def reproduced(first_run: tuple[Workspace, str], tmp_path: Path) -> Workspace:
    workspace = first_run[0].copy(tmp_path / "project")
    workspace.commit()
    return workspace
