"""``jmml data withdraw PERSON``: a person's recordings and all that was computed of them, out of the project.

In this order, so that a command that was killed is done by giving it again: the corpora without the person, tracked;
the ledger (:mod:`pipelines.workspace.withdrawn`); then everything that can be made anew, and DVC's cache.
"""

from __future__ import annotations

import getpass
import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from jmml.config import CorpusConfig
from jmml.errors import CorpusError, DataError, JMMLError, nearest
from pipelines.corpora.dvc_record import DvcCache, errors_reported
from pipelines.corpora.scan import admit, open_corpus
from pipelines.reporting.progress import progress_bar
from pipelines.reporting.wording import many
from pipelines.versions.keeping import Tracked, check_nothing_lost, tracked
from pipelines.versions.leftovers import cached_features, caches_of, forget, shared_features
from pipelines.versions.reading import manifest_in, manifest_of
from pipelines.versions.revisions import LOCKS, changes, contents, git, made_by_stages, prefix
from pipelines.versions.trained import Trained, trained_on
from pipelines.versions.update import recover, replacing
from pipelines.versions.without import Share, copy_without, share_of
from pipelines.workspace.project import Project
from pipelines.workspace.withdrawn import Withdrawal, ledger, withdrawals, write_down

REMAINS = (
    "still there: what earlier revisions of git point to, in remotes, caches and clones of others (on this disk the "
    "files are gone). `dvc gc --workspace --cloud` removes from the default remote all that the work tree does not "
    "use, earlier versions included; the ledger names the very files",
    "still there: models/ and results/ until `dvc repro` makes them anew; models and predictions of runs until the "
    "runs are deleted in MLflow",
    "still there: what other settings or code have made of the recordings in a feature cache that users share "
    "(JMML_FEATURE_CACHE); it cannot be told whose it is, and goes when the cache is removed",
)


@dataclass(frozen=True)
class OfCorpus:
    """What one corpus has of a person, now and in versions whose bytes are on this disk.

    Attributes
    ----------
    now : in the work tree.
    recordings : SHA-256 of all recordings of all versions.
    objects : MD5 of the files of all versions that hold them, as DVC's cache and remotes name them.
    unread : versions that could not be looked into, and why.
    """

    name: str
    modality: str
    now: Share
    recordings: tuple[str, ...]
    objects: tuple[str, ...]
    unread: tuple[str, ...] = ()


@dataclass(frozen=True)
class Withdrawn:
    """What was found of a person, and, unless ``dry_run``, removed.

    Attributes
    ----------
    caches : paths that were removed, below the project.
    objects : MD5 of files that were removed from DVC's cache on this disk.
    trained : runs that were trained on the person; None where the tracking store cannot be asked, ``untold`` says why.
    """

    person: str
    dry_run: bool
    corpora: list[OfCorpus]
    caches: list[str] = field(default_factory=list)
    features: int = 0
    objects: list[str] = field(default_factory=list)
    trained: list[Trained] | None = None
    untold: str | None = None
    ledger: str = ""

    def as_dict(self) -> dict[str, Any]:
        return {
            "person": self.person,
            "dry_run": self.dry_run,
            "corpora": [
                {
                    "name": one.name,
                    "recordings": list(one.now.ids),
                    "files": list(one.now.files),
                    "hashes": list(one.recordings),
                    "unread": list(one.unread),
                }
                for one in self.corpora
            ],
            "caches": self.caches,
            "cached_features": self.features,
            "objects": self.objects,
            "trained": None if self.trained is None else [run.as_dict() for run in self.trained],
            "untold": self.untold,
            "ledger": self.ledger,
        }

    def lines(self) -> list[str]:
        would = "would be removed" if self.dry_run else "removed"
        text = []
        for one in self.corpora:
            text.append(
                f"{one.name}: {many(len(one.now.ids), 'recording')} of {self.person} {would}; "
                f"{many(len(one.recordings), 'recording')} in all versions on this disk"
            )
            text += [f"note: not looked into: {line}" for line in one.unread]
        text.append(
            f"{would}: {many(self.features, 'entry', 'entries')} of the feature cache; "
            f"{many(len(self.objects), 'file')} of DVC's cache; {', '.join(self.caches) or 'no other cache'}"
        )
        if self.trained is None:
            text.append(f"note: the runs that were trained on {self.person} are not known: {self.untold}")
        elif not self.trained:
            text.append(f"no run was trained on {self.person}")
        else:
            text.append(f"trained on {self.person} ({many(len(self.trained), 'run')}):")
            text += [f"  {run.line()}" for run in self.trained]
        if self.dry_run:
            return [*text, "nothing was written; without --dry-run it is"]
        names = " ".join(f"data/raw/{one.name}.dvc" for one in self.corpora)
        text += [
            f"written down in {self.ledger}; versions that were trained on {self.person} are not promoted any more",
            *REMAINS,
            f"next: `git add {self.ledger} {names} && git commit`, then `dvc repro`",
        ]
        return text


def withdraw(
    project: Project, person: str, *, names: Sequence[str] = (), dry_run: bool = False, force: bool = False
) -> Withdrawn:
    """Remove a person's recordings from the work tree, from caches and from DVC's cache, and write it down.

    Parameters
    ----------
    person : as manifests name the speaker or subject.
    names : corpora; without any, all that were added in which somebody is called so.
    dry_run : look, and change nothing.
    force : also where files of the work tree are in no version, which are then lost.

    Raises
    ------
    CorpusError, DataError
        Nobody is called so; a file holds recordings of others too; what would be left is no corpus.
    """
    person = unicodedata.normalize("NFC", person)  # as manifests have them
    for name in names:
        tracked(project, name)
    entries = {
        name: entry
        for name, entry in project.params.corpora.items()
        if name in names or (not names and (project.root / f"{entry.path}.dvc").is_file())
    }
    if not dry_run:
        for name in entries:
            recover(project, name)
    found, people = [], set[str]()
    for name, entry in entries.items():
        one, others = _of_corpus(project, name, entry, person)
        people |= others
        if one.recordings:
            found.append(one)
    if not found:
        earlier = [one for one in withdrawals(project) if one.person == person]
        raise CorpusError(
            f"{person} has withdrawn already ({earlier[-1].time[:10]}), and is in no corpus"
            if earlier
            else f"nobody is called '{person}'" + (f"; {nearest(person, people)}" if people else ""),
            where=", ".join(entries) or "no corpus was added",
        )
    trained, untold = _trained(project, person, found)
    kept = _kept_objects(project, found)
    modalities = {one.name: one.modality for one in found}
    hashes = {content for one in found for content in one.recordings}
    caches = caches_of(project, person, modalities, entries)
    features = cached_features(project, hashes)
    shared = shared_features(project, {one.name: one.recordings for one in found})
    if dry_run:
        with DvcCache.of(project) as cache:
            objects = [md5 for one in found for md5 in one.objects if md5 not in kept and cache.holds(md5)]
        shown = [_shown(project, path) for path in caches]
        return Withdrawn(person, True, found, shown, len(features) + len(shared), objects, trained, untold)
    for one in found:
        if one.now:
            _take_out(project, tracked(project, one.name), entries[one.name], one.now, force=force)
    _write(project, person, found)
    forget([*caches, *features])
    for cached, content in shared:
        cached.forget(content)
    with DvcCache.of(project) as cache:
        made = _made_of(project, [one.name for one in found])
        objects = cache.forget([md5 for one in found for md5 in one.objects if md5 not in kept])
        cache.forget(made)
    return Withdrawn(
        person,
        False,
        found,
        [_shown(project, path) for path in caches],
        len(features) + len(shared),
        objects,
        trained,
        untold,
        _shown(project, ledger(project)),
    )


def _of_corpus(project: Project, name: str, entry: CorpusConfig, person: str) -> tuple[OfCorpus, set[str]]:
    """What a corpus has of a person, and how the people of its versions are called."""
    folder = project.root / entry.path
    people: set[str] = set()
    hashes: dict[str, None] = {}
    objects: dict[str, None] = {}
    unread = []
    now = Share((), (), ())
    others: set[str] = set()  # what an earlier version called theirs, and is another's since
    if folder.exists():
        manifest = manifest_in(name, entry, folder, what=name).manifest
        people |= set(manifest.frame["group"])
        now = share_of(person, entry, manifest.frame)
        others = set(manifest.frame.loc[manifest.frame["group"] != person, "content_hash"])
        hashes |= dict.fromkeys(now.recordings)
    with DvcCache.of(project) as cache:
        versions = {change.md5: change.commit for change in changes(project, name, entry.path) if change.md5}
        here = {md5: cache.listing(md5) for md5 in versions if not cache.missing(md5)}
        if (own := tracked(project, name).pointer.md5) not in here and not cache.missing(own):
            here[own], versions[own] = cache.listing(own), ""
    unread += [
        f"{versions[md5][:12]}, whose bytes are not all on this disk" for md5 in versions if md5 not in here
    ]
    for md5, listed in here.items():
        what = f"{name} at {versions[md5][:12] or 'the pointer'}"
        try:
            rows = manifest_of(project, name, md5, entry, path=entry.path, what=what).manifest.frame
        except JMMLError as error:
            unread.append(f"{what}: {error}")
            continue
        own_rows = rows[rows["group"] == person]
        people |= set(rows["group"])
        hashes |= dict.fromkeys(own_rows["content_hash"])
        for place in dict.fromkeys(own_rows["path"]):
            one = (listed or {}).get(place) or (listed or {}).get("")
            objects |= {} if one is None else {one: None}
    recordings = tuple(content for content in hashes if content not in others)
    return OfCorpus(name, entry.modality, now, recordings, tuple(objects), tuple(unread)), people


def _take_out(project: Project, corpus: Tracked, entry: CorpusConfig, share: Share, *, force: bool) -> None:
    """Track the corpus without what is theirs."""
    if not force:
        check_nothing_lost(project, corpus)
    if corpus.folder.is_file():
        raise CorpusError(
            "is a single file", where=corpus.folder, fix="put it into a folder of its own first"
        )
    files = [
        path.relative_to(corpus.folder).as_posix()
        for path in sorted(corpus.folder.rglob("*"))
        if path.is_file()
    ]
    with errors_reported(), replacing(project, corpus, moves=True) as place:
        place.mkdir(parents=True)
        copy_without(share, corpus.folder, place, files)
        adapter = open_corpus(corpus.name, entry)
        with progress_bar(f"check {corpus.name}", "file") as progress:
            left = admit(corpus.name, adapter, place, skip_bad=entry.skip_bad, progress=progress).frame
        if back := sorted(set(left["id"]) & set(share.ids)):
            raise DataError(
                f"{len(back)} recordings are still there: {', '.join(back[:3])}",
                where=corpus.name,
                fix="remove them by hand, and record that with `jmml data update`",
            )
        _check_others(corpus, entry, place, share, left)


def _check_others(
    corpus: Tracked, entry: CorpusConfig, place: Path, share: Share, left: pd.DataFrame
) -> None:
    """Refuse what would take recordings of others along, whose lines in a list look like theirs, say."""
    before = manifest_in(corpus.name, entry, corpus.folder, what=corpus.name).manifest.frame
    wanted = _told(before[~before["id"].isin(share.ids)])
    if wanted <= _told(left):
        return
    after = manifest_in(
        corpus.name, entry, place, what=corpus.name
    ).manifest.frame  # what was left out before, too
    if lost := sorted(identity for identity, *_ in wanted - _told(after)):
        raise DataError(
            f"{many(len(lost), 'recording')} of others would be lost or described otherwise: {', '.join(lost[:3])}",
            where=corpus.name,
            fix="remove what is theirs by hand, record that with `jmml data update`, and withdraw again",
        )


def _told(frame: pd.DataFrame) -> set[tuple[str, ...]]:
    """Who says what in which recording."""
    columns = (frame[name].fillna("").map(str) for name in ("id", "group", "label", "content_hash"))
    return set(zip(*columns, strict=True))


def _kept_objects(project: Project, found: Sequence[OfCorpus]) -> set[str]:
    """MD5 of files that the work tree goes on using: those of other corpora, and of other people of these."""
    kept: set[str] = set()
    theirs = {one.name: set(one.now.files) | ({one.now.rows[0]} if one.now.rows else set()) for one in found}
    with DvcCache.of(project) as cache:
        for name, entry in project.params.corpora.items():
            if (project.root / f"{entry.path}.dvc").is_file():
                listed = cache.listing(tracked(project, name).pointer.md5) or {}
                kept |= {md5 for place, md5 in listed.items() if place not in theirs.get(name, set())}
    return kept


def _made_of(project: Project, names: Sequence[str]) -> list[str]:
    """MD5 of the manifests and features of corpora that any revision of git has recorded."""
    places = [f":(top){prefix(project)}{lock}" for lock in LOCKS]
    commits = git(project, "log", "--all", "--format=%H", "--", *places, check=False).decode().split()
    locks = contents(project, [f"{commit}:./{lock}" for commit in commits for lock in LOCKS])
    locks += [path.read_bytes() for lock in LOCKS if (path := project.root / lock).is_file()]
    wanted = {f"data/{kind}/{name}.parquet" for name in names for kind in ("manifests", "features")}
    return list({md5 for lock in locks for path, md5 in made_by_stages(lock).items() if path in wanted})


def _write(project: Project, person: str, found: Sequence[OfCorpus]) -> None:
    try:
        who = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        who = str(os.getuid())
    time = datetime.now(UTC).isoformat(timespec="seconds")
    write_down(
        project,
        [Withdrawal(person, one.name, one.modality, time, who, one.recordings, one.objects) for one in found],
    )


def _trained(
    project: Project, person: str, found: Sequence[OfCorpus]
) -> tuple[list[Trained] | None, str | None]:
    try:
        return trained_on(project, person, {one.name: one.modality for one in found}), None
    except JMMLError as error:
        return None, str(error)


def _shown(project: Project, path: Path) -> str:
    return path.relative_to(project.root).as_posix() if path.is_relative_to(project.root) else str(path)
