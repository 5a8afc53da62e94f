"""From a corpus entry of ``params.yaml`` to its adapter and manifest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from jmml.config import Modality
from jmml.data.corpora import Corpus, get_corpus
from jmml.data.corpora.table import TableCorpus
from jmml.data.manifest import Manifest
from jmml.errors import CorpusError
from pipelines.progress import Progress


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
    """The manifest of the recordings under ``root``, under the name the project gives the corpus."""
    return replace(corpus.scan(root, skip_bad=skip_bad, progress=progress), corpus=name)
