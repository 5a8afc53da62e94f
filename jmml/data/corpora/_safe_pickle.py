"""Numeric arrays out of a pickle, without running anything the pickle names.

A pickle is a program: it may import any function and call it. DEAP is distributed as pickles, so they are
read by an unpickler that knows six names, those by which numpy's own arrays are written, and answers each
of them with a stand-in of this module. Neither numpy's constructors nor its ``__setstate__`` (which trusts
its input) ever see what the file says; the arrays are built from checked bytes afterwards.
"""

from __future__ import annotations

import io
import pickle
import re
import struct
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from jmml.errors import RecordingError, UnsafeFileError

_FIX = (
    "use the file of the original distribution; plain numeric arrays pickled by protocol 0 to 4 are accepted"
)
_NUMERIC = re.compile(r"([<>=|]?)(b1|[iu][1248]|f[248])")
_BROKEN = (
    pickle.UnpicklingError, EOFError, AttributeError, IndexError, KeyError, TypeError, ValueError,
    OverflowError, MemoryError, RecursionError, struct.error,
)  # fmt: skip


def load_arrays(path: Path, *, where: object = None) -> dict[str, np.ndarray]:
    """The pickled dictionary of numeric numpy arrays in ``path``.

    Accepts what Python 2 and 3 write for ``dict[str, ndarray]`` with pickle protocols 0 to 4, arrays in C or
    Fortran order and either byte order, and numpy scalars (returned as 0-dimensional arrays). An array
    without elements is read from protocols 3 and 4 alone: before, Python 3 wrote it as a call of ``bytes``.
    ``where`` is what messages call the file.

    Raises
    ------
    UnsafeFileError
        When the pickle names anything but numpy's array constructors, or holds objects in an array.
    RecordingError
        When the file is missing, truncated, no pickle, or something else than a dictionary of arrays.
    """
    where = path if where is None else where
    try:
        with path.open("rb") as handle:
            content = _Unpickler(handle).load()
    except UnsafeFileError as error:
        raise UnsafeFileError(error.what, where=path, expected=error.expected, fix=_FIX) from None
    except RecordingError as error:
        raise RecordingError(error.what, where=where, expected=error.expected) from None
    except FileNotFoundError:
        raise RecordingError("no such file", where=where) from None
    except OSError as error:
        raise RecordingError(f"cannot be read ({error.strerror})", where=where) from None
    except _BROKEN as error:
        raise RecordingError(
            f"truncated, or not a pickle file ({type(error).__name__})", where=where
        ) from None
    if not isinstance(content, dict):
        kind = "single array" if isinstance(content, _Array) else type(content).__name__
        raise RecordingError(f"holds a {kind}", where=where, expected="a dictionary of arrays")
    arrays: dict[str, np.ndarray] = {}
    for key, value in content.items():
        if not isinstance(key, str | bytes) or not isinstance(value, _Array) or value.value is None:
            raise RecordingError(
                f"entry {key!r:.40} is not an array", where=where, expected="named numeric arrays"
            )
        arrays[_text(key)] = value.value
    return arrays


class _DType:
    """Stand-in for ``numpy.dtype``: the type code, and the byte order that its state sets."""

    def __init__(self, code: str) -> None:
        self.code, self.order = code, "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        order = _text(state[1])
        if order not in ("<", ">", "=", "|") or any(part is not None for part in state[2:5]):
            raise RecordingError("an array of structured type", expected="numbers")
        self.order = order

    def resolve(self) -> np.dtype[Any]:
        prefix, kind = _NUMERIC.fullmatch(self.code).groups()  # type: ignore[union-attr]
        return np.dtype((prefix or self.order) + kind)


class _Array:
    """Stand-in for ``numpy.ndarray``; its state is (version, shape, dtype, is_fortran, bytes)."""

    value: np.ndarray | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, fortran, data = state
        if not isinstance(dtype, _DType) or not all(type(n) is int and n >= 0 for n in shape):
            raise RecordingError("an array without a valid shape or type", expected="numbers")
        resolved, data = dtype.resolve(), _bytes(data)
        if prod(shape) * resolved.itemsize != len(data):
            raise RecordingError(f"an array of shape {tuple(shape)} with {len(data)} bytes of {resolved}")
        self.value = np.frombuffer(data, resolved).reshape(shape, order="F" if fortran else "C")


class _Name:
    """A global that the pickle may call, but whose attributes it cannot set."""

    __slots__ = ("_call",)
    _call: Callable[..., object]

    def __init__(self, call: Callable[..., object]) -> None:
        object.__setattr__(self, "_call", call)

    def __call__(self, *args: object) -> object:
        return self._call(*args)

    def __setattr__(self, name: str, value: object) -> None:
        raise UnsafeFileError(f"the pickle sets the attribute '{name}' of a function")


def _ndarray(*_: object) -> object:
    raise UnsafeFileError("the pickle calls numpy.ndarray itself", expected="arrays as numpy pickles them")


def _reconstruct(subtype: object, _shape: object, _code: object) -> _Array:
    if subtype is not _NDARRAY:
        raise UnsafeFileError("an array of a class other than numpy.ndarray", expected="numeric arrays alone")
    return _Array()


def _dtype(code: object, *_: object) -> _DType:
    text = _text(code)
    if text.lstrip("<>=|").startswith("O"):
        raise UnsafeFileError("an array of objects", expected="numeric arrays alone")
    if not _NUMERIC.fullmatch(text):
        raise RecordingError(f"an array of type '{text}'", expected="numbers")
    return _DType(text)


def _scalar(dtype: object, data: object) -> _Array:
    array = _Array()
    array.__setstate__((1, (), dtype, False, data))
    return array


def _encode(text: object, encoding: object) -> bytes:
    # Python 3 writes bytes this way in protocols 0 to 2. Other codecs (zlib, say) run other code.
    if _text(encoding).lower() not in ("latin1", "latin-1", "iso-8859-1"):
        raise UnsafeFileError(f"the pickle encodes by {encoding!r}", expected="latin1")
    return _bytes(text)


_NDARRAY = _Name(_ndarray)
_NAMES = {
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): _Name(_dtype),
    ("_codecs", "encode"): _Name(_encode),
} | {
    (module, name): stand_in
    for module in ("numpy.core.multiarray", "numpy._core.multiarray")
    for name, stand_in in (("_reconstruct", _Name(_reconstruct)), ("scalar", _Name(_scalar)))
}


class _Unpickler(pickle.Unpickler):
    def __init__(self, handle: io.BufferedReader) -> None:
        # Python 2's byte strings stay bytes: array contents need no detour through text.
        super().__init__(handle, fix_imports=False, encoding="bytes")

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _NAMES[module, name]
        except KeyError:
            raise UnsafeFileError(
                f"the pickle asks for {module}.{name}, which could run code",
                expected="numeric numpy arrays alone",
            ) from None


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("latin1")
    if not isinstance(value, str):
        raise RecordingError(f"a {type(value).__name__} where text belongs")
    return value


def _bytes(value: object) -> bytes:
    if isinstance(value, str):
        return value.encode("latin1")
    if not isinstance(value, bytes):
        raise RecordingError(f"a {type(value).__name__} where the bytes of an array belong")
    return value
