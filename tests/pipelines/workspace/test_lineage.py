from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from jmml.config import digest
from jmml.data.table import FeatureTable
from jmml.errors import CorpusError, ProjectError
from pipelines.workspace.fingerprint import code_digest
from pipelines.workspace.lineage import collect
from pipelines.workspace.project import Project
from tests.pipelines.tracked import make_project

RAW = "0123456789abcdef0123456789abcdef.dir"


def git(root: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    subprocess.run(["git", "-C", str(root), *identity, *arguments], check=True, capture_output=True)


def write_features(project: Project, corpus: str = "talk", *, seed: int = 0) -> FeatureTable:
    n = 6
    index = pd.DataFrame(
        {
            "id": [f"u{i}" for i in range(n)],
            "recording": [f"u{i}" for i in range(n)],
            "group": ["a", "b"] * 3,
            "label": "anger",
            "valence": np.nan,
            "arousal": np.nan,
        }
    )
    X = np.random.default_rng(seed).normal(size=(n, 2)).astype(np.float32)
    table = FeatureTable(corpus, "speech", index, X, ("f0", "energy"), ("Hz", "dB"))
    table.save(project.features_path(corpus))
    return table


def write_lock(project: Project, corpus: str = "talk") -> str:
    md5 = hashlib.md5(project.features_path(corpus).read_bytes()).hexdigest()
    stages = {
        f"ingest@{corpus}": {
            "deps": [{"path": f"data/raw/{corpus}", "hash": "md5", "md5": RAW}],
            "outs": [{"path": f"data/manifests/{corpus}.parquet", "hash": "md5", "md5": "c" * 32}],
        },
        f"featurize@{corpus}": {
            "outs": [{"path": f"data/features/{corpus}.parquet", "hash": "md5", "md5": md5}],
        },
    }
    (project.root / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))
    return md5


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A committed project whose features are those of ``dvc.lock``. Not to be changed."""
    project = make_project(tmp_path_factory.mktemp("lineage") / "project", fresh=True)
    write_features(project)
    write_lock(project)
    (project.root / ".gitignore").write_text("/data\n/mlruns\n")
    git(project.root, "init", "-b", "main")
    git(project.root, "add", ".")
    git(project.root, "commit", "-m", "start")
    return project.root


@pytest.fixture
def project(template: Path, tmp_path: Path) -> Project:
    """A copy of ``template``."""
    root = Path(shutil.copytree(template, tmp_path / "project"))
    git(
        root, "update-index", "--refresh"
    )  # copies have other times, which Git would look into at every status
    return Project(root)


def test_datasets_carry_the_hashes_of_the_lock_file(project: Project) -> None:
    md5 = write_lock(project)
    features, corpus = collect(project, ["talk"]).datasets
    table = FeatureTable.load(project.features_path("talk"))
    assert (features.name, features.path, features.context) == (
        "talk features",
        "data/features/talk.parquet",
        "features",
    )
    assert (features.dvc_hash, features.digest) == (md5, table.digest)
    assert (features.rows, features.columns, features.modality) == (6, 2, "speech")
    assert (corpus.name, corpus.path, corpus.dvc_hash, corpus.context) == (
        "talk",
        "data/raw/talk",
        RAW,
        "corpus",
    )
    assert max(len(features.dvc_hash), len(corpus.dvc_hash)) <= 36  # MLflow's limit for a digest of data


def test_a_clean_tree_has_a_commit_and_no_difference(project: Project) -> None:
    found = collect(project, ["talk"])
    head = subprocess.run(
        ["git", "-C", str(project.root), "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    )
    assert found.git_sha == head.stdout.strip()
    assert (found.git_dirty, found.git_diff, found.git_branch) == (False, "", "main")
    assert "uncommitted.diff" not in found.files()
    assert found.tags()["jmml.git_dirty"] == "false"


def test_changes_are_kept_and_untracked_files_are_named_but_not_read(project: Project) -> None:
    with project.params_path.open("a") as params:
        params.write("device: cpu\n")
    (project.root / "credentials.txt").write_text("hunter2")
    found = collect(Project(project.root), ["talk"])
    assert found.git_dirty
    assert "+device: cpu" in found.git_diff
    assert "# untracked: credentials.txt" in found.git_diff
    assert "hunter2" not in "".join(found.files().values())
    assert found.files()["uncommitted.diff"] == found.git_diff
    # What was recorded rebuilds the tree.
    git(project.root, "stash")
    subprocess.run(
        ["git", "-C", str(project.root), "apply", "-"],
        input=found.git_diff.encode(),
        check=True,
        capture_output=True,
    )
    assert project.params_path.read_text().endswith("device: cpu\n")


@pytest.mark.parametrize("folder", [".", "sub"])
def test_secrets_of_the_tree_are_left_out(project: Project, folder: str) -> None:
    names = [".dvc/config", ".dvc/config.local", ".env", ".env.production", ".envs/prod"]
    top = project.root / folder
    for name in names:
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text("old\n")
    git(project.root, "add", "-f", ".")
    git(project.root, "commit", "-m", "settings")
    for name in names:
        (top / name).write_text("key = hunter2\n")
    only = collect(project, ["talk"])
    assert only.git_dirty
    assert "hunter2" not in only.git_diff
    for name in names:
        assert f"# changed and withheld: {(Path(folder) / name).as_posix()}\n" in only.git_diff
    with project.params_path.open("a") as params:
        params.write("# https://ada:hunter2@host/x and https://ghp_hunter2@host\n")
    found = collect(project, ["talk"]).git_diff
    assert "+# https://***@host/x and https://***@host" in found
    assert "hunter2" not in found


def test_a_staged_change_counts(project: Project) -> None:
    (project.root / "new.py").write_text("x = 1\n")
    git(project.root, "add", "new.py")
    assert "+x = 1" in collect(project, ["talk"]).git_diff


def test_without_git_or_without_a_commit_there_is_none(project: Project) -> None:
    shutil.rmtree(project.root / ".git")
    assert collect(project, ["talk"]).git_sha == "none"
    git(project.root, "init")
    found = collect(project, ["talk"])
    assert (found.git_sha, found.git_dirty, found.git_diff) == ("none", False, "")


def test_the_environment_is_complete_and_has_no_addresses(project: Project) -> None:
    found = collect(project, ["talk"])
    assert f"numpy=={version('numpy')}" in found.environment
    assert found.environment == sorted(found.environment, key=str.lower)
    assert not any("@" in line or "/" in line for line in found.environment)
    assert found.python == ".".join(map(str, sys.version_info[:3]))


def test_settings_are_kept_as_text_and_as_digest(project: Project) -> None:
    found = collect(project, ["talk"])
    assert found.files()["params.yaml"] == project.params_path.read_text()
    assert found.tags()["jmml.params_digest"] == digest(project.params)
    assert found.tags()["jmml.code_digest"] == code_digest()


def test_no_lock_file_means_no_stage_was_run(project: Project) -> None:
    (project.root / "dvc.lock").unlink()
    with pytest.raises(ProjectError, match=r"no stage has been run yet\. Run `dvc repro`"):
        collect(project, ["talk"])


@pytest.mark.parametrize("text", ["", "stages: 3\n", "{", "stages:\n  a:\n    outs: [{md5: ab}]\n"])
def test_a_damaged_lock_file_is_reported(project: Project, text: str) -> None:
    (project.root / "dvc.lock").write_text(text)
    with pytest.raises(ProjectError, match=r"dvc\.lock: is not a valid DVC lock file"):
        collect(project, ["talk"])


def test_a_corpus_without_record_is_reported(project: Project) -> None:
    with pytest.raises(ProjectError, match="no record of the features of 'waves'"):
        collect(project, ["talk", "waves"])
    with pytest.raises(CorpusError, match="unknown corpus 'tlak'"):
        collect(project, ["tlak"])


def test_features_that_are_not_those_of_the_record_are_refused(project: Project) -> None:
    write_features(project, seed=1)
    with pytest.raises(ProjectError, match=r"features on disk are not those recorded in dvc\.lock"):
        collect(project, ["talk"])
    project.features_path("talk").unlink()
    with pytest.raises(ProjectError, match=r"features are missing\. Run `dvc repro` or `dvc pull`"):
        collect(project, ["talk"])


def test_a_lock_file_that_dvc_itself_wrote_is_understood(project: Project) -> None:
    raw = project.root / "data" / "raw" / "talk"
    raw.mkdir(parents=True)
    (raw / "a.wav").write_bytes(b"RIFF")
    features = project.features_path("talk").relative_to(project.root)
    kept = project.features_path("talk").rename(project.root / "kept.parquet")
    stage = {
        "cmd": f"cp {kept.name} {features}",
        "deps": ["data/raw/talk", kept.name],
        "outs": [str(features)],
    }
    (project.root / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"featurize": stage}}))
    (project.root / "dvc.lock").unlink()
    for command in (("init", "-q"), ("config", "core.analytics", "false"), ("repro", "-q")):
        subprocess.run(
            [sys.executable, "-m", "dvc", *command], cwd=project.root, check=True, capture_output=True
        )
    refs = collect(project, ["talk"]).datasets
    # The independent reference is DVC's own object for the output.
    from dvc.repo import Repo

    with Repo(str(project.root)) as repo:
        recorded = repo.find_outs_by_path(str(project.features_path("talk")))[0].hash_info.value
    assert refs[0].dvc_hash == recorded
    assert refs[1].dvc_hash.endswith(".dir")
    assert len(refs[1].dvc_hash) == 36
