"""A project folder of its own for tests that run the product as a person would."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import yaml

from pipelines.workspace.project import Project
from tests import forked

SOURCE = Path(__file__).parents[2]
FOLDERS = ("jmml", "pipelines", "cli", ".dvc")
# What Python is just writing; compiled modules are taken along, or every stage would compile them anew.
LITTER = shutil.ignore_patterns("*.pyc.*")
LITTER_OF_DVC = shutil.ignore_patterns("cache", "tmp", "config.local")
FILES = ("dvc.yaml", "data/dvc.yaml", "params.yaml", "pyproject.toml", ".dvcignore", ".gitignore")
NOT_INHERITED = frozenset(
    ("JMML_PROJECT", "JMML_DEBUG", "MLFLOW_TRACKING_URI", "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")
)
# The smallest corpora on which every fold holds every class, and one seed.
SMALL = {
    "synthetic": {"speakers": 4, "repetitions": 1, "subjects": 4, "trials": 8, "trial_s": 4.0},
    "protocol": {"seeds": [0], "inner_folds": 2},
    # 32 training utterances carry no more than k = 4.
    "method": {"stage1": {"epochs": 6}, "stage2": {"k": 3, "epochs": 8}},
    "evaluation": {"bootstrap": 200},
}


@dataclass(frozen=True)
class Workspace:
    """A checkout of the code under test with settings of its own, under git and DVC.

    Attributes
    ----------
    commands : a folder of :func:`tests.e2e.commands.on_the_path`; without it ``dvc`` and ``jmml`` are the real ones.
    """

    root: Path
    commands: Path | None = None

    @property
    def project(self) -> Project:
        return Project(self.root)

    def run(self, *command: str, code: int = 0, stderr: bool = False) -> str:
        """Run a command in the folder; its standard output, followed by its standard error if wanted."""
        done = subprocess.run(
            command, cwd=self.root, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
        return done.stdout + (done.stderr if stderr else "")

    @property
    def environment(self) -> dict[str, str]:
        """The interpreter of the tests comes first on the path, and the code in the folder first in Python's."""
        return {name: value for name, value in os.environ.items() if name not in NOT_INHERITED} | {
            "PATH": os.pathsep.join(
                [
                    *([str(self.commands)] if self.commands else ()),
                    str(Path(sys.executable).parent),
                    os.environ["PATH"],
                ]
            ),
            # Where nothing but its start takes long, a stage works in its own process.
            **({"LOKY_MAX_CPU_COUNT": "1"} if self.commands else {}),
            "PYTHONPATH": str(self.root),
            "GIT_CONFIG_GLOBAL": os.devnull,
            **{f"GIT_{who}_NAME": "test" for who in ("AUTHOR", "COMMITTER")},
            **{f"GIT_{who}_EMAIL": "test@localhost" for who in ("AUTHOR", "COMMITTER")},
        }

    def jmml(self, *words: str) -> Any:
        """``jmml WORDS --json`` in a process that begins with everything imported; what it prints, parsed."""
        with tempfile.TemporaryDirectory() as folder:
            out, err = Path(folder) / "out", Path(folder) / "err"
            process = forked.command(
                [*words, "--json"], cwd=self.root, env=self.environment, out=out, err=err
            )
            code = process.wait()
            assert code == 0, f"jmml {' '.join(words)}\n{out.read_text()}\n{err.read_text()}"
            return json.loads(out.read_text())

    def dvc(self, *words: str) -> str:
        """What ``dvc WORDS`` prints, run in this process: for commands that start none."""
        from dvc.cli import main

        plain = patch.dict(os.environ, {"DVC_TEST": "1"})  # or DVC puts back the original standard output
        with plain, contextlib.chdir(self.root), contextlib.redirect_stdout(io.StringIO()) as out:
            assert main(list(words)) == 0
        return out.getvalue()

    def changed(self) -> set[str]:
        """The stages that ``dvc repro`` would run, or run again, besides ``code``, which it always runs.

        `dvc status` lists those of corpora that the task does not use as well.
        """
        task = yaml.safe_load((self.root / "params.yaml").read_text())["task"]
        names = {name.removeprefix("data/dvc.yaml:") for name in json.loads(self.dvc("status", "--json"))}
        unused = {
            name
            for name in names
            if "@" in name and name.partition("@")[2] not in (task["speech"], task["eeg"])
        }
        return names - unused - {"code", "no-eeg"}

    def commit(self) -> None:
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--allow-empty", "--message", "state")

    def edit(self, **sections: object) -> None:
        """Merge settings into ``params.yaml``: mappings key by key, anything else replaced."""
        path = self.root / "params.yaml"
        settings = merged(yaml.safe_load(path.read_text()), sections)
        path.write_text(yaml.safe_dump(settings, sort_keys=False))

    def copy(self, target: Path) -> Workspace:
        shutil.copytree(self.root, target, symlinks=True)
        return Workspace(target, self.commands)


def merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    return old | {
        key: merged(old[key], value) if isinstance(value, dict) and isinstance(old.get(key), dict) else value
        for key, value in new.items()
    }


def make_workspace(root: Path, commands: Path | None = None, **settings: object) -> Workspace:
    """Copy the code under test into ``root``, apply small settings (then ``settings``), commit."""
    for name in FOLDERS:
        shutil.copytree(SOURCE / name, root / name, ignore=LITTER_OF_DVC if name == ".dvc" else LITTER)
    for name in FILES:
        (root / name).parent.mkdir(exist_ok=True)
        shutil.copy(SOURCE / name, root / name)
    workspace = Workspace(root, commands)
    workspace.edit(**merged(SMALL, settings))
    workspace.run("git", "init", "--quiet")
    workspace.commit()
    return workspace
