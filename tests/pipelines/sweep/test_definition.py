from __future__ import annotations

import subprocess
import sys

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from jmml.config import MethodConfig, validate
from jmml.errors import ConfigError
from pipelines.sweep import spaces
from pipelines.sweep.definition import READY_MADE, SweepDefinition, check, check_against, load_definition
from tests.pipelines.sweep.projects import definition

BASE = validate(MethodConfig, {"stage2": {"epochs": 20}})


def problems(**changes: object) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        check(definition(**changes))
    return caught.value.problems


def overridden(tmp_path, *overrides: str, **changes: object) -> SweepDefinition:
    path = tmp_path / "sweep.yaml"
    path.write_text(yaml.safe_dump(definition(**changes)))
    return load_definition(path, overrides=overrides)


@pytest.mark.parametrize("name", ["demo", "quick"])
def test_shipped_definitions_are_valid_for_the_default_method(name):
    loaded = load_definition(name)
    check_against(loaded, MethodConfig())
    assert loaded.name == name
    assert loaded.trials >= {"demo": 4, "quick": 8}[name]


def test_every_shipped_definition_is_tested():
    assert set(READY_MADE) == {"demo", "quick"}


def test_all_problems_are_reported_at_once_with_the_nearest_key():
    found = problems(
        trials=0,
        algorithm="optun",
        scheduler={"name": "ahsa", "grase_epochs": 2},
        spase=1,
        space={
            "stage2.kk": {"choice": [1]},
            "stage2.lr": {"loguniform": [1e-2, 1e-4]},
            "stage1.p": {"int": [0, 4]},
        },
    )
    text = "\n".join(found)
    for part in (
        "trials: expected greater than 0, got 0",
        "unknown algorithm 'optun'; did you mean 'optuna'? (valid: grid, optuna, random)",
        "scheduler.name: unknown scheduler 'ahsa'; did you mean 'asha'? (valid: asha, none)",
        "scheduler.grase_epochs: unknown key; did you mean 'grace_epochs'?",
        "spase: unknown key; did you mean 'space'?",
        "unknown setting 'stage2.kk'; did you mean 'stage2.k'?",
        "the lower bound 0.01 is above the upper bound 0.0001",
        "space.stage1.p: expected greater than 0, got 0",
    ):
        assert part in text
    assert len(found) == 8


@pytest.mark.parametrize("algorithm", ["bayes", "", "Optuna"])
def test_an_unknown_algorithm_lists_the_valid_ones(algorithm):
    (found,) = problems(algorithm=algorithm)
    assert found.startswith(f"algorithm: unknown algorithm '{algorithm}'")
    assert all(name in found for name in ("grid", "optuna", "random"))


def test_an_empty_space_is_one_problem():
    (found,) = problems(space={})
    assert found.startswith("space: empty")


@pytest.mark.parametrize("space", [None, [], "stage2.k"])
def test_a_space_that_is_no_mapping(space):
    (found,) = problems(space=space)
    assert found.startswith("space: expected a mapping")


def test_missing_parts_are_named():
    with pytest.raises(ConfigError) as caught:
        check({})
    assert sorted(caught.value.problems) == ["name: missing", "space: missing", "trials: missing"]


def test_a_grid_must_be_finite():
    (found,) = problems(algorithm="grid")
    assert "grid cannot enumerate stage2.lam_c" in found


def test_a_grid_is_run_as_a_whole():
    space = {"stage1.p": {"choice": [3, 4]}, "stage2.k": {"int": [2, 4]}}
    (found,) = problems(algorithm="grid", space=space, trials=5)
    assert "5 is less than the grid of 6 configurations" in found
    assert check(definition(algorithm="grid", space=space, trials=100)).n_trials() == 6


@pytest.mark.parametrize("algorithm", ["random", "optuna"])
def test_more_trials_than_configurations(algorithm):
    (found,) = problems(algorithm=algorithm, trials=3, space={"stage2.k": {"choice": [2, 3]}})
    assert "trials: 3, but the space holds 2 configurations" in found


def test_grace_beyond_the_last_epoch():
    scheduler = {"name": "asha", "grace_epochs": 21}
    with pytest.raises(ConfigError, match="21, but trials run at most 20 epochs"):
        check_against(check(definition(scheduler=scheduler)), BASE)
    check_against(check(definition(scheduler="none")), BASE)
    space = {"stage2.epochs": {"int": [5, 30]}, "stage2.lr": {"uniform": [0.1, 0.2]}}
    longer = check(definition(scheduler=scheduler, space=space))
    check_against(longer, BASE)
    assert longer.max_epochs(BASE) == 30


def test_options_must_suit_the_classifier_of_the_project():
    space = {"classifier.options.n_estimators": {"int": [10, 50]}}
    loaded = check(definition(space={**space, "classifier.name": {"choice": ["random-forest"]}}))
    check_against(loaded, BASE)
    with pytest.raises(ConfigError, match="n_estimators"):
        check_against(check(definition(space=space)), BASE)


def test_a_missing_file_and_an_unknown_name(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        load_definition(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="did you mean 'demo'"):
        load_definition("dmo")


def test_a_folder_of_the_same_name_is_not_taken_for_the_definition(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").mkdir()
    (tmp_path / "mine.yaml").mkdir()
    assert load_definition("demo").name == "demo"
    with pytest.raises(ConfigError, match="no sweep definition"):
        load_definition("mine.yaml")


def test_a_file_that_is_no_mapping(tmp_path):
    (tmp_path / "s.yaml").write_text("- 1\n")
    with pytest.raises(ConfigError, match="expected a sweep definition"):
        load_definition(tmp_path / "s.yaml")


def test_overrides(tmp_path):
    changed = overridden(
        tmp_path,
        "trials=20",
        "stage2.k=3,4,8",
        "space.stage1.p=5",
        "stage2.lr=loguniform(1e-4, 1e-2)",
        "stage2.imagined=true,false",
        "scheduler.grace_epochs=3",
        "algorithm=optuna",
    )
    assert changed.trials == 20
    assert changed.algorithm == "optuna"
    assert (changed.scheduler.name, changed.scheduler.grace_epochs) == ("none", 3)
    assert {key: str(value) for key, value in changed.space.items()} == {
        "stage1.p": "choice [5]",
        "stage2.lam_c": "loguniform [0.1, 3]",
        "stage2.k": "choice [3, 4, 8]",
        "stage2.lr": "loguniform [0.0001, 0.01]",
        "stage2.imagined": "choice [True, False]",
    }


def test_a_scheduler_can_be_overridden_by_name(tmp_path):
    assert overridden(tmp_path, "scheduler=asha").scheduler.name == "asha"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("trials", "expected KEY=VALUE"),
        ("trials=", "expected KEY=VALUE"),
        ("trails=3", "unknown key 'trails'; did you mean 'trials'?"),
        ("trials=many", "trials: expected an integer, got 'many'"),
        ("stage2.kk=3", "unknown setting 'stage2.kk'"),
        ("stage2.k=normal(0,1)", "unknown distribution 'normal'"),
        ("stage2.k=3,", "expected an integer, got ''"),
        ("space=3", "unknown key 'space'"),
        ("scheduler.grase=3", "scheduler.grase: unknown key"),
    ],
)
def test_wrong_overrides(tmp_path, text, part):
    with pytest.raises(ConfigError) as caught:
        overridden(tmp_path, text)
    assert part in "\n".join(caught.value.problems)


def test_wrong_overrides_are_reported_with_the_other_problems(tmp_path):
    with pytest.raises(ConfigError) as caught:
        overridden(tmp_path, "trails=3", algorithm="none")
    assert len(caught.value.problems) == 2


NUMBERS = st.floats(1e-3, 10)
ENTRIES = st.one_of(
    st.lists(st.integers(1, 8), min_size=1, max_size=4).map(lambda v: {"choice": v}),
    st.tuples(st.integers(1, 8), st.integers(1, 8)).map(lambda v: {"int": sorted(v)}),
)


@given(ENTRIES, st.tuples(NUMBERS, NUMBERS).map(sorted), st.integers(0, 100))
def test_a_written_definition_reads_as_itself(k, weights, seed):
    space = {"stage2.k": k, "stage2.lam_c": {"uniform": [weights[0], weights[1] + 0.1]}}
    first = check(definition(space=space, seed=seed))
    again = check(yaml.safe_load(first.to_yaml()))
    assert again == first
    assert spaces.draw(again.space, 2, seed=seed) == spaces.draw(first.space, 2, seed=seed)


def test_checking_a_definition_imports_neither_ray_nor_torch():
    heavy = {"ray", "torch", "mlflow", "optuna"}
    code = f"import sys, pipelines.sweep.definition; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
