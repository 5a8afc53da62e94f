"""A project under Git and DVC with one corpus, and another corpus beside it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
from dvc.repo import Repo

from pipelines.workspace.project import Project

SOURCE = Path(__file__).parents[3]
PARAMS = """\
# the corpora of this test
corpora:
  old:
    adapter: ravdess
    modality: speech
    path: data/raw/old

task:
  speech: old   # in use
  eeg: null
"""


def write_ravdess(root: Path, actors: int = 2, emotions: tuple[int, ...] = (1, 3, 4, 5)) -> Path:
    """Noise in the layout of RAVDESS: one utterance per actor and emotion, 0.3 s at 8 kHz."""
    rng = np.random.default_rng(0)
    for actor in range(1, actors + 1):
        folder = root / f"Actor_{actor:02d}"
        folder.mkdir(parents=True)
        for emotion in emotions:
            signal = rng.uniform(-0.1, 0.1, 2400)
            soundfile.write(folder / f"03-01-{emotion:02d}-01-01-01-{actor:02d}.wav", signal, 8000)
    return root


def state(root: Path) -> dict[str, bytes]:
    """Every file of a project outside of the stores of git and DVC."""
    stores = (root / ".git", root / ".dvc")
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
        and path.parent.name != "__pycache__"
        and not any(store in path.parents for store in stores)
    }


def write_project(root: Path) -> Path:
    """A project under Git and DVC with one corpus."""
    root.mkdir()
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
    Repo.init(str(root)).close()
    (root / "params.yaml").write_text(PARAMS)
    (root / "dvc.yaml").write_text("stages: {}\n")
    shutil.copy(SOURCE / ".gitignore", root)
    write_ravdess(root / "data/raw/old")
    return root


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project under Git and DVC with one corpus. Not to be changed."""
    return write_project(tmp_path_factory.mktemp("datasets") / "project")


@pytest.fixture
def project(template: Path, tmp_path: Path) -> Project:
    return Project(shutil.copytree(template, tmp_path / "project"))


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write_ravdess(tmp_path / "speech")
