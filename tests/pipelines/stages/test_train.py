"""The models of the stage ``train`` as cells: kept one by one, found again, never mixed up."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest
import yaml

from jmml.errors import ModelError
from pipelines.cache.models import ModelStore
from pipelines.stages import train as train_stage
from pipelines.stages.split import split
from pipelines.stages.train import expected_s, train
from pipelines.workspace.project import Project
from tests import forked
from tests.pipelines.stages.conftest import make_project
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("_in_process")

METHODS = ("raw", "jec-ssl", "jmml", "one-hot")
FEW = {"protocol": {"seeds": [0]}}  # two folds: eight models

Fits = list[tuple[str, int, int]]


def outputs(project: Project) -> dict[str, bytes]:
    """Every file that the stage puts out."""
    found = [path for top in ("models", "results") for path in (project.root / top).rglob("*")]
    return {str(path.relative_to(project.root)): path.read_bytes() for path in found if path.is_file()}


def kept(project: Project) -> list[Path]:
    return sorted(ModelStore.of(project.root).folder.glob("??/*/cell.json"))


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose folds are drawn. Not to be changed."""
    project = make_project(tmp_path_factory.mktemp("ready"), **FEW)
    split(project)
    return project


@pytest.fixture(scope="module")
def finished(ready: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The same after an undisturbed training. Not to be changed."""
    project = Project(shutil.copytree(ready.root, tmp_path_factory.mktemp("finished") / "project"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train_stage, "cpu_count", lambda: 1)
        train(project)
    return project


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> Fits:
    """Which models are fitted, in the order of their fits."""
    seen: Fits = []
    original = train_stage.fit_fold

    def fit_fold(task, split, fold, method, config, *, seed, **options):
        seen.append((method, fold, seed))
        return original(task, split, fold, method, config, seed=seed, **options)

    monkeypatch.setattr(train_stage, "fit_fold", fit_fold)
    return seen


@pytest.fixture
def copy(tmp_path: Path) -> Callable[[Project], Project]:
    return lambda project: Project(shutil.copytree(project.root, tmp_path / "copy"))


def test_all_methods_of_one_fold_come_first_and_then_method_by_method(
    ready: Project, copy: Callable[[Project], Project], fits: Fits
) -> None:
    assert train(copy(ready)) == "raw, jec-ssl, jmml, one-hot on 2 folds with 1 seed"
    assert fits == [(method, fold, 0) for fold in (0, 1) for method in METHODS]


KILLED = """
import sys, threading
from pathlib import Path
from pipelines.stages import train as stage
from pipelines.workspace.project import Project

fit_fold, calls = stage.fit_fold, []

def stops(*arguments, **options):
    calls.append(arguments)
    if len(calls) == 4:
        Path(sys.argv[2]).touch()
        threading.Event().wait()
    return fit_fold(*arguments, **options)

stage.fit_fold, stage.cpu_count = stops, lambda: 1
stage.train(Project(sys.argv[1]))
"""


def test_kill_9_in_the_middle_loses_no_more_than_the_model_at_work(
    finished: Project, ready: Project, copy: Callable[[Project], Project], fits: Fits, tmp_path: Path
) -> None:
    project, fourth = copy(ready), tmp_path / "fourth"
    child = forked.script(
        KILLED,
        [str(project.root), str(fourth)],
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path(__file__).parents[3])},
        out=tmp_path / "out",
        err=tmp_path / "err",
    )
    until(fourth.exists, "the fourth fit", alive=lambda: child.poll() is None)
    child.kill()
    child.wait(60)
    assert len(kept(project)) == 3
    assert outputs(project) == {}
    assert train(project).endswith("; 3 of 8 models kept from before")
    assert fits == [("one-hot", 0, 0), *((method, 1, 0) for method in METHODS)]
    assert outputs(project) == outputs(finished)


def test_what_is_kept_gives_the_same_outputs(
    finished: Project, copy: Callable[[Project], Project], fits: Fits
) -> None:
    project = copy(finished)
    shutil.rmtree(project.models_dir)
    shutil.rmtree(project.results_dir)
    train(project)
    assert fits == []
    assert outputs(project) == outputs(finished)


@pytest.mark.parametrize("file", ["model/recogniser.json", "cell.json", "model/classifier_speech.skops"])
def test_a_damaged_model_is_fitted_again(
    finished: Project, copy: Callable[[Project], Project], fits: Fits, file: str
) -> None:
    project = copy(finished)
    harmed = next(path for path in kept(project) if '"method": "raw"' in path.read_text()).parent / file
    content = bytearray(harmed.read_bytes())
    content[len(content) // 2] ^= 1
    harmed.write_bytes(content)
    train(project)
    assert [method for method, _, _ in fits] == ["raw"]
    assert outputs(project) == outputs(finished)


@pytest.mark.parametrize(
    ("section", "changed", "expected"),
    [
        ("protocol", {"seeds": [0, 7]}, {(method, fold, 7) for method in METHODS for fold in (0, 1)}),
        ("evaluation", {"methods": ["raw", "mlp"]}, {("mlp", 0, 0), ("mlp", 1, 0)}),
    ],
)
def test_only_what_is_new_is_fitted(
    finished: Project,
    copy: Callable[[Project], Project],
    fits: Fits,
    section: str,
    changed: dict[str, object],
    expected: set[tuple[str, int, int]],
) -> None:
    project = copy(finished)
    settings = yaml.safe_load(project.params_path.read_text())
    settings[section] |= changed
    project.params_path.write_text(yaml.safe_dump(settings))
    train(Project(project.root))
    assert set(fits) == expected


def test_a_setting_of_the_method_concerns_every_model(
    finished: Project, copy: Callable[[Project], Project], fits: Fits
) -> None:
    project = copy(finished)
    text = project.params_path.read_text()
    assert "smoothing: 0.01" in text
    project.params_path.write_text(text.replace("smoothing: 0.01", "smoothing: 0.02"))
    train(Project(project.root))
    assert len(fits) == 8


def test_models_that_nobody_asks_for_make_room(finished: Project, copy: Callable[[Project], Project]) -> None:
    store = ModelStore.of(copy(finished).root)
    assert store.prune(10**9) == 0
    assert store.prune(0) > 0
    assert list(store.folder.glob("??/*/cell.json")) == []


def test_a_worker_that_dies_is_one_line(
    ready: Project, copy: Callable[[Project], Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*arguments: object, **options: object) -> None:
        raise BrokenProcessPool("killed")

    monkeypatch.setattr(train_stage, "fit_cell", dies)
    with pytest.raises(
        ModelError, match=r"a worker process died before 8 of 8 models .* finished models are kept"
    ):
        train(copy(ready))


def test_the_time_left_is_that_of_the_methods() -> None:
    took = {"raw": [1.0], "jmml": [10.0, 20.0]}
    assert expected_s(["raw", "raw", "jmml"], took) == 17.0
    assert expected_s(["one-hot"], took) == 15.0  # not known yet: as long as the longest
