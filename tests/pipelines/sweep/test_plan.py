from __future__ import annotations

import pickle
from dataclasses import replace

import pytest
import yaml

from jmml.errors import ConfigError, DataError, ProtocolError
from pipelines.sweep.definition import check
from pipelines.sweep.plan import assert_blind, data_bytes, plan
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
    assert planned.fits == {"stage 1": 5 * 2 * 2, "stage 2": 5 * 2, "refit": 4 * len(SEEDS)}


def test_rows_name_the_held_out_people_and_the_space(planned):
    rows = dict(planned.rows())
    speech, eeg = planned.split.fold(0)
    assert rows["held out"] == (
        f"outer fold 0 of 3: speakers {', '.join(speech.test)}; EEG subjects {', '.join(eeg.test)}"
    )
    assert rows["  stage1.p"] == "choice [3, 4]"
    assert rows["search on"] == "128 utterances of 4 speakers and 128 EEG rows of 4 subjects, 2 inner folds"


def test_nothing_of_the_outer_fold_is_in_what_trials_get(planned):
    speech, eeg = planned.split.fold(0)
    sent = pickle.dumps(planned.training)
    for group in (*speech.test, *eeg.test):
        assert group.encode() not in sent
    for group in (*speech.train, *eeg.train):
        assert group.encode() in sent
    for view, fold in ((planned.training.speech, speech), (planned.training.eeg, eeg)):
        assert set(view.groups) == set(fold.train)
    assert data_bytes(planned.training) == data_bytes(planned.task) * 4 // 6


def test_the_plan_for_machines_and_for_people(planned):
    data = planned.as_dict()
    assert check(data["definition"]) == planned.definition
    assert (data["trials"], data["space_size"], data["max_epochs"]) == (5, None, 3)
    assert data["held_out"]["speech"] == list(planned.split.fold(0)[0].test)
    lines = planned.lines()
    assert len(lines) == len(planned.rows())
    assert all("\n" not in text for text in lines)


def test_data_with_outer_groups_is_refused(planned):
    with pytest.raises(ProtocolError, match=r"speech: groups .* of outer fold 0 would reach the trials"):
        assert_blind(planned.task, planned.split, 0)
    half = replace(planned.training, eeg=planned.task.eeg)
    with pytest.raises(ProtocolError, match="eeg: groups"):
        assert_blind(half, planned.split, 0)


def test_a_fold_that_does_not_exist(project):
    with pytest.raises(ConfigError, match="outer_fold: 3, but the split has folds 0 to 2"):
        plan(project, check(definition(outer_fold=3)))


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
    with pytest.raises(DataError, match="dvc repro"):
        plan(project, check(definition()))


def test_a_definition_file_with_overrides(project, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(definition()))
    planned = plan(project, path, overrides=["trials=2", "stage2.k=2,3", "concurrent=8"])
    assert planned.trials == 2
    assert planned.concurrent == 2  # never more than there are trials
    assert str(planned.definition.space["stage2.k"]) == "choice [2, 3]"
