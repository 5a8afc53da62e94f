from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from jmml.data.corpora import get_corpus, read_table
from jmml.data.labels import map_labels
from jmml.data.listing.tables import read_text
from jmml.data.table import FeatureTable
from jmml.errors import CorpusError, DataError
from tests.jmml.data.corpora.make import make_table, table_frame


def write(path: Path, frame: pd.DataFrame) -> Path:
    if path.suffix == ".parquet":
        frame.to_parquet(path, index=False)
    else:
        frame.to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")
    return path


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_features_units_and_index(suffix: str, tmp_path: Path) -> None:
    table = read_table(write(tmp_path / f"lab{suffix}", table_frame()), "lab", "speech")
    assert (table.corpus, table.modality, table.extractor) == ("lab", "speech", "external")
    assert table.names == ("f0_mean", "jitter")
    assert table.units == ("Hz", "1")
    assert table.X.dtype == np.float32
    np.testing.assert_allclose(table.X, table_frame()[["f0_mean [Hz]", "jitter"]], rtol=1e-7)
    assert list(table.groups) == ["01", "01", "02", "02"]
    assert list(table.index["recording"]) == list(table.index["id"]) == ["u1", "u2", "u3", "u4"]
    assert table.index["valence"].isna().all()


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_a_name_that_is_not_utf8_is_read_by_both_readers(suffix: str, tmp_path: Path) -> None:
    named = write(tmp_path / f"lab{suffix}", table_frame()).rename(
        tmp_path / os.fsdecode(b"\xff" + suffix.encode())
    )
    assert list(read_table(named, "lab", "speech").ids) == ["u1", "u2", "u3", "u4"]
    assert list(read_text(named)["id"]) == ["u1", "u2", "u3", "u4"]


def test_survives_saving_as_a_feature_table(tmp_path: Path) -> None:
    table = read_table(make_table(tmp_path), "lab", "eeg")
    table.save(tmp_path / "features.parquet")
    assert FeatureTable.load(tmp_path / "features.parquet").digest == table.digest


def test_ratings_in_place_of_labels(tmp_path: Path) -> None:
    frame = table_frame().drop(columns="label").assign(valence=[1, 2, 8, 9], arousal=[7.5, 1, 9, 2])
    table = read_table(write(tmp_path / "a.csv", frame), "lab", "eeg")
    assert "valence" not in table.names
    assert list(map_labels(table.index, "table", "quadrants")) == ["LVHA", "LVLA", "HVHA", "HVLA"]


def test_windows_of_one_recording(tmp_path: Path) -> None:
    frame = table_frame().assign(recording=["t1", "t1", "t2", "t2"])
    assert list(read_table(write(tmp_path / "a.csv", frame), "lab", "eeg").index["recording"]) == [
        "t1", "t1", "t2", "t2",
    ]  # fmt: skip


def test_text_columns_are_left_out_and_recorded(tmp_path: Path) -> None:
    frame = table_frame().assign(gender=["f", "f", "m", None])
    table = read_table(write(tmp_path / "a.csv", frame), "lab", "speech")
    assert table.names == ("f0_mean", "jitter")
    assert table.settings == {"ignored": ["gender"]}
    assert get_corpus("table", "speech").scan(tmp_path / "a.csv").notes == ["columns left out: gender"]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_numbers_as_codes_stay_text(suffix: str, tmp_path: Path) -> None:
    frame = table_frame().assign(id=[1, 2, 3, 4], group=[7, 7, 8, 8])
    table = read_table(write(tmp_path / f"a{suffix}", frame), "lab", "speech")
    assert list(table.ids) == ["1", "2", "3", "4"]
    assert list(table.groups) == ["7", "7", "8", "8"]


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("id", "columns missing: id;"),
        ("group", "columns missing: group;"),
        ("label", "columns missing: label;"),
    ],
)
def test_required_columns(column: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_table(write(tmp_path / "a.csv", table_frame().drop(columns=column)), "lab", "speech")
    assert "\n" not in str(caught.value)


def test_one_rating_is_no_label(tmp_path: Path) -> None:
    frame = table_frame().drop(columns="label").assign(valence=1.0)
    with pytest.raises(DataError, match="columns missing: label;"):
        read_table(write(tmp_path / "a.csv", frame), "lab", "speech")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"jitter": [0.1, np.nan, 0.3, 0.4]}, "1 values are not finite, first at id 'u2', feature 'jitter'"),
        ({"jitter": [0.1, np.inf, 0.3, 0.4]}, "not finite"),
        ({"jitter": [0.1, 1e300, 0.3, 0.4]}, "not finite"),
        (
            {"jitter": ["0.1", "0.2", "oops", "0.4"]},
            r"column 'jitter' mixes numbers and text, .*'oops' in row 2",
        ),
        ({"id": ["u1", "u2", "u2", "u3"]}, "id 'u2' occurs more than once"),
        ({"id": ["u1", None, "u2", "u3"]}, "1 rows have no id"),
        ({"group": ["01", None, None, "02"]}, "2 rows have no speaker or subject"),
        ({"jitter [1]": 1.0}, "feature names are not unique"),
        ({"valence [1]": 1.0}, "feature 'valence' has the name of an index column"),
        ({"valence": ["low"] * 4, "arousal": 1.0}, "column valence holds a value that is not a number"),
    ],
)
def test_damaged_tables(change: dict[str, object], message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_table(write(tmp_path / "a.csv", table_frame().assign(**change)), "lab", "speech")
    assert "\n" not in str(caught.value)


def test_no_feature_columns(tmp_path: Path) -> None:
    frame = table_frame()[["id", "group", "label"]].assign(remark="x")
    with pytest.raises(DataError, match="no numeric feature columns"):
        read_table(write(tmp_path / "a.csv", frame), "lab", "speech")


def test_no_rows(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no rows"):
        read_table(write(tmp_path / "a.csv", table_frame().iloc[:0]), "lab", "speech")


def test_a_column_twice(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,group,label,f0,f0\na,1,anger,1,2\n")
    with pytest.raises(DataError, match="column 'f0' occurs more than once"):
        read_table(path, "lab", "speech")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b""),
        ("a.csv", b"\xff\xfe\x00\x80"),
        ("a.csv", b'id,group\n"unclosed,1\n'),
        ("a.csv", b"id,group\na,b\na,b,c,d\n"),
        ("a.parquet", b"no parquet"),
        ("a.parquet", b""),
    ],
)
def test_files_that_are_no_tables(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CorpusError, match=name) as caught:
        read_table(tmp_path / name, "lab", "speech")
    assert "\n" not in str(caught.value)


def test_which_table_of_several(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", table_frame())
    write(tmp_path / "b.csv", table_frame())
    with pytest.raises(CorpusError, match=r"2 tables \(a\.csv, b\.csv\)"):
        read_table(tmp_path, "lab", "speech")


def test_a_file_of_another_kind(tmp_path: Path) -> None:
    (tmp_path / "a.xlsx").write_bytes(b"x")
    with pytest.raises(CorpusError, match=r"a '\.xlsx' file"):
        read_table(tmp_path / "a.xlsx", "lab", "speech")


@pytest.mark.parametrize("modality", ["speech", "eeg"])
def test_a_table_takes_the_modality_of_the_settings(modality: str, tmp_path: Path) -> None:
    corpus = get_corpus("table", modality)  # type: ignore[arg-type]
    assert set(corpus.scan(make_table(tmp_path)).frame["modality"]) == {modality}


def test_the_manifest_has_one_row_per_row(tmp_path: Path) -> None:
    frame = get_corpus("table").scan(make_table(tmp_path)).frame
    assert list(frame["item"]) == [0, 1, 2, 3]
    assert frame["duration_s"].isna().all()
    assert frame["modality"].isna().all()


def noise_frame(ids: list[str], **columns: object) -> pd.DataFrame:
    """Rows of two people by turns of half the table, with one column of noise."""
    n = len(ids)
    frame = pd.DataFrame(
        {"id": ids, "group": np.repeat(["a", "b"], n // 2), "f0": np.random.default_rng(0).normal(size=n)}
    )
    return frame.assign(label="joy").assign(**columns)


WINDOWS = [f"{who}_t{trial}_w{window}" for who in "ab" for trial in range(4) for window in range(3)]


@pytest.mark.parametrize(
    "form", ["{}_w{}", "{}-win{}", "{}.seg-{}", "{} window {}", "{}_epoch{}", "{}_{}", "{}#{:03d}", "{} ({})"]
)
def test_windows_of_one_trial_are_asked_about(form: str, tmp_path: Path) -> None:
    ids = [
        form.format(f"{who}_trial{trial}", window)
        for who in "ab"
        for trial in range(4)
        for window in range(3)
    ]
    labels = [["joy", "calm"][trial % 2] for _ in "ab" for trial in range(4) for _ in range(3)]
    path = write(tmp_path / "t.csv", noise_frame(ids, label=labels))
    with pytest.raises(
        DataError, match=r"24 rows look like windows of 8 recordings .*--windows .*--no-windows"
    ) as error:
        read_table(path, "lab", "eeg")
    assert "\n" not in str(error.value)
    together = read_table(path, "lab", "eeg", windows=True)
    assert together.index["recording"].nunique() == 8
    assert list(together.index["recording"][:4]) == ["a_trial0"] * 3 + ["a_trial1"]
    assert list(read_table(path, "lab", "eeg", windows=False).index["recording"]) == ids


def test_windows_of_one_trial_for_each_emotion_are_asked_about(tmp_path: Path) -> None:
    ids = [f"trial{trial}_w{window}" for trial in range(8) for window in range(3)]
    labels = [["joy", "calm", "anger", "sadness"][trial % 4] for trial in range(8) for _ in range(3)]
    for modality in ("speech", "eeg"):
        with pytest.raises(DataError, match=r"trial0_w0, trial0_w1, trial0_w2, .* of 'trial0'"):
            read_table(write(tmp_path / "t.csv", noise_frame(ids, label=labels)), "lab", modality)  # type: ignore[arg-type]


def test_windows_are_not_asked_about_where_there_is_a_recording(tmp_path: Path) -> None:
    frame = noise_frame(WINDOWS, recording=[name.rpartition("_")[0] for name in WINDOWS])
    assert read_table(write(tmp_path / "t.csv", frame), "lab", "eeg").index["recording"].nunique() == 8


@pytest.mark.parametrize(
    "ids",
    [
        [f"{who}_{label}_{take}" for who in "ab" for label in ("joy", "calm") for take in range(6)],
        [f"{who}_{number}" for who in "ab" for number in range(12)],
        [f"u{number}" for number in range(24)],
        [
            f"{who}_w{number}" for who in "ab" for number in range(12)
        ],  # of one recording per person, many labels
    ],
)
def test_ids_that_say_nothing_of_windows(ids: list[str], tmp_path: Path) -> None:
    labels = [
        "calm" if "calm" in name or (name[-1] in "13579" and "joy" not in name) else "joy" for name in ids
    ]
    table = read_table(write(tmp_path / "t.csv", noise_frame(ids, label=labels)), "lab", "eeg")
    assert list(table.index["recording"]) == ids


def test_repeated_takes_of_speech_are_no_windows(tmp_path: Path) -> None:
    ids = [f"{who}_s{text}_{take}" for who in "ab" for text in range(4) for take in range(3)]
    assert len(read_table(write(tmp_path / "t.csv", noise_frame(ids)), "lab", "speech")) == 24


def test_windows_that_are_none_are_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no ids that differ in their last number alone"):
        read_table(
            write(tmp_path / "t.csv", noise_frame([f"u{n}" for n in range(24)])), "lab", "eeg", windows=True
        )


@pytest.mark.parametrize("name", ["t.csv", "t.tsv"])
def test_decimal_commas_are_read(name: str, tmp_path: Path) -> None:
    mark = "\t" if name == "t.tsv" else ";"
    rows = [["id", "group", "label", "f0 [Hz]", "big", "note"], ["a", "01", "joy", "210,5", "1.234,5", "x"],
            ["b", "02", "calm", "-1,25e2", "12", "y"]]  # fmt: skip
    (tmp_path / name).write_text("\n".join(mark.join(row) for row in rows) + "\n")
    table = read_table(tmp_path / name, "lab", "speech")
    assert (table.names, table.settings) == (("f0", "big"), {"ignored": ["note"]})
    assert table.X.tolist() == [[210.5, 1234.5], [-125.0, 12.0]]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["1,234", "5,678"], "can be read in two ways, such as '1,234'"),
        (["1 234.5", "2 345.5"], "notation that is not read, such as '1 234.5'"),
        (["12 Hz", "13.5 Hz"], "notation that is not read, such as '12 Hz'"),
        (["1,234.5", "2,345.5"], "notation that is not read"),
        (["5%", "6 %"], "notation that is not read"),
        (["0,5", "0.5"], "mixes numbers and text"),
    ],
)
def test_numbers_that_cannot_be_read_are_refused(values: list[str], message: str, tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"id": ["a", "b"], "group": ["1", "2"], "label": "joy", "f0": [1.5, 2.0], "f1": values}
    )
    with pytest.raises(DataError, match=f"column 'f1' .*{message}"):
        read_table(write(tmp_path / "t.csv", frame), "lab", "speech")
    assert read_table(tmp_path / "t.csv", "lab", "speech", leave_out=["f1"]).names == ("f0",)


def test_thousands_are_told_by_the_other_columns(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id;group;label;f0;f1\na;1;joy;1,234;0,5\nb;2;calm;5,678;0,25\n")
    assert read_table(tmp_path / "t.csv", "lab", "speech").X.tolist() == pytest.approx(
        np.array([[1.234, 0.5], [5.678, 0.25]])
    )


def test_people_called_na_and_null(tmp_path: Path) -> None:
    names = ["NA", "null", "nan", "None"]
    frame = table_frame().assign(group=names, id=names)
    table = read_table(write(tmp_path / "t.csv", frame), "lab", "speech")
    assert list(table.groups) == list(table.ids) == names


def test_one_person_in_two_spellings_of_unicode(tmp_path: Path) -> None:
    frame = table_frame().assign(group=["Jos\u00e9", "Jose\u0301", "b", "b"])
    assert set(read_table(write(tmp_path / "t.csv", frame), "lab", "speech").groups) == {"Jos\u00e9", "b"}


def test_rows_with_names_of_their_own_as_r_writes_them(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,group,label,f0\n1,a,x,joy,2.5\n2,b,y,calm,1.5\n")
    with pytest.raises(DataError, match=r"more values than its header has names \(4\)"):
        read_table(tmp_path / "t.csv", "lab", "speech")


def test_a_separator_at_the_end_of_each_line(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id;group;label;f0;\na;1;joy;2,5;\nb;2;calm;1,5;\n")
    assert read_table(tmp_path / "t.csv", "lab", "speech").names == ("f0",)


@pytest.mark.parametrize("option", ["features", "leave_out"])
def test_a_column_that_is_not_there(option: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"no column 'jiter' for {option}; did you mean 'jitter'"):
        read_table(make_table(tmp_path), "lab", "speech", **{option: ["jiter"]})  # type: ignore[arg-type]
