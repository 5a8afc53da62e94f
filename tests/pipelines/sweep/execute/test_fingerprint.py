from __future__ import annotations

import json
from dataclasses import replace

import pytest

from jmml.data.table import FeatureTable
from pipelines.definitions.differences import differences
from pipelines.stages.split import split
from pipelines.sweep.decide import search
from pipelines.sweep.definition.plan import plan
from pipelines.sweep.definition.reading import check
from pipelines.sweep.execute.fingerprint import fingerprint
from tests.pipelines.sweep.projects import definition, write_project


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return write_project(tmp_path_factory.mktemp("plan") / "project")


@pytest.fixture(scope="module")
def planned(project):
    return plan(project, check(definition(trials=5)))


def test_a_fingerprint_is_plain_and_says_what_differs(project, planned, tmp_path):
    recorded = json.loads(json.dumps(fingerprint(planned)))
    assert differences(recorded, fingerprint(planned)) == []
    others = plan(
        project, check(definition(trials=5, protocol={"normalisation": "per-group", "inner_folds": 3}))
    )
    assert differences(recorded, fingerprint(others)) == [
        "protocol.inner_folds: 2 -> 3",
        "protocol.normalisation: none -> per-group",
    ]
    path = project.features_path("lab-eeg")
    kept = {one: one.read_bytes() for one in (path, project.split_path)}
    table = FeatureTable.load(path)
    replace(table, X=table.X + 1).save(path)
    split(project)  # who shares a fold depends on what the samples hold
    found = differences(recorded, fingerprint(plan(project, planned.definition)))
    assert [line.partition(":")[0] for line in found if line.startswith("task")] == ["task.eeg.features"]
    assert {line.partition(":")[0] for line in found} <= {"task.eeg.features", "split", "held_out.eeg"}
    for one, content in kept.items():
        one.write_bytes(content)


def test_a_changed_code_shows(planned, monkeypatch):
    before = fingerprint(planned)
    monkeypatch.setattr("pipelines.sweep.execute.fingerprint.code_digest", lambda: "a" * 64)
    (line,) = differences(before, fingerprint(planned))
    assert line == f"code: {before['code'][:12]}... -> aaaaaaaaaaaa..."


@pytest.mark.parametrize(
    ("algorithm", "scheduler", "expected"),
    [
        ("random", "none", []),
        ("tpe", "none", ["optuna"]),
        ("cma-es", "none", ["cmaes"]),
        ("random", "hyperband", []),  # schedulers are our own
        ("tpe", "asha", ["optuna"]),
    ],
)
def test_another_version_of_a_library_that_proposes_trials_shows(
    planned, monkeypatch, algorithm, scheduler, expected
):
    space = {f"stage2.lam_{name}": {"loguniform": [0.1, 3.0]} for name in "cx"}
    grace = {"name": scheduler, "grace_epochs": 1, "reduction": 2}
    changed = check(definition(algorithm=algorithm, scheduler=grace, space=space))
    before = search.fingerprint(changed)
    monkeypatch.setattr(search, "version", lambda name: "0")
    assert [line.split(":")[0] for line in differences(before, search.fingerprint(changed))] == expected


def test_the_code_that_proposes_or_ends_trials_is_found_along_the_imports():
    code = search.deciding()
    assert set(code.modules) >= {
        "pipelines.definitions.spaces",
        *(
            f"pipelines.sweep.decide.{name}"
            for name in ("cma_es", "driver", "proposals", "rungs", "search", "tpe")
        ),
        "pipelines.sweep.definition.choices",
        "pipelines.sweep.definition.model",
        "pipelines.sweep.execute.trainable",
        "pipelines.sweep.record.state",  # what a trial's score is, and which one is best
    }
    aside = ("jmml.", "cli.", "pipelines.sweep.show", "pipelines.sweep.record.journal", "pipelines.reporting")
    assert not [name for name in code.modules if name.startswith(aside)]


def test_differences_of_definitions(planned):
    recorded = planned.definition.plain()
    space = {"stage1.p": {"choice": [3, 5]}, "stage2.k": {"int": [2, 3]}}
    changed = check(
        definition(trials=None, space=space, description="other words", budget={"trials": 4, "hours": 2})
    )
    assert differences(recorded, changed.plain()) == [
        "budget.trials: 5 -> 4",
        "budget.hours: none -> 2.0",
        "space.stage1.p: choice [3, 4] -> choice [3, 5]",
        "space.stage2.lam_c: loguniform [0.1, 3.0] -> not there",
        "space.stage2.k: not there -> int [2, 3]",
    ]
