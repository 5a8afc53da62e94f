"""The trials of a sweep as a file for other programs: CSV, Parquet or JSON, with exact values.

Floats come back as they were (the shortest text that does so, or their bits). What does not exist is empty in CSV and
null in Parquet and JSON. NaN and infinities, as of a loss that diverged, are kept in CSV (``nan``, ``inf``) and Parquet
and are null in JSON, which knows neither.
"""

from __future__ import annotations

import csv
import json
import math
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from jmml.errors import SweepError, nearest
from jmml.files import atomic_path
from pipelines.sweep.record import journal
from pipelines.sweep.record.folder import SweepFolder
from pipelines.sweep.record.history import Record

Row = Sequence[Any]
MEMO = ("computed", "loaded", "waited")
# Columns of trials besides their settings; of their epochs besides settings and metrics.
TRIAL = (
    "trial",
    "state",
    "best_score",
    "best_val_uar",
    "best_epoch",
    "epochs",
    "started",
    "ended",
    "seconds",
    "cost",
    "attempts",
)
EPOCH = ("trial", "state", "epoch", "score", "cost")


def export(folder: SweepFolder, path: Path, *, format: str, epochs: bool = False) -> int:
    """Write the trials of a sweep, running or ended, to ``path``, which takes its place as a whole; the number of rows.

    One row per trial, by number: the columns of :data:`TRIAL` (``started`` and ``ended`` of the latest attempt in ISO
    8601, UTC, ``seconds`` between the two, or until now), every setting (with PBT those of the best epoch),
    ``stage1_computed``, ``stage1_loaded``, ``stage1_waited`` (models), ``error``.

    With ``epochs``, one row per trial and epoch: the columns of :data:`EPOCH`, every setting as it was at that epoch,
    every metric under its own name. Metrics of stage 1 stand at their own epochs, so that a row has an epoch of stage 1
    and the same epoch of stage 2 beside each other, as in MLflow; where stage 1 ran longer, the score is empty.

    Parameters
    ----------
    format : ``csv``, ``parquet`` or ``json`` (a list of objects).

    Raises
    ------
    SweepError : unknown format, no such folder or no right to write there, or a damaged journal.
    """
    if format not in FORMATS:
        raise SweepError(f"unknown format '{format}'", where="export", expected=nearest(format, FORMATS))
    record = Record.read(folder)
    columns, rows = _epochs(folder, record) if epochs else _trials(record)
    try:
        if path.is_dir():
            raise IsADirectoryError(None, "it is a folder")
        if not path.absolute().parent.is_dir():
            raise FileNotFoundError(None, "there is no such folder")
        with atomic_path(path) as temporary:
            return FORMATS[format](temporary, columns, rows)
    except OSError as error:
        raise SweepError(
            f"cannot be written: {error.strerror or error}", where=path, fix="name a file that you may write"
        ) from error


def _trials(record: Record) -> tuple[list[str], Iterator[Row]]:
    keys = list(record.space)
    columns = [*TRIAL, *keys, *(f"stage1_{name}" for name in MEMO), "error"]

    def rows() -> Iterator[Row]:
        for trial in record.trials:
            configuration = record.configuration(trial)
            yield (
                trial.number, trial.status, trial.best_score, trial.best_val_uar, trial.best_epoch or None, trial.epoch,
                _moment(trial.started), None if trial.ended is None else _moment(trial.ended),
                trial.seconds(record.now), trial.cost, trial.attempts, *(configuration.get(key) for key in keys),
                *(trial.memo.get(name) for name in MEMO), trial.error,
            )  # fmt: skip

    return columns, rows()


def _epochs(folder: SweepFolder, record: Record) -> tuple[list[str], Iterator[Row]]:
    """Columns and rows, by trial and epoch; metrics are held as arrays: a long sweep has millions of them."""
    places: dict[tuple[int, int], int] = {}
    metrics: dict[str, tuple[array[int], array[float]]] = {}

    def put(name: str, trial: int, epoch: int, value: float | None) -> None:
        if value is not None:
            at, values = metrics.setdefault(name, (array("q"), array("d")))
            at.append(places.setdefault((trial, epoch), len(places)))
            values.append(value)

    for event in journal.read(folder.journal):
        if event["e"] != "report":
            continue
        number, epoch = event["trial"], event["epoch"]
        put("score", number, epoch, event["score"])
        put("cost", number, epoch, event.get("cost"))
        for name, value in event["points"].items():
            put(_free(name), number, epoch, value)
        for name, series in event.get("history", {}).items():
            for step, value in enumerate(series, 1):
                put(_free(name), number, step, value)

    names = [name for name in metrics if name not in EPOCH]
    dense = {
        name: _dense(*metrics[name], len(places)) for name in ("score", "cost", *names) if name in metrics
    }
    keys = list(record.space)

    def at(name: str, place: int) -> float | None:
        if name not in dense:
            return None
        present, values = dense[name]
        return float(values[place]) if present[place] else None

    def rows() -> Iterator[Row]:
        # A report that came while this file was being written belongs to the next one.
        for (number, epoch), place in sorted(
            item for item in places.items() if item[0][0] in record.state.trials
        ):
            trial = record.state.trials[number]
            configuration = record.configuration(trial, epoch)
            yield (
                number, trial.status, epoch, at("score", place), at("cost", place),
                *(configuration.get(key) for key in keys), *(at(name, place) for name in names),
            )  # fmt: skip

    return [*EPOCH, *keys, *names], rows()


def _moment(ms: int) -> str:
    """``2026-07-28T14:03:05.120Z``"""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _free(name: str) -> str:
    """A metric's name, another one where a column of ours has it."""
    return f"metric.{name}" if name in EPOCH else name


def _dense(at: array[int], values: array[float], n: int) -> tuple[np.ndarray, np.ndarray]:
    present, dense = np.zeros(n, bool), np.zeros(n)
    index = np.frombuffer(at, np.int64)
    present[index], dense[index] = True, np.frombuffer(values)
    return present, dense


# Formats ------------------------------------------------------------------------------------------


def _csv(path: Path, columns: Sequence[str], rows: Iterable[Row]) -> int:
    count = 0
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle)  # floats by repr, None as nothing
        writer.writerow(columns)
        for row in rows:
            writer.writerow(row)
            count += 1
    return count


def _json(path: Path, columns: Sequence[str], rows: Iterable[Row]) -> int:
    count = 0
    with path.open("w", encoding="utf-8") as handle:
        handle.write("[")
        for count, row in enumerate(rows, 1):
            values = [None if isinstance(v, float) and not math.isfinite(v) else v for v in row]
            text = json.dumps(dict(zip(columns, values, strict=True)), ensure_ascii=False, allow_nan=False)
            handle.write(f"{',' if count > 1 else ''}\n{text}")
        handle.write("\n]\n")
    return count


def _parquet(path: Path, columns: Sequence[str], rows: Iterable[Row]) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    held = list(rows)
    arrays = [_arrow(column, [row[i] for row in held]) for i, column in enumerate(columns)]
    with path.open("wb") as file:  # Arrow takes no name that is not UTF-8
        pq.write_table(pa.table(arrays, names=list(columns)), file)
    return len(held)


def _arrow(column: str, values: list[Any]) -> Any:
    """A column of one type; a setting whose choices have several (``none`` aside) is text, each value as JSON."""
    import pyarrow as pa

    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, float} and len(kinds) == 2:
        values = [None if value is None else float(value) for value in values]
    elif len(kinds) > 1:
        values = [None if value is None else json.dumps(value) for value in values]
    elif not kinds and column in _TYPES:
        return pa.array(values, type=getattr(pa, _TYPES[column])())
    return pa.array(values)


_TYPES = {
    **dict.fromkeys(("best_score", "best_val_uar", "seconds", "cost", "score"), "float64"),
    **dict.fromkeys(("trial", "best_epoch", "epochs", "attempts", "epoch", *(f"stage1_{m}" for m in MEMO)), "int64"),
    **dict.fromkeys(("state", "started", "ended", "error"), "string"),
}  # fmt: skip
FORMATS: dict[str, Callable[[Path, Sequence[str], Iterable[Row]], int]] = {
    "csv": _csv,
    "parquet": _parquet,
    "json": _json,
}
