"""Writing files so that nothing half-written is ever left in place of something good."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

UNFINISHED = ".unfinished-"  # in the names of what takes its place when it is whole
_OLD = "old-"  # follows it in the name of what holds a folder that is being replaced


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary file beside ``path`` that takes its place when the block succeeds, else vanishes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _held(path, folder=False) as temporary:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(path)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside ``path`` that takes its place when the block succeeds, else vanishes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _held(path, folder=True) as temporary:
        yield temporary
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o777 & ~mask)
        if path.exists():
            with _held(path, folder=True, mark=_OLD) as old:
                path.replace(old / path.name)
                temporary.replace(path)
        else:
            temporary.replace(path)


def sweep(folder: Path) -> list[Path]:
    """Remove what killed processes have left unfinished directly in ``folder``; what was removed.

    What a process is still at work on is locked by it, and stays; so does everything where locks are not to be had.
    """
    swept = []
    with suppress(OSError):
        for entry in sorted(folder.iterdir()):
            name, _, rest = entry.name[1:].rpartition(UNFINISHED)
            if not entry.name.startswith(".") or not name:
                continue
            kept = entry / name if rest.startswith(_OLD) else None
            if remove_idle(entry, keep=kept, to=folder / name):
                swept.append(entry)
    return swept


def remove_idle(path: Path, *, keep: Path | None = None, to: Path | None = None) -> bool:
    """Remove a file or folder that nobody has locked; whether it is gone.

    ``keep``, which lies in it, goes to ``to`` first, unless something is there.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if keep is not None and to is not None and keep.exists() and not to.exists():
            keep.replace(to)
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return not path.exists()


@contextmanager
def _held(path: Path, *, folder: bool, mark: str = "") -> Iterator[Path]:
    """A new file or folder beside ``path``, locked, so that nobody sweeps it, and removed at the end if it is there."""
    while True:
        prefix = f".{path.name}{UNFINISHED}{mark}"
        if folder:
            temporary = Path(tempfile.mkdtemp(prefix=prefix, dir=path.parent))
            descriptor = os.open(temporary, os.O_RDONLY)
        else:
            descriptor, name = tempfile.mkstemp(prefix=prefix, suffix=path.suffix, dir=path.parent)
            temporary = Path(name)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue  # someone sweeps it, between its making and its lock
            except OSError:  # no locks here, so nothing is swept either
                pass
            if not temporary.exists():
                continue
            yield temporary
            return
        finally:
            if folder:
                shutil.rmtree(temporary, ignore_errors=True)
            else:
                temporary.unlink(missing_ok=True)
            os.close(descriptor)


def sha256_file(path: Path, *, length: int = 64) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()[:length]
