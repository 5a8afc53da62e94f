from __future__ import annotations

import hashlib
import os
import pickle
import struct
import zlib
from pathlib import Path

import mne
import numpy as np
import pytest
from scipy.io import savemat

from jmml.data import matlab
from jmml.data.corpora.eeg import _trials
from jmml.data.corpora.eeg import deap as module
from jmml.data.corpora.eeg.deap import BASELINE_S, EEG_CHANNELS, SAMPLE_RATE_HZ, Deap
from jmml.errors import CorpusError, RecordingError, UnsafeFileError
from tests.jmml.data.corpora.make import deap_arrays, truncate, write_deap


def test_channels_are_the_32_of_the_biosemi_montage() -> None:
    """DEAP was recorded with BioSemi's 32-electrode cap, in another order."""
    assert len(set(EEG_CHANNELS)) == 32
    assert set(EEG_CHANNELS) == set(mne.channels.make_standard_montage("biosemi32").ch_names)
    # Left hemisphere front to back, midline, then the right hemisphere in the same manner.
    assert EEG_CHANNELS[:2] == ("Fp1", "AF3")
    assert EEG_CHANNELS[16:18] == ("Fp2", "AF4")


def test_units_baseline_and_ratings(tmp_path: Path) -> None:
    arrays = deap_arrays(trials=3, samples=1000)
    write_deap(tmp_path / "s07.dat", arrays)
    frame = Deap().scan(tmp_path).frame
    assert list(frame["id"]) == ["s07_t01", "s07_t02", "s07_t03"]
    assert list(frame["item"]) == [0, 1, 2]
    assert set(frame["group"]) == {"s07"}
    np.testing.assert_array_equal(frame["valence"], arrays["labels"][:, 0])
    np.testing.assert_array_equal(frame["arousal"], arrays["labels"][:, 1])
    assert frame["label"].isna().all()
    assert set(frame["duration_s"]) == {1000 / SAMPLE_RATE_HZ - BASELINE_S}

    recording = Deap().read(tmp_path, frame.iloc[1])
    expected = (arrays["data"][1, :32, 384:] * 1e-6).astype(np.float32)
    np.testing.assert_array_equal(recording.signal, expected)
    assert recording.channels == EEG_CHANNELS
    assert frame["content_hash"][1] == hashlib.sha256(expected.astype("<f4").tobytes()).hexdigest()


def test_mat_and_dat_hold_the_same(tmp_path: Path) -> None:
    arrays = deap_arrays()
    write_deap(tmp_path / "python" / "s01.dat", arrays)
    (tmp_path / "matlab").mkdir()
    savemat(tmp_path / "matlab" / "s01.mat", arrays)
    python, matlab = Deap().scan(tmp_path / "python"), Deap().scan(tmp_path / "matlab")
    assert list(python.frame["path"].unique()) == ["s01.dat"]
    assert list(matlab.frame["path"].unique()) == ["s01.mat"]
    columns = ["id", "item", "valence", "arousal", "duration_s", "content_hash"]
    assert python.frame[columns].equals(matlab.frame[columns])


def test_a_subject_file_that_was_written_anew_is_read_anew(tmp_path: Path) -> None:
    """Of the same size and at the same place: only its time tells."""
    file = tmp_path / "s01.dat"
    arrays = deap_arrays()
    write_deap(file, arrays)
    row = Deap().scan(tmp_path).frame.iloc[0]
    before, size = Deap().read(tmp_path, row).signal, file.stat().st_size
    write_deap(file, {**arrays, "data": arrays["data"][::-1].copy()})  # the same bytes in another order
    os.utime(file, ns=(0, 0))
    assert file.stat().st_size == size
    assert not np.array_equal(Deap().read(tmp_path, row).signal, before)


@pytest.mark.parametrize("folder", ["data_preprocessed_python", "data_preprocessed_matlab"])
def test_the_folders_of_the_distribution_are_found(folder: str, tmp_path: Path) -> None:
    arrays = deap_arrays()
    if folder.endswith("python"):
        write_deap(tmp_path / folder / "s01.dat", arrays)
    else:
        (tmp_path / folder).mkdir()
        savemat(tmp_path / folder / "s01.mat", arrays)
    frame = Deap().scan(tmp_path).frame
    assert frame["path"].str.startswith(folder + "/").all()
    assert Deap().read(tmp_path, frame.iloc[0]).signal.shape == (32, 256)


def test_the_same_subject_twice_is_a_duplicate(tmp_path: Path) -> None:
    write_deap(tmp_path / "s01.dat")
    savemat(tmp_path / "s01.mat", deap_arrays())
    with pytest.raises(RecordingError, match=r"s01\.mat: id 's01_t01' occurs already in s01\.dat"):
        Deap().scan(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": np.zeros((3, 32, 640))}, r"data of shape \(3, 32, 640\)"),
        ({"data": np.zeros((3, 40, 384))}, "more than 384 samples"),
        ({"data": np.zeros((40, 640))}, r"expected \(trials, 40, samples\)"),
        ({"data": np.zeros((0, 40, 640)), "labels": np.zeros((0, 4))}, r"data of shape \(0, 40, 640\)"),
        ({"labels": np.full((2, 4), 5.0)}, r"labels of shape \(2, 4\); expected \(3, 4\)"),
        ({"labels": np.full((3, 3), 5.0)}, r"labels of shape \(3, 3\)"),
    ],
)
@pytest.mark.parametrize("form", ["dat", "mat"])
def test_wrong_shapes(change: dict[str, np.ndarray], message: str, form: str, tmp_path: Path) -> None:
    arrays = deap_arrays() | change
    if form == "dat":
        write_deap(tmp_path / "s01.dat", arrays, protocol=4)
    else:
        savemat(tmp_path / "s01.mat", arrays)
    with pytest.raises(RecordingError, match=message) as caught:
        Deap().scan(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("form", ["dat", "mat"])
def test_an_array_is_missing(form: str, tmp_path: Path) -> None:
    arrays = {"labels": np.full((3, 4), 5.0), "eeg": np.zeros(3)}
    if form == "dat":
        write_deap(tmp_path / "s01.dat", arrays)
    else:
        savemat(tmp_path / "s01.mat", arrays)
    with pytest.raises(RecordingError, match=rf"s01\.{form}: no array data \(holds .*labels"):
        Deap().scan(tmp_path)


@pytest.mark.parametrize("rating", [0.5, 9.5, np.nan])
def test_a_rating_out_of_range_concerns_its_trial(rating: float, tmp_path: Path) -> None:
    arrays = deap_arrays()
    arrays["labels"][1, 0] = rating
    write_deap(tmp_path / "s01.dat", arrays)
    with pytest.raises(RecordingError, match=r"1 of 3 recordings .*s01\.dat, trial 2: .*expected 1 to 9"):
        Deap().scan(tmp_path)
    manifest = Deap().scan(tmp_path, skip_bad=True)
    assert list(manifest.frame["item"]) == [0, 2]


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e60])
def test_values_that_are_not_finite_concern_their_trial(value: float, tmp_path: Path) -> None:
    arrays = deap_arrays()
    arrays["data"][2, 5, 500] = value
    write_deap(tmp_path / "s01.dat", arrays)
    with pytest.raises(RecordingError, match="trial 3: EEG values that are not finite"):
        Deap().scan(tmp_path)


def test_values_outside_the_eeg_do_not_matter(tmp_path: Path) -> None:
    arrays = deap_arrays()
    arrays["data"][0, 39, 500] = np.nan  # the temperature
    arrays["data"][0, 0, 100] = np.nan  # the baseline
    write_deap(tmp_path / "s01.dat", arrays)
    assert len(Deap().scan(tmp_path)) == 3


class Attack:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("skip_bad", [False, True])
def test_a_malicious_file_stops_the_scan_even_when_skipping(skip_bad: bool, tmp_path: Path) -> None:
    trace = tmp_path / "was-here"
    write_deap(tmp_path / "corpus" / "s02.dat")
    (tmp_path / "corpus" / "s01.dat").write_bytes(pickle.dumps(Attack(trace)))
    with pytest.raises(UnsafeFileError, match=r"s01\.dat: the pickle asks for"):
        Deap().scan(tmp_path / "corpus", skip_bad=skip_bad)
    assert not trace.exists()


@pytest.mark.parametrize(
    "content", [b"no matlab file at all", b"MATLAB 5.0 MAT-file" + bytes(200), b"\x00" * 64]
)
def test_no_mat_file(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "s01.mat").write_bytes(content)
    with pytest.raises(RecordingError, match=r"not a MATLAB file|no array data") as caught:
        Deap().scan(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("compressed", [False, True])
def test_truncated_mat(compressed: bool, tmp_path: Path) -> None:
    savemat(tmp_path / "s01.mat", deap_arrays(), do_compression=compressed)
    truncate(tmp_path / "s01.mat", 5000)
    with pytest.raises(RecordingError, match="truncated"):
        Deap().scan(tmp_path)


def test_matlab_73_is_named(tmp_path: Path) -> None:
    header = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
    (tmp_path / "s01.mat").write_bytes(header + b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(RecordingError, match=r"MATLAB 7\.3 .*-v7"):
        Deap().scan(tmp_path)


def test_cells_in_a_mat_file(tmp_path: Path) -> None:
    savemat(tmp_path / "s01.mat", deap_arrays() | {"data": np.array([1, "a"], dtype=object)})
    with pytest.raises(RecordingError, match="'data' holds no numbers"):
        Deap().scan(tmp_path)


def test_successive_trials_load_their_file_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_deap(tmp_path / "s01.dat")
    frame = Deap().scan(tmp_path).frame
    _trials._KEPT.clear()
    loads: list[Path] = []
    original = module.load_arrays
    monkeypatch.setattr(module, "load_arrays", lambda path, **kw: loads.append(path) or original(path, **kw))
    for row in frame.itertuples(index=False):
        Deap().read(tmp_path, row)
    assert loads == [tmp_path / "s01.dat"]


def test_a_replaced_file_is_loaded_again(tmp_path: Path) -> None:
    write_deap(tmp_path / "s01.dat", deap_arrays(seed=1))
    before = Deap().scan(tmp_path)
    write_deap(tmp_path / "s01.dat", deap_arrays(seed=2, samples=700))
    assert Deap().scan(tmp_path).digest != before.digest


def test_reading_a_trial_that_is_not_there(tmp_path: Path) -> None:
    write_deap(tmp_path / "s01.dat")
    row = Deap().scan(tmp_path).frame.iloc[0].copy()
    row["item"] = 3
    with pytest.raises(RecordingError, match="trial 4 of 3"):
        Deap().read(tmp_path, row)
    row["path"] = "s09.dat"
    with pytest.raises(RecordingError, match="no such file"):
        Deap().read(tmp_path, row)


def test_other_files_are_no_subjects(tmp_path: Path) -> None:
    write_deap(tmp_path / "subject01.dat")
    with pytest.raises(CorpusError, match="no recording in the layout of 'deap'"):
        Deap().scan(tmp_path)


def element(kind: int, content: bytes) -> bytes:
    """One element of a MATLAB file."""
    return struct.pack("<II", kind, len(content)) + content + b"\0" * (-len(content) % 8)


def matrix(name: bytes, kind: int, *content: bytes, dimensions: tuple[int, int] = (1, 1)) -> bytes:
    flags, shape = struct.pack("<II", kind, 0), struct.pack("<2i", *dimensions)
    return element(14, b"".join((element(6, flags), element(5, shape), element(1, name), *content)))


def write_packed(path: Path, content: bytes) -> None:
    head = b"MATLAB 5.0".ljust(124) + struct.pack("<HH", 0x0100, 0x4D49)
    packed = zlib.compress(content, 9)
    path.write_bytes(head + struct.pack("<II", 15, len(packed)) + packed)


def test_a_variable_that_unpacks_to_a_thousand_times_its_size_is_not_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zeros = np.zeros(1 << 20)
    write_packed(
        tmp_path / "s01.mat",
        matrix(b"data", 6, element(9, zeros.tobytes()), dimensions=(1, len(zeros))),
    )
    with pytest.raises(RecordingError, match=r"no array labels"):
        Deap().scan(tmp_path)
    monkeypatch.setattr(matlab, "FREE", 1 << 21)
    with pytest.raises(RecordingError, match=r"s01\.mat: 'data' has \d+ bytes and unpacks to more than"):
        Deap().scan(tmp_path)


def test_cells_in_cells_without_end_are_not_entered(tmp_path: Path) -> None:
    """What reads them calls itself for each, and ends the process at some depth, which is not reached here."""
    innermost, around = matrix(b"", 6, element(9, bytes(8))), matrix(b"", 1)[8:]
    parts, size = [innermost], len(innermost)
    for _ in range(50_000):
        size += len(around)
        parts.append(struct.pack("<II", 14, size) + around)
        size += 8
    write_packed(tmp_path / "s01.mat", matrix(b"data", 1, b"".join(reversed(parts))))
    with pytest.raises(RecordingError, match=r"s01\.mat: cells in cells, more than 32 deep"):
        Deap().scan(tmp_path)
