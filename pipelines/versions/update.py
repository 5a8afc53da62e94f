"""``jmml data update NAME [PATH]``: new bytes for a corpus that was added, checked as `jmml data add` does, or nothing.

What is about to be replaced is kept in ``data/raw/.NAME.before`` with its pointer until the new version is recorded.
After kill -9 the next command that changes this corpus puts it back (:func:`recover`).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from jmml.config import CorpusConfig
from jmml.data.corpora.files import FilesCorpus
from jmml.data.labels import map_labels
from jmml.data.listing.recordings import FILE, Recordings
from jmml.data.manifest import Manifest
from jmml.errors import CorpusError, JMMLError
from jmml.files import atomic_path
from pipelines.corpora.choosing import refuse_pointers
from pipelines.corpora.copying import bring
from pipelines.corpora.describing import Description, files_of, reader_of, write_table
from pipelines.corpora.dvc_record import errors_reported, track
from pipelines.corpora.scan import admit, keep, open_corpus
from pipelines.corpora.taking import check_complete, check_place, copied, links_out, refuse_links, used_files
from pipelines.reporting.progress import progress_bar
from pipelines.reporting.wording import many
from pipelines.versions.difference import Row, compared, counts
from pipelines.versions.keeping import Tracked, check_nothing_lost, tracked
from pipelines.versions.reading import manifest_of
from pipelines.workspace.project import Project, keep_out_of_git
from pipelines.workspace.withdrawn import refuse_withdrawn

SHOWN = 10


@dataclass(frozen=True)
class Updated:
    """A corpus with a new version.

    Attributes
    ----------
    before, dvc_hash : DVC's hash of the earlier version and of the new one.
    rows : recordings that differ; None where the earlier version cannot be read any more, and ``unread`` says why.
    """

    name: str
    path: str
    samples: int
    groups: int
    before: str
    dvc_hash: str
    rows: list[Row] | None
    unread: str | None = None
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        rows = None if self.rows is None else [row.as_dict() for row in self.rows]
        told = None if self.rows is None else counts(self.rows)
        return {**vars(self), "rows": rows, "counts": told, "notes": list(self.notes)}

    def lines(self) -> list[str]:
        what = f"{many(self.samples, 'recording')} of {many(self.groups, 'person', 'people')}"
        if self.before == self.dvc_hash:
            return [f"{self.name}: {what}; not a byte differs from what was recorded (DVC {self.dvc_hash})"]
        text = [f"{self.name}: {what} in {self.path} (DVC {self.before} -> {self.dvc_hash})"]
        if self.rows is None:
            text.append(f"note: what changed is not known: {self.unread}")
        else:
            told = ", ".join(f"{number} {kind}" for kind, number in counts(self.rows).items() if number)
            text.append(f"changed: {told or 'no recording, other files alone'}")
            text += [f"  {row.line()}" for row in self.rows[:SHOWN]]
            if len(self.rows) > SHOWN:
                text.append(f"  and {len(self.rows) - SHOWN} more (`jmml data diff` lists them)")
        text += [f"note: {note}" for note in self.notes]
        return [*text, f"next: `git commit {self.path}.dvc`, then `dvc repro`"]


def update(
    project: Project,
    name: str,
    path: Path | None = None,
    *,
    description: Description | None = None,
    force: bool = False,
) -> Updated:
    """Make other bytes the corpus of a name, and record them with DVC; the settings of its entry stay.

    Every recording is opened before anything is written. A failure at any later point, an interruption included, takes
    back all that was done.

    Parameters
    ----------
    path : folder of the new version, or its feature table; without one, the files in the work tree as they are now.
    description : of recordings in no layout that an adapter knows, as for `jmml data add`.
    force : replace files, or a version, that nothing else has.

    Raises
    ------
    CorpusError, RecordingError, LabelError
        The corpus was not added, its present files would be lost, or the new recordings cannot be used.
    """
    recover(project, name)
    entry, corpus = project.corpus(name), tracked(project, name)
    source = corpus.folder if path is None else Path(path).expanduser().absolute()
    in_place = source.resolve() == corpus.folder.resolve()
    _check_source(corpus, source, in_place=in_place)
    if not in_place and not force:
        check_nothing_lost(project, corpus)
    described = _described(entry, source, description or Description(), in_place=in_place)
    adapter = open_corpus(name, entry) if described is None else reader_of(described)
    files = used_files(adapter, source) if described is None else files_of(described, source)
    refused = links_out(source, files)
    if in_place:
        check_place(source, link=False, refused={} if corpus.pointer.linked else refused)
    elif not entry.skip_bad:
        refuse_links(source, files, refused)
        refuse_pointers(source if source.is_dir() else source.parent, files)
    with progress_bar(f"check {name}", "file") as progress:
        manifest = admit(name, adapter, source, skip_bad=entry.skip_bad, progress=progress, refused=refused)
    refuse_withdrawn(project, name, manifest.frame["id"], manifest.frame["content_hash"])
    task = project.params.task
    if name in (task.speech, task.eeg):
        map_labels(
            manifest.frame,
            adapter=entry.adapter,
            space=task.label_space,
            overrides=entry.labels,
            unmapped=entry.unmapped,
            rating_threshold=entry.rating_threshold,
            where=name,
        )
    earlier, unread = _earlier(project, name, entry, corpus)
    with errors_reported(), replacing(project, corpus, moves=not in_place) as place:
        if not in_place:
            root, link = source if source.is_dir() else source.parent, corpus.pointer.linked
            bring(root, place, copied(source, files, refused), link=link, label=f"copy to {name}")
            if described is None:
                check_complete(adapter, place, manifest)
        if described is not None:
            with atomic_path(place / FILE) as temporary:
                write_table(described, temporary)
    keep(project, manifest)
    pointer = tracked(project, name).pointer
    return Updated(
        name=name,
        path=entry.path,
        samples=len(manifest),
        groups=int(manifest.frame["group"].nunique()),
        before=corpus.pointer.accepted or corpus.pointer.md5,
        dvc_hash=pointer.md5,
        rows=None if earlier is None else compared(earlier.frame, manifest.frame),
        unread=unread,
        notes=(*manifest.notes, *(f"left out {bad}" for bad in manifest.skipped)),
    )


@contextmanager
def replacing(project: Project, corpus: Tracked, *, moves: bool) -> Iterator[Path]:
    """A place for other files of a corpus, which take its place and are tracked when the block succeeds.

    Parameters
    ----------
    moves : whether the block fills a new folder; else it changes the corpus where it is, and undoes that itself.

    Raises
    ------
    CorpusError : another process changes this corpus.
    """
    with _alone(project, corpus.name):
        old, saved, new = _places(corpus.folder)
        shutil.rmtree(new, ignore_errors=True)
        accepted = corpus.pointer.as_before() if corpus.pointer.accepted else corpus.pointer
        try:
            yield new if moves else corpus.folder
            accepted.write(saved)
            if moves:
                if corpus.folder.exists():
                    corpus.folder.replace(old)
                new.replace(corpus.folder)
            track(project, corpus.folder, keep=not corpus.pointer.linked)
            saved.unlink()  # from here on it is the new version
        except BaseException:
            _put_back(corpus.folder, moved=moves)
            raise
        finally:
            _remove(new)
            if not saved.exists():
                _remove(old)


def recover(project: Project, name: str) -> None:
    """Put back what a change of this corpus that was killed had begun to replace."""
    folder = project.root / project.corpus(name).path
    old, saved, new = _places(folder)
    if not any(path.exists() for path in (old, saved, new)):
        return
    with _alone(project, name):
        if saved.exists():
            _put_back(folder, moved=old.exists())
        _remove(old)
        _remove(new)


def _described(
    entry: CorpusConfig, source: Path, description: Description, *, in_place: bool
) -> Recordings | None:
    """What is said of recordings that a table or their names describe; None where the folder says it itself."""
    if entry.adapter != FilesCorpus.name:
        if description:
            raise CorpusError(
                f"--table, --pattern, --map, --event and --trial-s describe files, not '{entry.adapter}'",
                fix="leave them out",
            )
        return None
    if not description and (source / FILE).is_file():
        return None
    if in_place and not description:
        return None
    return Description(
        description.table, description.pattern, description.columns, description.cutting, entry.modality
    ).read(source)


def _earlier(
    project: Project, name: str, entry: CorpusConfig, corpus: Tracked
) -> tuple[Manifest | None, str | None]:
    md5 = corpus.pointer.accepted or corpus.pointer.md5
    try:
        side = manifest_of(project, name, md5, entry, path=entry.path, what=f"{name} as it was")
    except JMMLError as error:
        return None, str(error)
    return side.manifest, None


def _check_source(corpus: Tracked, source: Path, *, in_place: bool) -> None:
    if not source.exists():
        raise CorpusError("no such file or folder", where=source, fix="check the path")
    ours, theirs = corpus.folder.resolve(), source.resolve()
    if not in_place and (ours in theirs.parents or theirs in ours.parents):
        raise CorpusError("is part of the corpus that it would replace, or holds it", where=source)


def _places(folder: Path) -> tuple[Path, Path, Path]:
    """The corpus that is replaced, its pointer, and what replaces it; DVC and git pass over all of them."""
    return (
        folder.with_name(f".{folder.name}.before"),
        folder.with_name(f".{folder.name}.pointer"),
        folder.with_name(f".{folder.name}.update"),
    )


def _put_back(folder: Path, *, moved: bool) -> None:
    old, saved, _ = _places(folder)
    if moved and old.exists():
        _remove(folder)
        old.replace(folder)
    if saved.exists():
        with atomic_path(folder.with_name(f"{folder.name}.dvc")) as temporary:
            shutil.copyfile(saved, temporary)
        saved.unlink()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def _alone(project: Project, name: str) -> Iterator[None]:
    folder = project.root / ".jmml" / "locks"
    keep_out_of_git(folder.parent)
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f"{name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise CorpusError(
            "another command changes this corpus", where=name, fix="wait until it has ended"
        ) from None
    try:
        yield
    finally:
        lock.release()
