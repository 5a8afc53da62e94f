"""Corpus adapters. To add one: a module with a class like its neighbours', and a line in ``ADAPTERS``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from jmml.config import Modality
from jmml.data.corpora._base import MANIFEST_COLUMNS, Corpus, Manifest, ManifestRow, Recording
from jmml.data.corpora.deap import Deap
from jmml.data.corpora.emodb import EmoDB
from jmml.data.corpora.nemo import Nemo
from jmml.data.corpora.ravdess import Ravdess
from jmml.data.corpora.table import TableCorpus, read_table
from jmml.errors import CorpusError, nearest

__all__ = [
    "ADAPTERS",
    "MANIFEST_COLUMNS",
    "Corpus",
    "Manifest",
    "ManifestRow",
    "Recording",
    "detect_adapter",
    "get_corpus",
    "read_table",
]

# Order matters to detect_adapter alone: a corpus that ships a table beside its recordings is no table.
ADAPTERS: dict[str, Callable[[], Corpus]] = {
    "nemo": Nemo,
    "ravdess": Ravdess,
    "emodb": EmoDB,
    "deap": Deap,
    "table": TableCorpus,
}


def get_corpus(adapter: str, modality: Modality | None = None) -> Corpus:
    """The adapter of that name.

    ``modality`` is what the settings say the corpus holds; tables take it over.

    Raises
    ------
    CorpusError
        For an unknown name (the message lists the valid ones) or a corpus of the other modality.
    """
    if adapter not in ADAPTERS:
        raise CorpusError(f"unknown corpus adapter '{adapter}'; {nearest(adapter, ADAPTERS)}")
    corpus = ADAPTERS[adapter]()
    if modality is None or modality == corpus.modality:
        return corpus
    if corpus.modality is None:
        return TableCorpus(modality)
    raise CorpusError(f"'{adapter}' holds {corpus.modality}", expected=modality, fix="correct the modality")


def detect_adapter(root: Path) -> str | None:
    """Name of the first adapter whose layout the files under ``root`` have; None when there is none."""
    return next((name for name, make in ADAPTERS.items() if make().recognises(root)), None)
