from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.stages import _early
from pipelines.stages._main import main
from pipelines.stages.code import STAGES
from tests.waiting import finish, until

ROOT = Path(__file__).parents[3]
# In place of the libraries that stages import first: it says that it is being imported, and never ends.
SLOW = "import os, signal, pathlib\npathlib.Path('importing').touch()\nwhile True: signal.pause()\n"


@pytest.fixture
def slow(tmp_path: Path) -> dict[str, str]:
    """The environment of a process in which importing takes for ever."""
    libraries = tmp_path / "libraries"
    libraries.mkdir()
    for name in ("jmml", "joblib", "numpy", "pandas", "torch"):
        (libraries / f"{name}.py").write_text(SLOW)
    return {**os.environ, "PYTHONPATH": f"{libraries}{os.pathsep}{ROOT}"}


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (signal.SIGINT, "interrupted"),
        (signal.SIGTERM, "ended before it was done"),
    ],
)
@pytest.mark.parametrize("stage", ["code", *STAGES])
def test_a_stage_that_imports_its_libraries_ends_in_one_line(tmp_path, slow, stage, number, said):
    command = [sys.executable, "-m", f"pipelines.stages.{stage}"]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=slow, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        until((tmp_path / "importing").exists, "it imports", alive=lambda: process.poll() is None)
        process.send_signal(number)
        assert finish(process) == (
            "",
            f"{stage}: {said}; run `dvc repro` to go on, `dvc checkout` for the earlier outputs\n",
        )
        assert process.returncode == 128 + number
    finally:
        process.kill()
        process.wait()


def test_other_processes_keep_their_signals(monkeypatch):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    for words in (
        ["python", "-m", "pytest"],
        ["python", "-c", "pass"],
        ["python", "train.py"],
        ["python", "-m"],
    ):
        monkeypatch.setattr(sys, "orig_argv", words)
        assert _early.stage() is None
        _early.end_in_one_line()
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_once_a_stage_is_at_work_ctrl_c_is_raised_there(tmp_path, monkeypatch, capsys):
    for name in ("params.yaml", "dvc.yaml"):
        (tmp_path / name).touch()
    monkeypatch.setenv("JMML_PROJECT", str(tmp_path))
    monkeypatch.setattr(sys, "orig_argv", ["python", "-m", "pipelines.stages.split"])
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    closed = []

    def split(project: object) -> str:
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            closed.append("what was open")
        raise AssertionError

    try:
        _early.end_in_one_line()
        assert main(split, []) == 130
        assert closed
        assert signal.getsignal(signal.SIGINT) is _early._end  # while the interpreter ends, as before
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert capsys.readouterr().err.startswith("split: interrupted; run `dvc repro`")
