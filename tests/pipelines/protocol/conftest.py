"""The project of the tests of corpora, with one corpus under Git and DVC."""

from __future__ import annotations

from tests.pipelines.corpora.conftest import corpus, project, template

__all__ = ["corpus", "project", "template"]
