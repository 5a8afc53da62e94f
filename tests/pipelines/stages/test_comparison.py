from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from jmml.config import EvaluationConfig
from jmml.errors import DataError
from pipelines.stages.comparison import load_comparison
from pipelines.stages.summary import metrics, settings_of, tabulate
from pipelines.workspace.project import Project
from tests.jmml.tasks import small_method, small_params
from tests.pipelines.tracked import make_evidence

SETTINGS = EvaluationConfig(bootstrap=200)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project whose results were computed from made-up evidence of four methods."""
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    (tmp_path / "params.yaml").write_text(json.dumps(small_params().model_dump(mode="json")))
    evidence, stored = make_evidence(), settings_of(small_params())
    table = tabulate(evidence, SETTINGS)
    values = metrics(evidence, table, pd.DataFrame(columns=["method"]), SETTINGS) | {"settings": stored}
    (tmp_path / "results").mkdir()
    table.to_csv(tmp_path / "results/comparison.csv", index=False)
    (tmp_path / "results/metrics.json").write_text(json.dumps(values))
    return Project(tmp_path)


def test_the_table_shows_what_was_computed(project: Project) -> None:
    comparison = load_comparison(project)
    stored = json.loads((project.results_dir / "metrics.json").read_text())
    rows = {row[0]: row for row in comparison.rows()}
    assert set(rows) == {"raw speech", "JEC-SSL only", "JMML", "one-hot control"}
    assert rows["JMML"][1] == f"{stored['jmml']['uar']:.3f}"
    assert len(comparison.columns) == len(rows["JMML"])
    assert "lab-speech with lab-eeg: quadrants, 2 speakers, leave 2 out, 2 seeds" in comparison.title
    assert comparison.as_dict()["primary_contrast"] == stored["jmml_minus_one-hot"]
    assert any(line.startswith("Primary contrast") for line in comparison.notes())
    assert not comparison.stale


def test_results_of_other_settings_say_so(project: Project) -> None:
    changed = small_params(task={"speech": "lab-speech", "eeg": "lab-eeg", "label_space": "binary-arousal"})
    project.params_path.write_text(json.dumps(changed.model_dump(mode="json")))
    comparison = load_comparison(Project(project.root))
    assert comparison.stale == ("label_space",)
    assert "quadrants" in comparison.title
    assert "old results: label_space changed since. Run `dvc repro`" in comparison.notes()[0]


def test_a_changed_method_makes_results_old(project: Project) -> None:
    changed = small_params(method=small_method(k=2).model_dump(), protocol={"seeds": [0]})
    project.params_path.write_text(json.dumps(changed.model_dump(mode="json")))
    assert load_comparison(Project(project.root)).stale == ("seeds", "method")


@pytest.mark.parametrize("damage", ["missing", "foreign", "old"])
def test_no_results_name_the_next_step(project: Project, damage: str) -> None:
    path = project.results_dir / "metrics.json"
    if damage == "missing":
        path.unlink()
    else:
        path.write_text("no JSON" if damage == "foreign" else json.dumps({"chance": 0.25}))
    with pytest.raises(DataError, match="dvc repro"):
        load_comparison(project)
