"""The bytes of a version in a folder of their own: ``.jmml/versions/HASH``, filled from DVC's cache or its remote.

Nothing else writes there, so that a version is read while the work tree stays as it is, and several at once. The folder
is named by DVC's hash, shared by all who want these bytes, filled by one process at a time, and may be deleted. A
process that is killed leaves whole files behind, and the next goes on from there. Files are hard links to DVC's cache
where the disk allows it, so that a version costs no space.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from jmml.errors import DataError
from pipelines.corpora.dvc_record import FOLDER, DvcCache, hash_of
from pipelines.reporting.progress import progress_bar
from pipelines.workspace.project import Project, keep_out_of_git

_DONE, _FILES, _GROWING = "complete", "files", "growing"


def versions_dir(project: Project) -> Path:
    """Where the versions of a project's corpora lie, each below its hash; safe to delete."""
    return project.root / ".jmml" / "versions"


def place_of(project: Project, md5: str) -> Path:
    """The folder of a version, whether it is there or not."""
    return versions_dir(project) / hash_of(md5).removesuffix(FOLDER)


@contextmanager
def alone(place: Path) -> Iterator[None]:
    """For the length of a block, no other process fills ``place``."""
    keep_out_of_git(place.parents[1])
    place.mkdir(parents=True, exist_ok=True)
    with FileLock(place / "lock"):
        yield


def files_of(project: Project, md5: str, *, name: str, what: str) -> Path:
    """The corpus of a version, a folder or one file, as its adapter reads it.

    Parameters
    ----------
    name : of the folder or file in the work tree.
    what : which version it is, for messages.

    Raises
    ------
    DataError : its bytes are neither in DVC's cache nor in the remote, or are not those that its hash names.
    """
    place = place_of(project, md5)
    root = place / _FILES if md5.endswith(FOLDER) else place / _FILES / name
    if (place / _DONE).exists() and root.exists():
        return root
    with alone(place):
        if not ((place / _DONE).exists() and root.exists()):
            _fill(project, md5, place, name, what)
    return root


def _fill(project: Project, md5: str, place: Path, name: str, what: str) -> None:
    growing = place / _GROWING
    with DvcCache.of(project) as cache:
        listed = cache.bring(md5, what=what)
        files = {path or name: one for path, one in listed.items()}
        _prune(growing, files)
        with progress_bar(f"read {what}", "file") as progress:
            for done, (path, one) in enumerate(files.items(), start=1):
                _put(cache.path(one), growing / path, one, what)
                progress(done, len(files))
    shutil.rmtree(place / _FILES, ignore_errors=True)
    growing.replace(place / _FILES)
    (place / _DONE).touch()


def _put(held: Path, target: Path, md5: str, what: str) -> None:
    """``held`` at ``target``, once its bytes are seen to be those of its hash."""
    if target.exists():
        return  # whole: files get their names when they are
    with held.open("rb") as handle:
        found = hashlib.file_digest(handle, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if found != md5:
        raise DataError(
            f"is damaged: {what} cannot be read",
            where=held,
            fix="remove this file, and `dvc fetch` it, or `dvc push` it from where it is whole",
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(held, target)
    except OSError:  # another disk, or one without links
        part = target.with_name(f".{md5}.part")
        shutil.copyfile(held, part)
        part.replace(target)


def _prune(folder: Path, wanted: Mapping[str, str]) -> None:
    """Make the folder, without what a killed process left half-written."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.rglob("*"):
        if path.is_file() and path.relative_to(folder).as_posix() not in wanted:
            path.unlink()
