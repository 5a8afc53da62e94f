"""What was computed of a person's recordings and lies about in a project: features, manifests, cells, versions."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from jmml.config import CorpusConfig, digest
from jmml.data.corpora.table import TableCorpus
from jmml.data.features import extractors
from jmml.data.features.cache import FeatureCache
from jmml.data.features.extract import code_digest, extractor_digest, settings_of
from jmml.errors import JMMLError
from jmml.evaluation import evidence
from pipelines.cache.cells import EVIDENCE
from pipelines.corpora.scan import open_corpus, read_manifest
from pipelines.versions.folders import place_of, versions_dir
from pipelines.versions.keeping import tracked
from pipelines.versions.revisions import changes
from pipelines.workspace.environment import feature_cache
from pipelines.workspace.project import Project
from pipelines.workspace.team import stage1_folder


def caches_of(
    project: Project, person: str, modalities: Mapping[str, str], entries: Mapping[str, CorpusConfig]
) -> list[Path]:
    """Files and folders that hold something of a person and are made anew where they are wanted.

    Manifests and features of their corpora; versions of these beside the work tree; cells of studies whose certificate
    names them. Models of stage 1 do not say whom they were fitted on: all that are the project's alone go.

    Parameters
    ----------
    modalities : of the corpora in which the person is.
    """
    found = []
    for name in modalities:
        found += [project.manifest_path(name), project.features_path(name)]
        found.append(
            project.root / ".jmml" / "added" / f"{name}.parquet"
        )  # as it was heard when it was added
        path = entries[name].path
        hashes = {change.md5 for change in changes(project, name, path)} | {
            tracked(project, name).pointer.md5
        }
        found += [place_of(project, md5) for md5 in hashes if md5 is not None]
    found += _cells(project, person, modalities)
    stage1 = stage1_folder(project)
    if stage1.is_relative_to(project.root):
        found.append(stage1)
    return sorted(path for path in found if path.exists() and path != versions_dir(project))


def _cells(project: Project, person: str, modalities: Mapping[str, str]) -> Iterator[Path]:
    """Folders of cells that were fitted or evaluated on the person."""
    for path in (project.root / ".jmml" / "cells").glob("*/*/cell.json"):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            task, certificate = record["parts"]["task"], record["certificate"] or {}
        except (OSError, ValueError, KeyError, TypeError):
            continue  # no cell that anything would read
        read = {modality for name, modality in modalities.items() if _corpus(task, modality) == name}
        entries = certificate.get("entries", ())
        fitted = any(entry["modality"] in read and person in entry["groups"] for entry in entries)
        if fitted or (read and person in _evaluated(path.parent)):
            yield path.parent


def _corpus(task: Mapping[str, Any], modality: str) -> str | None:
    view = task.get(modality)
    return None if view is None else view.get("corpus")


def _evaluated(cell: Path) -> Collection[str]:
    """People of the fold of a cell; none where its evidence cannot be read, as nothing else would read it then."""
    try:
        return set(evidence.load(cell / EVIDENCE)["group"])
    except JMMLError:
        return ()


def cached_features(project: Project, hashes: Collection[str]) -> list[Path]:
    """Entries of the feature cache that are, or may be, of these recordings.

    An entry is named by recording, settings and code together, and does not say by which. Those that today's settings
    and code have of other recordings of the project are kept; others may be anybody's, and go: they are extracted
    again where they are wanted.
    """
    kept: set[Path] = set()
    for name in project.params.corpora:
        manifest, cache = read_manifest(project, name), _cache(project, name, project.cache_dir)
        if manifest is not None and cache is not None:
            kept |= {
                cache.path(content) for content in manifest.frame["content_hash"] if content not in hashes
            }
    return sorted(path for path in project.cache_dir.rglob("*") if path.is_file() and path not in kept)


def shared_features(
    project: Project, recordings: Mapping[str, Collection[str]]
) -> list[tuple[FeatureCache, str]]:
    """Entries of a cache that is shared (``JMML_FEATURE_CACHE``) that today's settings and code have of recordings.

    What else is in it may be anybody's, and stays: what other settings and code have made of them cannot be told.

    Parameters
    ----------
    recordings : hashes by the name of the corpus.
    """
    shared = feature_cache(project.cache_dir)
    if shared == project.cache_dir:
        return []
    found = []
    for name, hashes in recordings.items():
        cache = _cache(project, name, shared)
        found += [] if cache is None else [(cache, content) for content in hashes if cache.holds(content)]
    return found


def _cache(project: Project, name: str, root: Path | str) -> FeatureCache | None:
    """The cache of the features of a corpus at today's settings and code; None where nothing is extracted."""
    entry, features = project.corpus(name), project.params.features
    adapter, settings = open_corpus(name, entry), settings_of(entry.modality, features)
    if isinstance(adapter, TableCorpus):
        return None
    read = partial(adapter.read, project.root / entry.path)
    try:
        code = code_digest(entry.modality, read, extractors.chosen(entry.modality, settings))
    except JMMLError:
        return None
    key = digest([extractor_digest(entry.modality, features), code], length=64)
    return FeatureCache(root, entry.modality, key)


def forget(paths: Iterable[Path]) -> None:
    """Remove files and folders."""
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
