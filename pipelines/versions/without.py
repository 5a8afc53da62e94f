"""A corpus without the recordings of one person: which files are theirs, and a copy that lacks them."""

from __future__ import annotations

import csv
import io
import os
import shutil
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from jmml.config import CorpusConfig
from jmml.errors import CorpusError
from pipelines.reporting.wording import many

_LISTS = (".csv", ".tsv", ".jsonl", ".txt")  # in which recordings are named, one a line
_LARGEST = 100_000_000  # bytes of a list that is looked through
_SHOWN = 3


@dataclass(frozen=True)
class Share:
    """What is one person's in a folder.

    Attributes
    ----------
    files : places of files that hold recordings of nobody else.
    rows : of the table of features (its place), the numbers of the rows that are theirs.
    others : places of the recordings of everybody else.
    """

    ids: tuple[str, ...]
    recordings: tuple[str, ...]
    files: tuple[str, ...]
    rows: tuple[str, tuple[int, ...]] | None = None
    others: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.ids)


def share_of(person: str, config: CorpusConfig, manifest: pd.DataFrame) -> Share:
    """What is a person's in a corpus, by its manifest.

    Raises
    ------
    CorpusError : a file holds recordings of others as well, and has to be cut by hand.
    """
    own = manifest[manifest["group"] == person]
    ids, hashes = tuple(own["id"]), tuple(dict.fromkeys(own["content_hash"]))
    places = list(dict.fromkeys(own["path"]))
    if config.adapter == "table":
        rows = (places[0], tuple(int(item) for item in own["item"])) if places else None
        return Share(ids, hashes, (), rows)
    others = dict.fromkeys(manifest.loc[manifest["group"] != person, "path"])
    shared = sorted(set(places) & set(others))
    if shared:
        more = ", ..." if len(shared) > _SHOWN else ""
        raise CorpusError(
            f"{many(len(shared), 'file')} hold recordings of {person} and others: {', '.join(shared[:_SHOWN])}{more}",
            fix="cut them apart, bring that in with `jmml data update`, and withdraw again",
        )
    return Share(ids, hashes, tuple(places), others=tuple(others))


def copy_without(share: Share, source: Path, target: Path, files: Iterable[str]) -> list[str]:
    """The files of a corpus but those of one person in ``target``; lists without the lines that name these.

    Files are linked where the disk allows it: they are those of the corpus, which is about to be replaced.

    Returns
    -------
    edited : places of the lists and tables that lack lines now.
    """
    gone = set(share.files)
    others = {name for place in share.others for name in _names(place)}
    names = {name for place in gone for name in _names(place)} - others | gone
    edited = []
    for place in files:
        if place in gone:
            continue
        here, there = source / place, target / place
        there.parent.mkdir(parents=True, exist_ok=True)
        if share.rows is not None and place == share.rows[0]:
            _table_without(here, there, share.rows[1])
            edited.append(place)
        elif _is_list(here) and (text := _list_without(here, gone, names, others)) is not None:
            there.write_bytes(text)
            edited.append(place)
        else:
            _link(here, there)
    return edited


def _names(place: str) -> set[str]:
    """What a list may call a recording: its place, its name, its name without the ending."""
    pure = PurePosixPath(place)
    return {place, pure.name, pure.stem}


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _is_list(path: Path) -> bool:
    return path.suffix.lower() in _LISTS and path.stat().st_size <= _LARGEST


def _list_without(path: Path, gone: set[str], names: set[str], others: set[str]) -> bytes | None:
    """A list without the lines that name one of the recordings as a whole field; None where none does.

    A line that names a recording of somebody else is of that, unless it names one of theirs by its place. Numbers are
    names where they stand first; elsewhere they may be of anything.
    """
    lines = path.read_bytes().splitlines(keepends=True)
    kept = []
    for line in lines:
        fields = _fields(line)
        if gone.isdisjoint(fields) and (names.isdisjoint(fields) or not others.isdisjoint(fields)):
            kept.append(line)
    return None if len(kept) == len(lines) else b"".join(kept)


def _fields(line: bytes) -> set[str]:
    text = line.decode("utf-8", "replace").strip()
    for mark in '",;\t{}[]':
        text = text.replace(mark, "\x00")
    first, *others = [part.strip() for part in text.split("\x00")]
    parts = {first, *(part for part in others if not part.isdecimal())}
    return parts | {PurePosixPath(part).name for part in parts} | {PurePosixPath(part).stem for part in parts}


def _table_without(source: Path, target: Path, rows: Collection[int]) -> None:
    gone = set(rows)
    if source.suffix.lower() == ".parquet":
        table = pq.read_table(source)
        pq.write_table(table.filter(pa.array([number not in gone for number in range(len(table))])), target)
        return
    if source.suffix.lower() not in (".csv", ".tsv"):
        raise CorpusError(
            f"rows of a '{source.suffix}' table are not removed here",
            where=source,
            expected="CSV, TSV or Parquet",
            fix="remove them by hand, and bring the table in with `jmml data update`",
        )
    text = source.read_text(encoding="utf-8-sig")
    head = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t|", key=head.count))
    lines = io.StringIO(text, newline="").readlines()
    kept, began, number = [], 0, -1  # the first record is the head
    for record in reader:
        if number not in gone:
            kept += lines[began : reader.line_num]
        began = reader.line_num
        number += bool(record)  # an empty line is no row
    target.write_text("".join(kept), encoding="utf-8")
