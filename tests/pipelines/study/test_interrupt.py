"""Signals, as they reach a process of its own: what was finished stays, and the next run goes on from there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from pipelines.run_tags import STUDY
from pipelines.study.plan import plan
from pipelines.study.summary import folder_of
from pipelines.tracking import Tracker
from tests.pipelines.study.studies import CELLS, make
from tests.pipelines.sweep.projects import write_project

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[3]
FAST = ("raw", "jec-ssl")  # of the methods; the others take a minute
PROGRAM = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from rich.console import Console
    from jmml.errors import JMMLError
    from pipelines.project import Project
    from pipelines.study.runner import run_study
    from tests.pipelines.study import fakes
    from tests.pipelines.study.studies import make

    slow = fakes.SlowFrom(Path(sys.argv[2]), "jmml")
    try:
        run_study(Project(Path(sys.argv[1])), make(), console=Console(), workers=2, cell=slow)
    except JMMLError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    """
)


@pytest.fixture
def project(tmp_path):
    return write_project(tmp_path / "project")


def cached(project):
    return len(plan(project, make()).cached)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_leaves_finished_cells_and_no_run(project, tmp_path, number):
    calls = tmp_path / "calls"
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", PROGRAM, str(project.root), str(calls)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    until = time.monotonic() + 120
    while cached(project) < 2 * len(FAST):  # both workers are at a slow one
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.2)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does: the workers get it too
    else:
        process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    kept = cached(project)
    assert kept == 2 * len(FAST)
    if number != signal.SIGKILL:
        assert process.returncode == 130, errors
        (line,) = errors.strip().splitlines()  # nothing but our own message
        assert f"study tiny: interrupted after {kept} of {CELLS} cells, which are kept" in line
        assert line.endswith("Run the same command again to go on")
    assert Tracker.connect(project).runs(kind=STUDY) == []
    assert not folder_of(project, "tiny").exists()
    assert len(plan(project, make()).missing) == CELLS - kept
