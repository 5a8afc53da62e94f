"""Recordings that no adapter knows, described by a table or their names: what was understood, and the copy of them."""

from __future__ import annotations

import itertools
import os
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jmml.data.features.audio import AUDIO
from jmml.data.listing.recordings import FILE, Recordings, describe
from jmml.errors import CorpusError
from jmml.files import atomic_folder, atomic_path
from pipelines.reporting.progress import progress_bar
from pipelines.reporting.wording import many

SHOWN = 3
FEW = 8
_LOOKED_AT = 100_000  # entries of a folder that no adapter recognises
_KINDS = 3
_PAPERS = ("readme", "license", "licence", "copying")  # what goes along with recordings


@dataclass(frozen=True)
class Description:
    """How ``jmml data add --table|--pattern|--map`` is used."""

    table: Path | None = None
    pattern: str | None = None
    columns: Mapping[str, str] | None = None

    def __bool__(self) -> bool:
        return self.table is not None or self.pattern is not None or bool(self.columns)

    def read(self, source: Path) -> Recordings:
        """What it says of the recordings below ``source``.

        Raises
        ------
        CorpusError : ``source`` is not a folder.
        DataError : see :func:`~jmml.data.listing.recordings.describe`.
        """
        if not source.is_dir():
            raise CorpusError(
                "is not a folder", where=source, expected="the folder that holds the recordings"
            )
        table = None if self.table is None else Path(self.table).expanduser()
        if table is not None and not table.is_absolute() and not table.exists():
            table = source / table
        if table is not None and not table.is_file():
            raise CorpusError("no such table", where=self.table, fix="check --table")
        return describe(source, AUDIO, table=table, pattern=self.pattern, columns=self.columns)


@dataclass(frozen=True)
class Preview:
    """What would be added: ``jmml data add --dry-run``."""

    name: str
    recordings: Recordings

    def as_dict(self) -> dict[str, Any]:
        frame = self.recordings.frame
        rows = frame.astype(object).where(frame.notna(), None)
        return {
            "name": self.name,
            "samples": len(frame),
            "sources": dict(self.recordings.sources),
            "problems": self.recordings.problems,
            "notes": self.recordings.notes,
            "rows": rows.to_dict("records"),
        }

    def lines(self) -> list[str]:
        return [
            f"{self.name}: would be added as below; nothing was written",
            *understood(self.recordings),
            *(f"row: {_row(row)}" for row in self.recordings.frame.head(SHOWN).to_dict("records")),
        ]


def understood(recordings: Recordings) -> list[str]:
    """What was taken for what, and how much there is of it."""
    frame = recordings.frame
    lines = [f"{name}: {source}" for name, source in _grouped(recordings.sources).items()]
    counts = [f"{many(len(frame), 'recording')} of {many(frame['person'].nunique(), 'person', 'people')}"]
    if "label" in frame:
        labels = Counter(frame["label"].dropna())
        shown = ", ".join(f"{label} {count}" for label, count in labels.most_common(FEW))
        counts.append(shown + (f", ... ({len(labels)} labels)" if len(labels) > FEW else ""))
    return [f"understood: {'; '.join(lines)}", f"found: {'; '.join(counts)}"] + [
        f"note: {note}" for note in (*recordings.notes, *recordings.problems[:SHOWN])
    ]


def what_lies_in(path: Path) -> str:
    """``37 .edf files, 4 folders``: the commonest kinds of files below ``path``, and the folders directly in it."""
    if path.is_file():
        return f"a {path.suffix or 'nameless'} file"
    entries = itertools.islice(path.rglob("*"), _LOOKED_AT)
    kinds = Counter(entry.suffix.lower() or "nameless" for entry in entries if entry.is_file())
    folders = sum(entry.is_dir() for entry in path.iterdir())
    parts = [many(count, f"{kind} file") for kind, count in kinds.most_common(_KINDS)]
    return ", ".join([*parts, *([many(folders, "folder")] if folders else [])])


def copy_described(source: Path, target: Path, recordings: Recordings, *, in_place: bool) -> None:
    """The described recordings, what goes along with them and ``recordings.csv`` in ``target``, whole or not at all."""
    if in_place:
        with atomic_path(target / FILE) as temporary:
            write_table(recordings, temporary)
        return
    files = list(dict.fromkeys(recordings.frame["path"]))
    with atomic_folder(target) as temporary, progress_bar(f"copy to {target.name}", "file") as progress:
        for done, place in enumerate(files, start=1):
            (temporary / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / place, temporary / place)
            progress(done, len(files))
        for entry in os.scandir(source):
            if entry.is_file(follow_symlinks=False) and entry.name.lower().startswith(_PAPERS):
                shutil.copy2(entry.path, temporary / entry.name)
        write_table(recordings, temporary / FILE)


def write_table(recordings: Recordings, path: Path) -> None:
    """The table under the names of its fields; ``person`` is written as ``speaker``."""
    frame = recordings.frame.rename(columns={"person": "speaker", "part": "split"})
    frame.to_csv(path, index=False, encoding="utf-8")


def _grouped(sources: Mapping[str, str]) -> dict[str, str]:
    """Fields that were read in the same place together."""
    by: dict[str, list[str]] = {}
    for name, source in sources.items():
        by.setdefault(source, []).append(name)
    return {", ".join(names): source for source, names in by.items()}


def _row(row: Mapping[Any, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in row.items() if value is not None and value == value)
