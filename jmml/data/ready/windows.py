"""Rows of a table that are windows of one recording, by their ids: ``trial1_w0``, ``trial1_w1``, ..."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from jmml.config import Modality
from jmml.errors import DataError

_WORD = r"w|win|window|seg|segment|sec|ep|epoch|chunk|slice|crop|frame|part"
_MARKED = re.compile(
    rf"(?P<stem>.*[^\W_].*?)[ _./\-#@:]*(?:(?<![^\W\d_])(?:{_WORD}))[ _.\-#]*(?P<number>\d+)", re.IGNORECASE
)
_NUMBERED = re.compile(r"(?P<stem>.*[^\W_].*?)(?:[ _./\-#@:]+|\((?=\d+\)$))(?P<number>\d+)\)?")
FEWEST = 3  # recordings that are in windows, from which it is no chance


def recordings_of(index: pd.DataFrame, modality: Modality, windows: bool | None, path: Path) -> pd.Series:
    """The recording of each row of a table without such a column: the row itself, or what its id says.

    Parameters
    ----------
    windows : True: rows whose ids differ in their last number alone are of one recording; False: each row is one; None:
        each row is one, and ids that look otherwise are refused.

    Raises
    ------
    DataError : nobody said what rows are that look like windows.
    """
    ids = index["id"]
    if windows is False:
        return ids
    stems = _stems(index, _MARKED)
    if stems is None and (modality == "eeg" or windows):
        stems = _stems(index, _NUMBERED)
    if stems is None:
        if windows:
            raise DataError(
                "no ids that differ in their last number alone, as those of windows do",
                where=path,
                fix="add a column recording, or say --no-windows (windows: false)",
            )
        return ids
    if windows:
        return stems.where(stems.notna(), ids)
    count = stems.value_counts()
    of_one = list(ids[stems == count.index[0]][:3])
    raise DataError(
        f"{int(count.sum())} rows look like windows of {len(count)} recordings ({', '.join(of_one)}, ... of "
        f"'{count.index[0]}'), and no column recording says so",
        where=path,
        fix="say that they are with --windows (windows: true in its corpora entry), or that each row is a recording of "
        "its own with --no-windows (windows: false); or add a column recording",
    )


def _stems(index: pd.DataFrame, pattern: re.Pattern[str]) -> pd.Series | None:
    """Ids without their last numbers, where these count the windows of recordings; None where they do not.

    Windows of a recording have one person and one label, and their numbers follow one another. Where no word such as
    "window" says so, a person must have several with one label, or the rest of the id may be no more than both.
    """
    found = [pattern.fullmatch(identity) for identity in index["id"]]
    rows = pd.DataFrame(
        {
            "stem": [None if match is None else match["stem"].rstrip(" _./-#@:") for match in found],
            "number": [-1 if match is None else int(match["number"][-9:]) for match in found],
            "group": index["group"],
            "said": list(
                zip(index["label"], index["valence"].fillna(-1), index["arousal"].fillna(-1), strict=True)
            ),
        }
    ).dropna(subset="stem")
    rows = rows[rows.groupby("stem")["stem"].transform("size") > 1]
    stems = rows.groupby("stem")
    if len(stems) < FEWEST or (stems[["group", "said"]].nunique() > 1).any(axis=None):
        return None
    numbers = stems["number"].agg(["min", "max", "nunique", "size"])
    follow = (numbers["nunique"] == numbers["size"]) & (numbers["max"] - numbers["min"] < 2 * numbers["size"])
    of_person = rows.groupby(["group", "said"])["stem"].nunique()
    if not follow.all() or (pattern is _NUMBERED and (of_person < 2).all()):
        return None
    return rows["stem"].reindex(index.index).astype(object)
