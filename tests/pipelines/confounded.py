"""A corpus in which nearly every person has one label, as its manifest."""

from __future__ import annotations

import numpy as np

from jmml.data.manifest import Manifest, ManifestRow
from pipelines.workspace.project import Project

LABELS = ("anger", "calm", "sadness", "happiness")


def save_confounded(project: Project, name: str, *, people: int = 8, each: int = 8) -> None:
    """A manifest of a corpus of the project, whose people have one label each but the first."""
    rows = [
        ManifestRow(
            id=f"{person}-{n}", path=f"{person}/{n}.wav", item=0, modality="speech",
            label=LABELS[(n if person == 0 else person) % 4], valence=np.nan, arousal=np.nan, group=f"s{person}",
            duration_s=2.0, sample_rate_hz=16000, content_hash=f"{person * each + n:064x}",
        )
        for person in range(people)
        for n in range(each)
    ]  # fmt: skip
    path = project.manifest_path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    Manifest.from_rows(name, rows).save(path)
