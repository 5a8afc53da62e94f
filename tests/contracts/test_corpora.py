"""What every registered corpus adapter must do. A new adapter adds one line to ``CASES``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pytest

from jmml.config import AdapterName
from jmml.data.corpora import ADAPTERS, MANIFEST_COLUMNS, Manifest, detect_adapter, get_corpus
from jmml.data.labels import EMOTIONS, SPACES, map_labels
from jmml.errors import CorpusError, RecordingError
from tests.jmml.data.corpora import make


@dataclass(frozen=True)
class Case:
    """A small corpus of four recordings, how to damage one of its files, and what it holds."""

    build: Callable[[Path], Path]
    groups: tuple[str, ...]
    quadrants: tuple[str, ...]
    one_file: str | None = None  # a file to cut short; None where the corpus is one table
    lost: int = 1  # rows that go with it
    channels: int = 1


CASES = {
    "nemo": Case(make.make_nemo, ("AA0", "BB0"), ("LVHA", "HVHA", "HVLA", "LVLA"), "samples/AA0_anger_0.wav"),
    "emodb": Case(make.make_emodb, ("03", "08"), ("LVHA", "HVLA", "HVHA", "LVLA"), "wav/03a01Wa.wav"),
    "ravdess": Case(
        make.make_ravdess,
        ("01", "12"),
        ("HVLA", "LVHA", "HVLA", "HVHA"),
        "Actor_01/03-01-05-01-02-01-01.wav",
    ),
    "deap": Case(
        make.make_deap, ("s01", "s02"), ("HVHA", "LVLA", "HVHA", "LVLA"), "s01.dat", lost=2, channels=32
    ),
    "table": Case(make.make_table, ("01", "02"), ("LVHA", "HVLA", "HVHA", "LVLA")),
}

every_adapter = pytest.mark.parametrize("adapter", sorted(ADAPTERS))
with_recordings = pytest.mark.parametrize("adapter", sorted(n for n in CASES if CASES[n].one_file))


def test_every_registered_adapter_has_a_case_and_a_setting() -> None:
    assert set(CASES) == set(ADAPTERS) == set(get_args(AdapterName))


@every_adapter
def test_names_and_labels_are_consistent(adapter: str) -> None:
    corpus = get_corpus(adapter)
    assert corpus.name == adapter
    assert corpus.layout
    assert set(corpus.native_labels.values()) <= set(EMOTIONS)


@every_adapter
def test_scan_gives_a_complete_manifest(adapter: str, tmp_path: Path) -> None:
    case, corpus = CASES[adapter], get_corpus(adapter)
    manifest = corpus.scan(case.build(tmp_path))
    frame = manifest.frame
    assert tuple(frame.columns) == MANIFEST_COLUMNS
    assert len(frame) == 4
    assert tuple(frame["group"].unique()) == case.groups
    assert frame["modality"].isin([corpus.modality]).all()
    assert frame["content_hash"].is_unique
    assert not manifest.skipped


@every_adapter
def test_scan_is_repeatable_and_survives_parquet(adapter: str, tmp_path: Path) -> None:
    root = CASES[adapter].build(tmp_path / "corpus")
    first, second = get_corpus(adapter).scan(root), get_corpus(adapter).scan(root)
    first.save(tmp_path / "manifest.parquet")
    loaded = Manifest.load(tmp_path / "manifest.parquet")
    assert first.digest == second.digest == loaded.digest
    pd.testing.assert_frame_equal(loaded.frame, first.frame)


@every_adapter
def test_paths_point_at_files_below_the_root(adapter: str, tmp_path: Path) -> None:
    root = CASES[adapter].build(tmp_path)
    for path in get_corpus(adapter).scan(root).frame["path"]:
        assert (root / path).is_file()


@every_adapter
def test_layout_is_recognised_by_its_own_adapter_first(adapter: str, tmp_path: Path) -> None:
    assert detect_adapter(CASES[adapter].build(tmp_path)) == adapter


@every_adapter
def test_labels_reach_the_quadrants(adapter: str, tmp_path: Path) -> None:
    frame = get_corpus(adapter).scan(CASES[adapter].build(tmp_path)).frame
    mapped = map_labels(frame, adapter, "quadrants")
    assert tuple(mapped) == CASES[adapter].quadrants
    assert set(mapped) <= set(SPACES["quadrants"])


@every_adapter
def test_progress_counts_to_the_total(adapter: str, tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    get_corpus(adapter).scan(CASES[adapter].build(tmp_path), progress=lambda *call: calls.append(call))
    total = calls[-1][1]
    assert calls == [(done, total) for done in range(1, total + 1)]


@every_adapter
@pytest.mark.parametrize("state", ["missing", "empty", "no folder"])
def test_nothing_to_scan_is_one_line(adapter: str, state: str, tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    if state == "empty":
        root.mkdir()
    elif state == "no folder":
        root.write_text("not a corpus")
    with pytest.raises(CorpusError) as caught:
        get_corpus(adapter).scan(root)
    assert "\n" not in str(caught.value)
    assert str(root) in str(caught.value)


@every_adapter
def test_foreign_files_are_not_recognised(adapter: str, tmp_path: Path) -> None:
    (tmp_path / "readme.txt").write_text("hello")
    make.write_wav(tmp_path / "greeting.wav")
    assert not get_corpus(adapter).recognises(tmp_path)
    with pytest.raises(CorpusError, match="expected"):
        get_corpus(adapter).scan(tmp_path)


@with_recordings
def test_read_agrees_with_the_manifest(adapter: str, tmp_path: Path) -> None:
    case, corpus = CASES[adapter], get_corpus(adapter)
    root = case.build(tmp_path)
    frame = corpus.scan(root).frame
    for row in frame.itertuples(index=False):
        recording = corpus.read(root, row)
        assert recording.signal.dtype == np.float32
        assert recording.signal.shape == (case.channels, round(row.duration_s * row.sample_rate_hz))
        assert len(recording.channels) == case.channels
        assert recording.sample_rate_hz == row.sample_rate_hz
    by_series = corpus.read(root, frame.iloc[-1])
    np.testing.assert_array_equal(by_series.signal, recording.signal)


@with_recordings
def test_a_damaged_file_stops_the_scan_or_is_listed(adapter: str, tmp_path: Path) -> None:
    case, corpus = CASES[adapter], get_corpus(adapter)
    root = case.build(tmp_path)
    assert case.one_file is not None
    make.truncate(root / case.one_file, 4000)
    with pytest.raises(RecordingError) as caught:
        corpus.scan(root)
    assert case.one_file in str(caught.value)
    assert "truncated" in str(caught.value)
    assert "\n" not in str(caught.value)
    manifest = corpus.scan(root, skip_bad=True)
    assert len(manifest) == 4 - case.lost
    assert len(manifest.skipped) == 1
    assert case.one_file in manifest.skipped[0]


@with_recordings
def test_an_empty_file_stops_the_scan(adapter: str, tmp_path: Path) -> None:
    case = CASES[adapter]
    root = case.build(tmp_path)
    make.truncate(root / str(case.one_file), 0)
    with pytest.raises(RecordingError, match=r"empty \(0 bytes\)"):
        get_corpus(adapter).scan(root)


@with_recordings
def test_changed_content_changes_the_hash(adapter: str, tmp_path: Path) -> None:
    case, corpus = CASES[adapter], get_corpus(adapter)
    root = case.build(tmp_path)
    before = corpus.scan(root)
    if adapter == "deap":
        make.write_deap(root / "s01.dat", make.deap_arrays(trials=2, seed=99))
    else:
        make.write_wav(root / str(case.one_file), seed=99)
    after = corpus.scan(root)
    changed = (before.frame["content_hash"] != after.frame["content_hash"]).sum()
    assert changed == case.lost
    assert before.digest != after.digest


def test_a_table_has_nothing_to_read(tmp_path: Path) -> None:
    corpus = get_corpus("table")
    root = make.make_table(tmp_path)
    with pytest.raises(CorpusError, match="read_table"):
        corpus.read(root, corpus.scan(root).frame.iloc[0])
