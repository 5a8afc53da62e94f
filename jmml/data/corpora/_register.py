"""How an adapter makes itself known."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from jmml.plugins import CORPORA

CorpusT = TypeVar("CorpusT", bound=Callable[[], object])


def register_corpus(name: str) -> Callable[[CorpusT], CorpusT]:
    """A decorator that enters a class of adapters, made without arguments, under ``name``.

    Raises
    ------
    ConfigError : the name is taken, or is not that of the module (``corpora/lab_speech.py``: ``lab-speech``).
    """

    def enter(kind: CorpusT) -> CorpusT:
        CORPORA.register(name, kind)
        return kind

    return enter
