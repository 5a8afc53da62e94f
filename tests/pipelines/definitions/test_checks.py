from __future__ import annotations

import pytest

from jmml.config import MethodConfig
from pipelines.definitions import checks
from pipelines.definitions.spaces import Dimension
from pipelines.study.define.model import StudyDefinition
from pipelines.sweep.definition.model import SweepDefinition

BASE = MethodConfig()


def dimension(**entry: object) -> Dimension:
    return Dimension.model_validate(entry)


def test_valid_keys_are_the_settings_of_the_method():
    keys = set(checks.valid_keys())
    assert {"stage1.p", "stage2.lam_c", "classifier.name", "classifier.options.NAME"} <= keys
    assert "classifier.options" not in keys
    assert checks.key_problem("classifier.options.C") is None
    assert "did you mean 'stage2.lam_c'?" in checks.key_problem("stage2.lam_cc")


def test_corners_find_each_setting_that_leaves_its_bounds():
    space = {
        "stage1.p": dimension(int=[0, 4]),
        "stage2.k": dimension(uniform=[2, 6]),
        "stage2.pairing": dimension(choice=["class", "klass"]),
        "stage2.lam_c": dimension(uniform=[0, 1]),
    }
    problems = checks.bound_problems(space)
    assert [problem.split(":")[0] for problem in problems] == [
        "space.stage1.p",
        "space.stage2.k",
        "space.stage2.pairing",
    ]
    assert "got 0" in problems[0]
    assert "integer" in problems[1]


def test_corners_find_settings_that_contradict_each_other():
    wide = dimension(int=[2, 12])
    (problem,) = checks.corner_problems({"stage2.k": wide, "stage1.r": dimension(int=[6, 24])}, BASE)
    assert "stage2.k = 12" in problem
    assert "stage1.r = 6" in problem
    assert checks.corner_problems({"stage2.k": wide, "stage1.r": dimension(int=[12, 24])}, BASE) == []
    (problem,) = checks.corner_problems({"stage2.k": wide}, BASE)  # against what is not searched
    assert f"stage1.r = {BASE.stage1.r}" in problem


def test_corners_of_a_large_space_are_sampled():
    space = {key: dimension(choice=[0.1, 0.2, 0.3]) for key in checks.valid_keys() if ".lam_" in key}
    space |= {key: dimension(choice=[1e-4, 1e-3, 1e-2]) for key in ("stage1.lr", "stage2.lr")}
    space |= {"stage1.r": dimension(choice=[3, 4, 5]), "stage2.k": dimension(choice=[2, 3, 4])}
    space["stage1.p"] = dimension(choice=[1, 2, 3])
    assert 3 ** len(space) > 4096
    assert "wider" in checks.corner_problems(space, BASE)[0]


def test_corners_find_classifier_options_that_do_not_exist():
    good = {"classifier.options.C": dimension(loguniform=[0.01, 10])}
    assert checks.corner_problems(good, BASE) == []
    (problem,) = checks.corner_problems({"classifier.options.CC": dimension(choice=[1.0])}, BASE)
    assert "CC" in problem


SPACE = {"stage2.kk": {"choice": [1]}, "stage1.p": {"int": [0, 4]}, "stage2.lr": {"normal": [0, 1]}, 5: 1}


@pytest.mark.parametrize(
    ("model", "data", "key"),
    [
        (SweepDefinition, {"name": "a", "budget": {"trials": 1}, "space": SPACE}, "space"),
        (
            StudyDefinition,
            {"name": "a", "tasks": {"a": {"world": "label"}}, "tuning": {"trials": 2, "space": SPACE}},
            "tuning.space",
        ),
    ],
)
def test_the_space_of_either_definition_is_checked_alike(model, data, key):
    definition, found = checks.form(model, data, space=key)
    assert definition is None
    assert [problem.partition(";")[0] for problem in found] == [
        f"{key}: unknown setting 'stage2.kk'",
        f"{key}: unknown setting '5'",
        f"{key}.stage1.p: expected greater than 0, got 0",
        f"{key}.stage2.lr: unknown distribution 'normal'",
        f"{key}.5: expected one distribution, for example {{choice: [2, 4]}}, got 1",
    ]
