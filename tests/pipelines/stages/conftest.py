"""A project with ready-made features: everything behind ``featurize`` runs in seconds."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import yaml

from pipelines.stages import train as train_stage
from pipelines.workspace.project import Project
from tests.jmml.tasks import gaussian_table, small_params

Build = Callable[..., Project]


def make_project(root: Path, *, groups: int = 4, **sections: object) -> Project:
    """A project folder with those sections of params.yaml and Gaussian features."""
    few = {"protocol": {"seeds": [0, 1]}, "evaluation": {"bootstrap": 100}}
    settings = small_params(**(few | sections)).model_dump(mode="json")
    (root / "params.yaml").write_text(yaml.safe_dump(settings))
    (root / "dvc.yaml").write_text("stages: {}\n")
    project = Project(root)
    for modality in ("speech", "eeg"):
        table = gaussian_table(modality, groups=groups, per_class=4, effect=0.5)
        table.save(project.features_path(f"lab-{modality}"))
    return project


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """``build(**sections)``: :func:`make_project` in the folder of the test."""
    return partial(make_project, tmp_path)


@pytest.fixture
def _in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train without worker processes, whose start takes longer than these trainings."""
    monkeypatch.setattr(train_stage, "cpu_count", lambda: 1)
