"""A project with a corpus of two committed versions, tags v1 and v2, the second in the work tree."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
from dvc.repo import Repo

from pipelines.corpora.add import add
from pipelines.versions.update import update
from pipelines.workspace.project import Project
from tests.pipelines.corpora.conftest import PARAMS, SOURCE, write_ravdess

NAME = "speech"


def git(root: Path, *words: str) -> str:
    who = ("-c", "user.name=Ann", "-c", "user.email=ann@lab")
    done = subprocess.run(["git", *who, *words], cwd=root, capture_output=True, text=True, check=True)
    return done.stdout


def commit(root: Path, subject: str, tag: str | None = None) -> None:
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", subject)
    if tag is not None:
        git(root, "tag", tag)


def wav(folder: Path, emotion: int, actor: int) -> Path:
    return folder / f"Actor_{actor:02d}" / f"03-01-{emotion:02d}-01-01-01-{actor:02d}.wav"


def second_version(folder: Path) -> Path:
    """Three actors with the emotions 1, 3, 4, 5; the third gone, one recording replaced, one relabelled, one added."""
    write_ravdess(folder, 3)
    shutil.rmtree(folder / "Actor_03")
    wav(folder, 4, 1).rename(wav(folder, 6, 1))
    rng = np.random.default_rng(7)
    for emotion in (3, 8):
        soundfile.write(wav(folder, emotion, 1), rng.uniform(-0.1, 0.1, 2400), 8000)
    return folder


@pytest.fixture(scope="session")
def versioned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Not to be changed."""
    folder = tmp_path_factory.mktemp("versions")
    root = folder / "project"
    root.mkdir()
    git(root, "init", "--quiet")
    Repo.init(str(root)).close()
    (root / "params.yaml").write_text(PARAMS)
    (root / "dvc.yaml").write_text("stages: {}\n")
    for name in (".gitignore", ".dvcignore"):
        shutil.copy(SOURCE / name, root)
    write_ravdess(root / "data/raw/old")
    project = Project(root)
    add(project, NAME, write_ravdess(folder / "one", 3), adapter="ravdess")
    commit(root, "three actors", "v1")
    update(Project(root), NAME, second_version(folder / "two"))
    commit(root, "two actors", "v2")
    return root


@pytest.fixture
def project(versioned: Path, tmp_path: Path) -> Project:
    return Project(shutil.copytree(versioned, tmp_path / "project", symlinks=True))


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }
