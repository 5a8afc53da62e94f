"""Audits of train and test lists: published ones, planted leaks, and what tells who speaks."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from jmml.errors import ProtocolError
from pipelines.corpora.add import add
from pipelines.protocol.audit import audit
from pipelines.workspace.project import Project

REALDATA = os.environ.get("JMML_REALDATA")
PUBLISHED = Path(REALDATA).parent / "published_folds" if REALDATA else Path("missing")


def write(path: Path, rows: list[str], header: str = "file,speaker,text,label,fold,part") -> Path:
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


HONEST = [
    "a1.wav,a,t1,joy,1,train", "a2.wav,a,t2,fear,1,train", "b1.wav,b,t1,joy,1,test", "b3.wav,b,t3,fear,1,test",
]  # fmt: skip


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason="JMML_REALDATA names no folder beside published lists")
@pytest.mark.parametrize(
    ("corpus", "folds", "leaks"),
    [
        ("ravdess", [(0, 4)] * 6, 0),
        ("savee", [(0, 1)] * 4, 0),
        ("ased", [(63, 63)], 1),
        ("tess", [(2, 2)], 1),
    ],
)
def test_published_lists_have_the_counts_that_are_known(corpus: str, folds, leaks: int) -> None:
    found = audit(PUBLISHED / f"{corpus}.csv")
    people = [one for one in found.found if one.key == "person"]
    assert [(one.shared, one.values) for one in people] == folds
    assert len(found.leaks) == leaks
    assert all(one.share == 1 for one in found.found if one.key == "text")  # every sentence is trained on
    assert found.sources["person"] == f"file names as in {corpus}"


def test_honest_lists_have_no_leak_and_shared_texts_are_noted(tmp_path: Path) -> None:
    found = audit(write(tmp_path / "x.csv", HONEST))
    assert not found.leaks
    headings, rows = found.table()
    assert headings == ["fold", "tested", "people shared", "texts shared", "files shared"]
    assert rows == [["1", "2", "0 of 1 (0%)", "1 of 2 (50%)", "0 of 2 (0%)"]]
    lines = found.lines()
    assert lines[0] == "read: people from column speaker; texts from column text; files from column file"
    assert lines[1] == (
        "note: 50.0% of the test samples have a text that is trained on, 50.0% with the same label; "
        "--disjoint person,text counts it as a leak"
    )
    assert lines[-1] == "no leak: people and files are disjoint in every fold"


def test_what_must_be_disjoint_is_the_protocols_to_say(tmp_path: Path) -> None:
    lists = write(tmp_path / "x.csv", HONEST)
    (leak,) = audit(lists, disjoint=["speaker", "sentence"]).leaks
    assert (leak.key, leak.names) == ("text", ("t1",))
    assert not audit(lists, disjoint=["person"]).leaks


@pytest.mark.parametrize(
    ("row", "key"),
    [
        ("c1.wav,a,t9,joy,1,test", "person"),
        ("a1.wav,c,t9,joy,1,test", "path"),
        ("c1.wav,A\u0301,t9,joy,1,test", "person"),
    ],
)
def test_a_planted_leak_is_named(tmp_path: Path, row: str, key: str) -> None:
    more = ["n.wav,\u00c1,t8,joy,1,train"]
    found = audit(write(tmp_path / "x.csv", [*HONEST, *more, row]))
    assert [one.key for one in found.leaks] == [key]
    assert any(line.startswith("leak: fold 1: 1 of ") for line in found.lines())
    assert found.lines()[-1] == "1 fold with a leak"
    assert found.as_dict()["leak"] is True


def test_a_recording_on_both_sides_is_a_leak_whoever_speaks(tmp_path: Path) -> None:
    rows = ["a.wav,a,d1,joy,1,train", "b.wav,b,d1,joy,1,test"]
    lists = write(tmp_path / "x.csv", rows, "file,speaker,dialogue,label,fold,part")
    assert [one.key for one in audit(lists).leaks] == ["recording"]


def test_validation_that_shares_people_with_training_is_noted(tmp_path: Path) -> None:
    rows = [*HONEST, "a3.wav,a,t4,joy,1,dev"]
    found = audit(write(tmp_path / "x.csv", rows))
    assert not found.leaks
    assert any("selection sees a better score than the test" in line for line in found.lines())


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("c1.wav,B ,t9,joy,1,test", "B, b differ in case or blanks alone: one person or several?"),
        ("b1.wav,b,t1,joy,1,test", "1 repeated row in one part, such as b1.wav in fold 1"),
        ("c1.wav,c,t9,envy,1,test", "fold 1 tests envy, which it never trains"),
    ],
)
def test_odd_rows_are_noted(tmp_path: Path, row: str, said: str) -> None:
    assert f"note: {said}" in audit(write(tmp_path / "x.csv", [*HONEST, row])).lines()


def test_files_tested_twice_or_never(tmp_path: Path) -> None:
    rows = [*HONEST, "b1.wav,b,t1,joy,2,test", "a1.wav,a,t1,joy,2,train"]
    notes = audit(write(tmp_path / "x.csv", rows)).notes
    assert list(notes) == ["1 file tested in more than one fold", "2 files tested in no fold"]


def test_names_of_files_tell_what_no_column_does(tmp_path: Path) -> None:
    lists = write(tmp_path / "x.csv", ["s1_x_joy.wav,train", "s1_y_joy.wav,test"], "file,part")
    with pytest.raises(
        ProtocolError, match=r"nothing tells the people of these samples; expected .*--pattern"
    ):
        audit(lists)
    (leak,) = audit(lists, pattern="{speaker}_{text}_{label}.wav").leaks
    assert leak.names == ("s1",)
    with pytest.raises(ProtocolError, match=r"2 of 2 files are not named as in \{person:d\}"):
        audit(lists, pattern="{person:d}_{}.wav")
    with pytest.raises(ProtocolError, match="2 of 2 files are not named as in ravdess"):
        audit(lists, corpus="ravdess")
    with pytest.raises(ProtocolError, match=r"no corpus 'ravdes' here.*did you mean 'ravdess'"):
        audit(lists, corpus="ravdes")
    with pytest.raises(ProtocolError, match="'loudness' is not a key"):
        audit(lists, disjoint=["loudness"])


def test_a_corpus_of_the_project_tells_people_and_equal_contents(
    project: Project, corpus: Path, tmp_path: Path
) -> None:
    first, second = sorted(corpus.rglob("*.wav"))[:2]
    other = first.with_name("03-01-01-01-01-02-01.wav")  # the same recording as another repetition
    shutil.copyfile(first, other)
    add(project, "mine", corpus)
    project = Project(project.root)
    lists = write(
        tmp_path / "x.csv",
        [f"downloads/{first.name},train", f"{other.stem},test", "gone.wav,test"],
        "file,part",
    )
    found = audit(lists, project=project, corpus="mine")
    assert [one.key for one in found.leaks] == ["person", "content"]
    assert "1 of 3 files are not in corpus mine, such as gone.wav" in found.notes
    lists = write(tmp_path / "x.csv", [f"{first.name},train", f"{second.name},test"], "file,part")
    assert [one.key for one in audit(lists, project=project, corpus="mine").leaks] == ["person"]


@pytest.mark.parametrize(
    ("row", "concerned"), [("c1.wav,,t9,joy,1,test", "1 of 3"), ("c1.wav,,t9,joy,1,train", "2 of 2")]
)
def test_a_sample_of_nobody_leaves_it_open_on_either_side(tmp_path: Path, row: str, concerned: str) -> None:
    found = audit(write(tmp_path / "x.csv", [*HONEST, row]))
    assert not found.leaks
    assert not found.passed
    lines = found.lines()
    assert (
        f"unproven: fold 1: nothing tells the person of some samples ({concerned} test samples concerned)"
        in lines
    )
    assert lines[-1].startswith("no leak was found, and none can be ruled out")


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason="JMML_REALDATA names no folder beside published lists")
def test_the_readme_shows_what_is_said_of_tess() -> None:
    readme = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
    for line in audit(PUBLISHED / "tess.csv").lines()[1:3]:
        assert line in readme
