"""Corpora read as they were at a revision, while the work tree stays as it is: their recordings, manifest and features.

The code and the settings are those of today, the bytes those of the revision. What is computed lies beside the bytes
(:mod:`pipelines.versions.folders`), named by all that decides it, so that it is computed once; features of recordings
that were extracted before come from the feature cache.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from jmml.config import CorpusConfig, digest
from jmml.data.manifest import Manifest
from pipelines.corpora.scan import admit, open_corpus, scan
from pipelines.reporting.progress import progress_bar
from pipelines.stages.code import of_stage
from pipelines.stages.featurize import features
from pipelines.versions.folders import alone, files_of, place_of
from pipelines.versions.revisions import Recorded
from pipelines.workspace.project import CorpusVersion, Project
from pipelines.workspace.withdrawn import refuse_withdrawn

# Of an entry of params.yaml, what is applied to the features and not entered in them.
_APPLIED = {"path", "labels", "unmapped", "rating_threshold"}


def at_revisions(project: Project, wanted: Mapping[str, str]) -> Project:
    """The project with some of its corpora as they were at a revision, ready to be read.

    Parameters
    ----------
    wanted : revision of each corpus, by its name in ``params.yaml``.

    Raises
    ------
    DataError : there is no such revision, it had no such corpus, its bytes cannot be had, or somebody has withdrawn
        recordings that it holds.
    """
    if not wanted:
        return project
    found = {name: read_version(project, name, rev) for name, rev in wanted.items()}
    return Project(project.root, {**project.versions, **found})


def read_version(project: Project, name: str, rev: str) -> CorpusVersion:
    """A corpus at a revision, its manifest and features computed where they are not there; see :func:`at_revisions`."""
    recorded, entry = Recorded(project, name, rev), project.corpus(name)
    md5 = recorded.md5
    place = place_of(project, md5)
    folder = files_of(project, md5, name=Path(recorded.path).name, what=recorded.what)
    made = place / _digest(project, name, entry)
    version = CorpusVersion(
        name, rev, recorded.commit, md5, folder, made / "manifest.parquet", made / "features.parquet"
    )
    if not version.features.is_file():
        with alone(place):
            if not version.features.is_file():
                _compute(project, version, entry)
    rows = Manifest.load(version.manifest).frame
    refuse_withdrawn(project, recorded.what, rows["id"], rows["content_hash"])
    return version


def _compute(project: Project, version: CorpusVersion, entry: CorpusConfig) -> None:
    name, what = version.name, f"{version.name} at {version.rev}"
    with progress_bar(f"ingest {what}", "file") as progress:
        corpus = open_corpus(name, entry)
        manifest = admit(name, corpus, version.folder, skip_bad=entry.skip_bad, progress=progress)
    refuse_withdrawn(project, what, manifest.frame["id"], manifest.frame["content_hash"])
    manifest.save(version.manifest)
    table, _ = features(Project(project.root, {name: version}), name)
    table.save(version.features)


def _digest(project: Project, name: str, entry: CorpusConfig) -> str:
    """All that decides a manifest and features besides the recordings."""
    said = entry.model_dump(mode="json", exclude=_APPLIED)
    settings = getattr(project.params.features, entry.modality).model_dump(mode="json")
    return digest([name, said, settings, _code()])


@cache
def _code() -> str:
    return digest([of_stage(stage).digest for stage in ("ingest", "featurize")])


# Manifests alone ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Side:
    """One of two versions that are compared: its recordings, and where they lie."""

    label: str
    root: Path
    manifest: Manifest


def manifest_of(project: Project, name: str, md5: str, entry: CorpusConfig, *, path: str, what: str) -> Side:
    """The recordings of a version by their headers and hashes, kept beside its bytes; unreadable ones are left out.

    Raises
    ------
    DataError : its bytes cannot be had, or its adapter cannot read them.
    """
    place = place_of(project, md5)
    folder = files_of(project, md5, name=Path(path).name, what=what)
    kept = (
        place / f"manifest-{digest([name, entry.model_dump(mode='json', exclude=_APPLIED), _code()])}.parquet"
    )
    if kept.is_file():
        return Side(what, folder, Manifest.load(kept))
    found = manifest_in(name, entry, folder, what=what)
    with alone(place):
        found.manifest.save(kept)
    return found


def manifest_in(name: str, entry: CorpusConfig, folder: Path, *, what: str) -> Side:
    """The recordings in a folder, unreadable ones left out."""
    with progress_bar(f"read {what}", "file") as progress:
        manifest = scan(name, open_corpus(name, entry), folder, skip_bad=True, progress=progress)
    return Side(what, folder, replace(manifest, corpus=name))
