"""What a table or the names of files say of the recordings in a folder."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from jmml.data.listing.recordings import FILE, describe, find_recordings
from jmml.errors import DataError

AUDIO = (".wav", ".flac")


def folder(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return root


def said(root: Path, *columns: str, **options) -> list[tuple]:
    frame = describe(root, AUDIO, **options).frame
    return [tuple(row) for row in frame[list(columns)].to_numpy()]


def test_names_of_files(tmp_path: Path) -> None:
    root = folder(
        tmp_path,
        "b/ann_2_joy.wav",
        "a/bob_1_fear.flac",
        "a/cover.jpg",
        ".cache/x_1_joy.wav",
        "._bob_1_fear.wav",
    )
    found = describe(root, AUDIO, pattern="{speaker}_{text:d}_{label}.*")
    assert found.frame.to_dict("list") == {
        "path": ["a/bob_1_fear.flac", "b/ann_2_joy.wav"], "person": ["bob", "ann"], "label": ["fear", "joy"],
        "text": ["1", "2"],
    }  # fmt: skip
    assert found.sources["person"] == "file names ({speaker}_{text:d}_{label}.*)"
    folder(tmp_path, "a/noise.wav")
    assert describe(root, AUDIO, pattern="{speaker}_{text:d}_{label}.*").notes == [
        "1 files named otherwise left out, such as a/noise.wav"
    ]


@pytest.mark.parametrize(
    "name",
    [
        "x/one.wav",
        "one.wav",
        "one",
        "x/one",
        "/home/me/corpus/x/one.wav",
        r"C:\data\x\one.wav",
        " one.wav ",
        "ONE/one",
    ],
)
def test_a_table_may_name_a_file_in_any_way(tmp_path: Path, name: str) -> None:
    root = folder(tmp_path, "x/one.wav", "x/two.wav")
    (root / "labels.csv").write_text(f"file;speaker;emotion\n{name};ann;joy\n")
    assert said(root, "path", "person", "label") == [("x/one.wav", "ann", "joy")]
    assert describe(root, AUDIO).notes == ["1 files that labels.csv does not name left out"]


def test_a_name_that_two_files_have_is_neither(tmp_path: Path) -> None:
    root = folder(tmp_path, "ann/1.wav", "bob/1.wav", "bob/2.wav")
    (root / "t.csv").write_text(
        "file,speaker,emotion\nbob/2.wav,bob,joy\n1.wav,ann,joy\nann/1.wav,ann,fear\n"
    )
    found = describe(root, AUDIO, table=root / "t.csv")
    assert list(found.frame["path"]) == ["bob/2.wav", "ann/1.wav"]
    assert found.problems == [f"t.csv row 2: no file '1.wav' below {root.name}"]


def test_names_in_two_normal_forms_are_one(tmp_path: Path) -> None:
    root = folder(tmp_path, "Rene\u0301.wav")
    (root / "t.csv").write_text("file,speaker,label\nRen\u00e9.wav,Rene\u0301,joy\n", encoding="utf-8")
    ((path, person),) = said(root, "path", "person")
    assert (root / path).exists()
    assert person == "Ren\u00e9"


def test_na_is_a_name_and_01_stays_01(tmp_path: Path) -> None:
    root = folder(tmp_path, "a.wav", "b.wav")
    (root / "t.csv").write_text("file,speaker,label\na.wav,NA,01\nb.wav,null,nan\n")
    assert said(root, "person", "label") == [("NA", "01"), ("null", "nan")]


@pytest.mark.parametrize("kind", ["csv", "tsv", "parquet", "jsonl"])
def test_ratings_and_segments_are_numbers_in_every_form(tmp_path: Path, kind: str) -> None:
    root = folder(tmp_path, "a.wav")
    frame = pd.DataFrame(
        {"wav": ["a.wav", "a.wav"], "subject": ["s1", "s1"], "valence": [3.5, 7.25], "arousal": [1.0, 9.0],
         "start": [0.0, 1.5], "end": [1.5, 3.0]}
    )  # fmt: skip
    path = root / f"t.{kind}"
    if kind == "parquet":
        frame.to_parquet(path)
    elif kind == "jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        separator = ";" if kind == "csv" else "\t"
        frame.to_csv(path, sep=separator, index=False, decimal=",")
    assert said(root, "valence", "arousal", "start_s", "end_s") == [
        (3.5, 1.0, 0.0, 1.5),
        (7.25, 9.0, 1.5, 3.0),
    ]


def test_the_table_comes_before_the_names(tmp_path: Path) -> None:
    root = folder(tmp_path, "ann_joy.wav")
    (root / "t.csv").write_text("file,speaker\nann_joy.wav,A\n")
    found = describe(root, AUDIO, table=root / "t.csv", pattern="{speaker}_{label}.wav")
    assert found.frame.to_dict("records") == [{"path": "ann_joy.wav", "person": "A", "label": "joy"}]
    assert found.sources == {"person": "column speaker", "label": "file names ({speaker}_{label}.wav)"}


def test_what_was_written_is_read_first(tmp_path: Path) -> None:
    root = folder(tmp_path, "a.wav")
    for name, person in (("labels.csv", "x"), (FILE, "y")):
        (root / name).write_text(f"path,speaker,label\na.wav,{person},joy\n")
    assert said(root, "person") == [("y",)]


def test_links_to_folders_are_not_followed(tmp_path: Path) -> None:
    """Where links lead out of the corpus is for `jmml data add` to ask: DVC's own cache may lie behind them."""
    root = folder(tmp_path / "corpus", "a.wav")
    (root / "inside.wav").symlink_to(root / "a.wav")
    (root / "loop").symlink_to(root)
    assert find_recordings(root, AUDIO) == ["a.wav", "inside.wav"]


@pytest.mark.parametrize(
    ("table", "options", "error"),
    [
        (None, {}, "no table here names these files. .*--pattern"),
        ("what,who\nx,y\n", {}, "no table here names these files"),
        ("what,who\nx,y\n", {"table": True}, "none of 2 rows names a file here, such as 'what'"),
        ("file,speaker,label\nmissing.wav,a,joy\n", {"table": True}, "none of 1 rows names a file here, such as 'mi"),
        ("file,speaker,label\n", {"table": True}, "no rows"),
        ("file,label\na.wav,joy\n", {}, r"says who speaks; columns: file, label\. Name the column of t\.csv with"),
        ("file,speaker\na.wav,ann\n", {}, "nothing says which emotion it is"),
        ("file,speaker,valence\na.wav,ann,3\n", {}, "nothing says which emotion it is"),
        ("file,speaker,valence,arousal\na.wav,ann,high,3\n", {}, "'high' in row 1 is not a number"),
        ("file,speaker,valence,arousal\na.wav,ann,inf,3\n", {}, "'inf' in row 1 is infinite"),
        ("file,speaker,label,start,end\na.wav,ann,joy,2,1\n", {}, "1 segments end before they begin, the first of a"),
        ("file,speaker,label\na.wav,ann,joy\n", {"columns": {"label": "emo"}}, "no column 'emo'"),
        (None, {"pattern": "{speaker}_{label}.wav"}, "none of 1 files is named like"),
        (None, {"pattern": "{speaker}.wav"}, "nothing says which emotion it is"),
    ],
)  # fmt: skip
def test_what_cannot_be_understood_is_one_line(tmp_path: Path, table, options, error) -> None:
    root = folder(tmp_path, "a.wav")
    if table is not None:
        (root / "t.csv").write_text(table)
    if options.get("table"):
        options = {**options, "table": root / "t.csv"}
    with pytest.raises(DataError, match=error) as caught:
        describe(root, AUDIO, **options)
    assert len(str(caught.value)) < 600


def test_two_tables_that_name_the_files_are_asked_about(tmp_path: Path) -> None:
    root = folder(tmp_path, "a.wav")
    for name in ("t1.csv", "t2.csv"):
        (root / name).write_text("file,speaker,label\na.wav,ann,joy\n")
    with pytest.raises(
        DataError, match=r"2 tables name these files \(t1\.csv, t2\.csv\)\. Name one with --table"
    ):
        describe(root, AUDIO)


def test_a_folder_without_recordings(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no recording; expected files of the kinds \.flac, \.wav"):
        describe(tmp_path, AUDIO)


def test_columns_that_are_called_in_another_language(tmp_path: Path) -> None:
    root = folder(tmp_path, "one.wav", "two.wav")
    table = root / "t.csv"
    table.write_text("Datei;Sprecher;Gefühl\none.wav;ann;joy\ntwo.wav;bob;fear\n")
    with pytest.raises(DataError, match=r"nothing says who speaks; columns: Datei, Sprecher, Gefühl\."):
        describe(root, AUDIO, table=table)
    mapped = {"person": "Sprecher", "label": "Gefühl"}
    assert said(root, "path", "person", "label", table=table, columns=mapped) == [
        ("one.wav", "ann", "joy"), ("two.wav", "bob", "fear"),
    ]  # fmt: skip
    table.write_text("Ort;Sprecher;Gefühl\none;ann;joy\ntwo;bob;fear\n")  # no suffix that would tell a file
    assert said(root, "path", table=table, columns=mapped) == [("one.wav",), ("two.wav",)]
