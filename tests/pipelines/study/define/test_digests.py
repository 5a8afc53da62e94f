"""Whatever can change a cell changes its name in the cache, each thing alone; so do studies and their digest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from jmml.config import MethodConfig
from jmml.data.table import FeatureTable
from jmml.task import TaskData, make_split
from pipelines.cache.cells import CellStore, Key, parts, shared_parts
from pipelines.study.define import plan as planning
from pipelines.study.define.plan import plan
from pipelines.workspace.fingerprint import libraries
from tests.pipelines.study import fakes
from tests.pipelines.study.studies import make, study
from tests.pipelines.sweep.projects import write_project

SETTINGS = {"inner_folds": 2, "device": "cpu", "code": "c0de"}
PLACE = {"method": "jmml", "fold": 0, "seed": 0, "audited": False}
OTHER = {
    "stage1": {"beta": 0.7},
    "stage2": {"lam_y": 0.7},
    "peers": {"temperature": 0.7},
    "classifier": {"options": {"C": 0.7}},
}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return write_project(tmp_path_factory.mktemp("digests") / "project")


@pytest.fixture(scope="module")
def task(project):
    return plan(project, make()).tasks["lab"]


def name_of(task, data=None, split=None, candidates=None, **changes):
    """The digest of one cell, all as it is but what is given."""
    settings = {name: changes.pop(name, value) for name, value in SETTINGS.items()}
    shared = shared_parts(data or task.data, split or task.split, candidates or task.candidates, **settings)
    return Key("lab", "jmml", 0, 0, parts(shared, **PLACE | changes)).digest


def with_other(config: MethodConfig, section: str) -> MethodConfig:
    changed = getattr(config, section).model_copy(update=OTHER[section])
    assert changed != getattr(config, section)
    return config.model_copy(update={section: changed})


def swapped(data: TaskData, modality: str) -> TaskData:
    """Two rows of one person change classes, so that all counts stay."""
    view = getattr(data, modality)
    y = view.y.copy()
    first = 0
    second = np.flatnonzero((view.groups == view.groups[first]) & (y != y[first]))[0]
    y[[first, second]] = y[[second, first]]
    assert np.array_equal(np.bincount(y), np.bincount(view.y))
    return replace(data, **{modality: replace(view, y=y)})


@pytest.mark.parametrize("modality", ["speech", "eeg"])
def test_labels_count_even_if_their_numbers_are_equal(task, modality):
    assert name_of(task, swapped(task.data, modality)) != name_of(task)


@pytest.mark.parametrize("modality", ["speech", "eeg"])
def test_features_count(task, modality):
    context = {**task.data.context, f"{modality}_digest": "0" * 64}
    assert name_of(task, replace(task.data, context=context)) != name_of(task)


@pytest.mark.parametrize("corpus", ["lab-speech", "lab-eeg"])
def test_one_number_of_a_feature_file_changes_every_cell(tmp_path, corpus):
    project = write_project(tmp_path / "project")
    before = {key.digest for key in plan(project, make()).cells}
    path = project.features_path(corpus)
    table = FeatureTable.load(path)
    X = table.X.copy()
    X[-1, -1] = np.nextafter(X[-1, -1], np.float32(np.inf))
    replace(table, X=X).save(path)
    assert not {key.digest for key in plan(project, make()).cells} & before


@pytest.mark.parametrize("section", sorted(MethodConfig.model_fields))
@pytest.mark.parametrize("number", [0, 1])
def test_every_section_of_every_candidate_counts(task, section, number):
    candidates = list(task.candidates)
    candidates[number] = with_other(candidates[number], section)
    assert name_of(task, candidates=candidates) != name_of(task)


def test_number_and_order_of_the_candidates_count(task):
    first, second = task.candidates
    lists = ([first], [second], [first, second], [second, first], [first, second, second])
    assert len({name_of(task, candidates=candidates) for candidates in lists}) == len(lists)
    assert name_of(task, candidates=[first, second]) == name_of(task)


@pytest.mark.parametrize(
    "change",
    [
        {"inner_folds": 3},
        {"device": "cuda"},
        {"code": "other"},
        {"method": "dcca"},
        {"fold": 1},
        {"seed": 1},
        {"audited": True},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_setting_of_a_cell_counts(task, change):
    assert name_of(task, **change) != name_of(task)


def test_of_the_device_its_kind_alone_counts(task):
    assert name_of(task, device="cuda:0") == name_of(task, device="cuda:1") == name_of(task, device="cuda")


@pytest.mark.parametrize("library", ["numpy", "scipy", "scikit-learn", "torch"])
def test_the_version_of_every_library_counts(task, monkeypatch, library):
    before, versions = name_of(task), libraries()
    monkeypatch.setattr("pipelines.cache.cells.libraries", lambda: {**versions, library: "0.0.1"})
    assert name_of(task) != before


def test_that_the_corpora_are_parallel_counts(task):
    recordings = task.data.eeg.recordings.copy()
    recordings[0] = task.data.speech.recordings[0]
    parallel = replace(task.data, eeg=replace(task.data.eeg, recordings=recordings))
    assert (task.data.parallel, parallel.parallel) == (False, True)
    assert name_of(task, parallel) != name_of(task)


def test_normalisation_and_folds_count(task):
    assert name_of(task, replace(task.data, normalisation="per-group")) != name_of(task)
    drawn_again = make_split(task.data, groups_per_fold=2, seed=1)
    assert drawn_again != task.split
    assert len(drawn_again) == len(task.split)
    assert name_of(task, split=drawn_again) != name_of(task)


def test_a_plan_hands_its_own_settings_to_the_digest(project, tmp_path):
    def digests(project, **tuning):
        planned = plan(project, make(tuning=study()["tuning"] | tuning))
        assert {key.parts["inner_folds"] for key in planned.cells} == {planned.inner_folds}
        assert {key.parts["device"] for key in planned.cells} == {planned.params.device.partition(":")[0]}
        return {key.digest for key in planned.cells}

    base = digests(project)
    assert not digests(project, inner_folds=3) & base
    assert not digests(project, trials=3) & base
    on_gpu = write_project(tmp_path / "gpu", device="cuda:1")
    assert not digests(on_gpu) & base


def test_the_digest_of_a_study_covers_what_is_published_from_the_same_cells(project):
    base = plan(project, make())
    for change in ({"claim": "jec-ssl"}, {"bootstrap": 300}, {"confidence": 0.9}):
        other = plan(project, make(**change))
        assert [key.digest for key in other.cells] == [key.digest for key in base.cells]
        assert other.digest != base.digest, change


def test_the_digest_of_a_study_covers_its_cells(project, tmp_path, monkeypatch):
    base = plan(project, make()).digest
    for change in (
        {"methods": ["raw", "jmml", "one-hot"]},
        {"seeds": [0]},
        {"seeds": [0, 2]},
        {"groups_per_fold": 3},
        {"method": {"stage2": {"lam_y": 0.7}}},
    ):
        assert plan(project, make(**change)).digest != base, change
    for number, settings in enumerate(
        ({"effect": 1.5}, {"device": "cuda"})
    ):  # none of them is in the definition
        assert plan(write_project(tmp_path / str(number), **settings), make()).digest != base, settings
    monkeypatch.setattr(planning, "code_digest", lambda: "0" * 64)
    assert plan(project, make()).digest != base


def test_the_digest_of_a_study_does_not_depend_on_how_it_is_run(tmp_path):
    project = write_project(tmp_path / "project")
    planned = plan(project, make(), workers=1)
    base, task = planned.digest, planned.tasks["lab"]
    key = planned.cells[0]
    cell = fakes.quick(task.data, task.split, key.fold, key.method, task.candidates, seed=key.seed)
    CellStore.of(project.root).save(key, cell)
    assert len(plan(project, make()).cached) == 1
    assert plan(project, make()).digest == base
    assert plan(project, make(), workers=7).digest == base
    assert plan(project, make(), recompute=True).digest == base
    assert plan(project, make(description="in other words")).digest == base
