"""Which files of a folder a corpus consists of: its recordings, and what says something of them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

# Terms and descriptions, which go along with any corpus.
PAPERS = ("readme", "license", "licence", "copying", "citation")
# Text and tables that an adapter may read beside its recordings.
SAYING = (
    ".csv", ".tsv", ".txt", ".lst", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".lab", ".trs", ".textgrid", ".eaf",
    ".parquet", ".xlsx", ".xls", ".ods", ".rttm", ".stm", ".ctm",
)  # fmt: skip
_TEXT = ("", ".txt", ".md", ".rst", ".html", ".pdf", ".cff", ".bib")


def files_below(root: Path) -> list[str]:
    """Visible files below ``root``, sorted; links to folders are not followed."""
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".") and name != "__pycache__"]
        found += [
            Path(folder, name).relative_to(root).as_posix() for name in names if not name.startswith(".")
        ]
    return sorted(found)


def belonging(root: Path, sources: Iterable[str], companions: Sequence[str] | None) -> list[str]:
    """The files of a corpus, by their places below ``root``, in a fixed order.

    Parameters
    ----------
    sources : the recordings.
    companions : places, or patterns of places, of the files that the adapter reads beside them. None where nobody said:
        then tables, texts, and all that is called as a recording but for its suffix.

    Example
    -------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("a.vhdr", "a.eeg", "notes.csv", "plot.png", "README.md", ".DS_Store"):
    ...         Path(folder, name).touch()
    ...     print(belonging(Path(folder), ["a.vhdr"], None), belonging(Path(folder), ["a.vhdr"], ["*.eeg"]))
    ['README.md', 'a.eeg', 'a.vhdr', 'notes.csv'] ['README.md', 'a.eeg', 'a.vhdr']
    """
    recordings = dict.fromkeys(sources)
    stems = {_stem(place) for place in recordings}
    kept = set(recordings)
    for place in files_below(root):
        if place in kept:
            continue
        if companions is None:
            wanted = PurePosixPath(place).suffix.lower() in SAYING or _stem(place) in stems
        else:
            wanted = any(fnmatch(place, pattern) for pattern in companions)
        if wanted or _is_paper(place):
            kept.add(place)
    return sorted(kept)


def _stem(place: str) -> str:
    return PurePosixPath(place).with_suffix("").as_posix()


def _is_paper(place: str) -> bool:
    pure = PurePosixPath(place)
    return len(pure.parts) == 1 and pure.name.lower().startswith(PAPERS) and pure.suffix.lower() in _TEXT
