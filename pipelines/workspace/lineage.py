"""Lineage of a run: code, environment, settings, and the DVC versions of its data.

The versions are read from ``dvc.lock``, the record DVC writes when a stage has run. The features on disk
must still be those of the record; otherwise the record would be a false statement about the run.
Environment variables, remote addresses and the contents of untracked files are never collected.
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import distributions, version
from pathlib import Path
from typing import Any

import yaml

from jmml.config import Modality, digest
from jmml.data.table import FeatureTable
from jmml.errors import ProjectError
from jmml.files import UNFINISHED
from pipelines.workspace.fingerprint import code_digest
from pipelines.workspace.project import CORPORA_PIPELINE, CorpusVersion, Project
from pipelines.workspace.values import redacted

NO_COMMIT = "none"
# What a killed process left half-written is no one's work: of this version, and of earlier ones.
LEFT_OVER = re.compile(
    rf"(^|/)\.[^/]*{re.escape(UNFINISHED)}"
    r"|^data/raw/\.[^/]+\.(adding|[a-z0-9_]{8})/|^\.params\.yaml\.[a-z0-9_]{8}\.yaml$"
)
# Never read into a run: remotes with their keys, and environment files.
WITHHELD = tuple(f"**/{name}" for name in (".dvc/config", ".dvc/config.local", ".env*", ".env*/**"))


@dataclass(frozen=True)
class DatasetRef:
    """One input of a run at one version.

    Attributes
    ----------
    path : relative to the project, as DVC knows it.
    dvc_hash : MD5 that DVC recorded, with ``.dir`` for a folder (at most 36 characters).
    digest : fingerprint of the content (ids, labels and values of a feature table; else ``dvc_hash``).
    context : ``"features"`` for what the models read, ``"corpus"`` for the recordings behind it.
    revision : commit at which it was so, of a corpus that was not read from the work tree.
    """

    name: str
    path: str
    dvc_hash: str
    digest: str
    modality: Modality
    context: str
    rows: int | None = None
    columns: int | None = None
    revision: str | None = None

    def as_dict(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if key != "revision" or value is not None}


@dataclass(frozen=True)
class Lineage:
    """The origin of a run; :meth:`tags` are the searchable parts, :meth:`files` the rest.

    ``code`` is the digest of the code that trains and scores (:func:`pipelines.workspace.fingerprint.code_digest`).
    """

    git_sha: str
    git_dirty: bool
    git_diff: str
    git_branch: str
    environment: list[str]
    python: str
    platform: str
    jmml: str
    params_digest: str
    params: str
    datasets: list[DatasetRef] = field(default_factory=list)
    code: str = ""

    def tags(self) -> dict[str, str]:
        """Tags that the promotion gates and searches read."""
        return {
            "jmml.version": self.jmml,
            "jmml.git_sha": self.git_sha,
            "jmml.git_dirty": str(self.git_dirty).lower(),
            "jmml.git_branch": self.git_branch,
            "jmml.params_digest": self.params_digest,
            "jmml.python": self.python,
            "jmml.platform": self.platform,
            "jmml.code_digest": self.code,
        }

    def files(self) -> dict[str, str]:
        """File name -> text, for the run's ``lineage/`` folder."""
        described = {
            **self.tags(),
            "datasets": [item.as_dict() for item in self.datasets],
        }
        files = {
            "lineage.json": json.dumps(described, indent=2) + "\n",
            "environment.txt": "\n".join(self.environment) + "\n",
            "params.yaml": self.params,
        }
        if self.git_dirty:
            files["uncommitted.diff"] = self.git_diff
        return files


def collect(project: Project, corpora: Sequence[str | CorpusVersion]) -> Lineage:
    """The lineage of a run on the features of ``corpora``; of a version, what was read, whatever the work tree has.

    Raises
    ------
    ProjectError
        ``dvc.lock`` is absent, has no record of a corpus's features, or the features on disk are not those of
        the record.
    """
    named = [project.versions.get(one, one) if isinstance(one, str) else one for one in corpora]
    lock = _read_lock(project) if any(isinstance(one, str) for one in named) else {}
    datasets = [
        ref
        for one in named
        for ref in (_datasets(project, one, lock) if isinstance(one, str) else _of_version(project, one))
    ]
    sha, dirty, diff, branch = _git_state(project.root)
    return Lineage(
        git_sha=sha,
        git_dirty=dirty,
        git_diff=diff,
        git_branch=branch,
        environment=[*installed()],
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        jmml=version("jmml"),
        params_digest=digest(project.params),
        params=project.params_path.read_text(encoding="utf-8"),
        datasets=datasets,
        code=code_digest(),
    )


def versions(project: Project, corpus: str) -> list[DatasetRef]:
    """DVC versions of a corpus: its features first, then, where DVC tracks them, its recordings.

    Raises
    ------
    ProjectError : as :func:`collect`.
    """
    if corpus in project.versions:
        return _of_version(project, project.versions[corpus])
    return _datasets(project, corpus, _read_lock(project))


@cache
def installed() -> tuple[str, ...]:
    """``name==version`` of every distribution, sorted; install addresses are left out. Read once."""
    metadata = [distribution.metadata for distribution in distributions()]
    found = {known["Name"]: known["Version"] for known in metadata if known["Name"]}
    return tuple(sorted((f"{name}=={number}" for name, number in found.items()), key=str.lower))


# Data --------------------------------------------------------------------------------------------------


def _read_lock(project: Project) -> dict[str, str]:
    """Path -> recorded MD5 over all stages; an output's record wins over a dependency's."""
    path = project.root / "dvc.lock"
    if not path.exists():
        raise ProjectError("no stage has been run yet", where=path, fix="run `dvc repro`")
    stages = _stages(path)
    corpora = (project.root / CORPORA_PIPELINE).with_suffix(".lock")
    if corpora.exists():
        stages += _stages(corpora)
    return {
        entry["path"]: entry["md5"]
        for kind in ("deps", "outs")
        for stage in stages
        for entry in stage.get(kind, [])
        if "md5" in entry
    }


def _stages(path: Path) -> list[dict[str, Any]]:
    try:
        lock: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        stages = list(lock["stages"].values())
        for stage in stages:
            for kind in ("deps", "outs"):
                _ = [entry["path"] for entry in stage.get(kind, [])]
    except (yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError):
        raise ProjectError(
            "is not a valid DVC lock file", where=path, fix="restore it with git, then run `dvc repro`"
        ) from None
    return stages


def _next(project: Project, corpus: str) -> str:
    """What makes the features of a corpus: `dvc repro` does for the task's."""
    task = project.params.task
    if corpus in (task.speech, task.eeg) or not (project.root / CORPORA_PIPELINE).exists():
        return "run `dvc repro`"
    return f"run `dvc repro {CORPORA_PIPELINE}:featurize@{corpus}`"


def _datasets(project: Project, corpus: str, lock: dict[str, str]) -> list[DatasetRef]:
    settings = project.corpus(corpus)
    features = project.features_path(corpus)
    relative = features.relative_to(project.root).as_posix()
    recorded = lock.get(relative)
    if recorded is None:
        raise ProjectError(
            f"dvc.lock has no record of the features of '{corpus}'",
            where=relative,
            fix=_next(project, corpus),
        )
    if not features.is_file():
        raise ProjectError(
            "features are missing", where=relative, fix=f"{_next(project, corpus)} or `dvc pull`"
        )
    with features.open("rb") as handle:
        if hashlib.file_digest(handle, lambda: hashlib.md5(usedforsecurity=False)).hexdigest() != recorded:
            raise ProjectError(
                "features on disk are not those recorded in dvc.lock",
                where=relative,
                fix=_next(project, corpus),
            )
    table = FeatureTable.load(features)
    name, (rows, columns) = f"{corpus} features", table.X.shape
    refs = [DatasetRef(name, relative, recorded, table.digest, settings.modality, "features", rows, columns)]
    raw = Path(settings.path).as_posix()
    if raw in lock:
        refs.append(DatasetRef(corpus, raw, lock[raw], lock[raw], settings.modality, "corpus"))
    return refs


def _of_version(project: Project, version: CorpusVersion) -> list[DatasetRef]:
    """Of a corpus at a revision, its features, which no stage has made, and its recordings."""
    modality, commit = project.corpus(version.name).modality, version.commit
    with version.features.open("rb") as handle:
        md5 = hashlib.file_digest(handle, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    table = FeatureTable.load(version.features)
    name, (rows, columns) = f"{version.name} features", table.X.shape
    place = version.features.relative_to(project.root).as_posix()
    features = DatasetRef(name, place, md5, table.digest, modality, "features", rows, columns, commit)
    raw, found = Path(project.corpus(version.name).path).as_posix(), version.dvc_hash
    corpus = DatasetRef(version.name, raw, found, found, modality, "corpus", revision=commit)
    return [features, corpus]


# Code --------------------------------------------------------------------------------------------------


def _git_state(root: Path) -> tuple[str, bool, str, str]:
    """Commit, whether the tree differs from it, the difference as text, and the branch.

    The difference is ``git diff HEAD`` without passwords in addresses, followed by the names of changed files
    that are withheld (:data:`WITHHELD`) and of untracked files. Without git or without a
    commit the commit is ``"none"`` and promotion will refuse the run.
    """
    sha = _git(root, "rev-parse", "--verify", "HEAD")
    if sha is None:
        return NO_COMMIT, False, "", ""
    branch = _git(root, "rev-parse", "--abbrev-ref", "HEAD") or ""
    plain = ("diff", "--no-color", "--no-ext-diff", "--no-textconv")
    shown = [f":(top,exclude,glob){pattern}" for pattern in WITHHELD]
    diff = redacted(_git(root, *plain, "HEAD", "--", ":(top)", *shown) or "")
    kept = [f":(top,glob){pattern}" for pattern in WITHHELD]
    withheld = (_git(root, *plain, "--name-only", "HEAD", "--", *kept) or "").splitlines()
    diff += "".join(f"\n# changed and withheld: {name}" for name in withheld)
    untracked = (_git(root, "ls-files", "--others", "--exclude-standard") or "").splitlines()
    untracked = [name for name in untracked if not LEFT_OVER.search(name)]
    if untracked:
        diff += "".join(f"\n# untracked: {name}" for name in untracked)
    if diff:
        diff = diff.strip("\n") + "\n"
    return sha.strip(), bool(diff), diff, branch.strip()


def _git(root: Path, *arguments: str) -> str | None:
    """Output of a git command, ``None`` when git is missing or refuses."""
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, check=False, timeout=60
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", errors="replace") if done.returncode == 0 else None
