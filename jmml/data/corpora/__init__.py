"""Corpus adapters. To add one: a module here, or in the folder `corpora` of a project, that registers a class.

    @register_corpus("lab-speech")
    class LabSpeech(SpeechCorpus): ...

``jmml.contracts.check_corpus`` says whether it does what every adapter must.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TypeVar

from jmml.config import Modality
from jmml.data.corpora._base import (
    MANIFEST_COLUMNS,
    Corpus,
    EitherCorpus,
    FileCorpus,
    Listing,
    Manifest,
    ManifestRow,
    Recording,
    check_root,
    field_of,
    files_in,
)
from jmml.data.corpora._coded import CodedCorpus
from jmml.data.corpora._register import register_corpus
from jmml.data.corpora._speech import SpeechCorpus, Utterance
from jmml.data.corpora.table import TableCorpus, read_table
from jmml.errors import CorpusError, JMMLError
from jmml.plugins import CORPORA, Registry

__all__ = [
    "ADAPTERS",
    "MANIFEST_COLUMNS",
    "CodedCorpus",
    "Corpus",
    "EitherCorpus",
    "FileCorpus",
    "Listing",
    "Manifest",
    "ManifestRow",
    "Recording",
    "SpeechCorpus",
    "Utterance",
    "check_root",
    "detect_adapter",
    "field_of",
    "files_in",
    "get_corpus",
    "read_table",
    "register_corpus",
]

T = TypeVar("T")
U = TypeVar("U")

_HERE = Path(__file__).parent
for _path in sorted([*_HERE.glob("*.py"), *_HERE.glob("*/*.py")], key=lambda path: path.stem):
    if not _path.stem.startswith("_"):
        import_module(".".join((__name__, *_path.relative_to(_HERE).with_suffix("").parts)))

ADAPTERS: Registry[Callable[[], Corpus]] = CORPORA


def get_corpus(adapter: str, modality: Modality | None = None) -> Corpus:
    """The adapter of that name.

    ``modality`` is what the settings say the corpus holds; adapters of either modality take it over.

    Raises
    ------
    CorpusError
        For an unknown name (the message lists the valid ones) or a corpus of the other modality.
    """
    corpus = ADAPTERS[adapter]()
    if modality is None or modality == corpus.modality:
        return corpus
    if isinstance(corpus, EitherCorpus):
        return corpus.holding(modality)
    if corpus.modality is None:
        return TableCorpus(modality)
    raise CorpusError(f"'{adapter}' holds {corpus.modality}", expected=modality, fix="correct the modality")


def detect_adapter(root: Path) -> str | None:
    """Name of the adapter whose layout the files under ``root`` have; None when there is none.

    Those of the project come first, then those of installed packages, and tables last: a corpus that ships a table
    beside its recordings is not a table. A package's adapter that fails recognises nothing.

    Raises
    ------
    ConfigError : an adapter of the project cannot be loaded, or fails.
    """
    own = ADAPTERS.own()
    all_ = ((name, _of(name, kind, lambda kind: kind())) for name, kind in ADAPTERS.usable())
    made = {name: corpus for name, corpus in all_ if corpus is not None}
    order = sorted(made, key=lambda name: (name in own, made[name].modality is None))
    return next(
        (name for name in order if _of(name, made[name], lambda corpus: corpus.recognises(root))), None
    )


def _of(name: str, item: T, use: Callable[[T], U]) -> U | None:
    """What an adapter gives; None for one of an installed package that fails, and one line for the project's own."""
    source = ADAPTERS.source(name)
    try:
        return use(item)
    except Exception as error:
        if source is None or (source.of_project and isinstance(error, JMMLError)):
            raise
        if source.of_project:
            raise source.failure("fails", error) from error
        return None
