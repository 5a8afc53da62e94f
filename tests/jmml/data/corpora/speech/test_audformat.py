"""Databases of audformat: what their tables say, and what of them is never run."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from jmml.data.corpora import detect_adapter, get_corpus
from jmml.errors import CorpusError, DataError, RecordingError, UnsafeFileError
from tests.jmml.data.corpora.make import write_wav
from tests.jmml.data.corpora.speech.make_audformat import ROWS, database, make_audformat, save, segmented

pytest.importorskip("audformat")


@pytest.mark.parametrize("storage", ["csv", "parquet"])
def test_tables_say_who_what_and_which_emotion(storage: str, tmp_path: Path) -> None:
    make_audformat(tmp_path)
    for table in tmp_path.glob("db.*.csv"):
        table.unlink()
    save(tmp_path, database(), storage)
    assert detect_adapter(tmp_path) == "audformat"
    frame = get_corpus("audformat").scan(tmp_path).frame
    assert frame[["path", "group", "label", "text"]].values.tolist() == [list(row) for row in ROWS]
    assert frame["valence"].isna().all()


def test_segments_are_rows_of_their_own(tmp_path: Path) -> None:
    write_wav(tmp_path / "long.wav", seconds=4.0)
    rows = [
        ("long.wav", 0.0, 1.0, "ann", "joy"),
        ("long.wav", 1.0, 2.5, "NA", "fear"),
        ("long.wav", 2.5, None, "null", "sad"),
    ]
    save(tmp_path, segmented(rows))
    corpus = get_corpus("audformat")
    manifest = corpus.scan(tmp_path)
    assert list(manifest.frame["id"]) == ["long@0-1", "long@1-2.5", "long@2.5-"]
    assert list(manifest.frame["group"]) == ["ann", "NA", "null"]  # names, not missing values
    assert set(manifest.frame["recording"]) == {"long.wav"}
    assert manifest.notes == ["published parts: train 3"]
    whole, rate = soundfile.read(tmp_path / "long.wav", dtype="float32")
    for row, (_, start, end, _, _) in zip(manifest.frame.itertuples(), rows, strict=True):
        signal = corpus.read(tmp_path, row).signal[0]
        np.testing.assert_array_equal(
            signal, whole[round(start * rate) : None if end is None else round(end * rate)]
        )


def test_segments_of_a_long_recording_may_differ_by_milliseconds(tmp_path: Path) -> None:
    rows = [("a.wav", 1234.567, 1235.567, "ann", "joy"), ("a.wav", 1234.568, 1235.568, "bob", "joy")]
    save(tmp_path, segmented(rows))
    sources = get_corpus("audformat").list_sources(tmp_path).sources  # type: ignore[attr-defined]
    assert [source.id for source in sources] == ["a@1234.567-1235.567", "a@1234.568-1235.568"]


def test_a_row_without_a_label_is_left_out_and_told(tmp_path: Path) -> None:
    make_audformat(tmp_path)
    save(tmp_path, database([*ROWS[:3], ("wav/08a01Ta.wav", "8", None, "a01")]))
    manifest = get_corpus("audformat").scan(tmp_path)
    assert len(manifest) == 3
    assert manifest.notes == ["1 rows without a label left out"]


def test_gold_standards_count_and_contradictions_are_listed(tmp_path: Path) -> None:
    make_audformat(tmp_path)
    db = database()
    for name, labels in (
        ("raters", ["anger"] * 4),
        ("one.gold_standard", None),
        ("two.gold_standard", ["anger"] * 4),
    ):
        db[name] = db["emotion"].copy()
        if labels is not None:
            db[name]["emotion"].set(labels)
    del db.tables["emotion"]
    save(tmp_path, db)
    with pytest.raises(
        RecordingError, match=r"3 of 7 .*wav/03a01Fa\.wav: 'happiness' and in two\.gold_standard 'anger'"
    ):
        get_corpus("audformat").scan(tmp_path)
    kept = get_corpus("audformat").scan(tmp_path, skip_bad=True)
    assert list(kept.frame["label"]) == [label for _, _, label, _ in ROWS]


def test_a_file_that_is_missing_and_a_path_that_leads_out_are_listed(tmp_path: Path) -> None:
    make_audformat(tmp_path)
    (tmp_path / "wav" / "03a01Fa.wav").unlink()
    table = tmp_path / "db.emotion.csv"
    table.write_text(table.read_text().replace("wav/03a02Nc.wav", "../03a02Nc.wav"))
    with pytest.raises(RecordingError) as caught:
        get_corpus("audformat").scan(tmp_path)
    assert "wav/03a01Fa.wav: no such file" in str(caught.value)
    assert "'../03a02Nc.wav' is not a path below the database" in str(caught.value)


def test_a_header_that_would_run_code_does_not(tmp_path: Path) -> None:
    make_audformat(tmp_path)
    header = tmp_path / "db.yaml"
    proof = tmp_path / "proof"
    header.write_text(header.read_text() + f"description: !!python/object/apply:os.mkdir ['{proof}']\n")
    with pytest.raises(CorpusError, match=r"db\.yaml: is not the header of a database") as caught:
        get_corpus("audformat").scan(tmp_path)
    assert "\n" not in str(caught.value)
    assert not proof.exists()


def test_a_table_that_is_a_pickle_is_refused_and_one_beside_a_table_not_read(tmp_path: Path) -> None:
    make_audformat(tmp_path)
    pickled = tmp_path / "db.emotion.pkl"
    pickled.write_bytes(b"cos\nsystem\n(S'exit 1'\ntR.")
    assert len(get_corpus("audformat").scan(tmp_path)) == 4
    (tmp_path / "db.emotion.csv").unlink()
    with pytest.raises(UnsafeFileError, match=r"db\.emotion\.pkl: the table emotion is a pickle alone"):
        get_corpus("audformat").scan(tmp_path)
    pickled.unlink()
    with pytest.raises(CorpusError, match="the table emotion is missing"):
        get_corpus("audformat").scan(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("name: emodb", "name: [", "is not the header of a database"),
        ("tables:", "tables: &t\n", "not the header|is not"),
        ("name: emodb", "a: &a [x]\nb: [*a, *a]\nname: emodb", "has references"),
        ("  emotion:\n    type", "  ../emotion:\n    type", "cannot name a table"),
    ],
)
def test_a_header_that_is_none_is_one_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    header = make_audformat(tmp_path) / "db.yaml"
    text = header.read_text()
    assert old in text
    header.write_text(text.replace(old, new, 1))
    if message == "not the header|is not":
        header.write_text("name: x\ntables: 3\n")
    with pytest.raises(DataError, match=message) as caught:
        get_corpus("audformat").scan(tmp_path)
    assert "\n" not in str(caught.value)


def test_nobody_who_speaks_and_no_emotion_are_told(tmp_path: Path) -> None:
    make_audformat(tmp_path)
    db = database()
    db.drop_tables("files")
    save(tmp_path, db)
    with pytest.raises(DataError, match="no table says who speaks"):
        get_corpus("audformat").scan(tmp_path)
    db = database()
    db.drop_tables("emotion")
    save(tmp_path, db)
    with pytest.raises(DataError, match="no table has a column of emotions"):
        get_corpus("audformat").scan(tmp_path)


def test_without_the_package_one_line_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_audformat(tmp_path)
    monkeypatch.setitem(sys.modules, "audformat", None)
    assert detect_adapter(tmp_path) == "audformat"
    with pytest.raises(
        CorpusError, match=r"package audformat is not installed. `pip install 'jmml\[audformat\]'`"
    ):
        get_corpus("audformat").scan(tmp_path)


def test_an_edited_table_is_read_again(tmp_path: Path) -> None:
    write_wav(tmp_path / "long.wav", seconds=4.0)
    save(tmp_path, segmented([("long.wav", 0.0, 1.0, "ann", "joy"), ("long.wav", 1.0, 2.0, "bob", "joy")]))
    corpus = get_corpus("audformat")
    row = next(corpus.scan(tmp_path).frame.itertuples())
    corpus.read(tmp_path, row)
    table = tmp_path / "db.segments.csv"
    table.write_text(
        table.read_text().replace("0 days 00:00:00,0 days 00:00:01", "0 days 00:00:00,0 days 00:00:03")
    )
    with pytest.raises(RecordingError, match="long@0-1"):
        corpus.read(tmp_path, row)
