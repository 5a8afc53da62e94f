"""The files of a corpus brought into a project: copied, or linked; a copy that was killed goes on where it was."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from jmml.data.listing.belonging import files_below
from jmml.files import UNFINISHED
from pipelines.reporting.progress import progress_bar

PART = f".part{UNFINISHED}copy"
_CLONE = 0x40049409  # FICLONE: the copy shares its blocks with the file, where the file system can
_CHUNK = 1 << 22


def bring(
    source: Path, folder: Path, files: Sequence[str], *, link: bool = False, label: str = "copy"
) -> None:
    """Make ``folder`` hold exactly these files of ``source``, each whole.

    A file that is there with the size and time of its source is whole, as files get their names when they are.

    Parameters
    ----------
    source : a folder.
    files : places below it.
    link : symbolic links to the files instead of copies.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _prune(folder, files)
    sizes = {place: 0 if link else (source / place).stat().st_size for place in files}
    total, done = max(1, sum(sizes.values())), 0
    with progress_bar(label, "B") as progress:
        progress(0, total)
        for place in files:
            here, there = source / place, folder / place
            there.parent.mkdir(parents=True, exist_ok=True)
            if link:
                _link(here, there)
            elif not _is_whole(here, there):
                before = done
                _copy(here, folder / PART, lambda more, at=before: progress(at + more, total))  # type: ignore[misc]
                (folder / PART).replace(there)
            done += sizes[place]
            progress(done, total)


def _copy(source: Path, target: Path, report: Callable[[int], None]) -> None:
    target.unlink(missing_ok=True)
    with source.open("rb") as read:
        try:
            with target.open("wb") as write:
                try:
                    fcntl.ioctl(write, _CLONE, read.fileno())
                except OSError:  # another file system, or one that cannot
                    while chunk := read.read(_CHUNK):
                        write.write(chunk)
                        report(write.tell())
        except OSError as error:  # a full disk does not say where
            raise OSError(error.errno, error.strerror, str(target)) from None
    shutil.copystat(source, target)


def _is_whole(source: Path, target: Path) -> bool:
    try:
        theirs, ours = source.stat(), target.lstat()
    except OSError:
        return False
    return (theirs.st_size, theirs.st_mtime_ns) == (
        ours.st_size,
        ours.st_mtime_ns,
    ) and not target.is_symlink()


def _link(source: Path, target: Path) -> None:
    there = os.path.realpath(source)
    if target.is_symlink() and str(target.readlink()) == there:
        return
    target.unlink(missing_ok=True)
    target.symlink_to(there)


def _prune(folder: Path, files: Sequence[str]) -> None:
    """Remove what another attempt left and this one does not want."""
    wanted = set(files)
    for place in files_below(folder):
        if place not in wanted:
            (folder / place).unlink()
    (folder / PART).unlink(missing_ok=True)
