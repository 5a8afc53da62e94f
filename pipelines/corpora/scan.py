"""From a corpus entry of ``params.yaml`` to its adapter and manifest: opened, scanned, admitted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from jmml.config import Modality
from jmml.data.corpora import Corpus, get_corpus
from jmml.data.corpora.table import TableCorpus
from jmml.data.manifest import Manifest
from jmml.errors import CorpusError, RecordingError
from pipelines.reporting.progress import Progress
from pipelines.reporting.wording import many
from pipelines.workspace.project import Project

SHOWN = 3


def open_corpus(name: str, adapter: str, modality: Modality) -> Corpus:
    """The adapter of a corpus; :class:`~jmml.errors.CorpusError` when it reads the other modality."""
    corpus = get_corpus(adapter)
    if isinstance(corpus, TableCorpus):
        return replace(corpus, modality=modality)
    if corpus.modality != modality:
        raise CorpusError(
            f"adapter '{adapter}' reads {corpus.modality}, the settings say {modality}",
            where=f"corpora.{name}",
            fix=f"set its modality to {corpus.modality}",
        )
    return corpus


def scan(
    name: str, corpus: Corpus, root: Path, *, skip_bad: bool = False, progress: Progress | None = None
) -> Manifest:
    """The manifest of the recordings under ``root``, under the name the project gives the corpus.

    Headers and hashes are read, not the signals; :func:`admit` reads those too.
    """
    return replace(corpus.scan(root, skip_bad=skip_bad, progress=progress), corpus=name)


def admit(
    name: str, corpus: Corpus, root: Path, *, skip_bad: bool = False, progress: Progress | None = None
) -> Manifest:
    """The manifest of a corpus whose every recording was read to its end: none is silent, cut off or not finite.

    Raises
    ------
    RecordingError : lists what cannot be used; with ``skip_bad`` it is left out and kept in ``skipped``.
    """
    manifest = scan(name, corpus, root, skip_bad=skip_bad)
    if isinstance(corpus, TableCorpus):
        return manifest  # its rows were read already
    usable = np.ones(len(manifest), dtype=bool)
    problems = []
    for number, row in enumerate(manifest.frame.itertuples(index=False)):
        try:
            corpus.read(root, row)
        except RecordingError as error:
            usable[number] = False
            problems.append(str(error))
        if progress is not None:
            progress(number + 1, len(manifest))
    if problems and not (skip_bad and usable.any()):
        raise RecordingError(
            f"{len(problems)} of {many(len(manifest), 'recording')} cannot be used: {'; '.join(problems[:SHOWN])}"
            + (f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""),
            where=name,
            fix="repair or remove them, or leave them out (`jmml data add --skip-bad`, or skip_bad: true in its "
            "corpora entry)",
        )
    frame = manifest.frame[usable].reset_index(drop=True)
    return replace(manifest, frame=frame, skipped=[*manifest.skipped, *problems])


def read_manifest(project: Project, name: str) -> Manifest | None:
    """The manifest that the stage ``ingest`` wrote; None where it has not run."""
    path = project.manifest_path(name)
    return Manifest.load(path) if path.exists() else None
