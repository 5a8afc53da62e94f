"""Stage ``ingest``: the manifest of one corpus, every recording opened and fingerprinted."""

from __future__ import annotations

import sys

from pipelines.corpora.scan import admit, open_corpus
from pipelines.reporting.wording import many
from pipelines.stages._accepted import check_accepted
from pipelines.stages._main import main, stage_progress
from pipelines.workspace.project import Project
from pipelines.workspace.withdrawn import refuse_withdrawn


def ingest(project: Project, corpus: str) -> str:
    """Write data/manifests/CORPUS.parquet; a recording that cannot be used stops the stage."""
    check_accepted(project, [corpus])
    config = project.corpus(corpus)
    with stage_progress(f"ingest {corpus}", "file") as progress:
        adapter = open_corpus(corpus, config)
        manifest = admit(
            corpus, adapter, project.corpus_dir(corpus), skip_bad=config.skip_bad, progress=progress
        )
    refuse_withdrawn(project, corpus, manifest.frame["id"], manifest.frame["content_hash"])
    manifest.save(project.manifest_path(corpus))
    notes = "".join(
        f"; {note}" for note in (*manifest.notes, *(f"left out {bad}" for bad in manifest.skipped))
    )
    return f"{corpus}: {len(manifest)} samples of {many(manifest.frame['group'].nunique(), 'person', 'people')}{notes}"


if __name__ == "__main__":
    sys.exit(main(ingest))
