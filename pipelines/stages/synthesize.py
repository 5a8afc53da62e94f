"""Stage ``synthesize``: the embedded default, two non-parallel corpora in native layouts."""

from __future__ import annotations

import sys

from jmml.data.synthetic import write_synthetic_eeg, write_synthetic_speech
from pipelines.reporting.wording import many
from pipelines.stages._main import main
from pipelines.workspace.project import Project


def synthesize(project: Project) -> str:
    """Write data/raw/synthetic-speech and data/raw/synthetic-eeg."""
    config = project.params.synthetic
    speech, eeg = project.raw_dir / "synthetic-speech", project.raw_dir / "synthetic-eeg"
    write_synthetic_speech(speech, config)
    write_synthetic_eeg(eeg, config)
    size = sum(path.stat().st_size for root in (speech, eeg) for path in root.rglob("*") if path.is_file())
    return f"{many(config.speakers, 'speaker')}, {many(config.subjects, 'EEG subject')}, {size / 1e6:.1f} MB"


if __name__ == "__main__":
    sys.exit(main(synthesize))
