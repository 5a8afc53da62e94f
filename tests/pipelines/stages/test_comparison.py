from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from jmml.config import EvaluationConfig
from jmml.errors import DataError
from pipelines.stages.comparison import load_comparison
from pipelines.stages.summary import metrics, settings_of, tabulate
from pipelines.workspace.project import Project
from tests.jmml.tasks import small_method, small_params
from tests.pipelines.confounded import save_confounded
from tests.pipelines.tracked import make_evidence

SETTINGS = EvaluationConfig(bootstrap=200)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project whose results were computed from made-up evidence of four methods on four speakers."""
    return evaluated(tmp_path, make_evidence())


def evaluated(tmp_path: Path, evidence: pd.DataFrame) -> Project:
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    (tmp_path / "params.yaml").write_text(json.dumps(small_params().model_dump(mode="json")))
    stored = settings_of(small_params())
    table = tabulate(evidence, SETTINGS)
    values = metrics(evidence, table, pd.DataFrame(columns=["method"]), SETTINGS) | {"settings": stored}
    (tmp_path / "results").mkdir()
    table.to_csv(tmp_path / "results/comparison.csv", index=False)
    (tmp_path / "results/metrics.json").write_text(json.dumps(values))
    return Project(tmp_path)


def test_the_table_shows_what_was_computed(project: Project) -> None:
    comparison = load_comparison(project)
    stored = json.loads((project.results_dir / "metrics.json").read_text())
    head, cells = comparison.table.terminal()
    rows = {row[0]: row for row in cells}
    assert head == ["method", "UAR", "95 % interval", "accuracy", "macro F1", "ECE", "UAR - raw"]
    assert set(rows) == {"raw speech", "JEC-SSL only", "JMML", "one-hot control"}
    assert rows["JMML"][1] == f"{stored['jmml']['uar']:.3f}"
    assert rows["raw speech"][-1] == ""
    assert re.fullmatch(r"[+-]0\.\d{3} \(Holm p [01]\.\d{3}\)", rows["JMML"][-1])
    assert rows["JMML"][2] == f"{stored['jmml']['ci_low']:.3f} to {stored['jmml']['ci_high']:.3f}"
    assert "lab-speech with lab-eeg: quadrants, 4 speakers, leave 2 out, 2 seeds" in comparison.title
    assert comparison.as_dict()["primary_contrast"] == stored["jmml_minus_one-hot"]
    assert comparison.notes()[0].startswith("Primary contrast, JMML - one-hot control: ")
    assert "with four speakers" in comparison.notes()[0]
    assert comparison.notes()[0].endswith(": 4 speakers are too few to decide.")
    assert comparison.notes()[-1] == (
        "p: paired sign-flip test over speakers; it cannot be below 0.125 with four speakers. "
        "Holm p: corrected for the 3 comparisons of the table; it cannot be below 0.375."
    )
    assert not comparison.stale


def test_two_speakers_have_scores_and_tests_and_no_interval(tmp_path: Path) -> None:
    comparison = load_comparison(evaluated(tmp_path, make_evidence(speakers=2)))
    assert {row[2] for row in comparison.table.terminal()[1]} == {"-"}
    assert "no interval, p " in comparison.notes()[0]
    assert comparison.notes()[0].endswith(": 2 speakers are too few to decide.")
    assert comparison.notes()[1] == "Two speakers: no interval below four."
    said = comparison.as_dict()
    assert all(method["ci_low"] is None and method["uar"] for method in said["methods"])
    assert said["primary_contrast"]["diff_low"] is None


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


def test_what_goes_along_with_the_labels_is_said(project: Project) -> None:
    assert load_comparison(project).warnings == ()
    save_confounded(project, "lab-speech")
    comparison = load_comparison(project)
    assert any(
        note.startswith("Warning: lab-speech: 7 of 8 people have one label alone")
        for note in comparison.notes()
    )
    assert comparison.as_dict()["warnings"] == list(comparison.warnings)
