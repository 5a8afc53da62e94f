"""System calls that fail: the n-th that this process makes below a folder, once.

``open``, ``rename``, ``mkdir`` and ``truncate`` are seen by an audit hook of Python's, whoever makes them in Python;
``os.write`` and ``os.fsync`` by what stands in their place. What SQLite and numpy write from C is not seen.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

AUDITED = ("open", "os.rename", "os.mkdir", "os.truncate")


@dataclass
class Calls:
    """The calls below ``root`` while it is :meth:`watching`.

    Attributes
    ----------
    but : folders below ``root`` that do not count.
    seen : each call as ``kind path``, in order.
    fails : number of the call that fails, from 1; none where 0.
    """

    root: Path
    but: tuple[str, ...] = ()
    fails: int = 0
    seen: list[str] = field(default_factory=list)

    @property
    def failed(self) -> str:
        """The call that failed; empty where none has."""
        return self.seen[self.fails - 1] if 0 < self.fails <= len(self.seen) else ""

    @contextmanager
    def watching(self) -> Iterator[None]:
        global _watched
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "write", self._counted("write", os.write))
            patch.setattr(os, "fsync", self._counted("fsync", os.fsync))
            _watched = self
            try:
                yield
            finally:
                _watched = None

    def count(self, kind: str, place: Any) -> None:
        """One call; the chosen one meets a full disk, or a broken one where it would bring data to it."""
        try:
            path = (
                Path(f"/proc/self/fd/{place}").readlink()
                if isinstance(place, int)
                else Path(os.fsdecode(place))
            )
        except (OSError, TypeError):
            return
        if not path.is_relative_to(self.root) or any(
            path.is_relative_to(self.root / name) for name in self.but
        ):
            return
        if kind == "mkdir" and path.is_dir():  # only asks whether it is there
            return
        self.seen.append(f"{kind} {path.relative_to(self.root)}")
        if len(self.seen) == self.fails:
            number = errno.EIO if kind == "fsync" else errno.ENOSPC
            raise OSError(number, os.strerror(number), str(path))

    def _counted(self, kind: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(descriptor: int, *arguments: Any) -> Any:
            self.count(kind, descriptor)
            return call(descriptor, *arguments)

        return counted


_watched: Calls | None = None


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _watched is not None and event in AUDITED:
        _watched.count(event.removeprefix("os."), arguments[0])


sys.addaudithook(_hook)  # for the life of the process: Python takes none away
