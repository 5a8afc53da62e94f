"""The kept models of the stage ``train``: found by all that they depend on, and copied as they were written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from jmml.errors import DataError
from jmml.experiment import fit_fold
from jmml.files import sha256_file
from jmml.task import make_split
from pipelines.cache import content
from pipelines.cache.cells import Key
from pipelines.cache.content import CELL
from pipelines.cache.models import ModelStore, model_keys
from tests.jmml.tasks import small_method, small_params, small_task

KEY = Key(task="lab", method="raw", fold=0, seed=0, parts={"method": "raw"})
AGAIN = "Run `dvc repro` again: it trains the model anew"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> ModelStore:
    """A store with one model. Not to be changed."""
    task = small_task()
    found = ModelStore(tmp_path_factory.mktemp("written") / "models")
    found.save(
        KEY, fit_fold(task, make_split(task, groups_per_fold=2, seed=0), 0, "raw", small_method(), seed=0)
    )
    return found


@pytest.fixture
def store(written: ModelStore, tmp_path: Path) -> ModelStore:
    return ModelStore(shutil.copytree(written.folder, tmp_path / "models"))


def contents(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def test_a_model_is_copied_as_it_was_written(store: ModelStore, tmp_path: Path) -> None:
    assert store.copy(KEY, tmp_path / "copy") == store.record(KEY.digest)["history"]
    assert contents(tmp_path / "copy") == contents(store.path(KEY.digest) / "model") != {}


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [flip, Path.unlink])
def test_a_damaged_model_is_not_copied(
    store: ModelStore, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    *_, file = store.record(KEY.digest)["files"]
    damage(store.path(KEY.digest) / file)
    with pytest.raises(DataError, match=f"{file} (was changed|cannot be read).*{AGAIN}"):
        store.copy(KEY, tmp_path / "copy")
    assert Path(file).relative_to("model").as_posix() not in contents(tmp_path / "copy")


def test_nothing_is_copied_to_beside_the_target(store: ModelStore, tmp_path: Path) -> None:
    """By a manifest that somebody made, with digests and a seal that fit."""
    outside, path = "model/../../../../plan.txt", store.path(KEY.digest)
    (path / outside).write_text("from elsewhere")
    record = json.loads((path / CELL).read_text())
    record["files"] = {outside: sha256_file(path / outside)}
    (path / CELL).write_text(json.dumps(record | {"seal": content._seal(record)}))
    with pytest.raises(DataError, match=f"plan.txt is not in its folder.*{AGAIN}"):
        store.copy(KEY, tmp_path / "one" / "two" / "three" / "copy")
    assert not (tmp_path / "one").exists()


def test_what_a_model_depends_on_is_in_its_key() -> None:
    params, task = small_params(), small_task()
    split = make_split(task, groups_per_fold=2, seed=0)

    def names(task=task, params=params, code: str = "one") -> set[str]:
        return {key.digest for key in model_keys(params, task, split, ["raw", "jmml"], code=code)}

    assert names() == names()
    assert len(names()) == 2 * len(split) * len(params.protocol.seeds)
    for other in (
        names(code="two"),
        names(task=replace(task, context={**task.context, "features": "of another extractor"})),
        names(params=params.model_copy(update={"method": small_method(k=2)})),
        names(params=params.model_copy(update={"device": "cuda"})),
    ):
        assert names().isdisjoint(other)
