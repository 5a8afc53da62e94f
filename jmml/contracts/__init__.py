"""Contracts of corpus adapters, feature extractors and methods, as checks that anybody can run on their own.

    from jmml.contracts import check_corpus

    def test_my_corpus():
        check_corpus("lab-speech", "tests/tiny-lab-corpus")

Each raises :class:`ContractError`, an ``AssertionError``, that names the clause; they need no test framework. The names
are those of a registry, so a project is entered first (``jmml.plugins.use_project(Path("path/to/project"))``), as every
command does. Gates have a contract of their own, :mod:`pipelines.registry.contracts`.
"""

from __future__ import annotations

from jmml.contracts._clauses import ContractError
from jmml.contracts._corpora import Clause, check_corpus, report_corpus
from jmml.contracts._features import check_extractor
from jmml.contracts._methods import check_method

__all__ = ["Clause", "ContractError", "check_corpus", "check_extractor", "check_method", "report_corpus"]
