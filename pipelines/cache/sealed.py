"""A store of folders on disk, each named by the digest of what determines its content.

    <folder>/<2 hex>/<digest>/cell.json     what it was made from, the digests of its files, a seal over both
                              ...           its files

An entry is written as a whole and verified whenever it is read; one that is damaged counts as absent, and is replaced
when it is made again. Several processes may use one folder at once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock

from jmml.config import digest
from jmml.errors import DataError
from jmml.files import atomic_folder, sha256_file

CELL = "cell.json"


class SealedStore:
    """Reader and writer of the entries below ``folder``.

    Parameters
    ----------
    again : what makes a damaged entry anew: the next step in messages.
    """

    def __init__(self, folder: Path, *, again: str) -> None:
        self.folder = folder
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

    def write(
        self, record: Mapping[str, Any], fill: Callable[[Path], None], *, replace: bool = False
    ) -> None:
        """Write the entry of ``record["parts"]``; a sound one that is there already is kept, unless ``replace``.

        Parameters
        ----------
        record : what ``cell.json`` says; ``parts`` in it is all that determines the content.
        fill : writes the files into an empty folder.
        """
        name = digest(record["parts"], length=64)
        self._prepare()
        with FileLock(self.folder / ".lock"):
            if not replace and self.state(name) == "":
                return
            with atomic_folder(self.path(name)) as folder:
                fill(folder)
                files = sorted(path for path in folder.rglob("*") if path.is_file())
                sealed = dict(record)
                sealed["files"] = {path.relative_to(folder).as_posix(): sha256_file(path) for path in files}
                sealed["seal"] = _seal(sealed)
                (folder / CELL).write_text(json.dumps(sealed, indent=1) + "\n", encoding="utf-8")

    def record(self, name: str, *, files: bool = True) -> dict[str, Any]:
        """``cell.json`` of an entry, once its seal, its name and (unless told otherwise) its files agree.

        Raises
        ------
        DataError : it is absent or damaged; the message names its folder.
        """
        path = self.path(name)
        try:
            record: dict[str, Any] = json.loads((path / CELL).read_text(encoding="utf-8"))
            if record["seal"] != _seal(record):
                raise DataError("cell.json was changed", where=path, **self.damaged)
            if digest(record["parts"], length=64) != name:
                raise DataError(
                    "the cell is not the one its folder is named after", where=path, **self.damaged
                )
            for file, expected in record["files"].items() if files else ():
                if sha256_file(path / file) != expected:
                    raise DataError(f"{file} was changed", where=path, **self.damaged)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise DataError("the cell is incomplete", where=path, **self.damaged) from None
        return record

    def newest(self, limit: int) -> list[dict[str, Any]]:
        """Records of the entries written last, whatever made them; damaged ones left out."""
        paths = self.folder.glob(f"??/[!.]*/{CELL}")
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
        note = self.folder.parent / ".gitignore"
        if not note.exists():
            note.write_text("*\n", encoding="utf-8")


def _seal(record: Mapping[str, Any]) -> str:
    """SHA-256 over everything else in ``cell.json``; scores that are not a number are allowed there."""
    rest = {name: value for name, value in record.items() if name != "seal"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()
