from __future__ import annotations

import mne
import pytest

from jmml.data.eeg_files.names import electrode, is_eeg, repeated


def test_every_electrode_of_every_montage_is_eeg() -> None:
    for kind in mne.channels.get_builtin_montages():
        names = mne.channels.make_standard_montage(kind).ch_names
        assert [name for name in names if not is_eeg(name)] == [], kind


@pytest.mark.parametrize(
    "name",
    ["EOG left", "VEOG", "ECG", "EMG1", "GSR", "Resp oro-nasal", "Temp", "Status", "EXG3", "TRIGGER", "Plet",
     "GYROX", "ACC x", "SaO2", "AUX 1", "EDA", "STI 014", "COUNTER"],
)  # fmt: skip
def test_other_channels_are_not(name: str) -> None:
    assert is_eeg(name) == (name == "Plet")


def test_names_of_electrodes() -> None:
    assert electrode("EEG F3-LE") == "F3"
    assert electrode("Fc5.") == "Fc5"
    assert electrode("EEG 001") == "EEG 001"
    assert electrode("Fp1-F7") == "Fp1-F7"


def test_names_that_were_numbered() -> None:
    assert repeated(["Fp1-0", "Fp1-1", "Cz"]) == ["Fp1"]
    assert repeated(["A-1", "A-2", "Cz", "Cz"]) == ["Cz"]
