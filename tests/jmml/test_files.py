from __future__ import annotations

import hashlib
import os
import signal

import pytest

from jmml.files import UNFINISHED, atomic_folder, atomic_path, sha256_file, sweep


def test_a_file_appears_whole(tmp_path):
    target = tmp_path / "deep" / "a.txt"
    with atomic_path(target) as temporary:
        temporary.write_text("new")
        assert not target.exists()
    assert target.read_text() == "new"
    assert [p.name for p in target.parent.iterdir()] == ["a.txt"]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_folder_replaces_the_old_one_whole(tmp_path):
    target = tmp_path / "model"
    for name in ("one", "two"):
        with atomic_folder(target) as temporary:
            (temporary / name).write_text(name)
    assert [p.name for p in target.iterdir()] == ["two"]
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_a_failed_folder_leaves_the_old_one(tmp_path):
    target = tmp_path / "model"
    target.mkdir()
    (target / "one").write_text("1")
    with pytest.raises(RuntimeError), atomic_folder(target) as temporary:
        (temporary / "two").write_text("2")
        raise RuntimeError
    assert [p.name for p in target.iterdir()] == ["one"]
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_sha256_of_a_file(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    assert sha256_file(path) == hashlib.sha256(b"abc").hexdigest()


def killed_while(work):
    """The exit of a child that kills itself inside of ``work``."""
    child = os.fork()
    if child == 0:
        try:
            with work() as temporary:
                if temporary.is_dir():
                    (temporary / "half").write_text("half")
                else:
                    temporary.write_text("half")
                os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL


@pytest.mark.parametrize("kind", [atomic_path, atomic_folder])
def test_what_a_killed_process_left_is_swept_and_what_is_at_work_is_not(tmp_path, kind):
    killed_while(lambda: kind(tmp_path / "a.txt"))
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(f".a.txt{UNFINISHED}")
    with kind(tmp_path / "b.txt") as temporary:
        assert sweep(tmp_path) == [left]
        assert [path.name for path in tmp_path.iterdir()] == [temporary.name]
    (tmp_path / ".mine").write_text("hidden, and no one's business")
    assert sweep(tmp_path) == []
    assert (tmp_path / ".mine").exists()


def test_a_folder_that_was_being_replaced_is_put_back(tmp_path, monkeypatch):
    target = tmp_path / "model"
    target.mkdir()
    (target / "one").write_text("1")
    child = os.fork()
    if child == 0:
        try:
            replace, calls = type(target).replace, []

            def late(self, other):
                calls.append(other)
                if len(calls) == 2:
                    os.kill(os.getpid(), signal.SIGKILL)
                return replace(self, other)

            monkeypatch.setattr(type(target), "replace", late)
            with atomic_folder(target) as temporary:
                (temporary / "two").write_text("2")
        finally:
            os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert not target.exists()
    sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert (target / "one").read_text() == "1"
