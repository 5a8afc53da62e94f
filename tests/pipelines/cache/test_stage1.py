"""Stage-1 results on disk: computed once whatever happens to processes and files, and equal to the last bit."""

from __future__ import annotations

import functools
import json
import os
import pickle
import resource
import signal
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from jmml.errors import ModelError
from jmml.experiment import fit_fold, search_trial
from jmml.fingerprint import fingerprint
from jmml.models.jec_ssl import JECSSL
from jmml.task import make_split, training_part
from pipelines.cache.content import prune
from pipelines.cache.stage1 import Stage1Store
from tests import forked, waiting
from tests.jmml.tasks import small_method, small_task

PROCESSES = forked.context()
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(60, 9)), np.arange(60) % 3
KEYS = ["a", "b", "c", "d"]


def model(seed: int = 0) -> JECSSL:
    return JECSSL(p=2, r=3, hidden=8, epochs=2, seed=seed).fit(X, Y)


def store(folder: Path, **options) -> Stage1Store:
    return Stage1Store(folder, **{"code": "one"} | options)


def never() -> JECSSL:
    pytest.fail("was computed although it is there")


def entries(folder: Path) -> list[Path]:
    return [path for path in folder.glob("??/*") if path.is_dir()]


def everything(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.suffix != ".lock")


def bits(found: JECSSL) -> bytes:
    return (
        found.transform(X).tobytes() + found.class_logits(X).tobytes() + json.dumps(found.history_).encode()
    )


def counts(computed: int = 0, loaded: int = 0, waited: int = 0, unsaved: int = 0) -> dict[str, int]:
    return {"computed": computed, "loaded": loaded, "waited": waited, "unsaved": unsaved}


# ---------------------------------------------------------------------- one process


def test_a_loaded_model_is_the_computed_one_to_the_last_bit(tmp_path):
    first, second = store(tmp_path), store(tmp_path)
    made = first.obtain({"a": model})["a"]
    loaded = second.obtain({"a": never})["a"]
    assert bits(made) == bits(loaded) == bits(model())
    assert made.get_params() == loaded.get_params()
    assert (first.take_counts(), second.take_counts()) == (counts(computed=1), counts(loaded=1))
    assert first.take_counts() == counts()
    (entry,) = entries(tmp_path)
    assert sorted(path.name for path in entry.iterdir()) == ["model.json", "model.safetensors", "seal.json"]


def test_memory_holds_the_models_used_last(tmp_path, monkeypatch):
    kept = store(tmp_path, models=2)
    kept.obtain(dict.fromkeys("abc", model))
    reads = []
    load = JECSSL.from_state.__func__
    monkeypatch.setattr(
        JECSSL, "from_state", classmethod(lambda cls, *a, **k: (reads.append(1), load(cls, *a, **k))[1])
    )
    kept.obtain({"b": never, "c": never})
    assert len(reads) == 0
    kept.obtain({"a": never})
    assert len(reads) == 1
    assert kept.take_counts() == counts(computed=3, loaded=3)


def test_a_model_that_is_used_stays_in_memory_and_one_that_is_not_makes_room(tmp_path, monkeypatch):
    kept = store(tmp_path, models=2)
    made = model()
    for key in "abac":
        kept.obtain({key: lambda: made})
    monkeypatch.setattr(kept, "_load", lambda name: pytest.fail("was read again although it was used"))
    kept.obtain({"a": never, "c": never})


def test_results_of_other_code_or_libraries_are_not_shared(tmp_path):
    store(tmp_path).obtain({"a": model})
    other = store(tmp_path, code="two")
    other.obtain({"a": lambda: model(1)})
    assert other.take_counts() == counts(computed=1)
    assert len(entries(tmp_path)) == 2


def test_results_of_another_number_of_threads_are_not_shared(tmp_path):
    """It decides the last digits."""
    store(tmp_path).obtain({"a": model})
    other = pickle.loads(pickle.dumps(store(tmp_path, threads=2)))  # noqa: S301 - as Ray sends it to a worker
    other.obtain({"a": model})
    assert other.take_counts() == counts(computed=1)
    other.obtain({"a": never})
    store(tmp_path).obtain({"a": never})


def test_results_are_those_of_the_code_and_libraries_of_stage_1(tmp_path):
    found = fingerprint("jmml.memo")
    assert Stage1Store(tmp_path).code == found.digest
    assert "jmml.models.jec_ssl" in found.modules
    assert not {"jmml.models.edcc_cae", "jmml.config", "jmml.recogniser"} & set(found.modules)
    assert set(found.libraries) == {"numpy", "scipy", "scikit-learn", "torch"}


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("model.safetensors", cut),
        ("model.safetensors", flip),
        ("model.json", flip),
        ("model.json", Path.unlink),
        ("seal.json", cut),
        ("seal.json", lambda path: path.write_bytes(b"")),
    ],
)
def test_a_damaged_entry_is_computed_anew_and_replaced(tmp_path, file, damage):
    store(tmp_path).obtain({"a": model})
    (entry,) = entries(tmp_path)
    damage(entry / file)
    again = store(tmp_path)
    assert bits(again.obtain({"a": model})["a"]) == bits(model())
    assert again.take_counts() == counts(computed=1)
    assert store(tmp_path).obtain({"a": never})
    assert entries(tmp_path) == [entry]


def test_an_entry_under_another_name_is_not_taken_for_it(tmp_path):
    kept = store(tmp_path)
    kept.obtain({"a": model, "b": lambda: model(1)})
    a, b = kept.content.path(kept._name("a")), kept.content.path(kept._name("b"))
    for file in a.iterdir():
        (b / file.name).write_bytes(file.read_bytes())
    fresh = store(tmp_path)
    assert bits(fresh.obtain({"b": lambda: model(1)})["b"]) == bits(model(1))
    assert fresh.take_counts() == counts(computed=1)


def test_an_error_of_a_job_is_passed_on_and_frees_the_key(tmp_path):
    def diverges() -> JECSSL:
        raise ModelError("training diverged")

    with pytest.raises(ModelError, match="diverged"):
        store(tmp_path).obtain({"a": diverges})
    assert entries(tmp_path) == []
    assert store(tmp_path).obtain({"a": model})


def test_a_folder_that_cannot_be_written_costs_nothing_but_the_sharing(tmp_path):
    (tmp_path / "file").write_text("a file where a folder should be")
    kept = store(tmp_path / "file" / "stage1")
    assert bits(kept.obtain({"a": model})["a"]) == bits(model())
    assert kept.obtain({"a": never})  # from memory
    assert kept.take_counts() == counts(computed=1, loaded=1, unsaved=1)


def fill_up(folder: Path, report) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))  # no file may grow beyond: as on a full disk
    kept = store(folder)
    found = kept.obtain({"a": model})["a"]
    report.put((bits(found), kept.take_counts()))


def test_a_full_disk_leaves_nothing_half_written(tmp_path):
    report = PROCESSES.SimpleQueue()
    process = PROCESSES.Process(target=fill_up, args=(tmp_path, report))
    process.start()
    assert report.get() == (bits(model()), counts(computed=1, unsaved=1))
    process.join()
    assert [name for name in everything(tmp_path) if len(name) > 2] == []
    assert store(tmp_path).obtain({"a": model})


def test_the_folder_may_be_deleted_at_any_time(tmp_path):
    folder = tmp_path / "stage1"
    kept = store(folder, models=1)

    def while_it_is_deleted() -> JECSSL:
        import shutil

        shutil.rmtree(folder)
        return model()

    found = kept.obtain({"a": model, "b": while_it_is_deleted, "c": model})
    assert set(found) == {"a", "b", "c"}
    assert kept.take_counts()["computed"] == 3
    assert store(folder).obtain({"c": never})


def test_the_entries_that_were_not_used_for_longest_are_pruned(tmp_path):
    kept = store(tmp_path, models=1)
    kept.obtain(dict.fromkeys(KEYS, model))
    paths = {key: kept.content.path(kept._name(key)) for key in KEYS}
    for age, key in enumerate(KEYS):
        os.utime(paths[key], (1000 - age, 1000 - age))
    size = sum(file.stat().st_size for file in paths["a"].iterdir())
    kept.obtain({"d": never})  # by age the first to go, but it was just used
    stale = tmp_path / "ab" / ".half"
    stale.mkdir(parents=True)
    os.utime(stale, (1000, 1000))
    assert prune(tmp_path, 2 * size + size // 2) == 2 * size
    assert {key for key in KEYS if paths[key].exists()} == {"a", "d"}
    assert not stale.exists()
    assert prune(tmp_path, 0) == 2 * size
    assert entries(tmp_path) == []
    assert prune(tmp_path / "nowhere", 0) == 0


def test_an_entry_that_somebody_is_about_to_write_or_read_is_not_pruned(tmp_path):
    kept = store(tmp_path)
    kept.obtain({"a": model})
    path = kept.content.path(kept._name("a"))
    with FileLock(path.with_name(f"{path.name}.lock")):
        assert prune(tmp_path, 0) == 0
        assert path.exists()
    assert prune(tmp_path, 0) > 0


def test_another_process_gets_the_folder_and_not_the_models(tmp_path):
    kept = store(tmp_path)
    kept.obtain({"a": model})
    sent = pickle.loads(pickle.dumps(kept))  # noqa: S301 - as Ray sends it to a worker
    assert (sent.folder, sent.counts, len(sent._recent)) == (tmp_path, counts(), 0)
    assert sent.obtain({"a": never})


# ---------------------------------------------------------------------- several processes


class Marked:
    """A job that leaves a file when it begins and another when it is done, and waits for an event in between."""

    def __init__(self, folder: Path, key: str, go) -> None:
        self.folder, self.key, self.go = folder, key, go

    def __call__(self) -> JECSSL:
        (self.folder / f"begun-{self.key}-{os.getpid()}").touch()
        self.go(self.folder)
        found = model(KEYS.index(self.key))
        (self.folder / f"done-{self.key}-{os.getpid()}").touch()
        return found


def at_once(marks: Path) -> None:
    """Goes on."""


def once_both_have_begun(marks: Path) -> None:
    waiting.until(
        lambda: len({path.name.rpartition("-")[2] for path in marks.glob("begun-*")}) == 2, "two are at work"
    )


def once_it_may(marks: Path) -> None:
    waiting.until((marks / "go").exists, "it may go on", seconds=300)


def work(folder: Path, marks: Path, keys: list[str], go, report) -> None:
    kept = store(folder)
    found = kept.obtain({key: Marked(marks, key, go) for key in keys})
    report.put(({key: bits(value) for key, value in found.items()}, kept.take_counts()))


def started(folder: Path, marks: Path, keys: list[str], report, go):
    process = PROCESSES.Process(target=work, args=(folder, marks, keys, go, report))
    process.start()
    return process


def wait_for(marks: Path, pattern: str) -> None:
    waiting.until(lambda: list(marks.glob(pattern)), pattern)


@pytest.fixture
def marks(tmp_path: Path) -> Path:
    folder = tmp_path / "marks"
    folder.mkdir()
    return folder


def test_two_processes_share_the_work_and_compute_each_key_once(tmp_path, marks):
    report = PROCESSES.SimpleQueue()
    both = [started(tmp_path / "stage1", marks, KEYS, report, once_both_have_begun) for _ in range(2)]
    (first, one), (second, two) = report.get(), report.get()
    for process in both:
        process.join()
    assert sorted(path.name.split("-")[1] for path in marks.glob("done-*")) == KEYS
    assert first == second == {key: bits(model(number)) for number, key in enumerate(KEYS)}
    assert one["computed"] + two["computed"] == 4
    assert one["loaded"] + one["waited"] + two["loaded"] + two["waited"] == 4


def test_whoever_finds_a_key_busy_does_the_others_first(tmp_path, marks):
    report = PROCESSES.SimpleQueue()
    slow = started(tmp_path / "stage1", marks, ["a"], report, once_it_may)
    wait_for(marks, "begun-a-*")
    kept = store(tmp_path / "stage1")
    began = []

    def job(key: str) -> JECSSL:
        began.append(key)
        if key == "d":
            (marks / "go").touch()
        return model(KEYS.index(key))

    found = kept.obtain({key: functools.partial(job, key) for key in KEYS})
    assert began == ["b", "c", "d"]
    assert list(found) == KEYS
    assert kept.take_counts() == counts(computed=3, waited=1)
    assert bits(found["a"]) == report.get()[0]["a"]
    slow.join()


def test_a_holder_that_is_killed_frees_the_key_and_leaves_no_entry(tmp_path, marks):
    report = PROCESSES.SimpleQueue()
    folder = tmp_path / "stage1"
    holder = started(folder, marks, ["a"], report, once_it_may)
    wait_for(marks, "begun-a-*")
    other = started(folder, marks, ["a", "b"], report, at_once)
    wait_for(marks, "begun-b-*")  # it has found the other key busy
    os.kill(holder.pid, signal.SIGKILL)
    holder.join()
    found, counted = report.get()
    other.join()
    assert found == {"a": bits(model()), "b": bits(model(1))}
    assert counted == counts(computed=2)
    for entry in entries(folder):
        assert [path for path in entry.parent.iterdir() if path.name.startswith(".")] == []
    assert len(entries(folder)) == 2


def killed_while_it_writes(folder: Path) -> None:
    def save(self, target) -> None:
        (Path(target) / "model.safetensors").write_bytes(b"half of it")
        os.kill(os.getpid(), signal.SIGKILL)

    JECSSL.save = save  # type: ignore[method-assign]
    store(folder).obtain({"a": model})


def test_a_writer_that_is_killed_leaves_no_entry(tmp_path):
    process = PROCESSES.Process(target=killed_while_it_writes, args=(tmp_path,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    kept = store(tmp_path)
    assert not kept.content.path(kept._name("a")).exists()
    kept.obtain({"a": model})
    (entry,) = entries(tmp_path)
    assert [path.name for path in entry.parent.iterdir() if path.name.startswith(".")] == []


# ---------------------------------------------------------------------- with recognisers


def test_a_search_with_the_store_equals_one_without_to_the_last_bit(tmp_path):
    task = small_task()
    split = make_split(task, groups_per_fold=2, seed=0)
    training = training_part(task, split, 0)
    options = {"n_folds": 2, "seed": 0}
    plain = json.dumps(list(search_trial(training, small_method(), **options)))
    cold, warm = store(tmp_path), store(tmp_path)
    for kept in (cold, warm):
        assert json.dumps(list(search_trial(training, small_method(), memo=kept, **options))) == plain
    assert cold.take_counts() == counts(computed=4)
    assert warm.take_counts() == counts(loaded=4)
    # Another stage 2, another method: stage 1 is there.
    list(search_trial(training, small_method(k=2), memo=warm, **options))
    list(search_trial(training, small_method(), method="vicreg", memo=warm, **options))
    assert warm.take_counts() == counts(loaded=8)
    # Another stage 1, another seed, another part of the data: it is not.
    stage1 = small_method().stage1.model_copy(update={"alpha": 2.0})
    list(search_trial(training, small_method().model_copy(update={"stage1": stage1}), memo=warm, **options))
    list(search_trial(training, small_method(), n_folds=2, seed=1, memo=warm))
    list(search_trial(training_part(task, split, 1), small_method(), memo=warm, **options))
    assert warm.take_counts() == counts(computed=12)


def test_a_fit_with_the_store_equals_one_without(tmp_path):
    task = small_task()
    split = make_split(task, groups_per_fold=2, seed=0)
    plain, cold, warm = (
        fit_fold(task, split, 0, "jmml", small_method(), seed=0, memo=memo)
        for memo in (None, store(tmp_path), store(tmp_path))
    )
    X = task.speech.X[:7]
    assert plain.predict_proba(X_speech=X).tobytes() == warm.predict_proba(X_speech=X).tobytes()
    assert plain.history == cold.history == warm.history
    assert plain.certificate.to_json() == cold.certificate.to_json() == warm.certificate.to_json()
