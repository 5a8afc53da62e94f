"""Writes the golden project anew: ``python -m tests.golden.make TARGET.tar.xz``.

A sweep of each algorithm and each scheduler, one that was broken off, a study with its cells, a registry with a
champion and a challenger, and what the commands say of them. Run by hand, and only to add to what must stay
readable: the archive in this folder was written by version 0.1.0, and later code has to read that one.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
from contextlib import closing, redirect_stdout
from pathlib import Path
from typing import Any

import yaml

from cli.app import main as command
from jmml.errors import JMMLError
from pipelines.compute.ray_session import ray_session
from pipelines.sweep.decide.driver import Driver
from pipelines.sweep.definition.model import SweepDefinition
from pipelines.sweep.definition.reading import check
from pipelines.sweep.execute.tuning import Leave
from pipelines.sweep.runner import run_sweep
from pipelines.workspace.project import Project
from tests.jmml.tasks import small_method
from tests.pipelines.study.studies import study
from tests.pipelines.sweep.projects import definition, write_project

CHANGING = {"stage2.lr": {"loguniform": [1e-4, 1e-2]}, "stage2.lam_c": {"uniform": [0.1, 3.0]}}
SWEEPS: dict[str, dict[str, Any]] = {
    "random-none": {"algorithm": "random", "scheduler": "none"},
    "grid-costs": {
        "algorithm": "grid",
        "trials": None,
        "space": {"stage1.p": {"choice": [3, 4]}, "stage2.hidden": {"choice": [8, 16]}},
        "objective": {"cost": "inference"},
    },
    "tpe-asha": {
        "algorithm": "tpe",
        "lag": 2,
        "scheduler": {"name": "asha", "grace_epochs": 1, "reduction": 2},
    },
    "cma-es-median": {
        "algorithm": "cma-es",
        "lag": 2,
        "space": CHANGING,
        "scheduler": {"name": "median", "grace_epochs": 1},
        "objective": {"score": "lower-bound"},
    },
    "random-hyperband": {"algorithm": "random", "scheduler": {"name": "hyperband", "reduction": 3}},
    "pbt": {"algorithm": "pbt", "scheduler": None, "pbt": {"interval": 2}, "space": CHANGING},
}
LOOKS: dict[str, list[str]] = {
    "sweep-list": ["sweep", "list", "--json"],
    **{
        f"sweep-show-{name}": ["sweep", "show", name, "--trials", "all", "--json"]
        for name in (*SWEEPS, "left")
    },
    **{f"sweep-best-{name}": ["sweep", "best", name, "--json"] for name in SWEEPS},
    "study-list": ["study", "list", "--json"],
    "study-show": ["study", "show", "tiny", "--json"],
    "model-list": ["model", "list", "--json"],
}
LEFT_AFTER = 7  # reports
KEPT = 2  # folders of each cache
DROPPED = re.compile(r"\.png$|/models/[^/]+/artifacts/code$|/features/cache$")


def make_definition(name: str, **changes: Any) -> SweepDefinition:
    return check(definition(**{"name": name, "trials": 4} | changes))


def build(root: Path) -> Project:
    """The project with everything in it."""
    project = write_project(root, method=small_method(epochs=4).model_dump(), protocol=_protocol())
    (root / ".gitignore").write_text("/mlruns/\n/data/\n/results/\n/.jmml/\n")
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "start"]):
        author = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
        subprocess.run(["git", "-C", str(root), *author, *words], check=True)
    with ray_session(cpus=2):
        for name, changes in SWEEPS.items():
            run_sweep(project, make_definition(name, **changes), quiet=True)
        _leave_one(project)
        (root / "tiny.yaml").write_text(yaml.safe_dump(study(seeds=[0], methods=["raw", "jmml", "one-hot"])))
        _say(root, ["study", "run", "tiny.yaml"])
    for words in (["model", "register", "random-none"], ["model", "promote"], ["model", "register", "pbt"]):
        _say(root, words, may_fail=words[1] == "promote")
    return project


def _protocol() -> dict[str, Any]:
    return {"groups_per_fold": 2, "inner_folds": 2, "seeds": [0, 1]}


def _leave_one(project: Project) -> None:
    """A sweep whose driver ended in the middle."""
    seen = 0
    reported = Driver.reported

    def leave(driver: Driver, *args: Any, **options: Any) -> Any:
        nonlocal seen
        seen += 1
        if seen > LEFT_AFTER:
            raise Leave(KeyboardInterrupt())
        return reported(driver, *args, **options)

    Driver.reported = leave  # type: ignore[method-assign]
    try:
        run_sweep(project, make_definition("left", algorithm="tpe", lag=2), quiet=True)
    except JMMLError as error:
        print(error)
    finally:
        Driver.reported = reported  # type: ignore[method-assign]


def _say(root: Path, words: list[str], *, may_fail: bool = False) -> str:
    """What a command prints in the project."""
    out = io.StringIO()
    before, argv = Path.cwd(), sys.argv
    os.chdir(root)
    sys.argv = ["jmml", *words]
    try:
        with redirect_stdout(out):
            command()
    except SystemExit as stop:
        if stop.code and not may_fail:
            raise
    finally:
        os.chdir(before)
        sys.argv = argv
    return out.getvalue()


def pack(project: Project, target: Path) -> None:
    """The archive: the project without what it does not need, and what the commands said of it."""
    root = project.root
    said = {name: json.loads(_say(root, words)) for name, words in LOOKS.items()}
    (root / "said.json").write_text(json.dumps({"root": str(root), "said": said}, indent=1))
    shutil.rmtree(root / ".git")
    archive_of(root, target)


def archive_of(root: Path, target: Path) -> None:
    """Everything but pictures, pages and code, and of caches and of models outside the registry an example."""
    with closing(sqlite3.connect(root / "mlruns" / "mlflow.db")) as store:
        rows = list(store.execute("SELECT storage_location, run_id FROM model_versions"))
        store.execute("VACUUM")
    for page in root.rglob("report.html"):
        page.write_text("written by version 0.1.0\n")
    artifacts = root / "mlruns" / "artifacts"
    registered = {"models", *(location.split("/")[-2] for location, _ in rows), *(run for _, run in rows)}
    for folder in (*artifacts.iterdir(), *(artifacts / "models").iterdir()):
        if folder.name not in registered:
            shutil.rmtree(folder)
    for cache in ("cells", "stage1"):
        for entry in sorted((root / ".jmml" / cache).glob("??"))[KEPT:]:
            shutil.rmtree(entry)
    with tarfile.open(target, "w:xz", preset=9) as archive:
        archive.add(root, "project", filter=lambda item: None if DROPPED.search(item.name) else item)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        made = build(Path(folder) / "project")
        pack(made, Path(sys.argv[1]))
    print(f"{sys.argv[1]}: {Path(sys.argv[1]).stat().st_size:,} bytes")
