"""Which files of a folder `jmml data add` takes, and which it must not."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from jmml.data.corpora import Corpus, FileCorpus
from jmml.data.listing.belonging import SAYING, files_below
from jmml.data.listing.on_disk import leads_out
from jmml.data.manifest import Manifest
from jmml.errors import CorpusError, JMMLError, RecordingError
from jmml.printable import is_utf8
from pipelines.corpora.choosing import refuse_pointers
from pipelines.reporting.wording import many

SHOWN = 3
_SAME = ("content_hash", "label", "group")


def used_files(corpus: Corpus, source: Path) -> list[str]:
    """Places of the files that an adapter uses; all that are visible, where it does not say.

    Raises
    ------
    JMMLError : it cannot list them.
    """
    if not source.is_dir():
        return [source.name]
    listed = getattr(corpus, "files", None)
    try:
        return files_below(source) if listed is None else list(listed(source))
    except JMMLError:
        refuse_pointers(source, files_below(source))  # a table that is none may be such
        raise


def links_out(source: Path, files: list[str]) -> dict[str, str]:
    """Files that are, or lie behind, links out of the folder: place -> what is wrong with it."""
    root = source if source.is_dir() else source.parent
    return {
        place: f"is a link out of the corpus, to {os.path.realpath(root / place)}; put the file itself there, or "
        "follow such links with --follow-links"
        for place in files
        if source.is_dir() and leads_out(root / place, root)
    }


def refuse_links(source: Path, files: list[str], refused: Mapping[str, str]) -> None:
    """One :class:`RecordingError` for all links out of a folder."""
    if refused:
        place = next(iter(refused))
        raise RecordingError(
            f"{len(refused)} of {many(len(files), 'file')} lead out of it by links, such as {place} to "
            f"{os.path.realpath(source / place)}",
            where=source,
            fix="put the files themselves there, or take what such links point to with --follow-links",
        )


def copied(source: Path, files: list[str], refused: Mapping[str, str]) -> list[str]:
    """Those that are copied: what is a file, is not refused and has a name that DVC can record.

    Of recordings the others were said to be unusable when they were read.

    Raises
    ------
    RecordingError : what is read beside the recordings is refused.
    """
    root = source if source.is_dir() else source.parent
    for place, why in refused.items():
        if Path(place).suffix.lower() in SAYING:
            raise RecordingError(why, where=place)
    return [place for place in files if place not in refused and is_utf8(place) and _is_file(root / place)]


def check_place(source: Path, *, link: bool, refused: Mapping[str, str]) -> None:
    """A folder that is tracked where it lies, all that is visible in it: names, links and things that are no files.

    Raises
    ------
    CorpusError : DVC could not record it, or would wait for ever.
    """
    if link:
        raise CorpusError("lies in its place already", where=source, fix="leave --link out")
    if refused:
        place, why = next(iter(refused.items()))
        raise RecordingError(why, where=place)
    files = files_below(source) if source.is_dir() else [source.name]
    foreign = [place for place in files if not is_utf8(place)]
    if foreign:
        found = f"{many(len(foreign), 'name')} in another encoding than UTF-8, such as {min(foreign)}"
        raise CorpusError(found, where=source, fix="rename what is called so")
    folder = source if source.is_dir() else source.parent
    odd = [place for place in files if not _is_file(folder / place)]
    if odd:
        raise CorpusError(
            f"{many(len(odd), 'entry', 'entries')} that are no files, such as {odd[0]}",
            where=source,
            fix="remove pipes, devices and links that lead nowhere",
        )


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False


def check_complete(corpus: Corpus, copy: Path, manifest: Manifest) -> None:
    """Whether an adapter that names no companions finds in the copied files what it found in the folder.

    Raises
    ------
    CorpusError : it does not.
    """
    if not isinstance(corpus, FileCorpus) or corpus.companions is not None:
        return
    try:
        found = corpus.scan(copy, skip_bad=True).frame.set_index("id")
    except (JMMLError, OSError) as error:
        missing = str(error)
    else:
        old = manifest.frame.set_index("id")
        new = found.reindex(old.index)
        same = (old[list(_SAME)].fillna("") == new[list(_SAME)].fillna("")).all(axis=1)
        if same.all():
            return
        missing = f"'{same.idxmin()}' and {many(int((~same).sum()) - 1, 'other')} are described otherwise"
    raise CorpusError(
        f"adapter '{corpus.name}' reads files that it does not name: {missing}",
        fix="name them in its attribute `companions`, by their places or patterns of places",
    )
