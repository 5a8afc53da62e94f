"""MATLAB files up to version 7, read in bounded memory.

A .mat file is a list of elements; a compressed one may unpack to a thousand times its size, and so is measured before
it is read. Version 7.3 is HDF5, which needs a package that the project does without.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from jmml.data.listing.on_disk import check_file
from jmml.errors import RecordingError

MAX_BYTES = 4 * 2**30  # of one variable, unpacked; DREAMER, the largest that is known here, has 2 GiB
MAX_RATIO = 100  # unpacked to packed, of variables above FREE; samples of an amplifier reach ten
FREE = 64 * 2**20
MAX_DEPTH = 32  # of cells in cells and structs in structs; DREAMER has six
_HEADER = 128
_COMPRESSED, _MATRIX = 15, 14
_NUMERIC = range(6, 16)  # classes of plain arrays; those before hold other variables
_STEP, _PIECE = 1 << 20, 1 << 16  # bytes unpacked, and packed, at a time
_BROKEN = (
    ValueError, TypeError, KeyError, IndexError, OSError, EOFError, MemoryError, OverflowError, AttributeError,
    RecursionError, struct.error, zlib.error,
)  # fmt: skip


@dataclass(frozen=True)
class Variable:
    """A variable of a file by its head: what it is called, its shape, and whether it is a plain array."""

    name: str
    shape: tuple[int, ...]
    numeric: bool


def load_mat(
    path: Path, names: Sequence[str] | None = None, *, where: object = None, plain: bool = False
) -> dict[str, Any]:
    """Variables of a MATLAB file of version 7 or older, as :func:`scipy.io.loadmat` gives them.

    With ``plain`` they must be arrays of numbers: cells in cells without end would end the process that enters them.

    Raises
    ------
    RecordingError : the file is missing, empty, truncated, of version 7.3, or unpacks to more than
        :data:`MAX_BYTES` or :data:`MAX_RATIO` times its size.
    """
    from scipy.io import loadmat

    where = path if where is None else where
    try:
        check_file(path)
        wanted = None if names is None else set(names)
        for variable in check_mat(path, wanted):
            if plain and not variable.numeric and (wanted is None or variable.name in wanted):
                raise RecordingError(f"'{variable.name}' holds no numbers")
        content = loadmat(path, variable_names=None if names is None else list(names))
    except RecordingError as error:
        raise RecordingError(error.what, where=where, expected=error.expected, fix=error.fix) from None
    except Exception as error:
        if not isinstance(error, (*_BROKEN, NotImplementedError)) and "Mat" not in type(error).__name__:
            raise
        raise RecordingError(
            f"truncated, or not a MATLAB file ({type(error).__name__})", where=where
        ) from None
    return {name: value for name, value in content.items() if not name.startswith("__")}


def numbers(content: dict[str, Any], name: str, where: object) -> np.ndarray:
    """A variable that is a plain array of numbers; :class:`RecordingError` for another."""
    value = content[name]
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "iufb":
        raise RecordingError(f"'{name}' holds no numbers", where=where)
    return value


def check_mat(path: Path, names: set[str] | None = None) -> list[Variable]:
    """The variables of a file, those of ``names`` measured (all, where it is None); see :func:`load_mat`."""
    size = path.stat().st_size
    found: list[Variable] = []
    with path.open("rb") as file:
        head = file.read(_HEADER)
        if b"MATLAB 7.3" in head[:116] or head[:8] == b"\x89HDF\r\n\x1a\n":
            raise RecordingError(
                "a MATLAB 7.3 file", expected="version 7 or older", fix="save it with the option -v7"
            )
        order = {b"IM": "<", b"MI": ">"}.get(head[126:128])
        if order is None:
            return []  # version 4, or no MATLAB file: nothing is packed there, and scipy says which
        while len(tag := file.read(8)) == 8:
            kind, length = struct.unpack(f"{order}II", tag)
            start = file.tell()
            if start + length > size:
                raise RecordingError(f"is truncated ({start + length} bytes announced, {size} present)")
            if kind == _COMPRESSED:
                found.append(_measured(file.read(min(length, size)), order, names))
            elif kind == _MATRIX:
                found.append(_head(file.read(min(length, 4096)), order))
                if not found[-1].numeric and (names is None or found[-1].name in names):
                    file.seek(start - 8)
                    _check_nesting(_InFile(file), order)
            file.seek(start + length)
    return found


def _measured(packed: bytes, order: str, names: set[str] | None) -> Variable:
    """The head of a packed variable, which must not unpack to too much."""
    first = zlib.decompressobj().decompress(packed[:_PIECE], 4096)
    if len(first) < 8:
        raise RecordingError("is truncated, or damaged: a variable of no bytes")
    variable = _head(first[8:], order)
    if names is not None and variable.name not in names:
        return variable
    limit = min(MAX_BYTES, max(FREE, MAX_RATIO * len(packed)))
    stream = _Unpacked(packed, limit)
    try:
        if not variable.numeric:
            _check_nesting(stream, order)
        stream.skip_all()
    except OverflowError:
        raise RecordingError(
            f"'{variable.name}' has {len(packed)} bytes and unpacks to more than {limit} (a zlib bomb?)",
            expected=f"at most {MAX_RATIO} times its size, and {MAX_BYTES // 2**30} GiB",
        ) from None
    return variable


class _Unpacked:
    """The bytes of a packed variable in order, none of them kept; :class:`OverflowError` beyond ``limit``."""

    def __init__(self, packed: bytes, limit: int) -> None:
        self._packed, self._limit, self._unpack = memoryview(packed), limit, zlib.decompressobj()
        self._here = memoryview(b"")
        self.position = self._unpacked = 0

    def read(self, count: int) -> bytes:
        """Up to ``count`` bytes; fewer at the end."""
        while len(self._here) < count and (more := self._more()):
            self._here = memoryview(bytes(self._here) + more)
        part, self._here = bytes(self._here[:count]), self._here[count:]
        self.position += len(part)
        return part

    def skip(self, count: int) -> None:
        while count > len(self._here):
            count -= len(self._here)
            self.position += len(self._here)
            self._here = memoryview(self._more())
            if not len(self._here):
                return
        self._here = self._here[count:]
        self.position += count

    def skip_all(self) -> None:
        while self._more():
            pass

    def _more(self) -> bytes:
        # In small pieces: zlib copies what it has not used of a piece at every call.
        while (piece := self._unpack.unconsumed_tail) or len(self._packed):
            if not piece:
                piece, self._packed = bytes(self._packed[:_PIECE]), self._packed[_PIECE:]
            if more := self._unpack.decompress(piece, _STEP):
                self._unpacked += len(more)
                if self._unpacked > self._limit:
                    raise OverflowError
                return more
        return b""


class _InFile:
    """The bytes of a variable that is not packed, from where the file stands."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.position = file, 0

    def read(self, count: int) -> bytes:
        part = self._file.read(count)
        self.position += len(part)
        return part

    def skip(self, count: int) -> None:
        self._file.seek(count, 1)
        self.position += count


def _check_nesting(stream: _Unpacked | _InFile, order: str) -> None:
    """:class:`RecordingError` for cells in cells without end, which would end the process that enters them."""
    ends: list[float] = []
    while not ends or stream.position < ends[0]:
        while len(ends) > 1 and stream.position >= ends[-1]:
            ends.pop()
        tag = stream.read(8)
        if len(tag) < 8:
            return
        kind, length = struct.unpack(f"{order}II", tag)
        if kind >> 16:
            continue  # a short element: its bytes stand in the tag
        end = stream.position + length
        if kind == _MATRIX and length >= 16:
            flags = stream.read(16)
            if len(flags) == 16 and struct.unpack_from(f"{order}I", flags, 8)[0] & 0xFF not in _NUMERIC:
                ends.append(end)
                if len(ends) > MAX_DEPTH:
                    raise RecordingError(
                        f"cells in cells, more than {MAX_DEPTH} deep", expected="arrays of numbers"
                    )
                continue
        stream.skip(max(0, end - stream.position) + -length % 8)


def _head(data: bytes, order: str) -> Variable:
    """Class, shape and name: the first three elements of a matrix."""
    at, parts = 0, []
    for _ in range(3):
        if len(data) < at + 8:
            raise RecordingError("is truncated, or damaged: a variable without a head")
        small, length = struct.unpack_from(f"{order}II", data, at)
        if small >> 16:  # a short element: its length stands in the upper half of its kind
            parts.append(data[at + 4 : at + 4 + (small >> 16)])
            at += 8
        else:
            parts.append(data[at + 8 : at + 8 + length])
            at += 8 + -(-length // 8) * 8
    flags = struct.unpack_from(f"{order}I", parts[0])[0] if len(parts[0]) >= 4 else 0
    shape = struct.unpack(f"{order}{len(parts[1]) // 4}i", parts[1][: len(parts[1]) // 4 * 4])
    return Variable(parts[2].decode("latin1"), shape, (flags & 0xFF) in _NUMERIC)
