"""The journal of a sweep: an append-only file of events, the only truth about it.

One event per line, ``<crc32 of the JSON, 8 hex digits> <JSON>``; the kinds are those of
:mod:`pipelines.sweep.record.state`. One process appends (the driver, which holds the sweep's lock), any number read at
the same time. An event is with the operating system before :meth:`Journal.append` returns, so that the end of the
process loses nothing, and on the disk before :meth:`Journal.sync` returns, so that the end of the machine loses nothing
either.

A line that was cut off by the end of the machine or a full disk is left out by readers and cut away by the next
writer. A damaged line in the middle is an error: it is never skipped in silence.
"""

from __future__ import annotations

import errno
import json
import os
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from jmml.errors import SweepError

Event = dict[str, Any]

_MAX_CHUNK = 1 << 20  # bytes that a reader takes at once


class JournalFullError(SweepError):
    """The journal cannot be written: the disk is full, or not writable any more."""


def encode(event: Event) -> bytes:
    """One line of a journal. NaN and infinities are kept; JSON readers of Python know them."""
    text = json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def decode(line: bytes) -> Event | None:
    """The event of one line without its end, None when the line is damaged."""
    try:
        if line[8:9] != b" " or int(line[:8], 16) != zlib.crc32(line[9:]):
            return None
        event = json.loads(line[9:])
    except ValueError:
        return None
    return event if isinstance(event, dict) else None


class Journal:
    """The writer; a half-written last line is cut away when it is opened.

    Raises
    ------
    SweepError : the file is damaged before its last line, or cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            sound = sum(len(line) for line, _ in _lines(path, 0)) if path.exists() else 0
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
            os.ftruncate(self._file, sound)
        except OSError as error:
            raise _cannot(error, path) from error
        self._unsynced = False
        self._broken: OSError | None = None

    def append(self, kind: str, **values: Any) -> Event:
        """Write an event, with the time (``t``, ms since 1970); the event as readers will see it.

        Raises
        ------
        JournalFullError : it could not be written. The file ends where it ended before; where even that fails, in a
            half line, which the next writer cuts away, and this one writes no more.
        """
        self._check()
        event = {"e": kind, "t": int(time.time() * 1000), **values}
        line = encode(event)
        try:
            end = os.fstat(self._file).st_size
            try:
                if os.write(self._file, line) < len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except OSError:
                self._cut(end)
                raise
        except OSError as error:
            raise _cannot(error, self.path) from error
        self._unsynced = True
        return event

    def sync(self) -> None:
        """Wait until everything appended is on the disk.

        Raises
        ------
        JournalFullError : it is not, and may never be: the system drops what it could not write and reports that once.
            Nothing more is written, as a later success would say nothing of those events.
        """
        self._check()
        if self._unsynced:
            try:
                os.fsync(self._file)
            except OSError as error:
                self._broken = error
                raise _cannot(error, self.path) from error
            self._unsynced = False

    def close(self) -> None:
        if self._file >= 0:
            try:
                if self._broken is None:
                    self.sync()
            finally:
                os.close(self._file)
                self._file = -1

    def _check(self) -> None:
        if self._broken is not None:
            raise _cannot(self._broken, self.path)

    def _cut(self, end: int) -> None:
        """Take a half line away again."""
        try:
            os.ftruncate(self._file, end)
        except OSError as error:
            self._broken = error


class Follower:
    """A reader that remembers how far it is: each call of :meth:`read` gives the events added since the last.

    Parameters
    ----------
    offset : byte from which to read, one that :attr:`offset` had before.
    """

    def __init__(self, path: Path, offset: int = 0) -> None:
        self.path, self.offset = path, offset

    def read(self, limit: int | None = None) -> Iterator[Event]:
        """New events, at most ``limit``; :attr:`offset` moves on with each event that is handed over.

        Raises
        ------
        SweepError : the journal is damaged, or there is none.
        """
        try:
            for count, (line, event) in enumerate(_lines(self.path, self.offset)):
                if count == limit:
                    return
                self.offset += len(line)
                yield event
        except OSError as error:
            raise SweepError(f"cannot be read: {error.strerror or error}", where=self.path) from error

    @property
    def behind(self) -> int:
        """Bytes that wait to be read."""
        try:
            return max(0, self.path.stat().st_size - self.offset)
        except OSError:
            return 0


def read(path: Path) -> Iterator[Event]:
    """All events of a journal."""
    return Follower(path).read()


def begins(path: Path) -> bool:
    """Whether there is a journal with a first event, or with a damaged one, which whoever reads it is told."""
    try:
        with path.open("rb") as handle:
            line = handle.readline()
            return (line.endswith(b"\n") and decode(line[:-1]) is not None) or bool(handle.read(1))
    except OSError:
        return False


def _lines(path: Path, offset: int) -> Iterator[tuple[bytes, Event]]:
    """Whole lines with their events from ``offset`` on. A damaged line counts as cut off when it is the last."""
    with path.open("rb") as handle:
        handle.seek(offset)
        position = offset
        for line in _whole_lines(handle):
            event = decode(line[:-1])
            if event is None:
                if path.stat().st_size > position + len(line):
                    raise SweepError(
                        f"is damaged at byte {position}",
                        where=path,
                        expected="lines as they were written",
                        fix="restore the file from a copy; what is before that byte is sound",
                    )
                return
            yield line, event
            position += len(line)


def _whole_lines(handle: BinaryIO) -> Iterator[bytes]:
    """Lines that have their end; a last one without is left out."""
    rest = b""
    while chunk := handle.read(_MAX_CHUNK):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line + b"\n"


def _cannot(error: OSError, path: Path) -> JournalFullError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return JournalFullError(
        f"cannot be written: {error.strerror or error}",
        where=path,
        fix="free space on that disk" if full else "make the folder writable",
    )
