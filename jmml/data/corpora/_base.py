"""Interface of the corpus adapters, and the scan that they share."""

from __future__ import annotations

import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import numpy as np
import pandas as pd

from jmml.config import Modality
from jmml.data.listing.belonging import belonging, files_below
from jmml.data.manifest import MANIFEST_COLUMNS, Manifest, ManifestRow
from jmml.errors import CorpusError, RecordingError
from jmml.printable import is_utf8

__all__ = [
    "MANIFEST_COLUMNS",
    "Corpus",
    "EitherCorpus",
    "FileCorpus",
    "Listing",
    "Manifest",
    "ManifestRow",
    "Progress",
    "Recording",
    "Remark",
    "check_root",
    "field_of",
    "files_in",
]

Progress = Callable[[int, int], None]
SHOWN_PROBLEMS = 3
_NAMES = ("id", "label", "group", "text", "session", "recording", "device")


@dataclass(frozen=True)
class Recording:
    """The signal of one utterance or trial.

    Attributes
    ----------
    signal : float32 array (channels, samples); speech in -1..1, EEG in volts.
    sample_rate_hz : samples per second.
    channels : one name per row: ``("mono",)`` for speech, electrode names for EEG.
    """

    signal: np.ndarray
    sample_rate_hz: float
    channels: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.signal.ndim != 2 or self.signal.shape[0] != len(self.channels):
            raise RecordingError(
                f"signal of shape {self.signal.shape} with {len(self.channels)} channel names",
                expected="(channels, samples)",
            )


class Corpus(Protocol):
    """A corpus adapter: it lists the recordings under a folder, and reads one of them.

    ``native_labels`` maps the corpus' own labels to the emotions of :data:`jmml.data.labels.EMOTIONS`; it
    is empty for corpora with ratings alone. ``modality`` is None where the settings decide (tables).
    ``layout`` says in a few words which files are expected where.
    """

    @property
    def name(self) -> str: ...
    @property
    def modality(self) -> Modality | None: ...
    @property
    def layout(self) -> str: ...
    @property
    def native_labels(self) -> Mapping[str, str]: ...

    def recognises(self, root: Path) -> bool:
        """Whether the files under ``root`` look like this corpus. Opens no recording."""
        ...

    def scan(self, root: Path, *, skip_bad: bool = False, progress: Progress | None = None) -> Manifest:
        """The manifest of the corpus under ``root``, in a fixed order.

        Recordings that cannot be used are gathered and raised as one :class:`RecordingError`; with
        ``skip_bad`` they are left out and listed in ``Manifest.skipped``. A file that would run code always
        raises :class:`jmml.errors.UnsafeFileError`. ``progress(done, total)`` is called once per file.
        """
        ...

    def read(self, root: Path, row: Any) -> Recording:
        """The recording of one manifest row (a named tuple or a Series)."""
        ...


@runtime_checkable
class EitherCorpus(Protocol):
    """An adapter that reads speech or EEG, as the settings say; ``modalities`` are those it can read."""

    @property
    def modalities(self) -> tuple[Modality, ...]: ...

    def holding(self, modality: Modality) -> Corpus:
        """The adapter of one modality."""
        ...

    def held_in(self, root: Path) -> Modality | None:
        """What the files under ``root`` are; None where they do not say, or are both."""
        ...


SourceT = TypeVar("SourceT")


@dataclass(frozen=True)
class Listing(Generic[SourceT]):
    """Files of a corpus, by its layout: those to inspect, lines about unusable ones, notes on what is left out."""

    sources: Sequence[SourceT]
    problems: Sequence[RecordingError] = ()
    notes: Sequence[str] = field(default_factory=tuple)


@dataclass(frozen=True)
class Remark:
    """What a person should know of one usable file; equal remarks on several files become one note."""

    text: str
    where: str


class FileCorpus(ABC, Generic[SourceT]):
    """Base of the adapters that walk over files: subclasses list the files and describe one at a time.

    ``companions`` are the files that are read beside the recordings, by their places or patterns of places
    (``"labels/*.csv"``). Where it is None, tables and texts are taken for such, and what is called as a recording is.
    ``placeless`` are labels of the corpus for which there is no emotion among ours, and the words for them.
    """

    name: str
    modality: Modality
    layout: str
    native_labels: Mapping[str, str]
    companions: Sequence[str] | None = None
    placeless: Mapping[str, str] = {}

    @abstractmethod
    def list_sources(self, root: Path) -> Listing[SourceT]:
        """Files of the corpus by its layout, without opening recordings."""

    @abstractmethod
    def inspect(self, root: Path, source: SourceT) -> Iterator[ManifestRow | RecordingError | Remark]:
        """Rows of one file, and remarks on it; yields (or raises) a :class:`RecordingError` for what cannot be used."""

    @abstractmethod
    def recognises(self, root: Path) -> bool: ...

    def scan(self, root: Path, *, skip_bad: bool = False, progress: Progress | None = None) -> Manifest:
        """See :meth:`Corpus.scan`."""
        check_root(root, self.layout)
        listing = self.list_sources(root)
        if not listing.sources and not listing.problems:
            raise CorpusError(
                f"no recording in the layout of '{self.name}'"
                + "".join(f" ({note})" for note in listing.notes),
                where=root,
                expected=self.layout,
                fix="check the folder and the adapter",
            )
        rows: list[ManifestRow] = []
        problems = [str(problem) for problem in listing.problems]
        first_at: dict[str, str] = {}
        remarks: dict[str, list[str]] = {}
        for done, source in enumerate(listing.sources, start=1):
            for found in map(_spelt, self._inspect(root, source)):
                if isinstance(found, Remark):
                    remarks.setdefault(found.text, []).append(found.where)
                elif isinstance(found, RecordingError):
                    problems.append(str(found))
                elif not is_utf8(found.path):
                    problems.append(f"{found.path}: the name is not UTF-8; rename it")
                elif found.id in first_at:
                    problems.append(f"{found.path}: id '{found.id}' occurs already in {first_at[found.id]}")
                else:
                    first_at[found.id] = found.path
                    rows.append(found)
            if progress is not None:
                progress(done, len(listing.sources))
        if problems and (not skip_bad or not rows):
            raise _unusable(problems, len(rows) + len(problems), root, skippable=bool(rows))
        said = [
            f"{text}: {places[0]}" + (f" and {len(places) - 1} more" if len(places) > 1 else "")
            for text, places in remarks.items()
        ]
        return Manifest.from_rows(self.name, rows, skipped=problems, notes=[*listing.notes, *said])

    def files(self, root: Path) -> list[str]:
        """Places of the files below ``root`` that the adapter uses: recordings and their companions."""
        sources = [getattr(source, "path", source) for source in self.list_sources(root).sources]
        if not all(isinstance(source, str | Path) for source in sources):
            return files_below(root)
        places = [
            source.relative_to(root).as_posix()
            if isinstance(source, Path) and source.is_absolute()
            else str(source)
            for source in sources
        ]
        return belonging(root, places, self.companions)

    def _inspect(self, root: Path, source: SourceT) -> Iterator[ManifestRow | RecordingError | Remark]:
        try:
            yield from self.inspect(root, source)
        except RecordingError as error:
            yield error


def _spelt(row: ManifestRow | RecordingError | Remark) -> ManifestRow | RecordingError | Remark:
    """A row whose names are in Unicode NFC: a person whose name is composed in one file and not in another is one."""
    if not isinstance(row, ManifestRow):
        return row
    named: dict[str, Any] = {name: value for name in _NAMES if isinstance(value := getattr(row, name), str)}
    spelt = {name: unicodedata.normalize("NFC", value).strip() for name, value in named.items()}
    row = row._replace(**(named | spelt))
    return row if row.group else RecordingError("says no speaker or subject", where=row.path)


def _unusable(problems: list[str], total: int, root: Path, *, skippable: bool) -> RecordingError:
    shown = "; ".join(problems[:SHOWN_PROBLEMS])
    more = f"; and {len(problems) - SHOWN_PROBLEMS} more" if len(problems) > SHOWN_PROBLEMS else ""
    return RecordingError(
        f"{len(problems)} of {total} recordings cannot be used: {shown}{more}",
        where=root,
        fix="repair or remove them"
        + (
            ", or leave them out (`jmml data add --skip-bad`, or skip_bad: true in its corpora entry)"
            if skippable
            else ""
        ),
    )


def check_root(root: Path, layout: str) -> None:
    """:class:`CorpusError` unless ``root`` is a folder that holds something."""
    if not root.exists():
        raise CorpusError("no such folder", where=root, expected=layout)
    if not root.is_dir():
        raise CorpusError("is not a folder", where=root, expected=layout)
    if not files_in(root, folders=True):
        raise CorpusError("the folder is empty", where=root, expected=layout)


def files_in(folder: Path, *, suffixes: Iterable[str] = (), folders: bool = False) -> list[Path]:
    """Visible files directly in ``folder`` (none if it does not exist), sorted by name.

    ``suffixes`` (lower case, with the dot) restricts them; hidden files, among them the ``._*`` companions
    that macOS leaves in archives, are never part of a corpus.
    """
    if not folder.is_dir():
        return []
    wanted = frozenset(suffixes)
    return sorted(
        entry
        for entry in folder.iterdir()
        if not entry.name.startswith(".")
        and (not wanted or entry.suffix.lower() in wanted)
        and (folders or entry.is_file())
    )


def field_of(row: Any, name: str) -> Any:
    """A field of a manifest row given as named tuple or Series (whose ``item`` attribute is a method)."""
    return row[name] if isinstance(row, pd.Series) else getattr(row, name)
