"""One registry per kind. Settings are checked against them without importing what they hold."""

from __future__ import annotations

from typing import Any

from jmml.errors import ConfigError, CorpusError, DataError, ProtocolError
from jmml.plugins._registry import Registry

CORPORA: Registry[Any] = Registry(
    "corpora", "corpus adapter", home="jmml.data.corpora", error=CorpusError, one_by_one=True
)
EXTRACTORS: Registry[Any] = Registry(
    "features", "feature extractor", home="jmml.data.features.extractors", error=DataError
)
METHODS: Registry[Any] = Registry("methods", "method", home="jmml.methods", error=ProtocolError)
# Not open to a project: a saved classifier may hold trusted types alone, and pairings are part of the controls' design.
CLASSIFIERS: Registry[Any] = Registry(
    "classifiers",
    "classifier",
    home="jmml.models.classifier",
    error=lambda text: ConfigError([text]),
)
PAIRINGS: Registry[Any] = Registry(
    "pairings", "pairing", home="jmml.models.pairing", error=lambda text: ConfigError([text])
)
