"""Stage ``featurize``: one row of features per utterance or EEG window of one corpus."""

from __future__ import annotations

import sys
import warnings
from functools import partial

from joblib import cpu_count

from jmml.data.corpora.table import TableCorpus
from jmml.data.features.eeg import FlatChannelWarning
from jmml.data.features.extract import extract_corpus
from jmml.data.manifest import Manifest
from jmml.data.table import FeatureTable
from pipelines.corpora.scan import open_corpus
from pipelines.stages._main import main, stage_progress
from pipelines.workspace.environment import feature_cache, features_limit
from pipelines.workspace.project import Project


def featurize(project: Project, corpus: str) -> str:
    """Write data/features/CORPUS.parquet; a recording that cannot be read stops the stage."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", FlatChannelWarning)
        table, skipped = features(project, corpus)
    table.save(project.features_path(corpus))
    notes = "".join(f"; left out {bad}" for bad in skipped)
    notes += "".join(f"; {one.message}" for one in told if issubclass(one.category, FlatChannelWarning))
    return f"{corpus}: {len(table)} rows of {len(table.names)} {table.modality} features{notes}"


def features(project: Project, name: str) -> tuple[FeatureTable, list[str]]:
    """Features by the project's settings, cached by content, and what was left out; tables are taken as they are."""
    config, root = project.corpus(name), project.corpus_dir(name)
    adapter = open_corpus(name, config)
    if isinstance(adapter, TableCorpus):
        return adapter.table(root, name), []
    with stage_progress(f"featurize {name}", "recording") as progress:
        return extract_corpus(
            Manifest.load(project.manifest_path(name)).frame,
            partial(adapter.read, root),
            config.modality,
            project.params.features,
            corpus=name,
            cache_dir=feature_cache(project.cache_dir),
            cache_limit=features_limit(),
            workers=cpu_count(),
            skip_bad=config.skip_bad,
            progress=progress,
        )


if __name__ == "__main__":
    sys.exit(main(featurize))
