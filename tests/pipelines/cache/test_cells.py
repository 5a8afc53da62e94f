from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from jmml.errors import DataError, ProtocolError
from jmml.evaluation import evidence
from jmml.files import sha256_file
from pipelines.cache import cells, content
from pipelines.cache.cells import EMBEDDING, EVIDENCE, CellStore
from pipelines.cache.content import CELL
from pipelines.study.define.plan import plan
from tests.pipelines.study import fakes
from tests.pipelines.study.studies import make
from tests.pipelines.sweep.projects import write_project


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    return plan(write_project(tmp_path_factory.mktemp("study") / "project"), make())


@pytest.fixture
def store(tmp_path):
    return CellStore.of(tmp_path)


def result_of(planned, key, cell=fakes.quick):
    task = planned.tasks[key.task]
    return cell(task.data, task.split, key.fold, key.method, task.candidates, seed=key.seed)


def of_method(planned, method):
    return next(key for key in planned.cells if key.method == method)


@pytest.fixture
def saved(planned, store):
    key = of_method(planned, "jmml")
    store.save(key, result_of(planned, key))
    return key


def test_a_cell_comes_back_as_it_was(planned, store, saved):
    expected, found = result_of(planned, saved), store.load(saved)
    pd.testing.assert_frame_equal(found.evidence, expected.evidence)
    assert np.array_equal(found.embedding, expected.embedding)
    assert found.certificate == expected.certificate
    assert found.config == expected.config
    assert (found.candidate, found.search, found.history) == (1, expected.search, expected.history)
    assert np.isnan(found.metrics.pop("test_rho"))
    expected.metrics.pop("test_rho")
    assert found.metrics == expected.metrics


def test_the_folder_is_named_by_what_determines_the_cell(store, saved):
    folder = store.path(saved.digest)
    assert folder.parent == store.folder / saved.digest[:2]
    assert {path.name for path in folder.iterdir()} == {CELL, EVIDENCE, EMBEDDING}
    record = json.loads((folder / CELL).read_text())
    assert cells.digest(record["parts"], length=64) == folder.name == saved.digest
    assert record["files"] == {name: sha256_file(folder / name) for name in (EVIDENCE, EMBEDDING)}
    assert "tiny" not in (folder / CELL).read_text()  # the study's name
    assert (store.folder.parent / ".gitignore").read_text() == "*\n"


def test_values_of_numpy_are_stored_as_plain_ones(planned, store):
    key = of_method(planned, "raw")
    result = result_of(planned, key)
    store.save(
        key, replace(result, metrics={"test_uar": np.float64(0.5), "n": np.int64(3)}, candidate=np.int64(1))
    )
    found = store.load(key)
    assert found.metrics == {"test_uar": 0.5, "n": 3}
    assert type(found.candidate) is int


def test_states(planned, store, saved):
    assert store.state(saved.digest) == ""
    assert store.state(of_method(planned, "raw").digest) is None


def reseal(folder, change):
    """Change ``cell.json`` as someone would who knows how it is sealed."""
    record = json.loads((folder / CELL).read_text())
    change(record)
    record["seal"] = content._seal(record)
    (folder / CELL).write_text(json.dumps(record))


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda f: (f / EVIDENCE).unlink(), "incomplete"),
        (lambda f: (f / EMBEDDING).write_bytes(b"x"), "embedding.npy was changed"),
        (lambda f: (f / CELL).write_text("{"), "incomplete"),
        (lambda f: (f / CELL).write_text("[]"), "incomplete"),
        (lambda f: (f / CELL).unlink(), "incomplete"),
        (
            lambda f: (f / CELL).write_text((f / CELL).read_text().replace("0.4", "0.9")),
            "cell.json was changed",
        ),
        (lambda f: reseal(f, lambda r: r["parts"].update(seed=7)), "not the one its folder is named after"),
        (lambda f: reseal(f, lambda r: r.pop("files")), "incomplete"),
    ],
)
def test_a_damaged_cell_is_seen_named_and_replaced(planned, store, saved, harm, said):
    folder = store.path(saved.digest)
    harm(folder)
    state = store.state(saved.digest)
    assert said in state
    assert str(folder) in state
    with pytest.raises(DataError, match="Run the study again") as caught:
        store.load(saved)
    assert str(folder) in str(caught.value)
    store.save(saved, result_of(planned, saved))
    assert store.state(saved.digest) == ""
    assert store.load(saved).candidate == 1


def test_files_are_checked_beyond_their_hashes(store, saved, planned):
    folder = store.path(saved.digest)
    other = result_of(planned, of_method(planned, "raw")).evidence
    evidence.save(other, folder / EVIDENCE)
    reseal(folder, lambda record: record["files"].update({EVIDENCE: sha256_file(folder / EVIDENCE)}))
    with pytest.raises(DataError, match="evidence of method raw; expected jmml"):
        store.load(saved)


def test_no_pickle_is_loaded(store, saved):
    folder = store.path(saved.digest)
    np.save(folder / EMBEDDING, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    reseal(folder, lambda record: record["files"].update({EMBEDDING: sha256_file(folder / EMBEDDING)}))
    with pytest.raises(DataError, match="cannot be read"):
        store.load(saved)


def test_a_cell_without_certificate_is_no_result(planned, store):
    key = of_method(planned, "jmml")
    store.save(key, result_of(planned, key, fakes.without_certificate))
    with pytest.raises(
        ProtocolError, match=r"method jmml, task lab, fold 0, seed 0 .*is not a leakage certificate"
    ):
        store.load(key)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: {"evidence": r.evidence.assign(seed=5)}, "evidence of seed 5; expected 0"),
        (lambda r: {"evidence": r.evidence.assign(modality="eeg")}, "no evidence from speech"),
        (lambda r: {"evidence": r.evidence.drop(columns="id")}, "evidence lacks the columns id"),
        (lambda r: {"embedding": r.embedding[1:]}, "expected float32"),
        (lambda r: {"embedding": r.embedding[0]}, "expected float32"),
    ],
)
def test_a_result_of_another_shape_is_not_saved(planned, store, change, said):
    key = of_method(planned, "jmml")
    result = result_of(planned, key)
    with pytest.raises(DataError, match=said):
        store.save(key, replace(result, **change(result)))
    assert store.state(key.digest) is None


def test_a_sound_cell_is_kept_unless_told(planned, store, saved):
    path = store.path(saved.digest) / CELL
    before = path.read_bytes()
    other = replace(result_of(planned, saved), candidate=0)
    store.save(saved, other)
    assert path.read_bytes() == before
    store.save(saved, other, replace=True)
    assert store.load(saved).candidate == 0


def test_many_writers_at_once(planned, store):
    key = of_method(planned, "jmml")
    result = result_of(planned, key)
    with ThreadPoolExecutor(8) as pool:
        for done in [
            pool.submit(CellStore(store.folder).save, key, result, replace=i % 2 == 0) for i in range(24)
        ]:
            done.result()
    assert store.state(key.digest) == ""
    assert [path.name for path in store.path(key.digest).parent.iterdir()] == [key.digest]


def test_newest_leaves_damaged_cells_out(planned, store):
    keys = planned.cells[:3]
    for key in keys:
        store.save(key, result_of(planned, key))
    assert len(store.newest(10)) == 3
    assert len(store.newest(2)) == 2
    (store.path(keys[0].digest) / CELL).write_text("{}")
    assert {record["method"] for record in store.newest(10)} == {key.method for key in keys[1:]}
    shutil.rmtree(store.folder)
    assert store.newest(10) == []
