from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from jmml.data.table import FeatureTable
from jmml.errors import ConfigError, CorpusError, DataError, ProtocolError
from jmml.evaluation import evidence
from pipelines.cache.cells import EMBEDDING, CellStore
from pipelines.study.define import plan as planning
from pipelines.study.define import tasks
from pipelines.study.define.plan import plan
from pipelines.workspace.project import Project
from tests.pipelines.study import fakes
from tests.pipelines.study.studies import CELLS, FOLDS, METHODS, SEEDS, make
from tests.pipelines.sweep.projects import write_project


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return write_project(tmp_path_factory.mktemp("study") / "project")


def compute(project, planned, keys):
    store = CellStore.of(project.root)
    for key in keys:
        task = planned.tasks[key.task]
        result = fakes.quick(task.data, task.split, key.fold, key.method, task.candidates, seed=key.seed)
        store.save(key, result)


def test_cells_are_task_by_method_by_fold_by_seed(project):
    planned = plan(project, make())
    assert len(planned.cells) == CELLS
    assert len({key.digest for key in planned.cells}) == CELLS
    assert {(k.method, k.fold, k.seed) for k in planned.cells} == {
        (method, fold, seed) for method in METHODS for fold in range(FOLDS) for seed in SEEDS
    }
    assert [len(block.cells) for block in planned.blocks()] == [len(METHODS)] * FOLDS * len(SEEDS)
    assert all(
        {(key.task, key.fold, key.seed) for key in block.cells} == {(block.task, block.fold, block.seed)}
        for block in planned.blocks()
    )


def test_every_method_is_given_the_same_candidates(project):
    planned = plan(project, make(method={"stage2": {"epochs": 7}}))
    (task,) = planned.tasks.values()
    defaults, drawn = task.candidates
    assert defaults.stage2.epochs == drawn.stage2.epochs == 7
    assert defaults.stage1 == project.params.method.stage1
    assert drawn.stage1.p in (3, 5)
    assert 1e-3 <= drawn.stage2.lr <= 1e-2
    assert len({str(key.parts["candidates"]) for key in planned.cells}) == 1
    assert plan(project, make(method={"stage2": {"epochs": 7}})).tasks["lab"].candidates == task.candidates


def test_candidates_are_drawn_with_the_seed_of_the_tuning_alone(project):
    def drawn(**changes):
        tuning = {
            "trials": 4,
            "space": {"stage2.lr": {"loguniform": [1e-3, 1e-2]}},
            **changes.pop("tuning", {}),
        }
        return plan(project, make(tuning=tuning, **changes)).tasks["lab"].candidates

    assert drawn(seeds=[0, 1]) == drawn(seeds=[7])
    assert drawn(tuning={"seed": 1}) != drawn(tuning={"seed": 2})


def test_the_defaults_are_not_drawn_twice(project):
    p = project.params.method.stage1.p
    tuning = {"trials": 3, "space": {"stage1.p": {"choice": [p, p + 1, p + 2]}}}
    widths = [c.stage1.p for c in plan(project, make(tuning=tuning)).tasks["lab"].candidates]
    assert widths[0] == p
    assert sorted(widths) == [p, p + 1, p + 2]
    with pytest.raises(ConfigError, match="2 configurations besides the defaults"):
        plan(project, make(tuning=tuning | {"trials": 4}))


def test_the_name_of_study_and_task_does_not_count_all_else_does(project, monkeypatch):
    def digests(**changes):
        return {key.digest for key in plan(project, make(**changes)).cells}

    base = digests()
    assert digests(name="other", tasks={"x": {"project": True}}, bootstrap=300, description="d") == base
    assert digests(tasks={"x": {"speech": "lab-speech", "eeg": "lab-eeg"}}) == base
    assert digests(methods=["jmml", "one-hot"]) < base
    assert digests(seeds=[0, 1, 2]) > base
    for changes in (
        {"normalisation": "per-group"},
        {"groups_per_fold": 3},
        {"tuning": {"trials": 1}},
        {"audit": "all"},
        {"method": {"stage2": {"lam_c": 0.5}}},
        {"tasks": {"lab": {"project": True, "label_space": "binary-arousal"}}},
        {"tasks": {"lab": {"project": True, "method": {"stage1": {"alpha": 2.0}}}}},
    ):
        assert not digests(**changes) & base, changes
    monkeypatch.setattr(planning, "code_digest", lambda: "0" * 64)
    assert not digests() & base


def test_other_features_are_other_cells(tmp_path):
    project = write_project(tmp_path / "project")
    before = {key.digest for key in plan(project, make()).cells}
    path = project.features_path("lab-eeg")
    table = FeatureTable.load(path)
    X = table.X.copy()
    X[0, 0] = np.nextafter(X[0, 0], np.float32(np.inf))
    replace(table, X=X).save(path)
    assert not {key.digest for key in plan(project, make()).cells} & before


def test_the_first_fold_and_seed_are_audited_by_default(project):
    planned = plan(project, make(audit="sample"))
    audited = {(key.fold, key.seed) for key in planned.cells if key.parts["audited"]}
    assert audited == {(0, SEEDS[0])}
    assert all(key.parts["audited"] for key in plan(project, make(audit="all")).cells)


def test_cached_cells_are_not_computed_again_and_damaged_ones_are(tmp_path):
    project = write_project(tmp_path / "project")
    planned = plan(project, make())
    compute(project, planned, planned.cells[:5])
    assert len(plan(project, make()).missing) == CELLS - 5
    assert len(plan(project, make(), recompute=True).missing) == CELLS
    folder = CellStore.of(project.root).path(planned.cells[0].digest)
    (folder / EMBEDDING).write_bytes(b"")
    again = plan(project, make())
    assert again.missing[0] == planned.cells[0]
    assert len(again.missing) == CELLS - 4
    (damage,) = again.damaged
    assert str(folder) in damage


def test_two_tasks_of_the_same_data_share_their_cells(project):
    planned = plan(project, make(tasks={"a": {"project": True}, "b": {"project": True}}))
    assert len(planned.cells) == 2 * CELLS
    assert len(planned.missing) == CELLS


def test_the_time_is_estimated_from_cells_of_the_same_method(tmp_path):
    project = write_project(tmp_path / "project")
    planned = plan(project, make(), workers=2)
    ray = "; starting Ray adds about 20 s"
    assert planned.time == "no estimate: no cached cell yet of jec-ssl, jmml, one-hot, raw" + ray
    compute(project, planned, planned.cells[:3])
    assert plan(project, make()).time == "no estimate: no cached cell yet of one-hot" + ray
    compute(project, planned, planned.cells[3:4])
    # The stand-in takes 2 s per cell; 20 cells in 5 blocks on two workers.
    assert (
        plan(project, make(), workers=2).time == f"about 20 s on 2 workers, by the cells computed before{ray}"
    )
    assert plan(project, make(), workers=1).time.startswith("about 40 s on 1 worker, ")
    # Twice the candidates: 2 * 2 + 1 fits become 4 * 2 + 1.
    tuning = make().tuning.model_dump() | {"trials": 4}
    tuning["space"] = {"stage2.lr": {"loguniform": [1e-3, 1e-2]}}
    longer = plan(project, make(tuning=tuning), workers=2)
    assert longer.expected_seconds(longer.missing) == pytest.approx(CELLS * 2 * 9 / 5)
    compute(project, planned, planned.cells)
    assert plan(project, make()).time == "nothing to compute"


def test_a_world_needs_no_data(project):
    world = {"world": "label", "people": 6, "trials": 12}
    planned = plan(project, make(tasks={"w": world, "t": world | {"world": "trial"}}))
    assert planned.corpora == []
    assert planned.tasks["w"].data.parallel
    assert planned.tasks["w"].candidates[0].stage2.pairing == "instance"
    assert planned.tasks["w"].candidates[0].stage1 == project.params.method.stage1
    X, y = ([getattr(planned.tasks[name].data.speech, part) for name in "wt"] for part in ("X", "y"))
    assert np.array_equal(*X)
    assert np.array_equal(*y)
    of_class = plan(project, make(tasks={"w": world | {"pairing": "class"}}))
    assert of_class.tasks["w"].candidates[0].stage2.pairing == "class"


# What cannot be ------------------------------------------------------------------------------------------


def test_instance_pairing_needs_parallel_recordings(project):
    with pytest.raises(ProtocolError, match=r"task lab: pairing instance, but 192 of 192 speech recordings"):
        plan(project, make(tasks={"lab": {"project": True, "pairing": "instance"}}))


def test_methods_that_need_eeg_need_a_task_with_it(project):
    alone = {"lab": {"speech": "lab-speech"}}
    with pytest.raises(ProtocolError, match="task lab: jmml needs EEG and the task has none"):
        plan(project, make(tasks=alone))
    planned = plan(project, make(tasks=alone, methods=["raw", "jec-ssl", "one-hot"], claim="jec-ssl"))
    assert planned.tasks["lab"].data.eeg is None


def test_an_unknown_corpus_names_the_known(project):
    with pytest.raises(CorpusError, match=r"unknown corpus 'lab-spech'; did you mean 'lab-speech'"):
        plan(project, make(tasks={"lab": {"speech": "lab-spech", "eeg": "lab-eeg"}}))
    with pytest.raises(ConfigError, match="holds eeg"):
        plan(project, make(tasks={"lab": {"speech": "lab-eeg", "eeg": "lab-eeg"}}))


def test_missing_features_name_the_next_step(tmp_path):
    project = write_project(tmp_path / "project")
    project.features_path("lab-eeg").unlink()
    with pytest.raises(DataError, match=r"features are missing\. Run `dvc repro`"):
        plan(project, make())


def test_too_few_people_for_the_folds(project):
    with pytest.raises(ProtocolError) as caught:
        plan(project, make(groups_per_fold=6))
    assert str(caught.value) == (
        "task lab, speech: groups_per_fold 6 leaves no group to train on, there are 6; expected 1 to 5. "
        "Lower groups_per_fold (of the study or of tasks.lab) or add speakers"
    )
    with pytest.raises(ProtocolError) as caught:
        plan(project, make(tuning={"trials": 1, "inner_folds": 5}))
    said = str(caught.value)
    assert said.startswith(
        "task lab, inner folds of outer fold 0, speech: 5 inner folds cannot be drawn from 4 groups"
    )
    assert said.endswith(
        "Lower tuning.inner_folds or groups_per_fold (of the study or of tasks.lab), or add speakers"
    )


def test_too_few_people_in_a_world(project):
    with pytest.raises(ProtocolError) as caught:
        plan(
            project,
            make(tasks={"w": {"world": "label", "people": 4, "trials": 8}}, tuning={"inner_folds": 3}),
        )
    assert str(caught.value).startswith(
        "task w, inner folds of outer fold 0, speech: 3 inner folds cannot be drawn"
    )
    assert str(caught.value).endswith("or raise tasks.w.people")
    assert "protocol" not in str(caught.value)


def test_inner_folds_are_drawn_with_every_seed_in_every_outer_fold(project, monkeypatch):
    drawn = []

    def draw(training, *, n_folds, seed):
        drawn.append((tuple(sorted(set(training.speech.groups))), seed))
        if len(drawn) == FOLDS * len(SEEDS):
            raise ProtocolError("class 'LVLA' is absent", where="eeg", fix="lower protocol.inner_folds")

    monkeypatch.setattr(tasks, "make_inner_split", draw)
    with pytest.raises(ProtocolError) as caught:
        plan(project, make())
    assert len(set(drawn)) == FOLDS * len(SEEDS)
    assert str(caught.value) == (
        f"task lab, inner folds of outer fold {FOLDS - 1}, eeg: class 'LVLA' is absent. Lower tuning.inner_folds"
    )


def test_settings_of_the_study_that_contradict_params_are_said_once(project):
    with pytest.raises(ConfigError) as caught:
        plan(project, make(method={"stage2": {"k": 40}}, tuning={"trials": 1}))
    assert str(caught.value).startswith("study tiny: method: stage2.k = 40 is wider than stage1.r")


def test_problems_of_several_tasks_are_reported_together(project):
    tasks = {
        "a": {"project": True, "pairing": "instance"},
        "b": {"speech": "lab-speech"},
        "c": {"world": "label", "people": 2, "trials": 8},
        "d": {"project": True, "method": {"stage1": {"r": 2}}},
    }
    with pytest.raises(ConfigError) as caught:
        plan(project, make(tasks=tasks))
    found = caught.value.problems
    assert [text.split(":")[0] for text in found] == ["task a", "task b", "task c", "task d"]
    assert "stage2.k = 3 is wider than stage1.r = 2" in found[3]


def test_a_space_that_contradicts_the_settings(project):
    tuning = {"trials": 2, "space": {"stage2.k": {"choice": [2, 50]}}}
    with pytest.raises(ConfigError, match=r"tuning\.space: it allows stage2\.k = 50 is wider"):
        plan(project, make(tuning=tuning))


def test_no_cell_is_read_from_another_project(project, tmp_path):
    other = write_project(tmp_path / "project")
    planned = plan(other, make())
    compute(other, planned, planned.cells)
    assert len(plan(other, make()).cached) == CELLS
    assert plan(Project(project.root), make()).cached == frozenset()
    assert evidence.COLUMNS[0] == "method"
