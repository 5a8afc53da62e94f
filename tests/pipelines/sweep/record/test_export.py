"""Exported values are those of the journal, in every format, and a file is there as a whole or not at all."""

from __future__ import annotations

import csv
import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from jmml.errors import SweepError
from pipelines.sweep.record.export import export
from pipelines.sweep.record.folder import SweepFolder
from pipelines.sweep.record.journal import Event
from tests.pipelines.sweep import journals

EVENTS = journals.events(cost=True)
REPORTS = [event for event in EVENTS if event["e"] == "report"]


def folder_of(path: Path, events: list[Event]) -> SweepFolder:
    folder = SweepFolder(path / "quick")
    journals.write(folder.journal, events)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> SweepFolder:
    return folder_of(tmp_path_factory.mktemp("sweeps"), EVENTS)


def records(path: Path) -> list[dict[str, Any]]:
    """Rows of a file, as text for CSV, None for what is not there."""
    if path.suffix == ".json":
        rows: list[dict[str, Any]] = json.loads(path.read_text())
        return rows
    if path.suffix == ".csv":
        with path.open(newline="") as handle:
            return [{key: value or None for key, value in row.items()} for row in csv.DictReader(handle)]
    import pyarrow.parquet as pq

    table: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return table


def iso(ms: int | None) -> str:
    """A moment of a journal, by numpy."""
    return f"{np.datetime64(ms, 'ms')}Z"


@pytest.mark.parametrize("form", ["csv", "parquet", "json"])
def test_one_row_per_trial_with_exact_values(folder: SweepFolder, tmp_path: Path, form: str) -> None:
    path = tmp_path / f"trials.{form}"
    assert export(folder, path, format=form) == 40
    state = folder.state()
    for number, row in enumerate(records(path), 1):
        trial = state.trials[number]
        expected: dict[str, Any] = {
            "trial": number, "state": trial.status, "best_score": trial.best_score,
            "best_val_uar": trial.best_val_uar, "best_epoch": trial.best_epoch or None, "epochs": trial.epoch,
            "started": iso(trial.started), "ended": iso(trial.ended),
            "seconds": trial.seconds(0), "cost": trial.cost, "attempts": trial.attempts, **trial.configuration,
            **{f"stage1_{key}": trial.memo.get(key) for key in ("computed", "loaded", "waited")},
            "error": trial.error,
        }  # fmt: skip
        if form == "csv":
            expected = {key: None if value is None else str(value) for key, value in expected.items()}
        assert row == expected


@pytest.mark.parametrize("form", ["csv", "parquet", "json"])
def test_one_row_per_epoch_with_every_point(folder: SweepFolder, tmp_path: Path, form: str) -> None:
    path = tmp_path / f"epochs.{form}"
    assert export(folder, path, format=form, epochs=True) == len(REPORTS)
    rows = records(path)
    assert [(int(r["trial"]), int(r["epoch"])) for r in rows] == sorted(
        (e["trial"], e["epoch"]) for e in REPORTS
    )
    by_place = {(int(row["trial"]), int(row["epoch"])): row for row in rows}
    for event in REPORTS:
        row = by_place[event["trial"], event["epoch"]]
        for name, value in {"score": event["score"], "cost": event["cost"], **event["points"]}.items():
            if math.isnan(value):
                assert row[name] is None if form == "json" else math.isnan(float(row[name]))
            else:
                assert float(row[name]) == value
    first = [by_place[1, epoch]["speech/jec_ssl/loss"] for epoch in (1, 2, 3, 4)]
    assert [None if value is None else float(value) for value in first] == [3.0, 2.0, 1.5, None]


def test_pandas_reads_the_same_numbers_back(folder: SweepFolder, tmp_path: Path) -> None:
    for form in ("csv", "parquet"):
        export(folder, tmp_path / f"t.{form}", format=form)
    text = pd.read_csv(tmp_path / "t.csv")
    exact = pd.read_parquet(tmp_path / "t.parquet")
    assert text["best_score"].equals(exact["best_score"])
    assert text["stage1.lr"].equals(exact["stage1.lr"])


def pbt() -> list[Event]:
    """One trial whose learning rate changed after epoch 2, and stage 1 that ran longer than stage 2."""
    t = journals.START
    points = {"val_uar": 0.3, "epoch": 9.0}
    start = {"configuration": {"stage1.lr": 0.1}, "epochs": 3, "attempt": 1, "host": "a"}
    first = {"points": points, "score": 0.3, "history": {"loss": [1, 2, 3, 4]}}
    return [
        {"e": "sweep", "t": t, **journals.header("quick", 1)},
        {"e": "start", "t": t, "trial": 1, **start},
        {"e": "report", "t": t, "trial": 1, "epoch": 1, **first},
        {"e": "report", "t": t, "trial": 1, "epoch": 2, "points": points, "score": 0.5},
        {"e": "mutate", "t": t, "trial": 1, "epoch": 2, "configuration": {"stage1.lr": 0.2}, "source": 2},
        {"e": "report", "t": t, "trial": 1, "epoch": 3, "points": points, "score": 0.4},
    ]


def test_settings_are_those_of_the_epoch(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, pbt())
    export(folder, tmp_path / "e.json", format="json", epochs=True)
    rows = records(tmp_path / "e.json")
    assert [row["stage1.lr"] for row in rows] == [0.1, 0.1, 0.2, 0.2]
    assert [row["score"] for row in rows] == [0.3, 0.5, 0.4, None]
    assert [row["loss"] for row in rows] == [1, 2, 3, 4]
    assert [row["metric.epoch"] for row in rows] == [9.0, 9.0, 9.0, None]
    export(folder, tmp_path / "t.json", format="json")
    assert records(tmp_path / "t.json")[0]["ended"] is None  # it has not
    assert records(tmp_path / "t.json")[0]["stage1.lr"] == 0.1  # the best epoch came before the change


@pytest.mark.parametrize("form", ["csv", "parquet", "json"])
@pytest.mark.parametrize("epochs", [False, True])
def test_a_sweep_without_trials(tmp_path: Path, form: str, epochs: bool) -> None:
    path = tmp_path / f"none.{form}"
    assert export(folder_of(tmp_path, EVENTS[:2]), path, format=form, epochs=epochs) == 0
    assert records(path) == []


def test_choices_of_several_types_survive_parquet(tmp_path: Path) -> None:
    events = EVENTS[:2]
    for number, value in enumerate((True, 1, 0.5, "auto", None), 1):
        events = [*events, {"e": "start", "t": journals.START, "trial": number, "configuration": {"stage1.p": value},
                            "epochs": 3, "attempt": 1, "host": "a"}]  # fmt: skip
    named = tmp_path / os.fsdecode(b"\xff.parquet")  # as such a file may be named, too
    export(folder_of(tmp_path, events), named, format="parquet")
    values = [row["stage1.p"] for row in records(named.rename(tmp_path / "t.parquet"))]
    assert [None if value is None else json.loads(value) for value in values] == [True, 1, 0.5, "auto", None]


class TestErrors:
    def test_format(self, folder: SweepFolder, tmp_path: Path) -> None:
        with pytest.raises(SweepError, match=r"unknown format 'cvs'.*csv"):
            export(folder, tmp_path / "x", format="cvs")
        assert not (tmp_path / "x").exists()

    def test_place(self, folder: SweepFolder, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(SweepError, match="cannot be written"):
            export(folder, tmp_path / "file" / "x.csv", format="csv")
        with pytest.raises(SweepError, match="there is no such folder"):
            export(folder, tmp_path / "reslts" / "x.csv", format="csv")
        assert not (tmp_path / "reslts").exists()
        with pytest.raises(SweepError, match="it is a folder"):
            export(folder, tmp_path, format="csv")

    def test_a_file_stays_when_writing_fails(
        self, folder: SweepFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from pipelines.sweep.record import export as module

        def fail(path: Path, *_: object) -> int:
            path.write_text("half")
            raise OSError(28, "No space left on device")

        (tmp_path / "t.csv").write_text("old")
        monkeypatch.setitem(module.FORMATS, "csv", fail)
        with pytest.raises(SweepError, match="No space left on device"):
            export(folder, tmp_path / "t.csv", format="csv")
        assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"t.csv": "old"}


def test_a_column_of_whole_and_other_numbers_keeps_both(tmp_path: Path) -> None:
    events = journals.events(12)
    for event in events:
        if event["e"] == "start":
            event["configuration"] = {
                **event["configuration"],
                "stage2.lam_x": [0, 2.5, True][event["trial"] % 3],
                "stage1.p": [4, 8.5][event["trial"] % 2],
            }
    folder = folder_of(tmp_path, events)
    export(folder, tmp_path / "trials.parquet", format="parquet")
    rows = records(tmp_path / "trials.parquet")
    assert [row["stage1.p"] for row in rows] == [[4.0, 8.5][row["trial"] % 2] for row in rows]
    assert [json.loads(row["stage2.lam_x"]) for row in rows] == [
        [0, 2.5, True][row["trial"] % 3] for row in rows
    ]
