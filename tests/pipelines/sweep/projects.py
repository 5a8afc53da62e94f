"""A project folder whose stages have been run: Gaussian features, six speakers and subjects, four classes."""

from __future__ import annotations

import functools
import hashlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import yaml

from jmml.task import load_task, make_split
from pipelines.workspace.project import Project
from tests.jmml.tasks import gaussian_table, small_method, small_params
from tests.pipelines import tracked

SEEDS = [0, 1]


def write_project(root: Path, *, effect: float = 1.0, store: bool = False, **overrides: Any) -> Project:
    """Features, split, ``params.yaml`` and the DVC record of a finished ``dvc repro`` below ``root``.

    Parameters
    ----------
    store : whether an empty MLflow store is there already.
    """
    shutil.copytree(_template(effect, json.dumps(overrides)).name, root, dirs_exist_ok=True)
    if store:
        (root / "mlruns").mkdir()
        shutil.copy(Path(tracked._store().name) / "mlruns" / "mlflow.db", root / "mlruns")
    return Project(root)


@functools.cache
def _template(effect: float, overrides: str) -> tempfile.TemporaryDirectory[str]:
    """A project that is copied, made once per test process."""
    folder = tempfile.TemporaryDirectory()
    _write(Path(folder.name), effect, json.loads(overrides))
    return folder


def _write(root: Path, effect: float, overrides: dict[str, Any]) -> None:
    protocol = {"groups_per_fold": 2, "inner_folds": 2, "seeds": SEEDS}
    evaluation = {"bootstrap": 100}
    method = small_method(epochs=3).model_dump()
    params = small_params(**{"protocol": protocol, "evaluation": evaluation, "method": method} | overrides)
    (root / "params.yaml").write_text(yaml.safe_dump(params.model_dump(mode="json")))
    (root / "dvc.yaml").write_text("stages: {}\n")
    project = Project(root)
    tables = {m: gaussian_table(m, effect=effect) for m in ("speech", "eeg")}
    outs = []
    for table in tables.values():
        path = project.features_path(table.corpus)
        table.save(path)
        outs.append(
            {"path": path.relative_to(root).as_posix(), "md5": hashlib.md5(path.read_bytes()).hexdigest()}
        )
    (root / "dvc.lock").write_text(yaml.safe_dump({"stages": {"featurize": {"outs": outs}}}))
    task = load_task(params, tables["speech"], tables["eeg"] if params.task.eeg else None)
    make_split(task, groups_per_fold=2, seed=0).save(project.split_path)


def definition(**changes: Any) -> dict[str, Any]:
    """A tiny sweep, as its YAML would be read."""
    return {
        "name": "tiny",
        "trials": 3,
        "concurrent": 2,
        "algorithm": "random",
        "scheduler": "none",
        "space": {"stage1.p": {"choice": [3, 4]}, "stage2.lam_c": {"loguniform": [0.1, 3.0]}},
    } | changes
