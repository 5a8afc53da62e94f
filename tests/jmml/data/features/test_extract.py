"""From manifest to table: cache, parallelism, unusable recordings, and what the table says."""

import hashlib
import os
import signal
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile as sf

from jmml.config import EEGFeatureConfig, FeaturesConfig, Modality, SpeechFeatureConfig
from jmml.data.corpora import get_corpus
from jmml.data.corpora._base import Recording
from jmml.data.features import eeg, extract, speech
from jmml.data.features.audio import load_audio
from jmml.data.features.extract import extract_corpus
from jmml.data.table import FeatureTable
from jmml.errors import CorpusError, DataError, RecordingError, UnsafeFileError
from tests.jmml.data.features.signals import RATE, noise, sine

CFG = FeaturesConfig()
EEG_CHANNELS = ("F3", "F4", "Cz")


def manifest(count: int, modality: str, seconds: float) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id": [f"r{i:02d}" for i in range(count)],
            "path": [f"r{i:02d}.wav" for i in range(count)],
            "item": [i % 2 for i in range(count)],
            "modality": modality,
            "label": ["anger", "sadness"] * (count // 2) + ["anger"] * (count % 2),
            "valence": np.nan,
            "arousal": 5.0,
            "group": [f"s{i % 3}" for i in range(count)],
            "duration_s": seconds,
            "sample_rate_hz": float(RATE),
            "content_hash": [hashlib.sha256(f"{modality}{i}".encode()).hexdigest() for i in range(count)],
        }
    )


@dataclass
class SpeechReader:
    """Reads WAV files from a folder, and leaves a mark with the process id for each one that it reads."""

    root: Path

    def __call__(self, row: Any) -> Recording:
        (self.root / f"{row.id}.read").write_text(str(os.getpid()))
        signal, rate = load_audio(self.root / row.path)
        return Recording(signal[None], rate, ("mono",))

    def reads(self) -> set[str]:
        marks = list(self.root.glob("*.read"))
        found = {mark.stem for mark in marks}
        for mark in marks:
            mark.unlink()
        return found


def speech_corpus(root: Path, count: int = 4) -> tuple[pd.DataFrame, SpeechReader]:
    frame = manifest(count, "speech", 0.3)
    for i, path in enumerate(frame["path"]):
        sf.write(
            root / path, sine(150 + 5 * i, seconds=0.3) + noise(seconds=0.3, amplitude=0.01, seed=i), RATE
        )
    return frame, SpeechReader(root)


@dataclass
class EEGReader:
    """Trials of 9 s at 128 Hz; ``channels`` by recording id departs from the usual ones."""

    channels: dict[str, tuple[str, ...]] = field(default_factory=dict)
    root: Path | None = None  # for marks, as those of SpeechReader

    def __call__(self, row: Any) -> Recording:
        if self.root is not None:
            (self.root / f"{row.id}.read").write_text(str(os.getpid()))
        names = self.channels.get(row.id, EEG_CHANNELS)
        signals = {
            name: np.random.default_rng([int(row.id[1:]), ord(name[-1])]).normal(size=9 * 128)
            for name in names
        }
        return Recording(1e-5 * np.stack([signals[n] for n in names]).astype(np.float32), 128.0, names)


def run(
    frame: pd.DataFrame, read: Any, modality: Any = "speech", cfg: FeaturesConfig = CFG, **options: Any
) -> Any:
    return extract_corpus(frame, read, modality, cfg, corpus="lab", progress=False, **options)


def test_speech_table(tmp_path: Path) -> None:
    frame, read = speech_corpus(tmp_path)
    table, skipped = run(frame, read)
    assert skipped == []
    assert (table.corpus, table.modality) == ("lab", "speech")
    assert table.ids.tolist() == frame["id"].tolist() == table.index["recording"].tolist()
    assert table.names == speech.feature_names(CFG.speech)
    assert table.extractor == speech.extractor_digest(CFG.speech)
    assert table.settings == CFG.speech.model_dump(mode="json")
    for row, path in enumerate(frame["path"]):
        np.testing.assert_array_equal(table.X[row], speech.extract(*load_audio(tmp_path / path), CFG.speech))
    table.save(tmp_path / "t.parquet")
    assert FeatureTable.load(tmp_path / "t.parquet").digest == table.digest


def test_eeg_table_has_a_row_per_window() -> None:
    table, _ = run(manifest(3, "eeg", 9.0), EEGReader(), "eeg")
    assert table.ids.tolist() == ["r00#000", "r00#001", "r01#000", "r01#001", "r02#000", "r02#001"]
    assert table.index["recording"].tolist() == ["r00", "r00", "r01", "r01", "r02", "r02"]
    assert table.groups.tolist() == ["s0", "s0", "s1", "s1", "s2", "s2"]
    whole = FeaturesConfig(eeg=EEGFeatureConfig(window_s=None))
    assert run(manifest(3, "eeg", 9.0), EEGReader(), "eeg", whole)[0].ids.tolist() == ["r00", "r01", "r02"]


def test_cache_hit_reads_nothing_and_changes_nothing(tmp_path: Path) -> None:
    frame, read = speech_corpus(tmp_path)
    first, _ = run(frame, read, cache_dir=tmp_path / "cache")
    assert read.reads() == {"r00", "r01", "r02", "r03"}
    again, _ = run(frame, read, cache_dir=tmp_path / "cache")
    assert read.reads() == set()
    assert again.digest == first.digest


def test_cache_follows_the_code_that_reads_and_extracts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame, read = speech_corpus(tmp_path)
    own = extract.code_digest("speech", read)
    assert own != extract.code_digest("eeg", read)
    assert own == extract.code_digest("speech", partial(read))
    adapters = [get_corpus(name).read for name in ("ravdess", "nemo")]
    assert len({own, *(extract.code_digest("speech", partial(one, tmp_path)) for one in adapters)}) == 3
    run(frame, read, cache_dir=tmp_path / "cache")
    read.reads()
    monkeypatch.setattr(extract, "code_digest", lambda *_: "edited")
    run(frame, read, cache_dir=tmp_path / "cache")
    assert read.reads() == set(frame["id"])


def test_cache_follows_content_settings_and_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame, read = speech_corpus(tmp_path)
    everything = set(frame["id"])
    run(frame, read, cache_dir=tmp_path / "cache")
    read.reads()
    changed = frame.assign(content_hash=[*frame["content_hash"][:3], "f" * 64])
    run(changed, read, cache_dir=tmp_path / "cache")
    assert read.reads() == {"r03"}
    run(frame, read, cfg=FeaturesConfig(eeg=EEGFeatureConfig(window_s=2.0)), cache_dir=tmp_path / "cache")
    assert read.reads() == set()  # settings of the other modality
    run(
        frame, read, cfg=FeaturesConfig(speech=SpeechFeatureConfig(hop_s=0.016)), cache_dir=tmp_path / "cache"
    )
    assert read.reads() == everything
    monkeypatch.setattr(speech, "VERSION", speech.VERSION + 1)
    run(frame, read, cache_dir=tmp_path / "cache")
    assert read.reads() == everything


def test_a_damaged_entry_is_computed_again(tmp_path: Path) -> None:
    frame, read = speech_corpus(tmp_path)
    first, _ = run(frame, read, cache_dir=tmp_path / "cache")
    read.reads()
    entry = next((tmp_path / "cache").rglob("*.npy"))
    entry.write_bytes(entry.read_bytes()[:-40])
    again, _ = run(frame, read, cache_dir=tmp_path / "cache")
    assert len(read.reads()) == 1
    assert again.digest == first.digest


@pytest.mark.parametrize("modality", ["eeg", pytest.param("speech", marks=pytest.mark.long)])
def test_processes_give_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, modality: Modality
) -> None:
    """Processes for EEG alone are started in a second: they do without librosa."""
    if modality == "speech":
        frame, read = speech_corpus(tmp_path, 12)
    else:
        frame, read = manifest(12, "eeg", 9.0), EEGReader(root=tmp_path)

    def processes() -> set[int]:
        return {int(mark.read_text()) for mark in tmp_path.glob("*.read")}

    monkeypatch.setattr(extract, "MIN_PER_WORKER", 6)
    serial, _ = run(frame, read, modality, workers=1)
    assert processes() == {os.getpid()}
    parallel, _ = run(frame, read, modality, workers=2, cache_dir=tmp_path / "cache")
    assert os.getpid() not in processes()
    np.testing.assert_array_equal(serial.X, parallel.X)
    assert serial.digest == parallel.digest
    assert run(frame, read, modality, cache_dir=tmp_path / "cache")[0].digest == serial.digest


class DeadlyReader(EEGReader):
    """Ends the process that reads, as the kernel does for want of memory."""

    def __call__(self, row: Any) -> Recording:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


def test_the_death_of_a_process_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extract, "MIN_PER_WORKER", 6)
    with pytest.raises(DataError, match=r"a process that extracts features died.*Use fewer workers"):
        run(manifest(12, "eeg", 9.0), DeadlyReader(), "eeg", workers=2)


def broken(tmp_path: Path) -> tuple[pd.DataFrame, SpeechReader]:
    frame, read = speech_corpus(tmp_path, 8)
    for i, content in {1: b"", 3: b"no audio", 4: None, 6: (tmp_path / "r06.wav").read_bytes()[:500]}.items():
        path = tmp_path / f"r{i:02d}.wav"
        path.unlink() if content is None else path.write_bytes(content)
    return frame, read


def test_unusable_recordings_are_reported_together(tmp_path: Path) -> None:
    frame, read = broken(tmp_path)
    with pytest.raises(RecordingError, match="lab: 4 of 8 recordings cannot be used") as caught:
        run(frame, read)
    message = str(caught.value)
    assert "\n" not in message
    assert all(name in message for name in ("r01.wav", "r03.wav", "r04.wav", "and 1 more", "--skip-bad"))


def test_unusable_recordings_can_be_left_out(tmp_path: Path) -> None:
    frame, read = broken(tmp_path)
    table, skipped = run(frame, read, skip_bad=True)
    assert table.ids.tolist() == ["r00", "r02", "r05", "r07"]
    assert [("r01" in s, "r03" in s, "r04" in s, "r06" in s).index(True) for s in skipped] == [0, 1, 2, 3]


def test_nothing_usable_and_nothing_at_all(tmp_path: Path) -> None:
    frame, read = broken(tmp_path)
    with pytest.raises(RecordingError, match="1 of 1 recordings cannot be used") as caught:
        run(frame.iloc[[1]], read, skip_bad=True)
    assert "skip-bad" not in str(caught.value)
    with pytest.raises(CorpusError, match="lists no recording"):
        run(frame.iloc[:0], read)


def test_an_unsafe_file_stops_everything() -> None:
    def read(row: Any) -> Recording:
        raise UnsafeFileError("would run code", where=row.path)

    with pytest.raises(UnsafeFileError, match=r"r00\.wav: would run code"):
        run(manifest(2, "eeg", 9.0), read, "eeg", skip_bad=True)


def test_flat_channels_are_told_of_the_corpus_cached_or_not(tmp_path: Path) -> None:
    def read(row: Any) -> Recording:
        recording = EEGReader()(row)
        if row.id == "r01":
            recording.signal[2] = 0
        return recording

    for _ in range(2):
        with pytest.warns(
            eeg.FlatChannelWarning, match=r"lab: channels are flat .* Cz in 2 of 6\. Inter"
        ) as told:
            table, _ = run(manifest(3, "eeg", 9.0), read, "eeg", cache_dir=tmp_path)
        assert len(told) == 1
        assert np.isfinite(table.X).all()


def test_channels_are_known_by_name_not_by_order(tmp_path: Path) -> None:
    frame = manifest(3, "eeg", 9.0)
    usual, _ = run(frame, EEGReader(), "eeg")
    shuffled = EEGReader({"r01": ("Cz", "F3", "F4")})
    for _ in range(2):  # computed, then from the cache
        got, _ = run(frame, shuffled, "eeg", cache_dir=tmp_path)
        assert got.names == usual.names
        np.testing.assert_allclose(got.X, usual.X, rtol=1e-5, atol=1e-5)


def test_another_montage_in_one_corpus_is_refused() -> None:
    with pytest.raises(RecordingError, match=r"r02: its channels differ.*missing: Cz.*in addition: Pz"):
        run(manifest(3, "eeg", 9.0), EEGReader({"r02": ("F3", "F4", "Pz")}), "eeg")


def test_progress_goes_to_standard_error_when_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame, read = speech_corpus(tmp_path)
    extract_corpus(frame, read, "speech", CFG, corpus="lab", progress=True)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "lab features: 100%" in shown.err
    extract_corpus(frame, read, "speech", CFG, corpus="lab")  # no terminal, not asked
    assert capsys.readouterr().err == ""


def test_progress_is_told_of_what_is_not_cached(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame, read = speech_corpus(tmp_path)
    told: list[tuple[int, int]] = []

    def extract(rows: pd.DataFrame) -> None:
        extract_corpus(
            rows, read, "speech", CFG, corpus="lab", cache_dir=tmp_path / "cache",
            progress=lambda done, total: told.append((done, total)),
        )  # fmt: skip

    extract(frame.iloc[:1])
    assert told == [(1, 1)]
    told.clear()
    extract(frame)
    assert told[-1] == (len(frame) - 1, len(frame) - 1)
    told.clear()
    extract(frame)
    assert told == []
    assert capsys.readouterr().err == ""
