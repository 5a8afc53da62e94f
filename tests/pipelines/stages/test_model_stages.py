"""``split``, ``train`` and ``evaluate`` on ready-made features."""

from __future__ import annotations

import json
import runpy
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from jmml.data.splits import Split
from jmml.data.table import FeatureTable
from jmml.errors import DataError, ModelError, ProtocolError
from jmml.evaluation import evidence as evidence_io
from jmml.recogniser import EmotionRecogniser
from pipelines.stages import train as train_stage
from pipelines.stages.evaluate import collect, evaluate
from pipelines.stages.split import split
from pipelines.stages.train import train
from pipelines.workspace.project import Project
from pipelines.workspace.task import read_task
from tests.pipelines.confounded import save_confounded
from tests.pipelines.stages.conftest import Build, make_project

Wanted = Callable[[pd.DataFrame], pd.Series]

pytestmark = pytest.mark.usefixtures("_in_process")


def keep(project: Project, corpus: str, wanted: Wanted) -> None:
    """Reduce a stored feature table to the rows where ``wanted(index)`` is true."""
    path = project.features_path(corpus)
    table = FeatureTable.load(path)
    rows = np.asarray(wanted(table.index))
    replace(table, index=table.index[rows].reset_index(drop=True), X=table.X[rows]).save(path)


# split ------------------------------------------------------------------------------------------------------


def test_split_leaves_speakers_and_subjects_out(build: Build) -> None:
    project = build(groups=5)
    summary = split(project)
    assert summary == "3 folds over 4 classes (speech 80 rows, 5 groups; eeg 80 rows, 5 groups)"
    folds = Split.load(project.split_path)
    assert sorted(name for fold in folds.speech for name in fold.test) == [f"s{i:02d}" for i in range(5)]
    assert all(set(fold.train).isdisjoint(fold.test) for fold in (*folds.speech, *folds.eeg))


def test_split_says_what_goes_along_with_the_labels(build: Build) -> None:
    project = build()
    save_confounded(project, "lab-speech")
    told = "; warning: lab-speech: 7 of 8 people have one label alone (label by person: V 0."
    assert told in split(project)


def test_people_with_one_class_each_are_not_sent_to_other_folds(build: Build) -> None:
    project = build(groups=8)

    def own(index: pd.DataFrame) -> pd.Series:
        labels = sorted(index["label"].unique())
        return index["label"] == index["group"].map(lambda name: labels[int(name[1:]) % len(labels)])

    keep(project, "lab-speech", own)
    with pytest.raises(ProtocolError, match=r"8 of 8 people have one class alone") as caught:
        split(project)
    assert "groups_per_fold" not in str(caught.value)
    assert "same people in other classes" in str(caught.value)


def test_the_card_changes_with_labels_and_features_alone(build: Build) -> None:
    project = build()
    split(project)
    card = project.task_path.read_bytes()
    view = json.loads(card)["speech"]
    assert view["rows"] == 64
    assert view["classes"] == {"HVHA": 16, "HVLA": 16, "LVHA": 16, "LVLA": 16}

    split(build(protocol={"seeds": [5], "normalisation": "per-group"}))
    assert project.task_path.read_bytes() == card

    table = FeatureTable.load(project.features_path("lab-speech"))
    X = table.X.copy()
    X[3, 2] += 1e-3
    replace(table, X=X).save(project.features_path("lab-speech"))
    split(project)
    changed = json.loads(project.task_path.read_bytes())
    assert changed["speech"].pop("features") != view.pop("features")
    assert changed["speech"] == view


def test_split_without_eeg(build: Build) -> None:
    project = build(task={"speech": "lab-speech", "eeg": None})
    split(project)
    assert Split.load(project.split_path).eeg == ()
    assert json.loads(project.task_path.read_bytes())["eeg"] is None


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (lambda index: index["group"] == "s00", r"only one group \('s00'\)"),
        (
            lambda index: (index["label"] != "anger") | (index["group"] == "s00"),
            r"class '\w+' is absent from the \w+ part of fold \d",
        ),
        (lambda index: index["label"] != "anger", "class LVHA occurs in one modality only"),
    ],
    ids=["one speaker", "class of one speaker", "class of one modality"],
)
def test_data_that_cannot_carry_the_protocol(build: Build, wanted: Wanted, message: str) -> None:
    project = build()
    keep(project, "lab-speech", wanted)
    with pytest.raises(ProtocolError, match=message):
        split(project)
    assert not project.split_path.exists()
    assert not project.task_path.exists()


def test_split_before_features(build: Build) -> None:
    project = build()
    project.features_path("lab-eeg").unlink()
    with pytest.raises(DataError, match=r"lab-eeg\.parquet: features are missing. Run `dvc repro`"):
        split(project)


# train and evaluate -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A trained project, not to be changed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train_stage, "cpu_count", lambda: 1)
        project = make_project(tmp_path_factory.mktemp("trained"))
        split(project)
        train(project)
    return project


@pytest.fixture
def trained(trained_once: Project, tmp_path: Path) -> Project:
    """A trained project of its own, where ``build`` builds."""
    return Project(shutil.copytree(trained_once.root, tmp_path, dirs_exist_ok=True))


def test_trains_every_cell_and_scores_it(trained: Project) -> None:
    cells = {str(path.parent.relative_to(trained.cv_dir)) for path in trained.cv_dir.rglob("recogniser.json")}
    methods = ("raw", "jec-ssl", "jmml", "one-hot")
    assert cells == {f"{m}/fold{f}-seed{s}" for m in methods for f in (0, 1) for s in (0, 1)}

    stage1 = pd.read_csv(trained.results_dir / "training/stage1.csv", index_col="epoch")
    stage2 = pd.read_csv(trained.results_dir / "training/stage2.csv", index_col="epoch")
    histories = [
        EmotionRecogniser.load(trained.cell_dir("jmml", fold, seed)).history
        for fold in (0, 1)
        for seed in (0, 1)
    ]
    assert histories[0]["edcc_cae"] != histories[1]["edcc_cae"]  # each seed its own
    for frame, column, part, metric in (
        (stage1, "jec_ssl/eeg/loss", "jec_ssl/eeg", "loss"),
        (stage2, "jmml/edcc_cae/rho_train", "edcc_cae", "rho_train"),
    ):
        means = np.mean([[epoch[metric] for epoch in history[part]] for history in histories], axis=0)
        np.testing.assert_allclose(frame[column], means, rtol=1e-5)
        assert not frame.isna().any(axis=None)

    evaluate(trained)
    evidence = evidence_io.load(trained.results_dir / "evidence.parquet")
    task = read_task(trained)
    for method in methods:
        rows = evidence[(evidence["method"] == method) & (evidence["modality"] == "speech")]
        assert len(rows) == 2 * len(task.speech)  # every utterance once per seed
    assert set(evidence.loc[evidence["modality"] == "eeg", "method"]) == {"jmml"}
    predictions = pd.read_csv(trained.results_dir / "predictions.csv")
    assert sorted(predictions["id"]) == sorted(task.speech.ids)
    figures = {path.name for path in (trained.results_dir / "plots").iterdir()}
    assert figures == {"comparison.png", "confusion.png", "correlation.png"}


def test_a_model_that_saw_its_test_speakers_is_refused(trained: Project) -> None:
    good = b"{}"
    (trained.results_dir / "metrics.json").write_bytes(good)
    card = trained.cell_dir("raw", 0, 0) / "recogniser.json"
    content = json.loads(card.read_text())
    tested = Split.load(trained.split_path).speech[0].test[0]
    content["certificate"]["entries"][0]["groups"].append(tested)
    card.write_text(json.dumps(content))
    with pytest.raises(ProtocolError, match=rf"fitted on groups that are evaluated \({tested}\)"):
        evaluate(trained)
    assert (trained.results_dir / "metrics.json").read_bytes() == good


def test_a_missing_model_is_named(trained: Project) -> None:
    (trained.cell_dir("jmml", 1, 1) / "recogniser.json").unlink()
    with pytest.raises(ModelError, match="jmml/fold1-seed1"):
        evaluate(trained)
    assert not (trained.results_dir / "metrics.json").exists()


def test_a_split_of_other_data_is_refused(trained: Project) -> None:
    keep(trained, "lab-speech", lambda index: index["group"] != "s03")
    for stage in (train, evaluate):
        with pytest.raises(ProtocolError, match=r"made for other data: groups s03"):
            stage(trained)


def test_test_labels_do_not_reach_the_predictions(trained: Project) -> None:
    """Labels of the held-out speakers, permuted in the features on disk: every probability stays the same."""

    def probabilities() -> np.ndarray:
        evidence, _, _, _ = collect(trained)
        rows = evidence[evidence["fold"] == 0].sort_values(["method", "seed", "modality", "id"])
        return rows[[f"p_{name}" for name in evidence_io.classes_of(evidence)]].to_numpy()

    before = probabilities()
    path = trained.features_path("lab-speech")
    table = FeatureTable.load(path)
    held_out = table.index["group"].isin(Split.load(trained.split_path).speech[0].test)
    labels = table.index.loc[held_out, "label"].to_numpy()
    table.index.loc[held_out, "label"] = np.roll(labels, 3)
    table.save(path)
    train(trained)
    np.testing.assert_array_equal(probabilities(), before)


def test_without_eeg_the_methods_that_need_it_are_left_out(build: Build) -> None:
    project = build(task={"speech": "lab-speech", "eeg": None})
    split(project)
    assert train(project) == "raw, jec-ssl, one-hot on 2 folds with 2 seeds"
    evaluate(project)
    figures = json.loads((project.results_dir / "metrics.json").read_bytes())
    assert set(figures) == {"raw", "jec-ssl", "one-hot", "chance", "settings"}
    assert not (project.results_dir / "plots" / "correlation.png").exists()


def test_nothing_to_compare_without_eeg(build: Build) -> None:
    project = build(task={"speech": "lab-speech", "eeg": None}, evaluation={"methods": ["jmml"]})
    split(project)
    with pytest.raises(ProtocolError, match=r"the task has no EEG, and evaluation\.methods is jmml alone"):
        train(project)


def test_a_failure_in_training_keeps_the_models_of_before(trained: Project, build: Build) -> None:
    def contents() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in trained.models_dir.rglob("*") if path.is_file()}

    before = contents()
    method = trained.params.method.model_dump(mode="json")
    project = build(method=method | {"classifier": {"name": "rbf-svm", "options": {"gama": 1}}})
    with pytest.raises(Exception, match="gamma") as failure:
        train(project)
    assert failure.value.__notes__ == ["method 'raw', fold 0, seed 0"]
    assert contents() == before


def test_every_mistake_in_the_settings_is_reported_at_once(
    build: Build, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project = build()
    path = project.params_path
    path.write_text(path.read_text().replace("  k: 3", "  k: three").replace("  bootstrap:", "  bootstrapp:"))
    monkeypatch.setenv("JMML_PROJECT", str(project.root))
    monkeypatch.delitem(sys.modules, "pipelines.stages.split")
    monkeypatch.setattr(sys, "argv", ["split"])
    with pytest.raises(SystemExit) as stopped:  # as `python -m` runs it
        runpy.run_module("pipelines.stages.split", run_name="__main__")
    assert stopped.value.code == 3
    assert capsys.readouterr().err.splitlines() == [
        f"error: {path}: method.stage2.k: expected an integer, got 'three'",
        f"error: {path}: evaluation.bootstrapp: unknown key; did you mean 'bootstrap'? "
        "(valid: bootstrap, confidence, methods)",
    ]
