"""A study on a real cluster of this machine: handed over, watched and stopped from elsewhere, resumed there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipelines.compute import jobs, nodes
from pipelines.reporting.wording import many
from pipelines.study.define.plan import plan
from pipelines.study.run.folder import StudyFolder
from tests import forked
from tests.cli.console import run
from tests.pipelines.study.studies import make
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("cluster")
LIMIT_S = 120  # on an idle machine
LOOK_S = 0.2
ROOT = Path(__file__).parents[3]


def test_a_submitted_study_needs_no_terminal_can_be_stopped_and_goes_on(
    project, tmp_path, capfd, monkeypatch
):
    monkeypatch.chdir(project.root)
    definition = make(methods=["raw", "one-hot"], claim="raw", seeds=[0])
    file = tmp_path / "tiny.yaml"
    file.write_text(definition.to_yaml())
    code, out, err = run(capfd, "study", "run", str(file), "--address", "auto", "--submit")
    assert code == 0, err
    assert "this terminal may be closed" in out
    assert "study tiny has begun" in out
    job = next(word for word in out.replace(";", " ").split() if word.startswith("tiny-"))
    folder = StudyFolder.of(project, "tiny")
    until(
        lambda: folder.status().done >= 1 or not folder.held,
        "a cell of the job",
        seconds=LIMIT_S,
        poll_s=LOOK_S,
    )
    assert nodes.status().users == ("tiny",)
    code, out, err = run(capfd, "study", "watch", "tiny", "--once")
    assert code == 0, err
    assert "running, driven by" in out
    assert f"of {len(plan(project, definition).cells)} cells" in out
    code, out, err = run(capfd, "study", "stop", "tiny")
    assert code == 0, err
    assert "study tiny has stopped; " in out
    until(lambda: jobs.status(job, address="auto").over, "the end of the job", seconds=LIMIT_S, poll_s=LOOK_S)
    assert "go on with `jmml study resume tiny`" in jobs.logs(job, address="auto").lower()
    status = folder.status()
    assert status.state == "stopped"
    kept = status.kept + status.done
    assert 1 <= kept < status.total

    words = ["study", "resume", "tiny", "--address", "auto"]
    there = {"cwd": project.root, "out": tmp_path / "out", "err": tmp_path / "err"}
    again = forked.command(words, env={**os.environ, "PYTHONPATH": str(ROOT)}, **there)
    until(lambda: again.poll() is not None, "the end of the study", seconds=LIMIT_S, poll_s=LOOK_S)
    assert again.returncode == 0, (tmp_path / "err").read_text()
    assert f"{many(status.total - kept, 'cell')} computed, {kept} cached" in (tmp_path / "out").read_text()
    assert (
        f"{kept} of {status.total} cells {'is' if kept == 1 else 'are'} kept"
        in (tmp_path / "err").read_text()
    )
    assert "joining Ray at auto" in (tmp_path / "err").read_text()
    assert folder.status().state == "finished"
