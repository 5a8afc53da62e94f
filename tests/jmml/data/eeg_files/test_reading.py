"""EEG files of every format give the same signals; odd ones one line each."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from jmml.data.eeg_files.reading import EEG, FORMATS, inspect_eeg, read_eeg
from jmml.errors import RecordingError
from tests.jmml.data.eeg_files.make import (
    CHANNELS,
    brain,
    write_brainvision,
    write_cnt,
    write_edf,
    write_fif,
    write_gdf,
    write_set,
)

EVENTS = [(1.0, 0.0, "7"), (4.0, 2.0, "9")]
WRITERS: dict[str, Callable[[Path, np.ndarray], Path]] = {
    ".edf": lambda path, volts: write_edf(path, volts, events=EVENTS),
    ".bdf": lambda path, volts: write_edf(path, volts, events=EVENTS),
    ".gdf": lambda path, volts: write_gdf(path, volts, codes=EVENTS),
    ".vhdr": lambda path, volts: write_brainvision(path, volts, events=EVENTS),
    ".set": lambda path, volts: write_set(path, volts, events=EVENTS),
    ".fif": lambda path, volts: write_fif(path, volts, events=EVENTS),
    ".cnt": lambda path, volts: write_cnt(path, volts, codes=EVENTS),
}
COMPANIONS = {".vhdr": ("a_raw.eeg", "a_raw.vmrk"), ".set": ("a_raw.fdt",)}
every_format = pytest.mark.parametrize("suffix", EEG)


def test_every_format_is_written_here() -> None:
    assert set(WRITERS) == set(FORMATS)


@every_format
def test_every_format_gives_signals_events_and_companions(suffix: str, tmp_path: Path) -> None:
    volts = brain()
    path = WRITERS[suffix](tmp_path / f"a_raw{suffix}", volts)
    found = inspect_eeg(path)
    assert (found.channels, found.sample_rate_hz, found.samples) == (CHANNELS, 128.0, 1024)
    assert found.companions == COMPANIONS.get(suffix, ())
    events = [(event.onset_s, event.name.rsplit("/", 1)[-1]) for event in found.events]
    assert set(events) == {(1.0, "7"), (4.0, "9")}
    signal, rate, channels = read_eeg(path)
    assert (signal.dtype, rate, channels) == (np.float32, 128.0, CHANNELS)
    np.testing.assert_allclose(signal, volts, atol=1e-7)
    part = read_eeg(path, 2.0, 3.5)[0]
    np.testing.assert_array_equal(part, signal[:, 256:448])


@every_format
def test_a_damaged_file_is_one_line_that_names_it(suffix: str, tmp_path: Path) -> None:
    whole = WRITERS[suffix](tmp_path / f"a_raw{suffix}", brain()).read_bytes()
    path = tmp_path / f"a_raw{suffix}"
    for content in (whole[: len(whole) // 4], whole[:40], b"not a recording " * 200, b"\0" * 3000, b""):
        path.write_bytes(content)
        with pytest.raises(RecordingError, match=path.name) as caught:
            inspect_eeg(path)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 700


@pytest.mark.parametrize("suffix", sorted(COMPANIONS))
def test_companions_must_be_there_and_whole(suffix: str, tmp_path: Path) -> None:
    path = WRITERS[suffix](tmp_path / f"a_raw{suffix}", brain())
    before = read_eeg(path)[0]
    data = tmp_path / COMPANIONS[suffix][0]
    whole = data.read_bytes()
    data.write_bytes(bytes(len(whole)))
    assert not np.array_equal(read_eeg(path)[0], before)
    data.write_bytes(whole[:-5])
    with pytest.raises(RecordingError, match="truncated"):
        inspect_eeg(path)
    data.unlink()
    with pytest.raises(RecordingError, match=rf"a_raw{suffix}: .*(missing|a_raw\.fdt)"):
        inspect_eeg(path)


@pytest.mark.parametrize("name", ["../secret.eeg", "/etc/passwd", "..\\secret.eeg"])
def test_a_header_cannot_lead_out_of_its_folder(name: str, tmp_path: Path) -> None:
    (tmp_path / "secret.eeg").write_bytes(bytes(3 * 2 * 1024))
    path = write_brainvision(tmp_path / "corpus" / "a.vhdr", brain())
    path.write_text(path.read_text().replace("DataFile=a.eeg", f"DataFile={name}"))
    with pytest.raises(RecordingError, match="not a file beside it"):
        inspect_eeg(path)


def test_a_file_written_anew_is_read_anew(tmp_path: Path) -> None:
    path = write_brainvision(tmp_path / "a.vhdr", brain())
    before = read_eeg(path)[0]
    write_brainvision(tmp_path / "b.vhdr", brain(seconds=6.0))
    shutil.move(tmp_path / "b.eeg", tmp_path / "a.eeg")  # the header stays what it was
    assert read_eeg(path)[0].shape != before.shape


# Oddities ---------------------------------------------------------------------------------------------------


def test_annotations_alone(tmp_path: Path) -> None:
    path = write_edf(tmp_path / "a.edf", np.zeros((0, 512)), names=(), events=[(1.0, 0.0, "happy")])
    with pytest.raises(RecordingError, match=r"a\.edf: holds annotations and no signal"):
        inspect_eeg(path)


def test_a_discontinuous_file_is_refused_with_its_first_gap_and_a_continuous_one_is_not(
    tmp_path: Path,
) -> None:
    gap = write_edf(tmp_path / "a.edf", kind="+D", starts=[0, 1, 2, 7, 8, 9, 30, 31])
    with pytest.raises(RecordingError, match=r"discontinuous \(EDF\+D\): 2 gaps, the first from 3 to 7 s"):
        inspect_eeg(gap)
    assert inspect_eeg(write_edf(tmp_path / "b.edf", kind="+D")).samples == 1024


def test_the_status_channel_of_a_bdf_is_events_and_no_electrode(tmp_path: Path) -> None:
    status = np.full(1024, 1 << 16)  # a bit of BioSemi's own, above its triggers
    status[256:260] |= 65
    status[512:516] |= 66
    found = inspect_eeg(write_edf(tmp_path / "a.bdf", status=status, kind=""))
    assert (found.channels, found.others) == (CHANNELS, ("Status",))
    assert [(event.name, event.onset_s) for event in found.events] == [("65", 2.0), ("66", 4.0)]


def test_one_name_for_two_channels(tmp_path: Path) -> None:
    path = write_edf(tmp_path / "a.edf", names=("F3", "F3", "Cz"))
    with pytest.raises(RecordingError, match=r"channel names occur more than once: F3"):
        inspect_eeg(path)
    other = write_brainvision(tmp_path / "b.vhdr", brain(), names=("Cz", "Cz", "F4"))
    with pytest.raises(RecordingError, match=r"channel names occur more than once: Cz"):
        inspect_eeg(other)


def test_rates_of_other_channels_do_not_matter_and_those_of_the_eeg_must_agree(tmp_path: Path) -> None:
    names = ("F3", "F4", "ECG", "Temp")
    path = write_edf(tmp_path / "a.edf", names=names, rate=256, rates=(128, 128, 256, 1))
    found = inspect_eeg(path)
    assert (found.sample_rate_hz, found.channels) == (128.0, ("F3", "F4"))
    mixed = write_edf(tmp_path / "b.edf", names=names, rate=256, rates=(128, 256, 256, 1))
    with pytest.raises(RecordingError, match=r"EEG channels have 2 sample rates \(F3 128 Hz, F4 256 Hz\)"):
        inspect_eeg(mixed)


def test_no_eeg_channel(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"holds no EEG channel \(holds ECG, EOG left\)"):
        inspect_eeg(write_edf(tmp_path / "a.edf", names=("ECG", "EOG left")))


def test_a_unit_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"vary by .* V, EEG by some 1e-5 V"):
        read_eeg(write_edf(tmp_path / "a.edf", 1e-2 * brain(), unit=""))


def test_missing_records(tmp_path: Path) -> None:
    path = write_edf(tmp_path / "a.edf")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(RecordingError, match=r"is truncated \(\d+ bytes announced"):
        inspect_eeg(path)


def test_a_bomb_in_a_set_is_measured_before_it_is_read(tmp_path: Path) -> None:
    path = write_set(tmp_path / "a.set", brain(), fdt=False)
    savemat(path, {"EEG": {"data": np.zeros((64, 200_000))}}, do_compression=True, appendmat=False)
    assert path.stat().st_size < 200_000  # for 102 MB
    with pytest.raises(
        RecordingError, match=r"a\.set: 'EEG' has \d+ bytes and unpacks to more than .*zlib bomb"
    ):
        inspect_eeg(path)


def test_a_set_of_matlab_73(tmp_path: Path) -> None:
    path = tmp_path / "a.set"
    path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(RecordingError, match=r"a\.set: a MATLAB 7\.3 file.*-v7"):
        inspect_eeg(path)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.edf")
    with pytest.raises(RecordingError, match="is not a file"):
        inspect_eeg(tmp_path / "a.edf")


# Real files -------------------------------------------------------------------------------------------------


@pytest.fixture
def real() -> Path:
    place = os.environ.get("JMML_REALDATA")
    if not place:
        pytest.skip("JMML_REALDATA does not say where the real recordings are")
    return Path(place)


def test_real_files(real: Path) -> None:
    """Annotations of a file that begins within a second count from its first sample; MNE and pyEDFlib agree."""
    found = inspect_eeg(real / "tiny_eeg" / "test_subsecond.edf")
    assert (found.channels, found.sample_rate_hz, found.duration_s) == (("Fp1",), 128.0, 698.0)
    assert [event.name for event in found.events] == ["XLSpike", "Clip Note", "XLEvent", "XLSpike"]
    assert abs(found.events[0].onset_s - (2.3457031 - 0.3945312)) < 1 / 128
    assert "中文测试八个字" in {e.name for e in inspect_eeg(real / "tiny_eeg" / "test_utf8.edf").events}
    with pytest.raises(RecordingError, match="5 sample rates"):
        inspect_eeg(real / "tiny_eeg" / "test_generator_datarec_generator_2.bdf")
    (bids,) = (real / "tiny_bids").rglob("*.vhdr")
    found = inspect_eeg(bids)
    assert (len(found.channels), found.sample_rate_hz, len(found.companions)) == (64, 5000.0, 2)
    assert {"ECG", "HEOG", "GSR"} <= set(found.others)
