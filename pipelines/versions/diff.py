"""``jmml data diff A B``: what differs in the corpora between two revisions, or a revision and the work tree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jmml.config import CorpusConfig
from jmml.data.manifest import Manifest
from jmml.errors import CorpusError, DataError, nearest
from pipelines.corpora.dvc_record import DvcRecord
from pipelines.reporting.wording import many
from pipelines.versions.difference import Row, compared, counts
from pipelines.versions.reading import Side, manifest_in, manifest_of
from pipelines.versions.revisions import Recorded, resolve
from pipelines.workspace.pointer import Pointer, pointer_path
from pipelines.workspace.project import Project

WORK_TREE = "the work tree"
SHOWN = 40


@dataclass(frozen=True)
class CorpusDifference:
    """One corpus at two versions; a side that does not have it holds no recording."""

    name: str
    entry: CorpusConfig
    before: Side
    after: Side
    rows: list[Row]

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "modality": self.entry.modality,
            "recordings": [len(self.before.manifest), len(self.after.manifest)],
            "people": [side.manifest.frame["group"].nunique() for side in (self.before, self.after)],
            "counts": counts(self.rows),
            "rows": [row.as_dict() for row in self.rows],
        }

    @property
    def summary(self) -> str:
        """``2 added, 1 relabelled``."""
        told = [f"{number} {kind}" for kind, number in counts(self.rows).items() if number]
        return ", ".join(told) or "no recording differs"


@dataclass(frozen=True)
class Difference:
    """All corpora that differ between ``a`` and ``b``."""

    a: str
    b: str
    corpora: list[CorpusDifference]

    def as_dict(self) -> dict[str, Any]:
        return {"a": self.a, "b": self.b, "corpora": [one.as_dict() for one in self.corpora]}

    def lines(self) -> list[str]:
        if not self.corpora:
            return [f"no corpus differs between {self.a} and {self.b}"]
        text = []
        for one in self.corpora:
            sizes = f"{len(one.before.manifest)} -> {many(len(one.after.manifest), 'recording')}"
            text.append(f"{one.name}: {self.a} -> {self.b}: {sizes}; {one.summary}")
            text += [f"  {row.line()}" for row in one.rows[:SHOWN]]
            if len(one.rows) > SHOWN:
                text.append(f"  and {len(one.rows) - SHOWN} more (--json has all)")
        return text


def diff(project: Project, a: str = "HEAD", b: str | None = None, *, names: Sequence[str] = ()) -> Difference:
    """The recordings that differ between two revisions, or a revision and the work tree.

    Parameters
    ----------
    a, b : commits, tags or branches; without ``b``, the work tree.
    names : corpora; without any, all of which the bytes differ.

    Raises
    ------
    DataError : a revision or a corpus is unknown, or its bytes cannot be had.
    """
    for rev in (a, *([] if b is None else [b])):
        resolve(project, rev)
    known = _known(project, a, b)
    for name in names:
        if name not in known:
            raise CorpusError(
                f"neither side has a corpus '{name}'; {nearest(name, known)}"
                if known
                else f"neither side has '{name}'"
            )
    found = []
    with DvcRecord.of(project) as record:
        hashes = {
            name: (_hash(project, record, name, a), _hash(project, record, name, b))
            for name in names or known
        }
    for name, (one, other) in hashes.items():
        if one == other and not names:
            continue
        if one is None and other is None:
            raise DataError(f"neither {a} nor {b or WORK_TREE} has '{name}' under DVC", where=name)
        entry = _entry(project, name, a, b)
        before, after = _side(project, name, a, one, entry), _side(project, name, b, other, entry)
        rows = compared(before.manifest.frame, after.manifest.frame)
        found.append(CorpusDifference(name, entry, before, after, rows))
    return Difference(a, b or WORK_TREE, found)


def _known(project: Project, a: str, b: str | None) -> list[str]:
    """Names of the corpora that were added, on any side."""
    found = {
        name: None
        for name, entry in project.params.corpora.items()
        if pointer_path(project.root / entry.path).is_file()
    }
    for rev in (a, *([] if b is None else [b])):
        found |= dict.fromkeys(Recorded(project, "", rev).added())
    return list(found)


def _entry(project: Project, name: str, a: str, b: str | None) -> CorpusConfig:
    """How the corpus is read: as it is today; one that was removed, as it was."""
    if name in project.params.corpora:
        return project.params.corpora[name]
    for rev in (*([] if b is None else [b]), a):
        if (entry := Recorded(project, name, rev).entry) is not None:
            return entry
    raise CorpusError(f"no side has an entry for '{name}' in params.yaml that can be read")


def _hash(project: Project, record: DvcRecord, name: str, rev: str | None) -> str | None:
    if rev is not None:
        try:
            return Recorded(project, name, rev).md5
        except DataError:
            return None
    entry = project.params.corpora.get(name)
    if entry is None:
        return None
    folder = project.root / entry.path
    pointer = Pointer.read(pointer_path(folder))
    return record.hash_now(folder) or (None if pointer is None else pointer.md5)


def _side(project: Project, name: str, rev: str | None, md5: str | None, entry: CorpusConfig) -> Side:
    what = f"{name} in {WORK_TREE}" if rev is None else f"{name} at {rev}"
    if md5 is None:
        return Side(what, project.root, Manifest.from_rows(name, []))
    path = entry.path if rev is None else Recorded(project, name, rev).path
    folder = project.root / entry.path
    if rev is None and folder.exists():
        return manifest_in(name, entry, folder, what=what)
    return manifest_of(project, name, md5, entry, path=path, what=what)
