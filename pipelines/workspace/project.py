"""Where everything of a project lies: the folder that holds ``params.yaml`` and ``dvc.yaml``.

Whoever works on a project also works with what its folders ``corpora``, ``features``, ``methods`` and ``gates`` add
(:mod:`jmml.plugins`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from jmml.config import CorpusConfig, Params, load_params
from jmml.errors import CorpusError, ProjectError, nearest
from jmml.plugins import use_project
from jmml.printable import is_utf8

MARKERS = ("params.yaml", "dvc.yaml")
CORPORA_PIPELINE = (
    "data/dvc.yaml"  # stages of single corpora, of which `dvc repro` runs those that the task uses
)
ENVIRONMENT_VARIABLE = "JMML_PROJECT"


@dataclass(frozen=True)
class CorpusVersion:
    """A corpus as it was at a revision, in a place of its own beside the work tree.

    Attributes
    ----------
    rev, commit : the revision as it was asked for, and its commit.
    dvc_hash : DVC's hash of the recordings then.
    folder : the recordings, a folder or a file; ``manifest`` and ``features`` are made of them.
    """

    name: str
    rev: str
    commit: str
    dvc_hash: str
    folder: Path
    manifest: Path
    features: Path

    def __str__(self) -> str:
        return f"{self.name} at {self.rev} ({self.commit[:12]})"


class Project:
    """Paths and settings of one project; nothing is created or read before it is asked for.

    Parameters
    ----------
    root : folder with ``params.yaml`` and ``dvc.yaml``.
    versions : by name, corpora that are read as they were at a revision; all others are those of the work tree.

    Raises
    ------
    ProjectError : ``root`` lacks one of the two files, or its path is not UTF-8.
    """

    def __init__(self, root: Path | str, versions: Mapping[str, CorpusVersion] | None = None) -> None:
        self.root = Path(root).resolve()
        self.versions = dict(versions or {})
        missing = [name for name in MARKERS if not (self.root / name).is_file()]
        if missing:
            raise ProjectError(
                f"no project folder, {' and '.join(missing)} missing",
                where=self.root,
                fix=f"change into the project's folder, or set {ENVIRONMENT_VARIABLE} to it",
            )
        if not is_utf8(self.root):
            raise ProjectError(
                "the path is not UTF-8, which Parquet, DVC and MLflow need",
                where=self.root,
                fix="rename the folder",
            )
        use_project(self.root)

    @classmethod
    def find(cls, start: Path | str | None = None) -> Project:
        """The project around ``start`` (default: the working folder), searched upwards.

        The environment variable ``JMML_PROJECT`` takes precedence when no ``start`` is given.
        """
        if start is None and (named := os.environ.get(ENVIRONMENT_VARIABLE)):
            return cls(named)
        here = Path(start) if start is not None else Path.cwd()
        for folder in (here.resolve(), *here.resolve().parents):
            if all((folder / name).is_file() for name in MARKERS):
                return cls(folder)
        raise ProjectError(
            "not inside a project",
            where=here,
            expected=f"a folder with {' and '.join(MARKERS)} here or above",
            fix=f"change into the project's folder, or set {ENVIRONMENT_VARIABLE} to it",
        )

    def __repr__(self) -> str:
        return f"Project({str(self.root)!r})"

    # Settings ----------------------------------------------------------------------------------------

    @property
    def params_path(self) -> Path:
        return self.root / "params.yaml"

    @cached_property
    def params(self) -> Params:
        """The checked settings; :class:`~jmml.errors.ConfigError` holds every problem at once."""
        return load_params(self.params_path)

    def corpus(self, name: str) -> CorpusConfig:
        """Settings of one corpus; :class:`~jmml.errors.CorpusError` names the known ones."""
        if name not in self.params.corpora:
            raise CorpusError(
                f"unknown corpus '{name}'; {nearest(name, self.params.corpora)}",
                where=self.params_path,
                fix=f"add it with `jmml data add {name} PATH`",
            )
        return self.params.corpora[name]

    def corpus_dir(self, name: str) -> Path:
        """Where the recordings of a corpus lie (its ``path``, relative to the project)."""
        if name in self.versions:
            return self.versions[name].folder
        return self.root / self.corpus(name).path

    # Data, in the order of the stages ----------------------------------------------------------------

    @property
    def data_dir(self) -> Path:
        return self.root / "data"

    @property
    def raw_dir(self) -> Path:
        return self.data_dir / "raw"

    @property
    def manifests_dir(self) -> Path:
        return self.data_dir / "manifests"

    def manifest_path(self, corpus: str) -> Path:
        if corpus in self.versions:
            return self.versions[corpus].manifest
        return self.manifests_dir / f"{corpus}.parquet"

    @property
    def features_dir(self) -> Path:
        return self.data_dir / "features"

    def features_path(self, corpus: str) -> Path:
        if corpus in self.versions:
            return self.versions[corpus].features
        return self.features_dir / f"{corpus}.parquet"

    @property
    def cache_dir(self) -> Path:
        """Features by content, shared by every corpus and revision; safe to delete."""
        return self.data_dir / "cache" / "features"

    @property
    def code_dir(self) -> Path:
        """Which code computes each stage, as digests that DVC compares."""
        return self.data_dir / "code"

    @property
    def split_path(self) -> Path:
        return self.data_dir / "splits.json"

    @property
    def task_path(self) -> Path:
        """Digests and counts of the task's data, written beside the split."""
        return self.data_dir / "task.json"

    # Results -----------------------------------------------------------------------------------------

    @property
    def models_dir(self) -> Path:
        return self.root / "models"

    @property
    def cv_dir(self) -> Path:
        """One fitted model per method, outer fold and seed."""
        return self.models_dir / "cv"

    def cell_dir(self, method: str, fold: int, seed: int, *, below: Path | None = None) -> Path:
        """Where the model of one method, outer fold and seed lies, in ``models/cv`` or in another folder like it."""
        return (below or self.cv_dir) / method / f"fold{fold}-seed{seed}"

    @property
    def results_dir(self) -> Path:
        return self.root / "results"

    # Tracking ----------------------------------------------------------------------------------------

    @property
    def mlruns_dir(self) -> Path:
        return self.root / "mlruns"

    @property
    def tracking_uri(self) -> str:
        """``MLFLOW_TRACKING_URI``, or the SQLite store of the project."""
        return os.environ.get("MLFLOW_TRACKING_URI") or sqlite_uri(self.mlruns_dir / "mlflow.db")


def sqlite_uri(database: Path) -> str:
    """The address of a SQLite store: ``sqlite:////folder/mlflow.db``.

    In a path with characters that mean something in an address (``?``, ``#``, ``%``) they are escaped, and the driver
    is named: MLflow makes the folder of a plain ``sqlite:///`` address by its unparsed text, escapes included.

    >>> sqlite_uri(Path("/lab/what? now/mlflow.db"))
    'sqlite+pysqlite:////lab/what%3F now/mlflow.db'
    """
    from sqlalchemy.engine import URL  # a fifth of a second, which `jmml --help` need not pay

    plain = f"sqlite:///{database}"
    escaped = URL.create("sqlite", database=str(database)).render_as_string(hide_password=False)
    if escaped == plain:
        return plain
    return escaped.replace("sqlite:", "sqlite+pysqlite:", 1)


def keep_out_of_git(folder: Path) -> None:
    """Make ``folder`` (the project's ``.jmml``) with a note that keeps it out of git wherever the project lies."""
    folder.mkdir(parents=True, exist_ok=True)
    note = folder / ".gitignore"
    if not note.exists():
        note.write_text("*\n", encoding="utf-8")
