"""Features of corpora that the task does not use: `dvc repro` leaves them alone, what names them has them made."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from jmml.data.features.extract import extractor_digest
from jmml.data.table import FeatureTable
from jmml.errors import DataError, ProjectError
from jmml.printable import printable
from pipelines.workspace.project import CORPORA_PIPELINE, Project


def have_features(project: Project, corpora: Iterable[str]) -> None:
    """Let DVC make the features of corpora outside of the task where they are missing or of other settings.

    Nothing happens in a project of one pipeline, whose `dvc repro` makes those of all corpora.

    Raises
    ------
    ProjectError : DVC or a stage fails; it has said why.
    """
    task = project.params.task
    wanted = tuple(
        sorted(
            name
            for name in dict.fromkeys(corpora)
            if name in project.params.corpora
            and name not in (task.speech, task.eeg)
            and not _fresh(project, name)
        )
    )
    if wanted and (project.root / CORPORA_PIPELINE).is_file():
        _reproduce(project.root, wanted)


def _fresh(project: Project, name: str) -> bool:
    """Whether there are features by the settings of today."""
    config = project.corpus(name)
    try:
        table = FeatureTable.load(project.features_path(name))
    except DataError:
        return False
    return config.adapter == "table" or table.extractor == extractor_digest(
        config.modality, project.params.features
    )


@lru_cache(maxsize=64)  # once a process: what fails to change would fail again
def _reproduce(root: Path, names: tuple[str, ...]) -> None:
    targets = [f"{CORPORA_PIPELINE}:featurize@{name}" for name in names]
    said = f"features of {', '.join(names)}: dvc repro {' '.join(targets)}"
    print(printable(said), file=sys.stderr, flush=True)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "repro", *targets],
        cwd=root, env={**os.environ, "PATH": path}, stdout=sys.stderr.fileno(), check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise ProjectError(
            f"the features of {', '.join(names)} could not be made",
            where=CORPORA_PIPELINE,
            fix=f"see above, repair that, and run `dvc repro {' '.join(targets)}`",
        )
