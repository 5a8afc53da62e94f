"""``jmml data checkout NAME REV``: the bytes of one corpus, and the pointer to them, as they were at a revision."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jmml.errors import CorpusError
from jmml.files import atomic_path
from pipelines.corpora.dvc_record import DvcCache
from pipelines.reporting.wording import many
from pipelines.versions.keeping import Tracked, check_nothing_lost, tracked
from pipelines.versions.revisions import SHORT, Recorded
from pipelines.workspace.pointer import pointer_path
from pipelines.workspace.project import Project
from pipelines.workspace.settings_file import with_corpus


@dataclass(frozen=True)
class CheckedOut:
    """A corpus whose files are those of a revision now."""

    name: str
    rev: str
    commit: str
    path: str
    before: str | None
    dvc_hash: str
    files: int
    entered: bool

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def lines(self) -> list[str]:
        pointer = f"{self.path}.dvc"
        entered = "; params.yaml has its entry again" if self.entered else ""
        return [
            f"{self.name}: {many(self.files, 'file')} in {self.path} as at {self.rev} ({self.commit[:SHORT]}, DVC "
            f"{self.dvc_hash}){entered}",
            f"next: `dvc repro`; `git commit {pointer}` keeps it so, `jmml data checkout {self.name}` goes back",
        ]


def checkout(project: Project, name: str, rev: str = "HEAD", *, force: bool = False) -> CheckedOut:
    """Bring the work tree's files of one corpus, and its pointer, to a revision; nothing else is changed.

    Everything is fetched before the first file is changed. After an interruption, kill -9 included, the same command
    goes on from there. A corpus that was removed comes back with its entry in ``params.yaml``.

    Parameters
    ----------
    force : lose files and versions that nothing else has.

    Raises
    ------
    CorpusError : something would be lost.
    DataError : there is no such revision, or its bytes cannot be had.
    """
    recorded = Recorded(project, name, rev)
    md5, pointer = recorded.md5, recorded.pointer
    if pointer is None:
        raise CorpusError(
            f"'{name}' was made by a stage",
            where=f"revision {rev}",
            fix="get it with `git checkout REVISION -- dvc.lock` and `dvc checkout`",
        )
    known = name in project.params.corpora
    folder = project.root / (project.corpus(name).path if known else recorded.path)
    if known and project.corpus(name).path != recorded.path:
        raise CorpusError(
            f"lay in {recorded.path} then, and lies in {project.corpus(name).path} now",
            where=name,
            fix=f"set corpora.{name}.path to {recorded.path} in params.yaml first",
        )
    entry = None
    if not known:
        if recorded.entry is None:
            raise CorpusError(
                f"params.yaml has no corpus '{name}', and had none that can be read at {rev}",
                fix="enter it by hand first",
            )
        entry = with_corpus(project.params_path, name, recorded.entry)
    path = pointer_path(folder)
    present = tracked(project, name) if known and path.is_file() else None
    if not force:
        _check(project, name, folder, present, md5)
    with DvcCache.of(project) as cache:
        listed = cache.bring(md5, what=recorded.what)
        with atomic_path(path) as temporary:
            temporary.write_bytes(pointer)
        cache.checkout(path)
    if entry is not None:
        with atomic_path(project.params_path) as temporary:
            temporary.write_text(entry, encoding="utf-8")
    return CheckedOut(
        name,
        rev,
        recorded.commit,
        folder.relative_to(project.root).as_posix(),
        None if present is None else present.pointer.md5,
        md5,
        len(listed),
        entry is not None,
    )


def _check(project: Project, name: str, folder: Path, present: Tracked | None, md5: str) -> None:
    if present is not None:
        check_nothing_lost(project, present, towards=md5)
    elif folder.exists():
        raise CorpusError(
            "the folder exists, and nothing has recorded what is in it",
            where=folder.relative_to(project.root),
            fix="move it away, or give it up with --force",
        )
