from __future__ import annotations

import hashlib
import pickle
from dataclasses import replace

import pytest
import yaml

from jmml.data.splits import Split
from jmml.data.table import FeatureTable
from jmml.errors import ConfigError, DataError, ProtocolError
from pipelines.sweep.definition import fit
from pipelines.sweep.definition.plan import assert_blind, plan
from pipelines.sweep.definition.reading import check, load_definition
from pipelines.workspace.task import data_bytes
from tests.jmml.tasks import gaussian_table
from tests.pipelines.sweep.projects import SEEDS, definition, write_project


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return write_project(tmp_path_factory.mktemp("plan") / "project")


@pytest.fixture(scope="module")
def planned(project):
    return plan(project, check(definition(trials=5)))


def test_counts(planned):
    assert planned.trials == 5
    assert planned.space_size == float("inf")
    assert planned.concurrent == 2
    assert planned.stage1_configurations == 2
    assert planned.fits == {
        "stage 1": 2 * 2 * 2,
        "stage 1 without reuse": 5 * 2 * 2,
        "stage 2": 5 * 2,
        "refit": 4 * len(SEEDS),
    }
    assert planned.corpora == ("lab-speech", "lab-eeg")


def test_nothing_of_the_outer_fold_is_in_what_trials_get(planned):
    speech, eeg = planned.split.fold(0)
    sent = pickle.dumps(planned.training)
    for group in (*speech.test, *eeg.test):
        assert f"{group}-".encode() not in sent  # how ids begin; a hash may have the name by chance
    for group in (*speech.train, *eeg.train):
        assert f"{group}-".encode() in sent
    for view, fold in ((planned.training.speech, speech), (planned.training.eeg, eeg)):
        assert set(view.groups) == set(fold.train)
    assert data_bytes(planned.training) == data_bytes(planned.task) * 4 // 6


def test_data_with_outer_groups_is_refused(planned):
    with pytest.raises(ProtocolError, match=r"speech: groups .* of outer fold 0 would reach the trials"):
        assert_blind(planned.task, planned.split, 0)
    half = replace(planned.training, eeg=planned.task.eeg)
    with pytest.raises(ProtocolError, match="eeg: groups"):
        assert_blind(half, planned.split, 0)


def test_a_plan_that_would_give_trials_the_outer_groups_is_refused(project, monkeypatch):
    monkeypatch.setattr(fit, "training_part", lambda task, split, fold: task)
    with pytest.raises(ProtocolError, match="would reach the trials"):
        plan(project, check(definition()))


def test_a_fold_that_does_not_exist(project):
    with pytest.raises(ConfigError, match=r"protocol\.outer_fold: 3, but the split has folds 0 to 2"):
        plan(project, check(definition(protocol={"outer_fold": 3})))


def test_too_many_inner_folds(tmp_path):
    project = write_project(tmp_path, protocol={"groups_per_fold": 2, "inner_folds": 5, "seeds": [0]})
    with pytest.raises(ProtocolError, match="5 inner folds cannot be drawn from 4 groups"):
        plan(project, check(definition()))


def test_a_task_without_eeg(tmp_path):
    task = {"speech": "lab-speech", "eeg": None, "label_space": "quadrants"}
    project = write_project(tmp_path, task=task)
    with pytest.raises(ProtocolError, match="needs EEG"):
        plan(project, check(definition()))


def test_features_that_are_missing(tmp_path):
    project = write_project(tmp_path)
    project.features_path("lab-eeg").unlink()
    with pytest.raises(
        DataError, match=r"features of 'lab-eeg' are missing; there are lab-speech\..*dvc repro"
    ):
        plan(project, check(definition()))


def test_a_definition_file_with_overrides(project, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(definition()))
    planned = plan(
        project, path, overrides=["trials=2", "stage2.k=2,3", "concurrent=8", "resources.cpus=0.1"]
    )
    assert planned.trials == 2
    assert planned.concurrent == 2  # never more than there are trials
    assert str(planned.definition.space["stage2.k"]) == "choice [2, 3]"


# What a definition names instead of the project ---------------------------------------------------------


def with_another_corpus(tmp_path):
    """A project that has features of a second speech corpus, with eight speakers."""
    corpora = {
        "lab-speech": {"adapter": "table", "modality": "speech", "path": "data/raw/lab-speech"},
        "lab-eeg": {"adapter": "table", "modality": "eeg", "path": "data/raw/lab-eeg"},
        "other": {"adapter": "table", "modality": "speech", "path": "data/raw/other"},
        "no-features": {"adapter": "table", "modality": "speech", "path": "data/raw/no-features"},
    }
    project = write_project(tmp_path, corpora=corpora)
    gaussian_table("speech", groups=8, seed=3, corpus="other").save(project.features_path("other"))
    return project


def test_another_corpus_and_protocol(tmp_path):
    project = with_another_corpus(tmp_path)
    protocol = {
        "label_space": "binary-arousal",
        "groups_per_fold": 1,
        "inner_folds": 3,
        "normalisation": "per-group",
        "seeds": [7],
        "outer_fold": 5,
    }
    planned = plan(project, check(definition(corpora={"speech": "other"}, protocol=protocol)))
    assert planned.corpora == ("other", "lab-eeg")
    assert planned.params.task.speech == "other"
    assert len(planned.task.classes) == 2
    assert planned.task.normalisation == "per-group"
    assert planned.params.protocol.seeds == [7]
    assert planned.params.protocol.inner_folds == 3
    assert len(planned.split) == 8
    assert len(set(planned.training.speech.groups)) == len(planned.split.speech[5].train)
    assert planned.params.method == project.params.method


def test_the_split_of_the_project_is_used_where_it_is_the_same(tmp_path):
    project = write_project(tmp_path)
    named = {"speech": "lab-speech", "eeg": {"name": "lab-eeg"}}
    assert plan(project, check(definition(corpora=named))).split == Split.load(project.split_path)
    project.split_path.unlink()
    plan(project, check(definition(protocol={"groups_per_fold": 1})))  # drawn for the sweep
    with pytest.raises(ProtocolError):
        plan(project, check(definition()))


def test_corpora_that_cannot_be_used(tmp_path):
    project = with_another_corpus(tmp_path)
    for corpora, part in (
        ({"speech": "othr"}, "unknown corpus 'othr'; did you mean 'other'"),
        (
            {"speech": "no-features"},
            "features of 'no-features' are missing; there are lab-eeg, lab-speech, other",
        ),
    ):
        with pytest.raises(DataError, match=part):
            plan(project, check(definition(corpora=corpora)))
    with pytest.raises(ConfigError, match="corpus 'lab-eeg' holds eeg"):
        plan(project, check(definition(corpora={"speech": "lab-eeg"})))


def test_versions(tmp_path):
    project = with_another_corpus(tmp_path)
    features = hashlib.md5(project.features_path("lab-speech").read_bytes()).hexdigest()
    content = FeatureTable.load(project.features_path("other")).digest
    for name, version in (("lab-speech", features[:6]), ("lab-speech", features), ("other", content[:8])):
        plan(project, check(definition(corpora={"speech": {"name": name, "version": version}})))
    wrong = {"speech": {"name": "lab-speech", "version": "123456789"}}
    with pytest.raises(DataError, match=rf"version 123456789.*features {features[:12]}.*dvc checkout"):
        plan(project, check(definition(corpora=wrong)))
    wrong = {"speech": {"name": "other", "version": "123456"}}
    with pytest.raises(DataError, match=r"content .*\(dvc.lock has no record of the features of 'other'\)"):
        plan(project, check(definition(corpora=wrong)))


def test_more_components_than_the_data_carry(project):
    space = {"stage1.p": {"choice": [1, 4]}, "stage1.r": {"int": [4, 6]}, "stage2.k": {"int": [2, 3]}}
    with pytest.raises(ConfigError, match=r"stage1\.r = 6, but the data carry at most 5 .*4 classes"):
        plan(project, check(definition(space=space)))
    space = {"stage1.r": {"int": [10, 15]}, "stage2.k": {"int": [2, 10]}}
    with pytest.raises(ConfigError, match=r"stage2\.k = 10, which takes 80 pairs, and an inner fold has 64"):
        plan(project, check(definition(space=space)))
    plan(project, check(definition(space=space | {"stage2.lam_c": {"choice": [0.0]}})))  # correlates nothing


def test_trials_cannot_be_paired(project):
    with pytest.raises(ProtocolError, match="pairing instance"):
        plan(
            project, check(definition(trials=2, space={"stage2.pairing": {"choice": ["class", "instance"]}}))
        )


# All problems together ------------------------------------------------------------------------------------


def test_a_definition_is_compared_with_the_project_once_its_form_is_sound(tmp_path):
    project = with_another_corpus(tmp_path)
    path = tmp_path / "mine.yaml"
    corpora = {"speech": {"name": "othr", "version": "xyz"}, "eeg": {"name": "lab-eeg", "version": "1234567"}}
    path.write_text(yaml.safe_dump(definition(corpora=corpora, share=7)))
    with pytest.raises(ConfigError) as caught:
        plan(project, path)
    assert sorted(problem.partition(": ")[2] for problem in caught.value.problems) == [
        "corpora.speech.version: expected 6 to 64 hexadecimal digits in lower case, got 'xyz'",
        "share: expected less than or equal to 1, got 7",
    ]
    corpora["speech"]["version"] = "abcdef"
    path.write_text(yaml.safe_dump(definition(corpora=corpora)))
    with pytest.raises(ConfigError) as caught:
        plan(project, path)
    speech, eeg = caught.value.problems
    assert speech.startswith("corpora.speech: unknown corpus 'othr'; did you mean 'other'?")
    assert eeg.startswith("corpora.eeg: version 1234567 of 'lab-eeg' is not the one here")


def test_contradictions_and_what_does_not_fit_the_project_are_said_together(project, tmp_path):
    path = tmp_path / "mine.yaml"
    scheduler = {"name": "asha", "grace_epochs": 9, "reduction": 2}
    path.write_text(yaml.safe_dump(definition(scheduler=scheduler, pbt={}, protocol={"outer_fold": 8})))
    with pytest.raises(ConfigError) as caught:
        load_definition(path, project=project)
    assert sorted(problem.partition(": ")[2].partition(":")[0] for problem in caught.value.problems) == [
        "pbt",
        "pbt.interval",
        "protocol.outer_fold",
        "scheduler.grace_epochs",
    ]


def test_all_that_does_not_fit_the_project_is_said_together(tmp_path):
    project = with_another_corpus(tmp_path)
    corpora = {"speech": "lab-eeg", "eeg": {"version": "1234567"}}
    with pytest.raises(ConfigError) as caught:
        plan(project, check(definition(corpora=corpora, budget={"epochs": 1, "trials": 3}, trials=None)))
    budget, speech, eeg = caught.value.problems
    assert budget.startswith("budget.epochs: 1, but one trial alone runs 3")
    assert speech == "corpora.speech: corpus 'lab-eeg' holds eeg"
    assert eeg.startswith("corpora.eeg: version 1234567 of 'lab-eeg'")
