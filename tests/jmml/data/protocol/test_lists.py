"""Lists in every form that people publish them in."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from jmml.data.protocol.lists import read_lists
from jmml.data.splits import Fold, Split
from jmml.errors import DataError, ProtocolError

ROWS = [
    ("a_1.wav", "joy", "1", "train"), ("b_1.wav", "joy", "1", "test"),
    ("a_1.wav", "joy", "2", "test"), ("b_1.wav", "joy", "2", "train"),
]  # fmt: skip
WANTED = pd.DataFrame(ROWS, columns=["path", "label", "fold", "part"], dtype=object)


def same(found: pd.DataFrame, wanted: pd.DataFrame = WANTED) -> bool:
    columns = list(wanted.columns)
    order = ["fold", "part", *(c for c in ("path", "person") if c in columns)]
    left, right = (frame[columns].sort_values(order).reset_index(drop=True) for frame in (found, wanted))
    return left.equals(right)


def delimited(separator: str, header: str = "file,emotion,fold,part") -> str:
    lines = [header, *(",".join(row) for row in ROWS)]
    return "\n".join(lines).replace(",", separator) + "\n"


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_one_table(tmp_path: Path, separator: str) -> None:
    (tmp_path / "folds.csv").write_text(delimited(separator), encoding="utf-8-sig")
    lists = read_lists(tmp_path / "folds.csv")
    assert same(lists.frame)
    assert lists.columns == {"path": "file", "label": "emotion", "fold": "fold", "part": "part"}
    assert lists.folds == ["1", "2"]


def test_parquet_with_numbers_and_missing_values(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "wav": [row[0] for row in ROWS],
            "fold": [1, 1, 2, 2],
            "split": ["train", "test", "test", "train"],
            "speaker": ["a", None, "a", "b"],
        }
    )
    frame.to_parquet(tmp_path / "folds.parquet")
    lists = read_lists(tmp_path / "folds.parquet")
    assert same(lists.frame, WANTED.drop(columns="label"))
    assert list(lists.frame["person"]) == ["a", None, "a", "b"]


def test_na_is_a_name(tmp_path: Path) -> None:
    (tmp_path / "folds.csv").write_text("file,speaker,part\nx.wav,NA,train\ny.wav,null,test\n")
    assert list(read_lists(tmp_path / "folds.csv").frame["person"]) == ["NA", "null"]


def test_names_in_two_normal_forms_are_one(tmp_path: Path) -> None:
    (tmp_path / "folds.csv").write_text("file,speaker,part\nx.wav,Ren\u00e9,train\ny.wav,Rene\u0301 ,test\n")
    assert read_lists(tmp_path / "folds.csv").frame["person"].nunique() == 1


def test_the_number_of_the_fold_that_tests_a_sample(tmp_path: Path) -> None:
    for column in ("fold", "split"):
        (tmp_path / "folds.csv").write_text(f"file,label,{column}\nb_1.wav,joy,1\na_1.wav,joy,2\n")
        assert same(read_lists(tmp_path / "folds.csv").frame)


def test_a_column_per_fold(tmp_path: Path) -> None:
    (tmp_path / "folds.csv").write_text(
        "file,label,fold_1,fold_2\na_1.wav,joy,train,test\nb_1.wav,joy,test,training\n"
    )
    assert same(read_lists(tmp_path / "folds.csv").frame)


@pytest.mark.parametrize("suffix", ["jsonl", "json", "csv", "txt"])
def test_a_folder_with_a_file_per_part_and_fold(tmp_path: Path, suffix: str) -> None:
    for fold in ("1", "2"):
        for part in ("train", "test"):
            rows = [(row[0], row[1]) for row in ROWS if row[2:] == (fold, part)]
            objects = [{"key": f"x-{wav}", "wav": wav, "emo": label, "length": 1.5} for wav, label in rows]
            text = {
                "jsonl": "\n".join(map(json.dumps, objects)),
                "json": json.dumps({one.pop("key"): one for one in [dict(o) for o in objects]}),
                "csv": "\n".join(["path,label", *map(",".join, rows)]),
                "txt": "\n".join(map(" ".join, rows)),
            }[suffix]
            path = tmp_path / f"fold_{fold}" / f"x_{part}_fold_{fold}.{suffix}"
            path.parent.mkdir(exist_ok=True)
            path.write_text(text + "\n")
    (tmp_path / "label_map.json").write_text("{}")
    lists = read_lists(tmp_path)
    assert same(lists.frame)
    assert lists.notes == ["1 other files were not read: their names say no part"]


def test_one_list_in_two_formats_counts_once(tmp_path: Path) -> None:
    for part in ("train", "test"):
        (tmp_path / f"{part}.jsonl").write_text(json.dumps({"wav": f"{part}.wav"}) + "\n")
        (tmp_path / f"{part}.json").write_text(json.dumps([{"wav": f"{part}.wav"}]))
    assert len(read_lists(tmp_path).frame) == 2


def test_the_part_is_in_the_name_of_the_folder(tmp_path: Path) -> None:
    for part in ("train", "dev", "test"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "list.txt").write_text(f"{part}.wav\n")
    assert dict(read_lists(tmp_path).frame[["path", "part"]].to_numpy()) == {
        "train.wav": "train", "dev.wav": "valid", "test.wav": "test",
    }  # fmt: skip


def test_splits_of_a_project(tmp_path: Path) -> None:
    folds = (Fold(0, ("a", "b"), ("c",)), Fold(1, ("c",), ("a", "b")))
    Split(folds, (Fold(0, ("x",), ("y",)),)).save(tmp_path / "splits.json")
    frame = read_lists(tmp_path / "splits.json").frame
    assert set(frame["fold"]) == {"speech 0", "speech 1", "eeg 0"}
    assert set(frame[(frame["fold"] == "speech 0") & (frame["part"] == "train")]["person"]) == {"a", "b"}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.csv", "", "is empty"),
        ("x.csv", "file,label\na.wav,joy\n", "no column says what is trained on"),
        ("x.csv", "file,part\na.wav,train\nb.wav,train\n", "fold 1 has no test part"),
        ("x.csv", "file,part\na.wav,train\nb.wav,held\n", "'held' in column 'part' is not a part"),
        ("x.csv", "file,part,fold\na.wav,train,1\nb.wav,exam,1\n", "'exam' in column 'part' is not a part"),
        ("x.csv", "file,part,fold\na.wav,train,1\nb.wav,,1\n", "sample 2 has no part"),
        ("x.csv", "file,file,part\na.wav,b.wav,train\n", "column 'file' occurs more than once"),
        ("x.csv", "file,fold\na.wav,1\nb.wav,1\n", "all samples are of fold 1"),
        ("x.csv", "file,part\n\xff\xfe,train\n", "is not UTF-8 text"),
        ("x.jsonl", '{"wav": "a.wav", "part": "train"}\nnot json\n', "cannot be read as a table"),
        ("x.jsonl", "[1, 2]\n", "line 1: is not an object"),
        ("x.json", '{"speech": [{"index": 0}]}', "is not a split"),
        ("x.json", "[" * 100_000, "cannot be read as a table"),
        ("x.json", "3", "is not a list of objects"),
        ("x.json", "[]", "holds no sample"),
        ("x.parquet", "PAR1", "cannot be read as a table"),
        ("missing/x.csv", None, "no such file or folder"),
    ],
)
def test_what_cannot_be_read_is_one_line(tmp_path: Path, name: str, content: str | None, said: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content.encode("latin-1"))
    with pytest.raises((ProtocolError, DataError), match=said) as caught:
        read_lists(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 700


def test_a_folder_of_other_things(tmp_path: Path) -> None:
    with pytest.raises(ProtocolError, match="holds no list"):
        read_lists(tmp_path)
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("x,y\n1,2\n")
    with pytest.raises(ProtocolError, match="none of 2 lists says in its name which part it is"):
        read_lists(tmp_path)
    (tmp_path / "train.csv").write_text("x,y\n1,2\n")
    (tmp_path / "test.csv").write_text("path,y\n1,2\n")
    (tmp_path / "b.csv").unlink()
    assert set(read_lists(tmp_path).frame["part"]) == {
        "train",
        "test",
    }  # without a header, the first column is paths


def test_one_person_and_one_file_in_two_spellings_are_one(tmp_path: Path) -> None:
    """A column with gaps turns whole numbers into 1.0; separators and ./ are the machine's."""
    pd.DataFrame({"wav": ["./x/a.wav", "x/b.wav"], "speaker": [1, 2]}).to_parquet(tmp_path / "train.parquet")
    pd.DataFrame({"wav": ["x\\a.wav", "x/c.wav"], "speaker": [1.0, None]}, dtype=object).astype(
        {"speaker": "float32"}
    ).to_parquet(tmp_path / "test.parquet")
    frame = read_lists(tmp_path).frame
    assert list(frame["path"]) == ["x/a.wav", "x/c.wav", "x/a.wav", "x/b.wav"]
    assert list(frame["person"]) == ["1", None, "1", "2"]


def test_a_split_that_sets_recordings_aside_is_no_list_of_people(tmp_path: Path) -> None:
    fold = {"index": 0, "train": ["a"], "test": ["b"]}
    path = tmp_path / "splits.json"
    path.write_text(json.dumps({"speech": [fold], "eeg": []}))
    assert set(read_lists(path).frame["person"]) == {"a", "b"}
    path.write_text(json.dumps({"speech": [{**fold, "aside": ["b 2"]}], "eeg": []}))
    with pytest.raises(ProtocolError, match="sets recordings aside, which a list of people cannot say"):
        read_lists(path)
