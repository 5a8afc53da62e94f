"""Writing DEAP's participant files byte for byte as Python 2 pickled them, without running a pickler.

DEAP's ``sNN.dat`` are protocol 2 pickles of Python 2: byte strings are ``BINSTRING``, modules have their old
names. Python 3's pickler cannot write byte strings that way (it encodes them through a call, half as large
again), and its output changes with numpy's version. The format is small, so the opcodes are written here;
``pickle.load(file, encoding="latin1")`` and readers restricted to numpy arrays accept the result.
"""

from __future__ import annotations

import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def write_deap_file(path: Path, data: NDArray[Any], labels: NDArray[Any]) -> None:
    """Pickle ``{"labels": labels, "data": data}`` to ``path``.

    Parameters
    ----------
    data : float array (trials, 40, samples), microvolts for the EEG.
    labels : float array (trials, 4): valence, arousal, dominance, liking.
    """
    with path.open("wb") as file:
        file.write(pickle.PROTO + b"\x02" + pickle.EMPTY_DICT + pickle.MARK)
        for name, array in (("labels", labels), ("data", data)):
            file.write(_text(name.encode()) + _array(array))
        file.write(pickle.SETITEMS + pickle.STOP)


def _array(array: NDArray[Any]) -> bytes:
    """``numpy._reconstruct(ndarray, (0,), 'b')`` and its state, as ``ndarray.__reduce__`` gives them."""
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    empty = (
        _name("numpy.core.multiarray", "_reconstruct")
        + _name("numpy", "ndarray")
        + (_integer(0) + pickle.TUPLE1)
        + (_text(b"b") + pickle.TUPLE3 + pickle.REDUCE)
    )
    shape = pickle.MARK + b"".join(_integer(n) for n in little.shape) + pickle.TUPLE
    in_c_order = pickle.NEWFALSE  # the flag is "in Fortran order"
    state = _integer(1) + shape + _dtype(little.dtype) + in_c_order + _text(little.tobytes())
    return empty + pickle.MARK + state + pickle.TUPLE + pickle.BUILD


def _dtype(dtype: np.dtype[Any]) -> bytes:
    """``dtype('f4', 0, 1)`` and its state ``(3, '<', None, None, None, -1, -1, 0)``."""
    name = _text(f"{dtype.kind}{dtype.itemsize}".encode())
    made = _name("numpy", "dtype") + name + _integer(0) + _integer(1) + pickle.TUPLE3 + pickle.REDUCE
    state = _integer(3) + _text(b"<") + 3 * pickle.NONE + 2 * _integer(-1) + _integer(0)
    return made + pickle.MARK + state + pickle.TUPLE + pickle.BUILD


def _name(module: str, name: str) -> bytes:
    return pickle.GLOBAL + f"{module}\n{name}\n".encode()


def _text(raw: bytes) -> bytes:
    return pickle.BINSTRING + struct.pack("<i", len(raw)) + raw


def _integer(value: int) -> bytes:
    return pickle.BININT + struct.pack("<i", value)
