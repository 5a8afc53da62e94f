"""Ctrl-C, as it reaches a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from pipelines.tracking import SWEEP, TRIAL, Tracker
from tests.pipelines.sweep.projects import write_project

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[3]
PROGRAM = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from rich.console import Console
    from jmml.errors import JMMLError
    from pipelines.project import Project
    from pipelines.sweep.definition import check
    from pipelines.sweep.runner import run_sweep
    from tests.pipelines.sweep import fakes
    from tests.pipelines.sweep.projects import definition

    project = Project(Path(sys.argv[1]))
    space = {"stage1.p": {"choice": [3, 4, 5, 6]}, "stage2.epochs": {"choice": [fakes.EPOCHS]}}
    planned = check(definition(algorithm="grid", space=space, trials=4))
    try:
        run_sweep(project, planned, console=Console(), search=fakes.slow_after_the_first)
    except JMMLError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    """
)


def test_ctrl_c_keeps_the_results_and_closes_every_run(tmp_path):
    project = write_project(tmp_path / "project")
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", PROGRAM, str(project.root)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    seen = []
    for text in process.stdout:
        seen.append(text)
        if text.startswith("trial 1/4 finished"):
            break
    time.sleep(0.5)  # the next trials start
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the workers get it too
    rest, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    (line,) = errors.strip().splitlines()  # nothing but our own message
    assert "interrupted after 1 of 4 trials, whose results are kept; best val_uar" in line
    assert len(seen) + len(rest.splitlines()) == 2, (seen, rest)

    tracker = Tracker.connect(project)
    (sweep,) = tracker.runs(kind=SWEEP)
    assert sweep.info.status == "KILLED"
    trials = tracker.runs(kind=TRIAL, parent=sweep.info.run_id)
    by_id = {run.data.tags["jmml.trial_id"]: run for run in trials}
    assert by_id["001"].info.status == "FINISHED"
    assert len(tracker.client.get_metric_history(by_id["001"].info.run_id, "val_uar")) == 4
    assert len(by_id) > 1
    assert {run.info.status for name, run in by_id.items() if name != "001"} == {"KILLED"}
