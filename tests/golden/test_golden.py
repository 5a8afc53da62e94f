"""Later code reads what version 0.1.0 wrote, in a moved project: sweeps, a study, cells, stage-1 models, a registry."""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jmml.errors import DataError
from jmml.recogniser import EmotionRecogniser
from pipelines.cache.cells import CellStore, Key
from pipelines.cache.content import CELL
from pipelines.cache.stage1 import Stage1Store
from pipelines.registry.promotion import resolve
from pipelines.sweep.record import journal
from pipelines.sweep.record.folder import SweepFolder
from pipelines.sweep.record.state import SweepState
from pipelines.workspace.project import Project
from tests.cli.console import run
from tests.golden.make import LOOKS, SWEEPS
from tests.pipelines.sweep.scripts import write_events
from tests.pipelines.sweep.simulation import drive

ARCHIVE = Path(__file__).with_name("version-0.1.0.tar.xz")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The project, somewhere else than it was, and what the commands of its time said of it."""
    folder = tmp_path_factory.mktemp("golden")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    said = json.loads((folder / "project" / "said.json").read_text())
    text = json.dumps(said["said"]).replace(said["root"], str(folder / "project"))
    return folder / "project", json.loads(text)


@pytest.fixture
def project(kept: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(kept[0])
    return Project(kept[0])


def lasting(value: Any) -> Any:
    """What does not depend on when and where it is said."""
    if isinstance(value, dict):
        return {key: lasting(item) for key, item in value.items() if key not in ("age_s", "file")}
    return [lasting(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", LOOKS)
def test_commands_say_of_it_what_they_said_then(
    project: Project, kept: tuple[Path, dict[str, Any]], capfd: pytest.CaptureFixture[str], name: str
) -> None:
    code, out, err = run(capfd, *LOOKS[name])
    assert (code, err) == (0, "")
    assert lasting(json.loads(out)) == lasting(kept[1][name])


@pytest.mark.parametrize("name", SWEEPS)
def test_sweeps_are_exported_and_reported(
    project: Project, tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    table, page = tmp_path / "trials.csv", tmp_path / "report.html"
    assert run(capfd, "sweep", "export", name, "--output", str(table))[0] == 0
    assert len(table.read_text().splitlines()) == 5
    assert run(capfd, "sweep", "report", name, "--output", str(page))[0] == 0
    assert name in page.read_text()


@pytest.mark.parametrize("name", ["tpe-asha", "cma-es-median"])
def test_a_sweep_whose_trials_were_stopped_by_timing_goes_on(
    project: Project, tmp_path: Path, name: str
) -> None:
    """Its driver died in the middle of the third trial; what was decided then stays."""
    events = list(journal.read(SweepFolder.of(project, name).journal))
    third = [place for place, event in enumerate(events) if event["e"] == "report" and event["trial"] == 3]
    path = tmp_path / "journal"
    write_events(path, events[: third[0] + 1])
    before = SweepState.read(path)
    state = drive(path, SweepFolder.of(project, name).state().definition, seed=0, workers=2)
    assert [trial.over for trial in state.trials.values()] == [True] * 4
    for number, trial in before.trials.items():
        assert list(state.trials[number].scores)[: trial.epoch] == list(trial.scores)
        assert not trial.over or state.trials[number].status == trial.status


def test_cells_and_stage_1_models_are_sound(project: Project) -> None:
    store = CellStore.of(project.root)
    names = [path.parent.name for path in store.folder.glob(f"??/*/{CELL}")]
    assert names
    for name in names:
        record = json.loads((store.path(name) / CELL).read_text())
        key = Key("lab", record["method"], record["fold"], record["seed"], record["parts"])
        assert key.digest == name
        assert len(store.load(key).evidence) > 0
    stage1 = Stage1Store(project.root / ".jmml" / "stage1")
    models = [path.name for path in stage1.content.folder.glob("??/*") if path.is_dir()]
    assert models
    for name in models:
        model = stage1._load(name)
        assert model is not None
        assert np.isfinite(model.transform(np.zeros((2, 20)))).all()


def test_the_champion_recognises(project: Project) -> None:
    found = resolve(project, "models:/jmml@champion")
    assert found.version is not None
    assert found.version.run_name == "random-none"
    probabilities = EmotionRecogniser.load(found.folder).predict_proba(X_speech=np.zeros((3, 20)))
    assert np.allclose(probabilities.sum(axis=1), 1)


def test_the_evidence_of_the_study_is_as_it_was(project: Project, tmp_path: Path) -> None:
    """The published folder is whole; without one file it is not."""
    from pipelines.study.publish.summary import Summary

    folder = project.results_dir / "studies" / "tiny"
    assert Summary.load(folder).name == "tiny"
    copy = shutil.copytree(folder, tmp_path / "tiny")
    (copy / "study.json").unlink()
    with pytest.raises(DataError, match="summary"):
        Summary.load(copy)
