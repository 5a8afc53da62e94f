"""Recordings that no adapter knows, described by a table or their names: what was understood, and the copy of them."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from jmml.config import Modality
from jmml.data.corpora.eeg.bids import BidsCorpus
from jmml.data.corpora.files import KINDS, FilesCorpus
from jmml.data.listing.belonging import belonging
from jmml.data.listing.bids import describe_bids, is_bids
from jmml.data.listing.recordings import Recordings, describe, find_recordings
from jmml.data.listing.trials import Cutting, cut
from jmml.errors import CorpusError, DataError, nearest
from jmml.printable import is_utf8
from pipelines.reporting.progress import progress_bar
from pipelines.reporting.wording import many

SHOWN = 3
FEW = 8
_LOOKED_AT = 100_000  # entries of a folder that no adapter recognises
_KINDS = 3


@dataclass(frozen=True)
class Description:
    """How ``jmml data add --table|--pattern|--map|--event|--trial-s`` is used.

    ``modality`` is what ``--modality`` says; left out, the files say it. ``cutting`` is for EEG alone.
    """

    table: Path | None = None
    pattern: str | None = None
    columns: Mapping[str, str] | None = None
    cutting: Cutting = field(default_factory=Cutting)
    modality: str | None = None

    def __bool__(self) -> bool:
        asked = self.table is not None or self.pattern is not None
        return asked or bool(self.columns) or bool(self.cutting)

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
        kind = self._kind(source, table)
        suffixes = KINDS[kind].suffixes
        if kind != "eeg":
            if self.cutting:
                raise DataError(
                    "--event and --trial-s cut EEG, not speech", where=source, fix="leave them out"
                )
            return describe(source, suffixes, table=table, pattern=self.pattern, columns=self.columns)
        words = {word.casefold() for word in FilesCorpus.native_labels}
        events = None
        if table is None and self.pattern is None and is_bids(source):
            folder = describe_bids(source, words)
            found, events = folder.recordings, folder.events
        else:
            found = _eeg(source, suffixes, table, self.pattern, self.columns)
        with progress_bar("read headers and events", "file") as progress:
            return cut(source, found, self.cutting, words=words, events=events, progress=progress)

    def _kind(self, source: Path, table: Path | None) -> Modality:
        """What the recordings are: as asked for, as the table or the pattern names them, as the only ones there."""
        if self.modality is not None:
            if self.modality not in KINDS:
                raise CorpusError(f"unknown modality '{self.modality}'; {nearest(self.modality, KINDS)}")
            return next(kind for kind in KINDS if kind == self.modality)
        there = {kind: len(find_recordings(source, KINDS[kind].suffixes)) for kind in KINDS}
        kinds = [kind for kind in KINDS if there[kind]]
        suffix = PurePosixPath(self.pattern or "").suffix.lower()
        named = [kind for kind in kinds if suffix in KINDS[kind].suffixes]
        if len(kinds) < 2 or named:
            return (named or kinds or ["speech"])[0]
        raise CorpusError(
            f"holds {there['speech']} audio files and {there['eeg']} EEG recordings",
            where=source,
            fix="add each by itself: --modality speech, or --modality eeg",
        )


def reader_of(recordings: Recordings) -> FilesCorpus:
    """The adapter that reads what was described."""
    return BidsCorpus(recordings) if recordings.adapter == BidsCorpus.name else FilesCorpus(recordings)


def _eeg(
    source: Path,
    suffixes: tuple[str, ...],
    table: Path | None,
    pattern: str | None,
    columns: Mapping[str, str] | None,
) -> Recordings:
    try:
        return describe(source, suffixes, table=table, pattern=pattern, columns=columns, labelled=False)
    except DataError as error:
        example = "--pattern '{subject}_{session}.edf'"
        fix = (error.fix or "").replace("--pattern '{speaker}_{text}_{label}.wav'", example)
        raise DataError(error.what, where=error.where, expected=error.expected, fix=fix or None) from None


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
            "modality": self.recordings.modality,
            "facts": self.recordings.facts,
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
    unit = "recording" if recordings.modality == "speech" else "trial"
    counts = [f"{many(len(frame), unit)} of {many(frame['person'].nunique(), 'person', 'people')}"]
    if "label" in frame:
        labels = Counter(frame["label"].dropna())
        shown = ", ".join(f"{label} {count}" for label, count in labels.most_common(FEW))
        counts.append(shown + (f", ... ({len(labels)} labels)" if len(labels) > FEW else ""))
    notes = (*recordings.notes, *recordings.problems[:SHOWN])
    return [
        f"understood: {'; '.join(lines)}",
        *recordings.facts,
        f"found: {'; '.join(counts)}",
        *(f"note: {note}" for note in notes),
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


def files_of(recordings: Recordings, source: Path) -> list[str]:
    """The described recordings and what goes along with them, by their places below ``source``."""
    files = [
        place
        for path in dict.fromkeys(recordings.frame["path"])
        for place in (path, *(_beside(path, name) for name in recordings.companions.get(path, ())))
    ]
    return belonging(source, [*files, *recordings.sidecars], ())


def _beside(path: str, name: str) -> str:
    return PurePosixPath(path).with_name(name).as_posix()


def write_table(recordings: Recordings, path: Path) -> None:
    """The table under the names of its fields; ``person`` is written as ``speaker``. Recordings whose names are no text
    were left out when they were read, and cannot stand in it."""
    named = recordings.frame[[is_utf8(path) for path in recordings.frame["path"]]]
    frame = named.rename(columns={"person": "speaker", "part": "split"})
    frame.to_csv(path, index=False, encoding="utf-8")


def _grouped(sources: Mapping[str, str]) -> dict[str, str]:
    """Fields that were read in the same place together."""
    by: dict[str, list[str]] = {}
    for name, source in sources.items():
        by.setdefault(source, []).append(name)
    return {", ".join(names): source for source, names in by.items()}


def _row(row: Mapping[Any, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in row.items() if value is not None and value == value)
