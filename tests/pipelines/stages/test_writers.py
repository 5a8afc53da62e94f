"""Stages as processes: one writer of an output at a time, and none whose ``dvc repro`` is gone."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from pipelines.stages import _main
from pipelines.stages._parent import Parent
from tests import forked
from tests.forked import Forked
from tests.waiting import until

# A stage that says when it begins and ends, and goes on once something is written into the pipe ``go``.
STAGE = """
import os, sys
from pathlib import Path
from pipelines.stages._main import main

def note(text):
    with Path("log").open("a") as log:
        log.write(f"{text} {os.getpid()}\\n")

def train(project):
    note("begins")
    Path("go").read_text()
    note("ends")
    return "done"
"""
BY_HAND = STAGE + "sys.exit(main(train, []))\n"
# What DVC does: a child with DVC_STAGE set, waited for.
BY_DVC = STAGE + (
    "os.environ['DVC_STAGE'] = 'train'\n"
    "child = os.fork()\n"
    "if child == 0:\n"
    "    os._exit(main(train, []))\n"
    "os.waitpid(child, 0)\n"
)

Start = Callable[[str, str], Forked]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """``start(script, name)`` in a project; its output goes to the files ``NAME.out`` and ``NAME.err``."""
    (tmp_path / "params.yaml").touch()
    (tmp_path / "dvc.yaml").touch()
    os.mkfifo(tmp_path / "go")
    environment = {"PYTHONPATH": str(Path(__file__).parents[3])}

    def begin(script: str, name: str) -> Forked:
        out, err = tmp_path / f"{name}.out", tmp_path / f"{name}.err"
        return forked.script(script, [], cwd=tmp_path, env=environment, out=out, err=err)

    return begin


def log(folder: Path) -> list[list[str]]:
    """``["begins", "4711"]`` and the like."""
    path = folder / "log"
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def ended(pid: int) -> bool:
    try:
        return (
            psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
        )  # nobody need have asked for its exit code
    except psutil.NoSuchProcess:
        return True


def test_a_second_writer_waits_for_the_first(start: Start, tmp_path: Path) -> None:
    first = start(BY_HAND, "first")
    until(lambda: log(tmp_path), "the first stage", alive=lambda: first.poll() is None)
    second = start(BY_HAND, "second")
    until((tmp_path / "second.err").read_text, "word of the first", alive=lambda: second.poll() is None)
    assert "the same stage still runs in another process" in (tmp_path / "second.err").read_text()
    for process in (first, second):
        (tmp_path / "go").write_text("on")
        assert process.wait(60) == 0
    mine, other = str(first.pid), str(second.pid)
    assert log(tmp_path) == [["begins", mine], ["ends", mine], ["begins", other], ["ends", other]]
    assert (tmp_path / "second.out").read_text() == "train: done\n"
    assert (tmp_path / ".jmml/.gitignore").read_text() == "*\n"


def test_a_stage_ends_with_its_dvc_and_the_next_one_goes_on(start: Start, tmp_path: Path) -> None:
    dvc = start(BY_DVC, "first")
    until(lambda: log(tmp_path), "the first stage", alive=lambda: dvc.poll() is None)
    stage = int(log(tmp_path)[0][1])
    assert stage != dvc.pid
    dvc.kill()
    until(lambda: ended(stage), "the stage has ended too")
    said = (tmp_path / "first.err").read_text()
    assert "train: the `dvc repro` that started it is gone" in said
    assert "train: ended before it was done; run `dvc repro` to go on" in said
    assert len(log(tmp_path)) == 1

    again = start(BY_DVC, "second")
    until(lambda: len(log(tmp_path)) == 2, "the second stage", alive=lambda: again.poll() is None)
    (tmp_path / "go").write_text("on")
    assert again.wait(60) == 0
    assert [word for word, _ in log(tmp_path)] == ["begins", "begins", "ends"]


def test_a_stage_whose_dvc_died_before_it_looked_does_not_stay(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "params.yaml").touch()
    (tmp_path / "dvc.yaml").touch()
    monkeypatch.setenv("JMML_PROJECT", str(tmp_path))
    monkeypatch.setattr(_main.Parent, "find", lambda: Parent(None))
    ended: list[str] = []
    monkeypatch.setattr(
        _main, "_end_children", lambda: ended.append("children")
    )  # those of the tests live on

    def split(project: object) -> str:
        until(lambda: False, "never: it is ended")
        raise AssertionError

    assert _main.main(split, []) == _main.TERMINATED
    assert ended == ["children"]
    until(
        lambda: all(thread.name != "watch over DVC" for thread in threading.enumerate()),
        "nobody waits to end the process by force",
    )


# Whose child a stage is ------------------------------------------------------------------------------------------


class Process(SimpleNamespace):
    """What is asked of a process: its number, name and words."""

    def __init__(self, pid: int, *words: str) -> None:
        super().__init__(pid=pid, name=lambda: Path(words[0]).name, cmdline=lambda: list(words))


DVC = Process(7, "python3", "/venv/bin/dvc", "repro")
SHELL = Process(8, "/bin/bash", "--noprofile", "--norc", "-c", "python -m pipelines.stages.train")
FIRST = Process(1, "/sbin/init")


@pytest.mark.parametrize(
    ("above", "found"),
    [
        ([DVC, FIRST], DVC),
        ([SHELL, DVC, FIRST], DVC),
        ([SHELL, FIRST], None),  # DVC was killed
        ([FIRST], None),
        ([], None),
        ([Process(900, "systemd", "--user"), FIRST], None),
        (
            [Process(1, "python3", "-m", "dvc", "repro")],
            Process(1, "python3"),
        ),  # a container that does nothing else
    ],
)
def test_dvc_is_found_behind_its_shell(
    monkeypatch: pytest.MonkeyPatch, above: list[Process], found: Process | None
) -> None:
    monkeypatch.setenv("DVC_STAGE", "train")
    monkeypatch.setattr(psutil.Process, "parents", lambda self: above)
    parent = Parent.find()
    assert parent is not None
    assert getattr(parent.process, "pid", None) == getattr(found, "pid", None)
    monkeypatch.delenv("DVC_STAGE")
    assert Parent.find() is None


@pytest.mark.parametrize(
    ("words", "quiet"),
    [
        (["python3", "/venv/bin/dvc", "repro", "--quiet"], True),
        (["python3", "/venv/bin/dvc", "repro", "-fq", "train"], True),
        (["python3", "-q", "/venv/bin/dvc", "repro", "--force"], False),
        (["python3", "/venv/bin/dvc", "repro", "queue"], False),
    ],
)
def test_quiet_is_read_from_the_command_of_dvc(words: list[str], quiet: bool) -> None:
    assert Parent(Process(7, *words)).quiet is quiet  # type: ignore[arg-type]
    assert not Parent(None).quiet


@pytest.mark.parametrize("quiet", [True, False])
def test_quiet_stages_show_no_progress(
    quiet: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.reporting.progress.SOONEST_S", 0.0)
    token = _main._quiet.set(quiet)
    try:
        with _main.stage_progress("train", "model") as show:
            show(1, 2)
    finally:
        _main._quiet.reset(token)
    assert bool(capsys.readouterr().err) is not quiet
