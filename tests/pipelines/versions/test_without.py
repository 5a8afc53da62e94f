from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from jmml.config import CorpusConfig
from jmml.errors import CorpusError
from pipelines.versions.without import Share, copy_without, share_of

ROWS = pd.DataFrame(
    {
        "id": ["a", "b", "c"],
        "group": ["ann", "ben", "ann"],
        "path": ["x/a.wav", "x/b.wav", "c.wav"],
        "content_hash": ["1", "2", "3"],
        "item": [0, 0, 0],
    }
)


def config(adapter: str) -> CorpusConfig:
    return CorpusConfig(adapter=adapter, modality="speech", path="data/raw/x")


def test_files_of_one_person_and_of_several() -> None:
    share = share_of("ann", config("ravdess"), ROWS)
    assert (share.ids, share.recordings, share.files) == (("a", "c"), ("1", "3"), ("x/a.wav", "c.wav"))
    assert not share_of("carl", config("ravdess"), ROWS)
    with pytest.raises(CorpusError, match=r"1 file hold recordings of ann and others: talk\.wav"):
        share_of("ann", config("files"), ROWS.assign(path="talk.wav"))


def test_lists_lose_the_lines_that_name_a_recording(tmp_path: Path) -> None:
    files = {
        "x/a.wav": "A", "x/b.wav": "B", "c.wav": "C", "README.md": "c.wav is a file",
        "list.csv": 'file,label\nx/a.wav,joy\n"x/b.wav",joy\nxc.wav,fear\nc.wav,fear\n',
        "names.tsv": "id\tperson\na\tann\nab\tben\r\n",
        "rows.jsonl": '{"path": "c.wav", "label": "joy"}\n{"path": "b.wav", "label": "joy"}\n',
        "other.txt": "nothing of theirs\n",
    }  # fmt: skip
    source, target = tmp_path / "source", tmp_path / "target"
    for place, text in files.items():
        (source / place).parent.mkdir(parents=True, exist_ok=True)
        (source / place).write_text(text, newline="")
    edited = copy_without(share_of("ann", config("files"), ROWS), source, target, files)
    assert edited == ["list.csv", "names.tsv", "rows.jsonl"]
    left = {place: (target / place).read_bytes().decode() for place in files if (target / place).exists()}
    assert left == {
        "x/b.wav": "B", "README.md": "c.wav is a file", "other.txt": "nothing of theirs\n",
        "list.csv": 'file,label\n"x/b.wav",joy\nxc.wav,fear\n',
        "names.tsv": "id\tperson\nab\tben\r\n",
        "rows.jsonl": '{"path": "b.wav", "label": "joy"}\n',
    }  # fmt: skip
    assert (source / "list.csv").read_text() == files["list.csv"]


def test_lines_of_others_whose_recordings_are_called_alike_stay(tmp_path: Path) -> None:
    rows = ROWS.assign(path=["ann/1.wav", "ben/1.wav", "ann/2.wav"])
    text = "path,person,take\nann/1.wav,ann,1\nben/1.wav,ben,2\nann/2.wav,ann,2\n"
    stems = "name,take\n1,1\n2,5\nben,2\n"
    (tmp_path / "list.csv").write_text(text)
    (tmp_path / "stems.csv").write_text(stems)
    share = share_of("ann", config("files"), rows)
    copy_without(share, tmp_path, tmp_path / "new", ["list.csv", "stems.csv"])
    assert (tmp_path / "new" / "list.csv").read_text() == "path,person,take\nben/1.wav,ben,2\n"
    assert (tmp_path / "new" / "stems.csv").read_text() == "name,take\n1,1\nben,2\n"


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_rows_of_a_table_of_text(tmp_path: Path, mark: str) -> None:
    lines = ["id,x", "a,1", '"b', 'b",2', "", "c,3", "d,4"]
    source = tmp_path / "t.csv"
    source.write_text("\n".join(lines).replace(",", mark) + "\n")
    copy_without(Share(("b", "d"), (), (), ("t.csv", (1, 3))), tmp_path, tmp_path / "new", ["t.csv"])
    assert (tmp_path / "new" / "t.csv").read_text().replace(mark, ",") == "id,x\na,1\n\nc,3\n"
    left = pd.read_csv(tmp_path / "new" / "t.csv", sep=mark)
    assert left["id"].tolist() == ["a", "c"]


def test_rows_of_parquet_keep_what_is_said_of_the_table(tmp_path: Path) -> None:
    frame = pd.DataFrame({"id": ["a", "b", "c"], "x": [1.0, 2.0, 3.0]})
    frame.attrs["unit"] = "Hz"
    frame.to_parquet(tmp_path / "t.parquet")
    copy_without(Share(("a",), (), (), ("t.parquet", (0,))), tmp_path, tmp_path / "new", ["t.parquet"])
    left = pd.read_parquet(tmp_path / "new" / "t.parquet")
    assert left["x"].tolist() == [2.0, 3.0]
    assert left.attrs == {"unit": "Hz"}
    with pytest.raises(CorpusError, match=r"rows of a '\.feather' table are not removed here"):
        (tmp_path / "t.feather").write_bytes(b"")
        copy_without(Share(("a",), (), (), ("t.feather", (0,))), tmp_path, tmp_path / "new", ["t.feather"])
