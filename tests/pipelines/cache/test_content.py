"""One store of folders by content: whole or absent, verified, and no larger than it may be."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from filelock import Timeout

from jmml.config import digest
from jmml.errors import DataError
from pipelines.cache import content
from pipelines.cache.content import ContentStore, prune

PARTS = {"what": "a"}
NAME = digest(PARTS, length=64)


@pytest.fixture
def store(tmp_path: Path) -> ContentStore:
    return ContentStore(tmp_path / "store", again="make it again")


def fill(text: str = "content"):
    def write(folder: Path) -> None:
        (folder / "deep").mkdir()
        (folder / "deep" / "file").write_text(text)

    return write


def text(store: ContentStore, name: str = NAME) -> str:
    return (store.path(name) / "deep" / "file").read_text()


def test_an_entry_is_named_by_its_parts_or_by_itself(store: ContentStore) -> None:
    store.write({"parts": PARTS, "score": float("nan")}, fill())
    store.put({"entry": "ab" * 16}, fill())
    assert store.record(NAME)["parts"] == PARTS
    assert store.record("ab" * 16)["entry"] == "ab" * 16
    assert store.path("ab" * 16) == store.folder / "ab" / ("ab" * 16)
    assert list(store.record(NAME)["files"]) == ["deep/file"]
    assert (store.state(NAME), store.state("cd" * 16)) == ("", None)


def test_a_sound_entry_is_kept_and_a_damaged_one_replaced(store: ContentStore) -> None:
    store.write({"parts": PARTS}, fill("first"))
    store.write({"parts": PARTS}, fill("second"))
    assert text(store) == "first"
    store.write({"parts": PARTS}, fill("third"), replace=True)
    assert text(store) == "third"
    (store.path(NAME) / "deep" / "file").write_text("edited")
    assert "deep/file was changed" in str(store.state(NAME))
    store.write({"parts": PARTS}, fill("fourth"))
    assert text(store) == "fourth"


@pytest.mark.parametrize("entry", [NAME, "ab" * 16])
def test_whatever_is_changed_in_a_manifest_is_noticed(store: ContentStore, entry: str) -> None:
    store.put({"parts": PARTS} if entry == NAME else {"entry": entry}, fill())
    path = store.path(entry) / store.manifest
    record = json.loads(path.read_text())
    for key in record:
        if key == "seal" and entry != NAME:
            continue  # of a stage-1 entry of version 0.1.0
        for changed in ({**record, key: "other"}, {name: record[name] for name in record if name != key}):
            path.write_text(json.dumps(changed))
            with pytest.raises(DataError, match="Make it again"):
                store.record(entry)
    path.write_text(json.dumps(record))
    assert store.record(entry) == record


@pytest.mark.parametrize("file", ["../file", "deep/../../../file", "/etc/hostname"])
def test_a_manifest_that_leads_out_of_its_folder_is_damaged(store: ContentStore, file: str) -> None:
    """Also one with the right digest and seal: whoever copies an entry writes to the names that it gives."""
    store.put({"parts": PARTS}, fill())
    (store.folder / "file").write_text("content")
    path = store.path(NAME) / store.manifest
    record = json.loads(path.read_text())
    record["files"] = {file: record["files"]["deep/file"]}
    path.write_text(json.dumps(record | {"seal": content._seal(record)}))
    for files in (True, False):
        with pytest.raises(DataError, match=f"{file} is not in its folder"):
            store.record(NAME, files=files)


def test_what_fails_while_it_is_written_leaves_what_was_there(store: ContentStore) -> None:
    def fails(folder: Path) -> None:
        (folder / "half").touch()
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        store.write({"parts": PARTS}, fails)
    assert store.state(NAME) is None
    store.write({"parts": PARTS}, fill())
    with pytest.raises(OSError, match="no space"):
        store.write({"parts": PARTS}, fails, replace=True)
    assert store.state(NAME) == ""
    assert [path for path in store.folder.rglob("*") if path.name.startswith(f".{NAME}")] == []


def test_one_at_a_time_holds_an_entry(store: ContentStore) -> None:
    with store.lock(NAME, timeout=0):
        with pytest.raises(Timeout), store.lock(NAME, timeout=0):
            pass
        with store.lock("ab" * 16, timeout=0):
            pass
    with store.lock(NAME, timeout=0):
        pass


def test_a_folder_that_cannot_have_locks_has_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with ContentStore(tmp_path / "file" / "store", again="x").lock(NAME, timeout=0):
        pass


def test_those_used_last_are_kept(store: ContentStore) -> None:
    names = [number * 16 for number in ("aa", "bb", "cc")]
    for age, name in enumerate(names):
        store.put({"entry": name}, fill())
        os.utime(store.path(name), (1000 - age, 1000 - age))
    store.used(names[2])  # the oldest, but for this
    one = sum(path.stat().st_size for path in store.path(names[0]).rglob("*") if path.is_file())
    assert prune(store.folder, 2 * one) == one
    assert [store.state(name) for name in names] == ["", None, ""]


@pytest.mark.parametrize(("minutes", "left"), [(59, True), (61, False)])
def test_what_another_is_writing_is_left_for_an_hour(store: ContentStore, minutes: int, left: bool) -> None:
    half = store.path(NAME).with_name(f".{NAME}.half")
    half.mkdir(parents=True)
    (half / "file").touch()
    then = time.time() - 60 * minutes
    os.utime(half, (then, then))
    assert prune(store.folder, 10**9) == 0
    assert (half / "file").exists() == left


def test_the_newest_first_and_damaged_ones_left_out(store: ContentStore) -> None:
    for age, name in enumerate(number * 16 for number in ("aa", "bb", "cc", "dd")):
        store.put({"entry": name}, fill())
        os.utime(store.path(name) / store.manifest, (1000 - age, 1000 - age))
    (store.path("bb" * 16) / store.manifest).write_text("{")
    assert [record["entry"][:2] for record in store.newest(3)] == ["aa", "cc"]
