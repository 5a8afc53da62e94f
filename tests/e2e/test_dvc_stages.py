"""What DVC itself makes of a stage: started through a shell, killed beside it, quiet or not. Real processes of DVC."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from dvc.repo import Repo

from tests.e2e.workspace import SOURCE
from tests.waiting import finish, until

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

PIPELINE = """\
stages:
  train:
    cmd: python stage.py
    deps: [stage.py]
    outs: [out.txt]
"""
# The first time it waits, for somebody who writes into the pipe and never comes.
STAGE = """\
import os
from pathlib import Path
from pipelines.stages import _main

def train(project):
    with Path("log").open("a") as log:
        log.write(f"{os.getpid()} {'quiet' if _main._quiet.get() else 'loud'}\\n")
    if Path("wait").exists():
        Path("wait").read_text()
    Path("out.txt").write_text("done")
    return "done"

raise SystemExit(_main.main(train, []))
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    Repo.init(str(tmp_path), no_scm=True).close()
    (tmp_path / "dvc.yaml").write_text(PIPELINE)
    (tmp_path / "params.yaml").touch()
    (tmp_path / "stage.py").write_text(STAGE)
    os.mkfifo(tmp_path / "wait")
    return tmp_path


def repro(project: Path, *options: str) -> subprocess.Popen[str]:
    programs = Path(sys.executable).parent
    environment = os.environ | {
        "PATH": os.pathsep.join([str(programs), os.environ["PATH"]]),
        "PYTHONPATH": str(SOURCE),
    }
    return subprocess.Popen(
        [str(programs / "dvc"), "repro", *options],
        cwd=project, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def log(project: Path) -> list[list[str]]:
    path = project / "log"
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def ended(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_stage_ends_with_the_dvc_that_started_it_and_the_next_one_goes_on(project: Path) -> None:
    first = repro(project)
    until(lambda: log(project), "the stage", alive=lambda: first.poll() is None)
    pid, loud = log(project)[0]
    assert loud == "loud"
    first.kill()
    until(lambda: ended(int(pid)), "the stage has ended as well")
    said = finish(first)[1]
    assert "train: the `dvc repro` that started it is gone" in said
    assert not (project / "out.txt").exists()

    (project / "wait").unlink()
    second = repro(project, "--quiet")
    assert finish(second) == ("train: done\n", "")
    assert second.returncode == 0
    assert (project / "out.txt").read_text() == "done"
    assert [word for _, word in log(project)] == ["loud", "quiet"]
