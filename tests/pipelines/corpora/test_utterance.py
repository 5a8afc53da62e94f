from __future__ import annotations

from pathlib import Path

import soundfile

from pipelines.corpora.utterance import write_utterance
from pipelines.workspace.project import Project


def test_write_utterance(project: Project, tmp_path: Path) -> None:
    line = write_utterance(project, tmp_path / "fresh.wav", emotion="anger", speaker_seed=5)
    assert soundfile.info(tmp_path / "fresh.wav").duration > 0.5
    assert "anger" in line
