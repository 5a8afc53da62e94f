"""What lies on a disk where a recording should be: a file with something in it, or one line that says what it is."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from jmml.errors import RecordingError

POINTER_SIZE = 1024  # bytes; a pointer of Git LFS is smaller by its definition
_NOT_FILES = (
    (stat.S_ISDIR, "is a folder"),
    (stat.S_ISFIFO, "is a named pipe, not a file"),
    (stat.S_ISSOCK, "is a socket, not a file"),
    (stat.S_ISCHR, "is a device, not a file"),
    (stat.S_ISBLK, "is a device, not a file"),
)
# How a file begins that is something else than its name says.
_KINDS = (
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"7z\xbc\xaf", "a 7z archive"),
    (0, b"%PDF", "a PDF"),
    (0, b"\x89PNG", "a picture"),
    (0, b"\xff\xd8\xff", "a picture"),
    (4, b"ftyp", "MP4, M4A or MOV"),
    (0, b"\x1aE\xdf\xa3", "Matroska or WebM"),
    (0, b"<!DOCTYPE", "a web page"),
    (0, b"<html", "a web page"),
    (0, b"\x89HDF", "an HDF5 file"),
    (0, b"MATLAB", "a MATLAB file"),
)


def check_file(path: Path, *, where: object = None) -> int:
    """Size in bytes of a file that holds something. Opens nothing that could block.

    ``where`` is what messages call the file.

    Raises
    ------
    RecordingError : there is no file, it cannot be read, it is empty, a folder, a pipe or a device, a link that leads
        nowhere or in a circle, or a pointer to a file that was not fetched.
    """
    where = path if where is None else where
    try:
        found = path.stat()
    except OSError as error:
        raise _unreachable(path, where, error) from None
    if not stat.S_ISREG(found.st_mode):
        what = next((text for test, text in _NOT_FILES if test(found.st_mode)), "is not a file")
        raise RecordingError(what, where=where, expected="a file")
    if found.st_size == 0:
        raise RecordingError("is empty (0 bytes)", where=where, fix="copy the file again from its source")
    if (pointer := pointer_in(path, found.st_size)) is not None:
        what, command = pointer
        raise RecordingError(f"is {what}, not the data", where=where, fix=f"fetch them with {command}")
    return found.st_size


def pointer_in(path: Path, size: int | None = None) -> tuple[str, str] | None:
    """What stands in for the data, and the command that fetches them; None for anything else."""
    try:
        if path.is_symlink() and not path.exists():
            annexed = "annex/objects" in str(path.readlink())
            return ("a git-annex link", "`git annex get`") if annexed else None
        if (path.stat().st_size if size is None else size) > POINTER_SIZE:
            return None
        with path.open("rb") as file:
            head = file.read(POINTER_SIZE)
    except OSError:
        return None
    if head.startswith(b"version https://git-lfs.github.com/spec/"):
        return "a Git LFS pointer", "`git lfs pull`"
    if head.startswith((b"/annex/objects/", b"../.git/annex/objects/", b".git/annex/objects/")):
        return "a git-annex pointer", "`git annex get`"
    return None


def kind_of(path: Path) -> str | None:
    """What a file that is not a recording is, by how it begins; None where that is not known."""
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError:
        return None
    for offset, magic, kind in _KINDS:
        if head[offset : offset + len(magic)] == magic:
            return kind
    text = not any(byte < 9 or 13 < byte < 32 for byte in head)
    return "text" if text and head.isascii() else None


def leads_out(path: Path, root: Path) -> bool:
    """Whether a path below ``root`` is or passes a link to something outside of it."""
    top = os.path.realpath(root)
    return os.path.commonpath([top, os.path.realpath(path)]) != top


def _unreachable(path: Path, where: object, error: OSError) -> RecordingError:
    if isinstance(error, FileNotFoundError):
        if path.is_symlink():
            if (pointer := pointer_in(path)) is not None:
                return RecordingError(
                    f"is {pointer[0]}, not the data", where=where, fix=f"fetch them with {pointer[1]}"
                )
            return RecordingError("is a link that leads nowhere", where=where, fix="remove or repair it")
        return RecordingError("no such file", where=where)
    return RecordingError(f"cannot be read: {error.strerror or error}", where=where)
