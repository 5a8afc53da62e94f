"""``jmml data utterance``: a recording of a voice that no corpus holds."""

from __future__ import annotations

from pathlib import Path

from jmml.data.synthetic import write_utterance as synthesise_utterance
from jmml.errors import DataError
from pipelines.workspace.project import Project


def write_utterance(
    project: Project, path: Path, *, emotion: str, speaker_seed: int, force: bool = False
) -> str:
    """Write one synthetic utterance of a voice no corpus holds; returns a line that says so."""
    if path.exists() and not force:
        raise DataError("exists already", where=path, fix="choose another name, or replace it with --force")
    synthesise_utterance(path, emotion, project.params.synthetic, speaker_seed=speaker_seed)
    return f"{path}: '{emotion}', voice {speaker_seed}"
