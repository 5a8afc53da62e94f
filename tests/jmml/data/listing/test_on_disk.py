"""What a disk may hold in place of a recording: one line each, and nothing that blocks."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from jmml.data.listing.on_disk import check_file, kind_of, leads_out, pointer_in
from jmml.errors import RecordingError
from tests.jmml.data.corpora.make import write_wav

NOBODY = 65534
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"


def refused(path: Path, match: str) -> None:
    with pytest.raises(RecordingError, match=match) as caught:
        check_file(path, where="x.wav")
    assert str(caught.value).startswith("x.wav: ")
    assert "\n" not in str(caught.value)


def test_a_file_has_its_size(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert check_file(tmp_path / "a") == 3


def test_nothing_there_and_nothing_in_it(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    refused(tmp_path / "empty.wav", r"is empty \(0 bytes\)")
    refused(tmp_path / "gone.wav", "no such file")
    refused(tmp_path / ("n" * 300), "cannot be read: File name too long")
    (tmp_path / "folder.wav").mkdir()
    refused(tmp_path / "folder.wav", "is a folder; expected a file")


def test_what_would_never_end_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    refused(tmp_path / "pipe.wav", "is a named pipe, not a file")
    (tmp_path / "zero.wav").symlink_to("/dev/zero")
    refused(tmp_path / "zero.wav", "is a device, not a file")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(tmp_path / "s"))  # such a name must be short
        refused(tmp_path / "s", "is a socket")


def test_links(tmp_path: Path) -> None:
    (tmp_path / "a.wav").symlink_to(tmp_path / "b.wav")
    refused(tmp_path / "a.wav", "is a link that leads nowhere")
    (tmp_path / "b.wav").symlink_to(tmp_path / "a.wav")
    refused(tmp_path / "a.wav", "cannot be read: Too many levels of symbolic links")
    inside, outside = tmp_path / "corpus", tmp_path / "key"
    outside.write_text("secret")
    (inside / "deep").mkdir(parents=True)
    (inside / "deep" / "own.wav").write_text("own")
    (inside / "near.wav").symlink_to("deep/own.wav")
    (inside / "far.wav").symlink_to("../key")
    (inside / "folder").symlink_to(tmp_path)
    assert not leads_out(inside / "deep" / "own.wav", inside)
    assert not leads_out(inside / "near.wav", inside)
    assert leads_out(inside / "far.wav", inside)
    assert leads_out(inside / "folder" / "key", inside)
    (tmp_path / "door").symlink_to(inside)
    assert not leads_out(tmp_path / "door" / "near.wav", tmp_path / "door")


def test_no_permission(tmp_path: Path) -> None:
    write_wav(tmp_path / "closed" / "a.wav")
    (tmp_path / "closed").chmod(0)
    me = os.geteuid()
    try:
        if me == 0:
            os.seteuid(NOBODY)  # root may read everything
        refused(tmp_path / "closed" / "a.wav", "cannot be read: Permission denied")
    finally:
        os.seteuid(me)
        (tmp_path / "closed").chmod(0o700)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (LFS, "is a Git LFS pointer, not the data.*`git lfs pull`"),
        (b"/annex/objects/SHA256E-s12--ab.wav\n", "is a git-annex pointer, not the data.*`git annex get`"),
    ],
)
def test_pointers_name_the_command_that_fetches(tmp_path: Path, content: bytes, match: str) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    refused(tmp_path / "a.wav", match)


def test_links_of_git_annex(tmp_path: Path) -> None:
    (tmp_path / "a.wav").symlink_to("../.git/annex/objects/W4/x/SHA256E-s1--ab.wav")
    refused(tmp_path / "a.wav", "is a git-annex link, not the data.*`git annex get`")


def test_a_long_file_that_begins_like_a_pointer_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(LFS + b"x" * 2000)
    assert pointer_in(tmp_path / "a.txt") is None


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"PK\x03\x04rest", "a ZIP archive"),
        (b"\0\0\0\x20ftypM4A ", "MP4, M4A or MOV"),
        (b"<html><body>404", "a web page"),
        (b"hello", "text"),
        (b"\0\1\2\3\4\5", None),
    ],
)
def test_kinds(tmp_path: Path, content: bytes, kind: str | None) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    assert kind_of(tmp_path / "a.wav") == kind
