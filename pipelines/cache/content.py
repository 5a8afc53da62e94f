"""A store of folders on disk, each named by the digest of what determines its content: study cells, models, stage 1.

    <folder>/<2 hex>/<name>/<manifest>      what the entry is, the digests of its files, a seal over both
                            ...             its files, as a codec writes them
                    /<name>.lock            held by whoever computes or prunes the entry

An entry appears at once, as a whole, and is verified whenever it is read. One that is damaged counts as absent, and is
replaced when it is made again. Several processes may use one folder at once, and it may be deleted at any time. What a
codec adds is how a result becomes files, and how it is read from them; nothing is ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any

from filelock import FileLock, Timeout

from jmml.config import digest
from jmml.errors import DataError
from jmml.files import atomic_folder, sha256_file
from pipelines.workspace.project import keep_out_of_git

CELL = "cell.json"
POLL_SECONDS = 0.05
LEFT_OVER_SECONDS = 3600.0


class ContentStore:
    """Reader and writer of the entries below ``folder``.

    Parameters
    ----------
    again : what makes a damaged entry anew: the next step in messages.
    manifest : name of the file that says what an entry is: by ``parts``, whose digest is its name, or by ``entry``.
    """

    def __init__(self, folder: Path, *, again: str, manifest: str = CELL) -> None:
        self.folder, self.manifest = folder, manifest
        self.damaged = {"expected": "the files as they were written", "fix": again}

    def path(self, name: str) -> Path:
        """Where the entry of that digest lies, or would lie."""
        return self.folder / name[:2] / name

    def state(self, name: str) -> str | None:
        """None when there is no such entry, an empty text when it is sound, else what is wrong with it."""
        if not self.path(name).is_dir():
            return None
        try:
            self.record(name)
        except DataError as error:
            return str(error)
        return ""

    def record(self, name: str, *, files: bool = True) -> dict[str, Any]:
        """The manifest of an entry, once its seal, its name and (unless told otherwise) its files agree.

        Raises
        ------
        DataError : it is absent or damaged; the message names its folder.
        """
        path = self.path(name)
        try:
            record: dict[str, Any] = json.loads((path / self.manifest).read_text(encoding="utf-8"))
            # Stage-1 entries of version 0.1.0 have no seal: the digests of their files are all that they say.
            seal = record["seal"] if "parts" in record else record.get("seal", _seal(record))
            if seal != _seal(record):
                raise DataError(f"{self.manifest} was changed", where=path, **self.damaged)
            if _name(record) != name:
                raise DataError(
                    "the cell is not the one its folder is named after", where=path, **self.damaged
                )
            for file in filter(_leads_out, record["files"]):
                raise DataError(f"{file} is not in its folder", where=path, **self.damaged)
            for file, expected in record["files"].items() if files else ():
                if sha256_file(path / file) != expected:
                    raise DataError(f"{file} was changed", where=path, **self.damaged)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise DataError("the cell is incomplete", where=path, **self.damaged) from None
        return record

    def write(
        self, record: Mapping[str, Any], fill: Callable[[Path], None], *, replace: bool = False
    ) -> None:
        """Write the entry of a manifest; a sound one that is there already is kept, unless ``replace``.

        Parameters
        ----------
        record : what the manifest says besides the digests of the files.
        fill : writes the files into an empty folder.
        """
        self._prepare()
        with FileLock(self.folder / ".lock"):
            if not replace and self.state(_name(record)) == "":
                return
            self.put(record, fill)

    def put(self, record: Mapping[str, Any], fill: Callable[[Path], None]) -> None:
        """Write an entry, whatever is there, for one who holds its lock; arguments as of :meth:`write`."""
        path = self.path(_name(record))
        for left_over in path.parent.glob(f".{path.name}.*"):  # of a process that was killed while it wrote
            shutil.rmtree(left_over, ignore_errors=True)
        with atomic_folder(path) as folder:
            fill(folder)
            files = sorted(file for file in folder.rglob("*") if file.is_file())
            sealed = dict(record)
            sealed["files"] = {file.relative_to(folder).as_posix(): sha256_file(file) for file in files}
            sealed["seal"] = _seal(sealed)
            (folder / self.manifest).write_text(json.dumps(sealed, indent=1) + "\n", encoding="utf-8")

    def used(self, name: str) -> None:
        """Note that an entry was used: :func:`prune` takes others first."""
        with suppress(OSError):
            os.utime(self.path(name))

    @contextmanager
    def lock(self, name: str, *, timeout: float) -> Iterator[None]:
        """Hold the lock of an entry, which the system releases however the holder ends.

        In a folder that cannot have locks nobody is told that the entry is being made.

        Raises
        ------
        filelock.Timeout : another process holds it.
        """
        path = self.path(name).with_name(f"{name}.lock")
        lock: FileLock | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(path, mode=0o666)
            lock.acquire(timeout=timeout, poll_interval=POLL_SECONDS)
        except Timeout:
            raise
        except (OSError, NotImplementedError):
            lock = None
        try:
            yield
        finally:
            if lock is not None:
                lock.release()

    def newest(self, limit: int) -> list[dict[str, Any]]:
        """Manifests of the entries written last, whatever made them; damaged ones left out."""
        paths = self.folder.glob(f"??/[!.]*/{self.manifest}")
        found = []
        for path in sorted(paths, key=lambda path: path.stat().st_mtime, reverse=True)[:limit]:
            try:
                found.append(self.record(path.parent.name, files=False))
            except DataError:
                continue
        return found

    def _prepare(self) -> None:
        """The folder, with a note that keeps it out of git wherever the project lies."""
        self.folder.mkdir(parents=True, exist_ok=True)
        keep_out_of_git(self.folder.parent)


def prune(folder: Path, max_bytes: int) -> int:
    """Delete entries of a store, those not used for longest first, beyond so many bytes; the number of bytes deleted.

    Entries that somebody is about to write or read are left. What processes that were killed have left half-written
    goes after an hour.
    """
    for left_over in folder.glob("[0-9a-f][0-9a-f]/.*"):
        with suppress(OSError):
            if time.time() - left_over.stat().st_mtime > LEFT_OVER_SECONDS:
                shutil.rmtree(left_over)
    entries = sorted(_entries(folder))
    size = sum(size for _, size, _ in entries)
    deleted = 0
    for _, own, path in entries:
        if size - deleted <= max_bytes:
            break
        lock = path.with_name(f"{path.name}.lock")
        with suppress(OSError, Timeout), FileLock(lock, timeout=0):
            # Moved first, so that nobody reads half of it.
            away = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
            path.replace(away / path.name)
            shutil.rmtree(away, ignore_errors=True)
            deleted += own
            lock.unlink(missing_ok=True)
    return deleted


def _entries(folder: Path) -> Iterable[tuple[float, int, Path]]:
    """``(last use, bytes, path)`` of every entry."""
    for path in folder.glob("[0-9a-f][0-9a-f]/*"):
        if path.is_dir() and not path.name.startswith("."):
            with suppress(OSError):
                size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
                yield path.stat().st_mtime, size, path


def _leads_out(file: str) -> bool:
    """Whether the name of an entry's file leads out of the entry."""
    name = PurePosixPath(file)
    return name.is_absolute() or ".." in name.parts


def _name(record: Mapping[str, Any]) -> str:
    """Name of the entry that a manifest describes."""
    return digest(record["parts"], length=64) if "parts" in record else str(record["entry"])


def _seal(record: Mapping[str, Any]) -> str:
    """SHA-256 over everything else in a manifest; scores that are not a number are allowed there."""
    rest = {name: value for name, value in record.items() if name != "seal"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()
