"""Plugins of a project: corpora, feature extractors, methods and gates, each one file.

    where it stands                                               under which name
    corpora/lab_speech.py in the project's folder                 lab-speech
    the entry point `lab-speech` of an installed package,         lab-speech
    in the group `jmml.corpora`, naming a module

and so for `features`, `methods` and `gates`. The module registers itself under that name
(:func:`jmml.data.corpora.register_corpus`, :func:`jmml.data.features.extractors.register_extractor`,
:func:`jmml.methods.register_method`, :func:`pipelines.registry.gates.register_gate`). Names are known from files and
entry points alone; a module is imported when its name is first used. Code is loaded from these two places and from
nowhere else: never from a store, a model or a corpus.
"""

from __future__ import annotations

from jmml.plugins._registry import Registry
from jmml.plugins._sources import files, modules, on_change, project, use_project
from jmml.plugins._tables import CLASSIFIERS, CORPORA, EXTRACTORS, METHODS, PAIRINGS
from jmml.plugins._workers import in_project

__all__ = [
    "CLASSIFIERS",
    "CORPORA",
    "EXTRACTORS",
    "METHODS",
    "PAIRINGS",
    "Registry",
    "files",
    "in_project",
    "modules",
    "on_change",
    "project",
    "use_project",
]
