"""A tiny study on the Gaussian corpora of the tests' project."""

from __future__ import annotations

from typing import Any

from pipelines.cache.cells import CellStore
from pipelines.study.define.model import StudyDefinition
from pipelines.study.define.plan import plan
from pipelines.study.define.reading import check
from pipelines.workspace.project import Project
from tests.pipelines.study import fakes

METHODS = ["raw", "jec-ssl", "jmml", "one-hot"]
SEEDS = [0, 1]
FOLDS = 3  # six speakers, two per fold
CELLS = len(METHODS) * len(SEEDS) * FOLDS


def study(**changes: Any) -> dict[str, Any]:
    """The definition, as its YAML would be read."""
    return {
        "name": "tiny",
        "tasks": {"lab": {"project": True}},
        "methods": METHODS,
        "seeds": SEEDS,
        "groups_per_fold": 2,
        "tuning": {
            "trials": 2,
            "inner_folds": 2,
            "space": {"stage1.p": {"choice": [3, 5]}, "stage2.lr": {"loguniform": [1e-3, 1e-2]}},
        },
        "audit": "none",
        "bootstrap": 200,
    } | changes


def make(**changes: Any) -> StudyDefinition:
    return check(study(**changes))


def compute_all(project: Project) -> None:
    """Put every cell of ``make()`` into the project's cache, so that nothing starts Ray."""
    planned = plan(project, make())
    for key in planned.cells:
        task = planned.tasks[key.task]
        cell = fakes.quick(task.data, task.split, key.fold, key.method, task.candidates, seed=key.seed)
        CellStore.of(project.root).save(key, cell)
