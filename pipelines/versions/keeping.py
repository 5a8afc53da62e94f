"""What would be lost: files of a corpus that no version has, and versions that no revision of git has."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from jmml.errors import CorpusError
from pipelines.corpora.dvc_record import DvcRecord
from pipelines.reporting.wording import many
from pipelines.versions.revisions import changes
from pipelines.workspace.pointer import Pointer, pointer_path
from pipelines.workspace.project import Project

SHOWN = 3
_UNFINISHED = re.compile(r"(^|/)\.[A-Za-z0-9_-]{16,}\.tmp$")  # what DVC was writing when it was killed


@dataclass(frozen=True)
class Tracked:
    """A corpus that was added: its folder in the work tree and the pointer to its bytes."""

    name: str
    folder: Path
    path: Path
    pointer: Pointer


def tracked(project: Project, name: str) -> Tracked:
    """The corpus of that name.

    Raises
    ------
    CorpusError : there is none, or a stage makes it, or DVC has no record of it.
    """
    folder = project.root / project.corpus(name).path
    path = pointer_path(folder)
    pointer = Pointer.read(path)
    if pointer is None:
        raise CorpusError(
            f"'{name}' has no pointer of DVC: a stage makes it, or it was never added",
            where=path.relative_to(project.root),
            expected="a corpus that `jmml data add` has brought in",
            fix="change the settings of what `dvc repro` makes, or `jmml data add` it where it is",
        )
    return Tracked(name, folder, path, pointer)


def check_nothing_lost(project: Project, corpus: Tracked, *, towards: str | None = None) -> None:
    """Refuse to replace or remove the files of a corpus where they, or their version, could not be had back.

    Files are safe that some version in git has in their place, as after an attempt that was killed half-way.

    Parameters
    ----------
    towards : hash of the version that is to take their place.

    Raises
    ------
    CorpusError : files are in no version; the version is in no revision of git.
    """
    name, own = corpus.name, corpus.pointer.accepted or corpus.pointer.md5
    place = corpus.folder.relative_to(project.root).as_posix()
    committed = {change.md5 for change in changes(project, name, place) if change.md5 is not None}
    with DvcRecord.of(project) as record:
        now = record.hash_now(corpus.folder)
        if now is not None and now not in (own, towards):
            listed = [record.listing(md5) for md5 in {own, *committed, *([towards] if towards else [])}]
            known = {item for one in listed if one is not None for item in one.items()}
            here = record.hashes_below(corpus.folder)
            lost = sorted(
                path
                for path, md5 in here.items()
                if (path, md5) not in known and not _UNFINISHED.search(path)
            )
            if lost:
                more = ", ..." if len(lost) > SHOWN else ""
                raise CorpusError(
                    f"{many(len(lost), 'file')} of the work tree are in no version and would be lost: "
                    f"{', '.join(path or corpus.folder.name for path in lost[:SHOWN])}{more}",
                    where=name,
                    fix=f"record them with `jmml data update {name}`, move them away, or give them up with --force",
                )
    if own != towards and own not in committed:
        raise CorpusError(
            f"the version in the work tree ({own[:12]}) is in no revision of git and would be lost",
            where=name,
            fix=f"`git add {place}.dvc && git commit`, or give it up with --force",
        )
