"""``jmml data history NAME``: the revisions at which a corpus changed, and what it held then."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from jmml.config import CorpusConfig
from jmml.errors import CorpusError, JMMLError
from pipelines.corpora.dvc_record import DvcCache
from pipelines.versions.reading import manifest_of
from pipelines.versions.revisions import SHORT, Change, Recorded, changes
from pipelines.workspace.pointer import Pointer, pointer_path
from pipelines.workspace.project import Project


@dataclass(frozen=True)
class Version:
    """One version of a corpus, by the first revision that has it.

    Attributes
    ----------
    commit : empty for what the work tree has and no revision.
    dvc_hash : None where the corpus was removed.
    recordings, people : None where its bytes are not on this disk, or ``unread`` says why they cannot be counted.
    """

    commit: str
    time: str
    author: str
    subject: str
    tags: tuple[str, ...]
    dvc_hash: str | None
    current: bool
    recordings: int | None = None
    people: int | None = None
    unread: str | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def cells(self) -> list[str]:
        """revision, tags, date, recordings, people, dvc, subject."""
        counts = ["-" if number is None else str(number) for number in (self.recordings, self.people)]
        state = "removed" if self.dvc_hash is None else self.dvc_hash[:SHORT]
        revision = self.commit[:SHORT] or "not committed"
        return [
            f"{revision} *" if self.current else revision,
            ", ".join(self.tags) or "-",
            self.time[:10] or "-",
            state,
            self.subject,
            *counts,
        ]


def history(project: Project, name: str, *, counts: bool = True) -> list[Version]:
    """Every version of a corpus, the newest first; what the work tree has is marked.

    Parameters
    ----------
    counts : count recordings and people where the bytes are on this disk; what was counted once is kept.

    Raises
    ------
    CorpusError : neither the project nor its git has such a corpus.
    """
    config = project.params.corpora.get(name)
    path = f"data/raw/{name}" if config is None else config.path
    found = changes(project, name, path)
    if not found and config is None:
        project.corpus(name)  # says which there are
    pointer = Pointer.read(pointer_path(project.root / path))
    now = None if pointer is None else pointer.accepted or pointer.md5
    if not found and now is None:
        raise CorpusError("git has no version of it", where=name, fix=f"commit {path}.dvc, or `dvc.lock`")
    if now is not None and now not in {change.md5 for change in found}:
        found.append(Change("", "", "", "in the work tree", now))
    present = now or (found[-1].md5 if found else None)
    versions = []
    with DvcCache.of(project) as cache:
        here = {change.md5 for change in found if change.md5 and not cache.missing(change.md5)}
    last = {change.md5: number for number, change in enumerate(found)}
    for number, change in enumerate(found):
        told: dict[str, Any] = {}
        if counts and change.md5 in here:
            told = _counted(project, name, path, config, change)
        versions.append(
            Version(
                change.commit,
                change.time,
                change.author,
                change.subject,
                change.tags,
                change.md5,
                change.md5 == present and last[change.md5] == number,
                **told,
            )
        )
    return versions[::-1]


def _counted(
    project: Project, name: str, path: str, config: CorpusConfig | None, change: Change
) -> dict[str, Any]:
    entry = config
    if entry is None and change.commit:
        entry = Recorded(project, name, change.commit).entry
    if entry is None or change.md5 is None:
        return {"unread": "params.yaml has no entry for it"}
    what = f"{name} at {change.commit[:SHORT] or 'the work tree'}"
    try:
        rows = manifest_of(project, name, change.md5, entry, path=path, what=what).manifest.frame
    except JMMLError as error:
        return {"unread": str(error)}
    return {"recordings": len(rows), "people": int(rows["group"].nunique())}
