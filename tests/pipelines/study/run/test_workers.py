"""What reaches a cell in a worker, and what becomes of it when the worker dies or the cell fails; without Ray."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace

import pandas as pd
import pytest

from jmml.cell import CellResult, run_cell
from jmml.errors import ConfigError, ModelError, SweepError
from jmml.experiment import search_trial
from jmml.task import training_part
from pipelines.cache.stage1 import Stage1Store
from pipelines.compute.worker import PlaceError
from pipelines.study.define.plan import plan
from pipelines.study.run import workers
from pipelines.study.run.workers import Job
from tests.pipelines.study import fakes, inline
from tests.pipelines.study.studies import CELLS, make
from tests.pipelines.sweep.projects import write_project

ONE_SEED = make(seeds=[0])


class Call(SimpleNamespace):
    """The arguments of one cell."""


class Listens:
    """Keeps what every cell was handed, in this process."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def __call__(self, task, split, fold, method, candidates, **options) -> CellResult:
        known = {"task": task, "split": split, "fold": fold, "method": method, "candidates": candidates}
        self.calls.append(Call(**known, **options))
        return fakes.quick(task, split, fold, method, candidates, **options)


@pytest.fixture
def computed_by(without_ray):
    """Compute a plan with a cell; what came back."""

    def compute(planned, cell):
        back = []
        workers.compute(planned, cell, lambda key, result: back.append((key, result)), note=print)
        return back

    return compute


def test_a_cell_is_handed_all_that_its_digest_says(tmp_path, computed_by):
    project = write_project(
        tmp_path / "project", device="cuda:1"
    )  # a worker sees its own GPU alone, as the first
    tasks = {"lab": {"project": True}, "w": {"world": "label", "people": 6, "trials": 12}}
    planned = plan(project, make(tasks=tasks, audit="sample"), workers=1)
    assert planned.inner_folds == 2  # the default of a cell is another
    cell = Listens()
    back = computed_by(planned, cell)
    assert [key for key, _ in back] == [key for block in planned.blocks() for key in block.cells]
    assert len(back) == 2 * CELLS
    for (key, result), call in zip(back, cell.calls, strict=True):
        task = planned.tasks[key.task]
        assert call.task is task.data
        assert call.split is task.split
        assert (call.fold, call.method, call.seed) == (key.fold, key.method, key.seed)
        assert call.candidates == task.candidates
        assert len(call.candidates) == 2
        assert (call.inner_folds, call.device) == (2, "cuda")
        assert call.audited is key.parts["audited"]
        assert set(result.evidence["method"]) == {key.method}
    assert sum(call.audited for call in cell.calls) == 2 * 4  # the first fold and seed of both tasks


def test_cells_of_a_block_share_a_memo_and_no_others_do(untouched, computed_by):
    planned, cell = plan(untouched, make(), workers=1), Listens()
    computed_by(planned, cell)
    memos: dict[tuple[int, int], set[int]] = {}
    for call in cell.calls:
        memos.setdefault((call.fold, call.seed), set()).add(id(call.memo))
        assert call.memo == {}
    assert all(len(found) == 1 for found in memos.values())
    assert len(set.union(*memos.values())) == len(memos) == len(planned.blocks())


def test_a_worker_is_prepared_for_the_seed_of_its_block(untouched, computed_by, without_ray):
    planned = plan(untouched, make(), workers=2)
    computed_by(planned, fakes.quick)
    assert [(block.shared, block.seed) for block in without_ray.last.started] == [
        (block.task, block.seed) for block in planned.blocks()
    ]
    assert without_ray.last.most == 2


def test_models_of_stage_1_are_shared_with_all_who_have_the_folder(untouched, without_ray, tmp_path):
    planned, cell = plan(untouched, ONE_SEED, workers=1), Listens()
    workers.compute(planned, cell, lambda key, result: None, stage1=tmp_path / "stage1", note=print)
    stores = {id(call.memo): call.memo for call in cell.calls}
    assert len(stores) == len(planned.blocks())
    assert {(store.folder, store.threads) for store in stores.values()} == {(tmp_path / "stage1", 1)}


def test_cells_are_the_same_to_the_last_bit_with_models_of_a_sweep_and_of_other_cells(untouched, tmp_path):
    tuning = {"trials": 1, "inner_folds": 2}
    planned = plan(untouched, make(methods=["jec-ssl", "jmml", "one-hot"], seeds=[0], tuning=tuning))
    task, folder = planned.tasks["lab"], tmp_path / "stage1"
    shared, jobs = (
        (task.data, task.split, task.candidates),
        [Job.of(key) for key in planned.blocks()[0].cells],
    )

    def computed(stage1, cell=run_cell):
        options = {"inner_folds": 2, "device": "cpu", "stage1": stage1}
        return list(workers.compute_cells(shared, jobs, cell=cell, **options))

    by_themselves = computed(None)
    sweep = Stage1Store(folder)
    training = training_part(task.data, task.split, jobs[0].fold)
    next(search_trial(training, task.candidates[0], n_folds=2, seed=0, memo=sweep))
    assert sweep.take_counts()["computed"] == 4  # two inner folds of two modalities
    counted = []

    def counting(*arguments, memo, **options):
        found = run_cell(*arguments, memo=memo, **options)
        counted.append(memo.take_counts())
        return found

    with_those_of_a_sweep, with_all = computed(folder, counting), computed(folder, counting)
    assert (
        sum(count["computed"] for count in counted[: len(jobs)]) == 2
    )  # of the outer fold, which no sweep trains
    assert sum(count["computed"] for count in counted[len(jobs) :]) == 0
    for found in (with_those_of_a_sweep, with_all):
        for one, other in zip(found, by_themselves, strict=True):
            pd.testing.assert_frame_equal(one.evidence, other.evidence, check_exact=True)
            assert one.embedding.tobytes() == other.embedding.tobytes()
            assert (one.search, one.history) == (other.search, other.history)
            assert one.certificate.to_json() == other.certificate.to_json()


@pytest.mark.usefixtures("without_ray")
def test_a_request_to_stop_ends_the_work_and_keeps_what_came_back(untouched, monkeypatch):
    planned, back = plan(untouched, ONE_SEED, workers=2), []
    monkeypatch.setattr("pipelines.workspace.signals.ASK_SECONDS", 0.0)
    with pytest.raises(KeyboardInterrupt):
        workers.compute(
            planned,
            fakes.quick,
            lambda key, result: back.append(key),
            asked=lambda: len(back) >= 3,
            note=print,
        )
    assert 3 <= len(back) < len(planned.missing)


@pytest.mark.parametrize(
    ("gpus", "count", "share"), [(0, 3, 0.0), (1, 1, 1.0), (1, 4, 0.25), (2, 3, 0.5), (4, 3, 1.0)]
)
def test_all_workers_find_a_place_on_the_gpus(gpus, count, share):
    assert workers.gpu_share(gpus, count) == share


class Mortal:
    """The worker dies over one method of one fold, the first ``times`` times."""

    def __init__(self, times):
        self.left, self.calls = times, Counter()

    def __call__(self, task, split, fold, method, *args, **options):
        self.calls[method, fold] += 1
        if (method, fold) == ("jmml", 1) and self.left:
            self.left -= 1
            raise inline.DiedError
        return fakes.quick(task, split, fold, method, *args, **options)


@pytest.mark.usefixtures("without_ray")
def test_a_block_is_tried_twice_and_goes_on_where_it_was(untouched):
    planned = plan(untouched, ONE_SEED, workers=2)
    back, notes, cell = [], [], Mortal(times=1)
    workers.compute(planned, cell, lambda key, result: back.append(key), note=notes.append)
    assert Counter(back) == Counter(planned.cells)
    assert cell.calls == Counter({(key.method, key.fold): 1 for key in planned.cells}) + Counter(
        {("jmml", 1): 1}
    )
    assert notes == ["a worker died over method jmml, task lab, fold 1, seed 0; its work is done once more"]

    back, cell = [], Mortal(times=2)
    with pytest.raises(SweepError, match=r"method jmml, .* fold 1, seed 0: the worker died 2 times here"):
        workers.compute(planned, cell, lambda key, result: back.append(key), note=notes.append)
    assert cell.calls["jmml", 1] == 2
    assert {("raw", 1), ("jec-ssl", 1)} <= {(key.method, key.fold) for key in back}


def test_the_failure_of_a_cell_keeps_its_class_and_names_the_cell_unless_the_machine_is_at_fault(untouched):
    key = plan(untouched, ONE_SEED).cells[0]
    place = PlaceError("the code of a worker on lab3 is not that of the driver", where="jmml")
    assert workers._named(place, key) is place
    named = workers._named(ModelError("no such width", where="stage1.p"), key)
    assert isinstance(named, ModelError)
    assert str(named) == f"{key}: stage1.p: no such width"
    named = workers._named(ConfigError(["one", "two"]), key)
    assert isinstance(named, ConfigError)
    assert named.problems == ["one", "two"]
    assert str(workers._named(ValueError("bad shape\nsecond line"), key)) == f"{key}: ValueError: bad shape"
