"""Hostile and damaged pickles. Nothing here may run what the file asks for."""

from __future__ import annotations

import pickle
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from jmml.data.corpora._safe_pickle import load_arrays
from jmml.data.synthetic.deap_file import write_deap_file
from jmml.errors import RecordingError, UnsafeFileError
from tests.jmml.data.corpora.make import deap_arrays


def store(path: Path, content: object, protocol: int = 2) -> Path:
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


def calling(module: str, name: str, *arguments: str, tail: bytes = b"") -> bytes:
    """A protocol-2 pickle that calls ``module.name(*arguments)``, without importing it here."""
    packed = b"".join(pickle.BINUNICODE + len(a).to_bytes(4, "little") + a.encode() for a in arguments)
    call = (
        pickle.GLOBAL + f"{module}\n{name}\n".encode() + pickle.MARK + packed + pickle.TUPLE + pickle.REDUCE
    )
    return pickle.PROTO + b"\x02" + call + tail + pickle.STOP


@pytest.mark.parametrize("protocol", range(5))
@pytest.mark.parametrize("order", ["C", "F"])
def test_reads_what_numpy_pickles(protocol: int, order: str, tmp_path: Path) -> None:
    arrays = {name: np.asarray(a, order=order) for name, a in deap_arrays().items()}  # type: ignore[call-overload]
    loaded = load_arrays(store(tmp_path / "s01.dat", arrays, protocol))
    assert set(loaded) == {"data", "labels"}
    for name, array in arrays.items():
        np.testing.assert_array_equal(loaded[name], array)


def test_reads_what_python_2_pickled(tmp_path: Path) -> None:
    arrays = deap_arrays()
    path = tmp_path / "s01.dat"
    write_deap_file(path, arrays["data"], arrays["labels"])
    reference = pickle.loads(path.read_bytes(), encoding="latin1")  # noqa: S301 - written two lines above
    loaded = load_arrays(path)
    for name in ("data", "labels"):
        np.testing.assert_array_equal(loaded[name], reference[name])
        assert loaded[name].dtype == reference[name].dtype


@settings(max_examples=50, deadline=None)
@given(
    array=hnp.arrays(
        st.sampled_from(
            [np.dtype(code) for code in ("<f8", ">f8", "<f4", ">i2", "<u8", "|b1", "|i1", "<f2")]
        ),
        hnp.array_shapes(min_dims=0, max_dims=4, min_side=1, max_side=4),
    ),
    protocol=st.integers(0, 4),
)
def test_any_numeric_array_survives(
    array: np.ndarray, protocol: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("pickle") / "s01.dat"
    loaded = load_arrays(store(path, {"a": array}, protocol))["a"]
    np.testing.assert_array_equal(loaded, array)
    assert loaded.dtype == array.dtype


@pytest.mark.parametrize("protocol", [3, 4])
def test_arrays_without_elements(protocol: int, tmp_path: Path) -> None:
    loaded = load_arrays(store(tmp_path / "s01.dat", {"data": np.zeros((0, 40, 5))}, protocol))
    assert loaded["data"].shape == (0, 40, 5)


def test_numpy_scalar_becomes_an_array_without_dimensions(tmp_path: Path) -> None:
    loaded = load_arrays(store(tmp_path / "s01.dat", {"rate": np.float64(128.0)}))["rate"]
    assert loaded.shape == ()
    assert loaded == 128.0


class Attack:
    """Pickles as a call of ``function(*arguments)``."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.call


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("nested", [False, True])
def test_a_malicious_pickle_does_not_run(protocol: int, nested: bool, tmp_path: Path) -> None:
    trace = tmp_path / "was-here"
    attack = Attack(Path.touch, trace)
    path = store(tmp_path / "s01.dat", deap_arrays() | {"data": attack} if nested else attack, protocol)
    with pytest.raises(UnsafeFileError) as caught:
        load_arrays(path)
    assert not trace.exists()
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    # The payload is real: an ordinary unpickler runs it.
    pickle.loads(path.read_bytes())  # noqa: S301
    assert trace.exists()


@pytest.mark.parametrize(
    ("module", "name", "arguments"),
    [
        ("builtins", "eval", ["1"]),
        ("__builtin__", "eval", ["1"]),
        ("builtins", "exec", ["1"]),
        ("builtins", "getattr", ["a", "b"]),
        ("builtins", "open", ["x", "w"]),
        ("os", "system", ["true"]),
        ("posix", "system", ["true"]),
        ("subprocess", "Popen", ["true"]),
        ("importlib", "import_module", ["antigravity"]),
        ("copyreg", "_reconstructor", ["a"]),
        ("copy_reg", "_reconstructor", ["a"]),
        ("_codecs", "decode", ["a", "rot13"]),
        ("codecs", "encode", ["a", "latin1"]),
        ("numpy", "load", ["x.npy"]),
        ("numpy", "fromfile", ["x"]),
        ("numpy", "memmap", ["x"]),
        ("numpy", "save", ["x", "y"]),
        ("numpy.core", "memmap", ["x"]),
        ("numpy._core", "memmap", ["x"]),
        ("numpy._core.numeric", "_frombuffer", ["x"]),
        ("numpy.core.multiarray", "fromfile", ["x"]),
        ("numpy._core.multiarray", "_reconstruct.__globals__", ["x"]),
        ("numpy", "core.multiarray._reconstruct", ["x"]),
        ("numpy.testing._private.utils", "runstring", ["x", "y"]),
        ("jmml.data.corpora._safe_pickle", "_Name", ["x"]),
    ],
)
def test_every_other_name_is_refused(module: str, name: str, arguments: list[str], tmp_path: Path) -> None:
    path = tmp_path / "s01.dat"
    path.write_bytes(calling(module, name, *arguments))
    with pytest.raises(UnsafeFileError, match=rf"asks for {module}\.{name}"):
        load_arrays(path)


@pytest.mark.parametrize("codec", ["zlib", "rot13", "utf-8", "unicode_escape"])
def test_other_codecs_are_refused(codec: str, tmp_path: Path) -> None:
    path = tmp_path / "s01.dat"
    path.write_bytes(calling("_codecs", "encode", "abc", codec))
    with pytest.raises(UnsafeFileError, match="expected latin1"):
        load_arrays(path)


def test_arrays_are_not_constructed_directly(tmp_path: Path) -> None:
    """``numpy.ndarray(shape)`` would allocate whatever the file asks for."""
    path = tmp_path / "s01.dat"
    path.write_bytes(calling("numpy", "ndarray", "1"))
    with pytest.raises(UnsafeFileError, match=r"calls numpy\.ndarray"):
        load_arrays(path)


def test_only_plain_arrays_are_reconstructed(tmp_path: Path) -> None:
    path = tmp_path / "s01.dat"
    path.write_bytes(calling("numpy.core.multiarray", "_reconstruct", "class", "shape", "code"))
    with pytest.raises(UnsafeFileError, match=r"a class other than numpy\.ndarray"):
        load_arrays(path)


@pytest.mark.parametrize("state", [b"}", b"N}"], ids=["dictionary", "slots"])
def test_state_of_a_permitted_name_cannot_be_set(state: bytes, tmp_path: Path) -> None:
    """BUILD on a function would set its attributes, for every later load of the process."""
    entry = pickle.BINUNICODE + (5).to_bytes(4, "little") + b"_call" + pickle.NONE + pickle.SETITEM
    setting = state + entry + (pickle.TUPLE2 if state.startswith(b"N") else b"") + pickle.BUILD
    path = tmp_path / "s01.dat"
    path.write_bytes(pickle.PROTO + b"\x02" + pickle.GLOBAL + b"numpy\ndtype\n" + setting + pickle.STOP)
    with pytest.raises((UnsafeFileError, RecordingError)):
        load_arrays(path)
    assert load_arrays(store(tmp_path / "s02.dat", deap_arrays()))["data"].shape == (3, 40, 640)


def test_objects_in_an_array_are_refused(tmp_path: Path) -> None:
    path = store(tmp_path / "s01.dat", {"data": np.array([[1], "x"], dtype=object)})
    with pytest.raises(UnsafeFileError, match="array of objects"):
        load_arrays(path)


@pytest.mark.parametrize(
    "array",
    [np.array(["a"]), np.array([b"a"]), np.zeros(1, "f8,i4"), np.zeros(1, "M8[s]"), np.zeros(1, complex)],
    ids=["text", "bytes", "records", "dates", "complex"],
)
def test_arrays_of_other_types_are_refused(array: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="expected numbers"):
        load_arrays(store(tmp_path / "s01.dat", {"data": array}))


def test_subclasses_of_arrays_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsafeFileError, match="matrix"):
        load_arrays(store(tmp_path / "s01.dat", {"data": np.zeros((2, 2)).view(np.matrix)}))


@pytest.mark.parametrize(
    "content", [[1, 2], np.zeros(3), {"data": [1.0]}, {1: np.zeros(2)}, {"data": "text"}, None]
)
def test_anything_but_named_arrays_is_refused(content: object, tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="expected"):
        load_arrays(store(tmp_path / "s01.dat", content))


def test_a_shape_that_does_not_fit_its_bytes_is_refused(tmp_path: Path) -> None:
    blob = pickle.dumps({"a": np.zeros(5)}, protocol=2)
    assert blob.count(b"K\x05\x85") == 1
    path = tmp_path / "s01.dat"
    path.write_bytes(blob.replace(b"K\x05\x85", b"K\x09\x85"))
    with pytest.raises(RecordingError, match=r"shape \(9,\) with 40 bytes"):
        load_arrays(path)


def nested(depth: int) -> bytes:
    """Tuples in tuples as the key of an entry: their hash calls itself once a level, and ends the process."""
    return pickle.EMPTY_DICT + pickle.EMPTY_TUPLE + pickle.TUPLE1 * depth


def doubled(depth: int) -> bytes:
    """A key that is a pair of equal pairs of ...: its hash takes 2^depth steps."""
    return pickle.EMPTY_DICT + pickle.EMPTY_TUPLE + (pickle.DUP + pickle.TUPLE2) * depth


HOSTILE = {
    "nested key": (nested(50_000) + pickle.NONE + pickle.SETITEM, "a tuple names an entry"),
    "doubled key": (doubled(64) + pickle.NONE + pickle.SETITEM, "a tuple names an entry"),
    "key among several": (
        pickle.EMPTY_DICT + pickle.MARK + doubled(64)[1:] + pickle.NONE + pickle.SETITEMS, "a tuple names an entry"
    ),
    "key of a finished dictionary": (
        pickle.MARK + doubled(64)[1:] + pickle.NONE + pickle.DICT, "a tuple names an entry"
    ),
    "set": (
        pickle.EMPTY_SET + pickle.MARK + doubled(64)[1:] + pickle.ADDITEMS, "holds a set"
    ),
    "frozen set": (pickle.MARK + doubled(64)[1:] + pickle.FROZENSET, "holds a set"),
    "many steps": (pickle.EMPTY_LIST * 200_000, "takes more than 100000 steps"),
    "a string longer than the file": (pickle.BINBYTES8 + (1 << 40).to_bytes(8, "little"), "truncated"),
    "a text that is used again and again": (
        pickle.GLOBAL + b"_codecs\nencode\n" + pickle.BINUNICODE + (4000).to_bytes(4, "little") + b"x" * 4000
        + pickle.BINUNICODE + (6).to_bytes(4, "little") + b"latin1" + pickle.TUPLE2 + pickle.BINPUT + b"\0"
        + pickle.POP + (pickle.GLOBAL + b"_codecs\nencode\n" + pickle.BINGET + b"\0" + pickle.REDUCE) * 5,
        "unpacks to more than it holds",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_what_is_made_to_hang_or_to_fill_the_memory_is_refused(case: str, tmp_path: Path) -> None:
    path = tmp_path / "s01.dat"
    path.write_bytes(pickle.PROTO + b"\x04" + HOSTILE[case][0] + pickle.STOP)
    with pytest.raises(RecordingError, match=HOSTILE[case][1]) as caught:
        load_arrays(path)
    assert len(str(caught.value)) < 400


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="no such file"):
        load_arrays(tmp_path / "s01.dat")


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_damage_never_ends_in_another_exception(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    blob = bytearray(pickle.dumps({"data": np.arange(6.0).reshape(2, 3), "n": np.int32(3)}, protocol=2))
    for _ in range(data.draw(st.integers(1, 4))):
        blob[data.draw(st.integers(0, len(blob) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("pickle") / "s01.dat"
    path.write_bytes(blob[: data.draw(st.integers(0, len(blob)))])
    arrays: dict[str, np.ndarray] = {}
    with suppress(RecordingError, UnsafeFileError):
        arrays = load_arrays(path)
    assert all(type(array) is np.ndarray and array.dtype.kind in "biuf" for array in arrays.values())
