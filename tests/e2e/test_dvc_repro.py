"""The pipeline as DVC runs it: from nothing to metrics, and again only what changed."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipelines.corpora.on_demand import have_features
from pipelines.workspace.lineage import versions
from tests.e2e.workspace import Workspace, make_workspace

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

STAGES = ["synthesize", "ingest", "ingest", "featurize", "featurize", "split", "train", "evaluate"]


def ran(output: str) -> list[str]:
    """Stages that were run, by the commands DVC echoes, besides ``code``, which always runs."""
    return [name for name in re.findall(r"> python -m pipelines\.stages\.(\w+)", output) if name != "code"]


def scores(workspace: Workspace) -> dict[str, dict[str, float]]:
    return json.loads((workspace.root / "results/metrics.json").read_text())


def test_everything_runs_once_and_git_sees_only_what_it_should(first_run: tuple[Workspace, str]) -> None:
    workspace, output = first_run
    assert sorted(ran(output)) == sorted(STAGES)
    assert output.index("pipelines.stages.code") < output.index("pipelines.stages.synthesize")
    new = workspace.run("git", "status", "--porcelain", "--untracked-files=all").splitlines()
    assert sorted(new) == ["?? data/dvc.lock", "?? dvc.lock", "?? results/metrics.json"]
    assert workspace.changed() == set()


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory, commands: Path) -> Workspace:
    """What a fresh clone holds: code and settings, no data."""
    return make_workspace(tmp_path_factory.mktemp("clone") / "project", commands)


def test_the_plan_of_a_fresh_clone(clone: Workspace) -> None:
    plan = clone.run("dvc", "repro", "--dry", "--force")
    assert sorted(ran(plan)) == sorted(STAGES)
    assert [path.name for path in (clone.root / "data").iterdir()] == ["dvc.yaml"]


@pytest.mark.xfail(strict=True, reason="treeverse/dvc#9818; once it passes, the README need not say --force")
def test_the_plan_of_a_fresh_clone_without_force(clone: Workspace) -> None:
    assert sorted(ran(clone.run("dvc", "repro", "--dry"))) == sorted(STAGES)


def test_metrics_agree_with_the_evidence(first_run: tuple[Workspace, str]) -> None:
    workspace, _ = first_run
    figures = scores(workspace)
    methods = {"raw", "jec-ssl", "jmml", "one-hot"}
    assert set(figures) == methods | {"eeg_only", "chance", "settings", "shared", "jmml_minus_one-hot"}
    assert figures["chance"] == 0.25
    evidence = pd.read_parquet(workspace.root / "results/evidence.parquet")
    evidence["right"] = evidence["y_pred"] == evidence["y_true"]
    recall = evidence.groupby(["modality", "method", "y_true"])["right"].mean()
    uar = recall.groupby(level=["modality", "method"]).mean()
    assert set(uar["speech"].index) == methods
    assert set(uar["eeg"].index) == {"jmml"}
    for method in methods:
        assert figures[method]["uar"] == pytest.approx(uar["speech", method], abs=1e-6)
        assert figures[method]["ci_low"] <= figures[method]["uar"] <= figures[method]["ci_high"]
    assert figures["eeg_only"]["uar"] == pytest.approx(uar["eeg", "jmml"], abs=1e-6)
    difference = uar["speech", "jmml"] - uar["speech", "one-hot"]
    assert figures["jmml_minus_one-hot"]["diff"] == pytest.approx(difference, abs=2e-6)


@pytest.fixture(scope="module")
def untouched(first_run: tuple[Workspace, str], tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A copy whose files are put back by whoever changes them."""
    return first_run[0].copy(tmp_path_factory.mktemp("untouched") / "project")


@pytest.mark.parametrize(
    ("changed", "stages"),
    [
        ({"evaluation": {"confidence": 0.9}}, {"evaluate"}),
        ({"protocol": {"seeds": [1]}}, {"train", "evaluate"}),
        ({"method": {"classifier": {"name": "linear-svm", "options": {}}}}, {"train"}),
        ({"protocol": {"inner_folds": 3}}, set()),
        ({"task": {"label_space": "binary-arousal"}}, {"split"}),
    ],
    ids=["confidence", "seeds", "classifier", "inner-folds", "label-space"],
)
def test_a_changed_setting_concerns_the_stages_that_depend_on_it(
    untouched: Workspace, changed: dict[str, object], stages: set[str]
) -> None:
    path = untouched.root / "params.yaml"
    before = path.read_bytes()
    untouched.edit(**changed)
    try:
        assert untouched.changed() == stages
    finally:
        path.write_bytes(before)


@pytest.mark.parametrize(
    ("edits", "stages"),
    [
        (None, set()),
        ({"jmml/data/synthetic/eeg.py": "X = 1"}, {"synthesize"}),
        ({"jmml/data/features/eeg.py": "X = 1"}, {"featurize@synthetic-eeg", "featurize@synthetic-speech"}),
        ({"jmml/models/jec_ssl.py": "X = 1"}, {"train", "evaluate"}),
        ({"jmml/evaluation/plots/forest.py": "X = 1", "cli/app.py": "X = 1"}, {"evaluate"}),
    ],
    ids=["texts", "synthetic", "features", "models", "figures"],
)
def test_changed_code_concerns_the_stages_that_it_computes_for(
    untouched: Workspace, edits: dict[str, str] | None, stages: set[str]
) -> None:
    """Remarks in every module concern none."""
    root = untouched.root
    modules = [path for top in ("jmml", "pipelines") for path in (root / top).rglob("*.py")]
    lines = (
        {root / name: line for name, line in edits.items()} if edits else dict.fromkeys(modules, "# a remark")
    )
    before = {path: path.read_bytes() for path in lines}
    for path, line in lines.items():
        path.write_bytes(before[path] + f"\n{line}\n".encode())
    code = {path: path.read_bytes() for path in untouched.project.code_dir.iterdir()}
    try:
        untouched.run(sys.executable, "-m", "pipelines.stages.code")  # with the code of this folder
        assert untouched.changed() == stages
    finally:
        for path, content in {**before, **code}.items():
            path.write_bytes(content)


def test_metrics_diff_and_plots(reproduced: Workspace) -> None:
    before = scores(reproduced)
    evidence = (reproduced.root / "results/evidence.parquet").read_bytes()
    reproduced.edit(evaluation={"confidence": 0.6})
    assert ran(reproduced.run("dvc", "repro")) == ["evaluate"]
    assert (reproduced.root / "results/evidence.parquet").read_bytes() == evidence
    diff = json.loads(reproduced.dvc("metrics", "diff", "--json"))["results/metrics.json"]
    assert diff["raw.ci_high"]["old"] == before["raw"]["ci_high"]
    assert diff["raw.ci_high"]["new"] == scores(reproduced)["raw"]["ci_high"] < before["raw"]["ci_high"]
    assert "raw.uar" not in diff

    reproduced.dvc("plots", "show")
    page = (reproduced.root / "dvc_plots/index.html").read_text()
    assert "rho_permuted" in page
    assert "jec_ssl/speech/loss" in page
    assert '"actual"' in page
    drawn = {path.name for path in (reproduced.root / "dvc_plots/static").iterdir()}
    names = ("comparison", "confusion", "correlation")
    assert drawn == {f"workspace_results_plots_{name}.png" for name in names}


def test_another_corpus_beside_the_task_leaves_its_models_alone(
    reproduced: Workspace, tmp_path: Path
) -> None:
    table = pd.DataFrame(
        {"id": ["a", "b"], "group": ["x", "y"], "label": ["anger", "sadness"], "f0 [Hz]": [210.0, 140.0]}
    )
    table.to_csv(tmp_path / "lab.csv", index=False)
    added = reproduced.jmml("data", "add", "lab", str(tmp_path / "lab.csv"), "--modality", "speech")
    assert added["samples"] == 2
    assert ran(reproduced.run("dvc", "repro")) == ["split"]  # which corpora there are is a setting of it
    assert reproduced.changed() == set()
    assert not reproduced.project.features_path("lab").exists()
    assert reproduced.jmml("data", "show", "lab")["samples"] == 2


def test_what_names_another_corpus_has_its_features_made(reproduced: Workspace, tmp_path: Path) -> None:
    """And the synthetic ones are left alone where the task names others."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(32, 3)), columns=["f0 [Hz]", "jitter", "energy"])
    table.insert(0, "id", [f"u{n}" for n in range(32)])
    table.insert(1, "group", [f"p{n // 8}" for n in range(32)])
    table.insert(2, "label", ["anger", "happiness", "sadness", "neutral"] * 8)
    table.to_csv(tmp_path / "other.csv", index=False)
    reproduced.jmml("data", "add", "other", str(tmp_path / "other.csv"), "--modality", "speech")
    have_features(reproduced.project, ["other"])
    assert reproduced.project.features_path("other").is_file()
    assert versions(reproduced.project, "other")[0].rows == 32

    reproduced.edit(task={"speech": "other", "eeg": None}, synthetic={"seed": 5})
    assert ran(reproduced.run("dvc", "repro", "split")) == ["split"]
    assert json.loads((reproduced.root / "data/task.json").read_text())["eeg"] is None


def test_the_same_seed_gives_the_same_models(reproduced: Workspace) -> None:
    def contents() -> dict[str, bytes]:
        made = [path for top in ("models", "results/training") for path in (reproduced.root / top).rglob("*")]
        return {str(path.relative_to(reproduced.root)): path.read_bytes() for path in made if path.is_file()}

    before = contents()
    assert "models/cv/jmml/fold0-seed0/classifier_speech.skops" in before
    shutil.rmtree(reproduced.root / ".jmml")  # or they would be found there
    assert ran(reproduced.run("dvc", "repro", "--force", "--single-item", "train")) == ["train"]
    after = contents()
    assert [name for name in before | after if before.get(name) != after.get(name)] == []
    assert reproduced.changed() == set()
