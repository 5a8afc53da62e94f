from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from jmml import plugins
from tests.jmml.plugins import own


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    """A folder with one addition of each kind, entered and left again."""
    before = plugins.project()
    root = own.write(tmp_path / "what? now")
    plugins.use_project(root)
    yield root
    plugins.use_project(before)
