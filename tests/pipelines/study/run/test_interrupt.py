"""Signals, as they reach a process of its own: what was finished stays, and the next run goes on from there."""

from __future__ import annotations

import os
import signal
import textwrap
from pathlib import Path

import pytest

from pipelines.cache.cells import CellStore
from pipelines.study.define.plan import plan
from pipelines.study.publish.summary import folder_of
from pipelines.tracking.run_tags import STUDY
from pipelines.tracking.tracker import Tracker
from tests import forked
from tests.pipelines.study.studies import CELLS, make
from tests.waiting import until

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[4]
FAST = ("raw", "jec-ssl")  # of the methods; the others take a minute
PROGRAM = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from rich.console import Console
    from jmml.errors import JMMLError
    from pipelines.workspace.project import Project
    from pipelines.study.run.runner import run_study
    from tests.pipelines.study import fakes
    from tests.pipelines.study.studies import make

    slow = fakes.SlowFrom(Path(sys.argv[2]), "jmml")
    try:
        run_study(Project(Path(sys.argv[1])), make(), console=Console(), workers=int(sys.argv[3]), cell=slow)
    except JMMLError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    """
)


def kept_cells(project):
    return len(list(CellStore.of(project.root).folder.glob("??/*/cell.json")))


@pytest.mark.parametrize(
    ("number", "workers"), [(signal.SIGINT, 2), (signal.SIGTERM, 1), (signal.SIGKILL, 1)]
)
def test_a_signal_leaves_finished_cells_and_no_run(project, tmp_path, number, workers):
    out, errors = tmp_path / "out", tmp_path / "err"
    process = forked.script(
        PROGRAM,
        [str(project.root), str(tmp_path / "calls"), str(workers)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
        out=out,
        err=errors,
    )
    try:
        until(
            lambda: kept_cells(project) == workers * len(FAST),
            "every worker is at a slow cell",
            alive=lambda: process.poll() is None,
            seconds=120,
            poll_s=0.1,
        )
        if number == signal.SIGINT:
            os.killpg(process.pid, number)  # as a terminal does: the workers get it too
        else:
            process.send_signal(number)
        until(lambda: process.poll() is not None, "the study is over")
    finally:
        process.kill()
    kept = workers * len(FAST)
    if number != signal.SIGKILL:
        assert process.returncode == 130, errors.read_text()
        (line,) = errors.read_text().strip().splitlines()  # nothing but our own message
        assert f"study tiny: interrupted after {kept} of {CELLS} cells, which are kept" in line
        assert line.endswith("Run the same command again to go on")
    assert Tracker.connect(project).runs(kind=STUDY) == []
    assert not folder_of(project, "tiny").exists()
    planned = plan(project, make())
    assert (len(planned.cached), len(planned.missing)) == (kept, CELLS - kept)
