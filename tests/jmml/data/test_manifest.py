from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from jmml.data.manifest import CONTEXT_COLUMNS, MANIFEST_COLUMNS, Manifest, ManifestRow
from jmml.errors import DataError


def row(number: int = 0, **changes: Any) -> ManifestRow:
    values: dict[str, Any] = {
        "id": f"u{number}",
        "path": f"wav/u{number}.wav",
        "item": 0,
        "modality": "speech",
        "label": None if number == 1 else "anger",
        "valence": np.nan,
        "arousal": np.nan,
        "group": "01",
        "duration_s": 1.5,
        "sample_rate_hz": 16000.0,
        "content_hash": f"{number:064x}",
    }
    return ManifestRow(**(values | changes))


def test_round_trip(tmp_path: Path) -> None:
    manifest = Manifest.from_rows("lab", [row(0), row(1)], skipped=["a.wav: no such file"], notes=["2 songs"])
    manifest.save(tmp_path / "deep" / "lab.parquet")
    loaded = Manifest.load(tmp_path / "deep" / "lab.parquet")
    pd.testing.assert_frame_equal(loaded.frame, manifest.frame)
    assert (loaded.corpus, loaded.skipped, loaded.notes) == ("lab", ["a.wav: no such file"], ["2 songs"])
    assert loaded.digest == manifest.digest
    assert loaded.frame["label"].tolist() == ["anger", None]


def test_missing_values_and_types_do_not_depend_on_where_the_frame_came_from() -> None:
    frame = pd.DataFrame([row(0), row(1)], columns=list(MANIFEST_COLUMNS))
    variants = [
        frame,
        frame.astype({"label": "string", "id": "string"}),
        frame.astype({"label": "category", "item": "int32", "duration_s": "float32"}),
        frame[list(reversed(MANIFEST_COLUMNS))].set_axis([7, 8]),
    ]
    manifests = [Manifest("lab", variant) for variant in variants]
    assert len({manifest.digest for manifest in manifests}) == 1
    for manifest in manifests:
        pd.testing.assert_frame_equal(manifest.frame, manifests[0].frame)


def test_the_digest_follows_the_rows_alone() -> None:
    one = Manifest.from_rows("lab", [row(0)])
    assert Manifest.from_rows("other", [row(0)], skipped=["x"]).digest == one.digest
    for change in ({"label": "fear"}, {"group": "02"}, {"content_hash": "f" * 64}, {"duration_s": 1.6}):
        assert Manifest.from_rows("lab", [row(0, **change)]).digest != one.digest


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([row(0), row(0)], "id 'u0' occurs more than once"),
        ([row(0, id="")], "1 rows have no id"),
        ([row(0), row(1, group=None)], "1 rows have no group, first row 1"),
        ([row(0, path="../u0.wav")], "path '../u0.wav' leaves the corpus"),
        ([row(0, path="/data/u0.wav")], "leaves the corpus"),
        ([row(0, path="a\\u0.wav")], "leaves the corpus"),
        ([row(0, modality="video")], "modality 'video'; expected speech or eeg"),
        ([row(0, content_hash="abc")], "content hash 'abc' is not a SHA-256 digest"),
        ([row(0, item=-1)], "negative item"),
        ([row(0, duration_s=0.0)], "not positive"),
        ([row(0, label=3)], "label 3 is not text"),
        ([row(0, duration_s="long")], "column duration_s holds a value that is not a number"),
    ],
)
def test_bad_rows(rows: list[ManifestRow], message: str) -> None:
    with pytest.raises(DataError, match=message.replace("\\", "\\\\")) as caught:
        Manifest.from_rows("lab", rows)
    assert str(caught.value).startswith("lab: ")


def test_missing_columns() -> None:
    frame = pd.DataFrame([row()], columns=list(MANIFEST_COLUMNS)).drop(columns=["group", "item"])
    with pytest.raises(DataError, match="manifest columns missing: item, group"):
        Manifest("lab", frame)


def test_loading_what_is_not_there_or_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the manifest is missing"):
        Manifest.load(tmp_path / "lab.parquet")
    (tmp_path / "lab.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="is not a manifest"):
        Manifest.load(tmp_path / "lab.parquet")
    pd.DataFrame([row()], columns=list(MANIFEST_COLUMNS)).to_parquet(tmp_path / "lab.parquet")
    with pytest.raises(DataError, match="is not a manifest"):
        Manifest.load(tmp_path / "lab.parquet")


def test_a_failed_save_leaves_the_old_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lab.parquet"
    old = Manifest.from_rows("lab", [row(0)])
    old.save(path)

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("jmml.data.manifest.pq.write_table", fail)
    with pytest.raises(OSError, match="disk full"):
        Manifest.from_rows("lab", [row(1)]).save(path)
    assert Manifest.load(path).digest == old.digest
    assert list(tmp_path.iterdir()) == [path]


def test_context_is_kept_and_enters_the_digest_where_something_is_known(tmp_path: Path) -> None:
    bare = Manifest.from_rows("lab", [row(0), row(1)])
    known = Manifest.from_rows("lab", [row(0, text="01", order=2), row(1)])
    assert known.digest != bare.digest
    known.save(tmp_path / "lab.parquet")
    loaded = Manifest.load(tmp_path / "lab.parquet")
    pd.testing.assert_frame_equal(loaded.frame, known.frame)
    assert loaded.frame["text"].tolist() == ["01", None]


def test_a_manifest_without_context_columns_is_read_as_one_that_knows_none(tmp_path: Path) -> None:
    manifest = Manifest.from_rows("lab", [row(0), row(1)])
    manifest.save(tmp_path / "lab.parquet")
    arrow = pq.read_table(tmp_path / "lab.parquet")
    pq.write_table(arrow.drop_columns(list(CONTEXT_COLUMNS)), tmp_path / "old.parquet")
    old = Manifest.load(tmp_path / "old.parquet")
    pd.testing.assert_frame_equal(old.frame, manifest.frame)
    assert old.digest == manifest.digest
