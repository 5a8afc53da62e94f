from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import psutil

from jmml.plugins import _workers, in_project
from tests.waiting import until

ROOT = Path(__file__).parents[3]

# Two workers that write their numbers down and then work for ever.
PARENT = """
import os, signal, sys
from pathlib import Path
import joblib
from jmml.plugins import in_project, use_project

def job(number):
    Path(str(number)).write_text(str(os.getpid()))
    signal.pause()

use_project(Path.cwd())
with joblib.parallel_config("loky", inner_max_num_threads=1):
    joblib.Parallel(n_jobs=2)(joblib.delayed(in_project(job))(number) for number in range(4))
"""


def test_workers_of_a_process_that_was_killed_end(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    parent = subprocess.Popen([sys.executable, "-c", PARENT], cwd=tmp_path, env=environment)
    try:
        begun = [tmp_path / "0", tmp_path / "1"]
        until(
            lambda: all(path.exists() and path.read_text() for path in begun),
            "both are at work",
            alive=lambda: parent.poll() is None,
        )
        workers = [psutil.Process(int(path.read_text())) for path in begun]
    finally:
        parent.kill()
        parent.wait()
    try:
        until(lambda: not any(map(runs, workers)), "they have ended too")
    finally:
        for worker in filter(runs, workers):
            worker.kill()
    assert not (tmp_path / "2").exists()


def runs(process: psutil.Process) -> bool:
    """Whether a process that nobody may have asked for its exit code is at work."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_only_a_child_of_the_sender_watches_over_it(monkeypatch) -> None:
    watched: list[int] = []
    monkeypatch.setattr(_workers, "_end_with", watched.append)
    carried = pickle.dumps(in_project(len))
    assert pickle.loads(carried)("abc") == 3  # noqa: S301 - by the sender itself
    monkeypatch.setattr(os, "getpid", lambda: 4711)
    pickle.loads(pickle.dumps(in_project(len)))  # noqa: S301 - by a worker of Ray
    assert watched == []
    monkeypatch.setattr(os, "getpid", os.getppid)
    pickle.loads(pickle.dumps(in_project(len)))  # noqa: S301
    assert watched == [os.getppid()]
