"""Every system call of a sweep's driver fails once: it stops with one clear line, and goes on without loss."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import yaml

from pipelines.workspace.project import Project
from tests.cli.console import run
from tests.faults.calls import Calls
from tests.faults.same import Outcome, assert_tracked, outcome
from tests.faults.sweeps import Sweep
from tests.jmml.tasks import small_method
from tests.pipelines.sweep.inline import without_ray
from tests.pipelines.sweep.projects import definition, write_project

pytestmark = pytest.mark.long
PARTS = 16  # of the walk, for workers of pytest-xdist
STAGE1 = ".jmml/stage1"  # the trials' own store


@dataclass(frozen=True)
class Undisturbed:
    """A project before its sweep, with stage 1 trained already; the calls of a sweep there, and what came of it."""

    root: Path
    calls: int
    outcome: Outcome


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Undisturbed]:
    folder = tmp_path_factory.mktemp("walk")
    method = small_method(epochs=2).model_dump()
    project = write_project(folder / "before", store=True, method=method)
    (project.root / "walk.yaml").write_text(yaml.safe_dump(definition(name="walk")))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLFLOW_TRACKING_URI", "JMML_SHARED", "JMML_TEAM", "RAY_ADDRESS"):
            patch.delenv(name, raising=False)
        first = _copy(project.root, folder / "first", patch)
        assert _command("run") == 0
        shutil.copytree(first.root / STAGE1, project.root / STAGE1)
        second = _copy(project.root, folder / "second", patch)
        calls = Calls(second.root, but=(STAGE1,))
        with calls.watching():
            assert _command("run") == 0
        assert _sweep(first).events()[0]["e"] == "sweep"
        assert outcome(_sweep(first)) == outcome(_sweep(second))
        yield Undisturbed(project.root, len(calls.seen), outcome(_sweep(first)))
    torch.set_num_threads(threads)


@pytest.mark.parametrize("part", range(PARTS))
def test_each_call_of_the_driver_fails_once(
    part: int, undisturbed: Undisturbed, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    wrong: list[str] = []
    met = 0
    for number in range(1 + part, undisturbed.calls + 1, PARTS):
        with pytest.MonkeyPatch.context() as patch:
            project = _copy(undisturbed.root, tmp_path / str(number), patch)
            calls = Calls(project.root, but=(STAGE1,), fails=number)
            try:
                _fail_and_go_on(project, calls, undisturbed.outcome, capfd)
            except (AssertionError, SystemExit) as error:
                wrong.append(f"call {number}, {calls.failed}: {error}")
            met += bool(calls.failed)
            shutil.rmtree(project.root)
    assert not wrong, "\n".join(wrong)
    # How often the shipper looks depends on timing, so the last numbers of a walk may not be reached.
    assert met >= 0.9 * len(range(1 + part, undisturbed.calls + 1, PARTS))


def _fail_and_go_on(
    project: Project, calls: Calls, expected: Outcome, capfd: pytest.CaptureFixture[str]
) -> None:
    with calls.watching(), without_ray(order=1):
        code, out, err = run(capfd, "sweep", "run", "walk.yaml", "--name", "walk")
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(errors) == (code != 0), f"exit code {code}: {err}"
    assert "Traceback" not in out + err, err
    assert "traceback" not in err, err  # what nobody foresaw names the file with its traceback
    sweep = _sweep(project)
    words = ("resume", "walk") if sweep.events() else ("run", "walk.yaml", "--name", "walk")
    with without_ray(order=2):
        again, _, said = run(capfd, "sweep", *words)
    assert again == 0, f"{err} THEN {said}"
    assert outcome(sweep) == expected
    assert_tracked(sweep)


def _command(word: str) -> int:
    from cli.app import app

    with without_ray(order=1):
        app(["sweep", word, "walk.yaml", "--name", "walk"], standalone_mode=False)
    return 0


def _copy(source: Path, target: Path, patch: pytest.MonkeyPatch) -> Project:
    shutil.copytree(source, target)
    patch.setenv("JMML_PROJECT", str(target))
    patch.chdir(target)
    return Project(target)


def _sweep(project: Project) -> Sweep:
    return Sweep(project, "walk", shared=project.mlruns_dir)
