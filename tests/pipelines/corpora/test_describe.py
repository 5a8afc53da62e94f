from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from jmml.errors import CorpusError
from pipelines.corpora.add import add
from pipelines.corpora.describe import list_corpora, show
from pipelines.workspace.project import Project


def test_list_names_every_corpus_and_its_state(project: Project, corpus: Path) -> None:
    hashed = add(project, "mine", corpus).dvc_hash
    shutil.rmtree(project.raw_dir / "old")
    rows = {row.name: row for row in list_corpora(Project(project.root))}
    assert rows["old"].cells() == ["old", "ravdess", "speech", "yes", "-", "-", "missing"]
    assert rows["mine"].cells() == ["mine", "ravdess", "speech", "no", "-", "-", hashed[:12]]


def test_show_counts(project: Project) -> None:
    summary = show(project, "old")
    assert summary.samples == 8
    assert summary.groups == {"01": 4, "02": 4}
    assert summary.labels == {"01": 2, "03": 2, "04": 2, "05": 2}
    assert summary.classes == {"HVHA": 2, "HVLA": 2, "LVHA": 2, "LVLA": 2}
    assert summary.duration_s == pytest.approx({"total": 2.4, "mean": 0.3, "min": 0.3, "max": 0.3})
    assert summary.sample_rates_hz == {"8000": 8}
    assert summary.dvc_hash is None
    assert any("8000 Hz: 8" in line for line in summary.lines())


def test_show_of_an_unknown_corpus(project: Project) -> None:
    with pytest.raises(CorpusError, match="unknown corpus 'odl'; did you mean 'old'"):
        show(project, "odl")
