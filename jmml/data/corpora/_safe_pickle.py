"""Numeric arrays out of a pickle, without running anything the pickle names.

A pickle is a program: it may import any function and call it. DEAP is distributed as pickles, so they are
read by an unpickler that knows six names, those by which numpy's own arrays are written, and answers each
of them with a stand-in of this module. Neither numpy's constructors nor its ``__setstate__`` (which trusts
its input) ever see what the file says; the arrays are built from checked bytes afterwards.

Nor does it take more memory than a few times the file, however the file repeats itself, and keys of dictionaries are
text: the hash of tuples in tuples has no end, or ends the process.
"""

from __future__ import annotations

import io
import pickle
import re
import struct
from collections.abc import Callable, Iterable
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from jmml.data.listing.on_disk import check_file
from jmml.errors import RecordingError, UnsafeFileError

MAX_SIZE = 1 << 31  # bytes; a subject of DEAP has 10^8
MAX_STEPS = 100_000  # a dictionary of two arrays takes 60
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
    content = _loaded(path, where)
    if not isinstance(content, dict):
        kind = "single array" if isinstance(content, _Array) else type(content).__name__
        raise RecordingError(f"holds a {kind}", where=where, expected="a dictionary of arrays")
    arrays: dict[str, np.ndarray] = {}
    for key, value in content.items():
        if not isinstance(value, _Array) or value.value is None:
            raise RecordingError(
                f"entry {_text(key)!r:.40} is not an array", where=where, expected="named numeric arrays"
            )
        arrays[_text(key)] = value.value
    return arrays


def load_array(path: Path, *, where: object = None) -> np.ndarray:
    """The one numeric numpy array that is pickled in ``path``, as :func:`load_arrays` reads them.

    Raises
    ------
    UnsafeFileError, RecordingError : as there; or the file holds something else than an array.
    """
    where = path if where is None else where
    content = _loaded(path, where)
    if not isinstance(content, _Array) or content.value is None:
        kind = "dictionary" if isinstance(content, dict) else type(content).__name__
        raise RecordingError(f"holds a {kind}", where=where, expected="an array")
    return content.value


def _loaded(path: Path, where: object) -> Any:
    try:
        size = check_file(path, where=where)
        if size > MAX_SIZE:
            raise RecordingError(f"is {size / 1e9:.1f} GB large", expected=f"at most {MAX_SIZE / 1e9:.1f} GB")
        with path.open("rb") as handle:
            return _Unpickler(_Bounded(handle, size), size).load()
    except UnsafeFileError as error:
        raise UnsafeFileError(error.what, where=path, expected=error.expected, fix=_FIX) from None
    except RecordingError as error:
        raise RecordingError(error.what, where=where, expected=error.expected, fix=error.fix) from None
    except OSError as error:
        raise RecordingError(f"cannot be read ({error.strerror})", where=where) from None
    except _BROKEN as error:
        raise RecordingError(
            f"truncated, or not a pickle file ({type(error).__name__})", where=where
        ) from None


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

    def __init__(self, budget: _Budget) -> None:
        self.value: np.ndarray | None = None
        self._budget = budget

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, fortran, data = state
        if not isinstance(dtype, _DType) or not all(type(n) is int and n >= 0 for n in shape):
            raise RecordingError("an array without a valid shape or type", expected="numbers")
        resolved, data = dtype.resolve(), self._budget.bytes_of(data)
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


def _reconstruct(budget: _Budget, subtype: object, _shape: object, _code: object) -> _Array:
    if subtype is not _NDARRAY:
        raise UnsafeFileError("an array of a class other than numpy.ndarray", expected="numeric arrays alone")
    return _Array(budget)


def _dtype(code: object, *_: object) -> _DType:
    text = _text(code)
    if text.lstrip("<>=|").startswith("O"):
        raise UnsafeFileError("an array of objects", expected="numeric arrays alone")
    if not _NUMERIC.fullmatch(text):
        raise RecordingError(f"an array of type '{text}'", expected="numbers")
    return _DType(text)


def _scalar(budget: _Budget, dtype: object, data: object) -> _Array:
    array = _Array(budget)
    array.__setstate__((1, (), dtype, False, data))
    return array


def _encode(budget: _Budget, text: object, encoding: object) -> bytes:
    # Python 3 writes bytes this way in protocols 0 to 2. Other codecs (zlib, say) run other code.
    if _text(encoding).lower() not in ("latin1", "latin-1", "iso-8859-1"):
        raise UnsafeFileError(f"the pickle encodes by {encoding!r}", expected="latin1")
    return budget.bytes_of(text)


_NDARRAY = _Name(_ndarray)
# Stand-ins that need no memory, and those that copy bytes, within the budget of their file.
_NAMES = {("numpy", "ndarray"): _NDARRAY, ("numpy", "dtype"): _Name(_dtype)}
_COPYING: dict[tuple[str, str], Callable[..., object]] = {("_codecs", "encode"): _encode} | {
    (module, name): stand_in
    for module in ("numpy.core.multiarray", "numpy._core.multiarray")
    for name, stand_in in (("_reconstruct", _reconstruct), ("scalar", _scalar))
}


class _Bounded:
    """A file that promises no more than it holds: the length of a string is read before the string."""

    def __init__(self, handle: io.BufferedReader, size: int) -> None:
        self._handle, self._size = handle, size
        self.readline, self.readinto = handle.readline, handle.readinto

    def read(self, count: int) -> bytes:
        if count > self._size - self._handle.tell():
            raise EOFError
        return self._handle.read(count)


_Base = pickle._Unpickler  # noqa: SLF001 - the one written in Python, whose steps can be changed


class _Steps(dict[int, Callable[[_Base], None]]):
    """What each step of a pickle does, for so many of them; an empty list takes 60 times the memory of its step."""

    left = MAX_STEPS

    def __getitem__(self, code: int) -> Callable[[_Base], None]:
        self.left -= 1
        if self.left < 0:
            raise RecordingError(f"takes more than {MAX_STEPS} steps", expected="a few arrays")
        return super().__getitem__(code)


class _Unpickler(_Base):
    """Keys are checked before they are hashed, names are looked up in a table."""

    def __init__(self, handle: _Bounded, size: int) -> None:
        # Python 2's byte strings stay bytes: array contents need no detour through text.
        super().__init__(handle, fix_imports=False, encoding="bytes")
        budget = _Budget(2 * size)
        self._names = {**_NAMES, **{name: _Name(partial(call, budget)) for name, call in _COPYING.items()}}
        steps = {
            "SETITEM": _setitem,
            "SETITEMS": _setitems,
            "DICT": _dict,
            "ADDITEMS": _set,
            "FROZENSET": _set,
        }
        own = {getattr(pickle, name)[0]: step for name, step in steps.items()}
        steps_by_code: Any = {**_Base.dispatch, **own}
        self.dispatch = _Steps(steps_by_code)  # type: ignore[misc, assignment]

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._names[module, name]
        except KeyError:
            raise UnsafeFileError(
                f"the pickle asks for {module}.{name}, which could run code",
                expected="numeric numpy arrays alone",
            ) from None


def _setitem(unpickler: Any) -> None:
    _check_keys(unpickler.stack[-2:-1])
    _Base.dispatch[pickle.SETITEM[0]](unpickler)


def _setitems(unpickler: Any) -> None:
    _check_keys(unpickler.stack[::2])  # since the mark
    _Base.dispatch[pickle.SETITEMS[0]](unpickler)


def _dict(unpickler: Any) -> None:
    _check_keys(unpickler.stack[::2])
    _Base.dispatch[pickle.DICT[0]](unpickler)


def _set(unpickler: Any) -> None:
    raise RecordingError("holds a set", expected="a dictionary of arrays")


def _check_keys(keys: Iterable[object]) -> None:
    for key in keys:
        if not isinstance(key, str | bytes):
            raise RecordingError(f"a {type(key).__name__} names an entry", expected="named numeric arrays")


class _Budget:
    """How many bytes may be copied out of text: each of a file's once, not as often as the file says."""

    def __init__(self, left: int) -> None:
        self._left = left

    def bytes_of(self, value: object) -> bytes:
        if isinstance(value, str):
            self._left -= len(value)
            if self._left < 0:
                raise RecordingError("unpacks to more than it holds", expected="each array once")
            return value.encode("latin1")
        if not isinstance(value, bytes):
            raise RecordingError(f"a {type(value).__name__} where the bytes of an array belong")
        return value


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("latin1")
    if not isinstance(value, str):
        raise RecordingError(f"a {type(value).__name__} where text belongs")
    return value
