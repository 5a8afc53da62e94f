from __future__ import annotations

import pytest
import yaml

from jmml.config import MethodConfig, parse_yaml
from jmml.errors import ConfigError
from jmml.methods import label_only
from pipelines.study.define.checks import merged
from pipelines.study.define.model import GROUPS
from pipelines.study.define.reading import GUIDE, READY_MADE, check, load_definition
from tests.pipelines.study.studies import make, study


def problems(**changes: object) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        check(study(**changes))
    return caught.value.problems


def overridden(tmp_path, *overrides: str, **changes: object):
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(study(**changes)))
    return load_definition(path, overrides=overrides)


def refused(tmp_path, *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        overridden(tmp_path, *overrides)
    return caught.value.problems


@pytest.mark.parametrize("name", ["corpora", "quick", "worlds"])
def test_shipped_definitions_are_valid_and_survive_being_written(name):
    loaded = load_definition(name)
    assert loaded.name == name
    assert check(parse_yaml(loaded.to_yaml())) == loaded


def test_every_shipped_definition_is_tested():
    assert set(READY_MADE) == {"corpora", "quick", "worlds"}


def test_groups_of_methods_are_expanded_in_the_order_of_tables():
    assert make(methods=["all"]).methods == list(GROUPS["all"]())
    assert make(methods=["controls", "jmml", "raw"]).methods == ["raw", "jmml", *GROUPS["controls"]()]
    assert set(make(methods=["one-hot", "peers", "jmml", "raw"]).methods) == {
        *GROUPS["peers"](),
        "jmml",
        "one-hot",
    }


def test_all_problems_are_reported_at_once_with_the_nearest_name():
    found = problems(
        methods=["jmml", "onehot"],
        seeds=[],
        sedes=[1],
        tasks={"a": {"world": "lable"}, "b": {"project": True, "method": {"stage2": {"kk": 3}}}},
        tuning={"trials": 0, "space": {"stage2.kk": {"choice": [1]}, "stage1.p": {"int": [0, 4]}}},
        method={"stage1": {"p": 0}},
    )
    text = "\n".join(found)
    for part in (
        "methods: unknown method 'onehot'; did you mean 'one-hot'?",
        "seeds: ",
        "sedes: unknown key; did you mean 'seeds'?",
        "tasks.a.world: expected 'label' or 'trial', got 'lable'",
        "tasks.b.method.stage2.kk: unknown key; did you mean",
        "tuning.trials: expected greater than 0, got 0",
        "tuning.space: unknown setting 'stage2.kk'; did you mean 'stage2.k'?",
        "tuning.space.stage1.p: expected greater than 0, got 0",
        "method.stage1.p: expected greater than 0, got 0",
    ):
        assert part in text
    assert len(found) == 9


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ({}, "expected one of project: true, world and speech, got none"),
        ({"eeg": "deap"}, "got eeg alone"),
        ({"world": "label", "speech": "nemo"}, "got world and speech"),
        ({"speech": "nemo", "people": 4}, "people belongs to a task with world"),
        ({"project": True, "eeg": "deap"}, "eeg belongs to a task with speech"),
        ({"world": "label", "label_space": "quadrants"}, "a world has its own"),
        ({"speech": "nemo", "pairing": "class-frozen"}, "expected 'class' or 'instance'"),
    ],
)
def test_a_task_has_one_source(task, said):
    (found,) = problems(tasks={"a": task})
    assert found.startswith("tasks.a")
    assert said in found


def test_the_claim_must_be_compared_with_something():
    assert problems(methods=["raw", "one-hot"]) == [
        "claim: 'jmml' is not among the methods (raw, one-hot); add it to methods, or claim one of them"
    ]
    (found,) = problems(methods=["raw", "jmml", "noise"])
    assert "no label-only control" in found
    assert all(name in found for name in label_only())
    (found,) = problems(claim="one-hot")
    assert "'one-hot' is a label-only control itself" in found
    assert make(claim="jec-ssl").claim == "jec-ssl"


def test_the_budget_must_fit_the_space():
    (found,) = problems(tuning={"trials": 3})
    assert "tuning.trials: 3, but tuning.space is empty" in found
    (found,) = problems(tuning={"trials": 4, "space": {"stage2.k": {"choice": [2, 3]}}})
    assert "set trials to 3 or less" in found
    assert make(tuning={"trials": 3, "space": {"stage2.k": {"choice": [2, 3]}}}).tuning.trials == 3


def test_pairing_belongs_to_the_task():
    (found,) = problems(tuning={"trials": 2, "space": {"stage2.pairing": {"choice": ["class", "instance"]}}})
    assert "set pairing on the task" in found
    (found,) = problems(method={"stage2": {"pairing": "instance"}})
    assert "set pairing on the task" in found


@pytest.mark.parametrize("space", [3, ["stage2.k"], {"stage2.k": 3}])
def test_a_space_that_is_none(space):
    assert all(found.startswith("tuning.space") for found in problems(tuning={"trials": 2, "space": space}))


def test_overrides(tmp_path):
    loaded = overridden(
        tmp_path,
        "seeds=0,3",
        "methods=jmml, one-hot",
        "tuning.trials=4",
        "tuning.space.stage2.k=2,3",
        "tuning.space.stage2.lam_c=loguniform(1e-1,1)",
        "method.stage2.epochs=5",
        "tasks=b",
        "tasks.b.people=8",
        "confidence=0.9",
        tasks={"a": {"project": True}, "b": {"world": "trial"}},
    )
    assert loaded.seeds == [0, 3]
    assert loaded.methods == ["jmml", "one-hot"]
    assert loaded.tuning.trials == 4
    assert loaded.tuning.space["stage2.k"].values == (2, 3)
    assert loaded.tuning.space["stage2.lam_c"].values == (0.1, 1.0)
    assert loaded.method == {"stage2": {"epochs": 5}}
    assert {name: task.people for name, task in loaded.tasks.items()} == {"b": 8}
    assert loaded.confidence == 0.9
    assert overridden(tmp_path, "seeds=2").seeds == [2]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("seeds", "expected KEY=VALUE"),
        ("=3", "expected KEY=VALUE"),
        ("sedes=1", "unknown key 'sedes'; did you mean 'seeds'?"),
        ("tuning.trails=3", "tuning.trails: unknown key; did you mean 'trials'?"),
        ("tasks=laboratory", "no task 'laboratory'; valid: lab"),
        ("tasks.lib.people=3", "override 'tasks.lib.people=3': no task 'lib'; did you mean 'lab'?"),
        ("tasks.nosuch=8", "no task 'nosuch'; valid: lab"),
        ("seeds=0,3,3", "seeds: 3 is named more than once; name each seed once"),
        ("tuning.space.stage2.k=uniforn(1,2)", "unknown distribution 'uniforn'; did you mean 'uniform'?"),
        ("name.part=3", "unknown key 'name.part'; did you mean 'name'?"),
        ("seeds=a", "seeds.0: expected an integer, got 'a'"),
        ("tuning.trials=1.5", "tuning.trials: expected an integer, got 1.5"),
    ],
)
def test_a_wrong_override_says_so(tmp_path, text, said):
    (found,) = refused(tmp_path, text)
    assert said in found


def test_wrong_overrides_are_reported_together(tmp_path):
    assert len(refused(tmp_path, "sedes=1", "tasks=x", "tuning.trials=0")) == 3


def test_an_unknown_name_lists_the_ready_made():
    with pytest.raises(ConfigError, match=r"did you mean 'worlds'\?"):
        load_definition("world")
    with pytest.raises(ConfigError, match="no such file"):
        load_definition("missing.yaml")


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "is empty"), ("# nothing\n", "is empty"), ("- a\n", "holds a list"), ("3", "holds a single")],
)
def test_a_file_that_is_no_mapping_points_to_an_example(tmp_path, text, said):
    path = tmp_path / "study.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_definition(path)
    assert str(caught.value).startswith(f"{path}: the file {said}")
    assert str(READY_MADE["quick"]) in str(caught.value)
    assert GUIDE in str(caught.value)


def test_settings_that_contradict_params_name_the_key_the_override_and_the_next_step(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(study(tuning={"trials": 1})))
    base = MethodConfig()
    assert load_definition(path, base=base).method == {}
    with pytest.raises(ConfigError) as caught:
        load_definition(path, overrides=["method.stage2.k=40", "seeds=1"], base=base)
    assert str(caught.value) == (
        "-s method.stage2.k=40: method: stage2.k = 40 is wider than stage1.r = 8; change method.stage2.k or "
        "method.stage1.r (what is not set there is that of params.yaml)"
    )
    tasks = {"a": {"project": True}, "b": {"project": True, "method": {"stage1": {"r": 2}}}}
    path.write_text(yaml.safe_dump(study(tasks=tasks)))
    with pytest.raises(
        ConfigError,
        match=r"study.yaml:\d+: tasks\.b\.method: stage2.k = 6 .*; change tasks\.b\.method\.stage2",
    ):
        load_definition(path, base=base)


def test_settings_are_merged_in_order():
    config = merged(
        MethodConfig(), {"stage2": {"k": 4, "epochs": 3}}, {}, {"stage2": {"k": 2}, "stage1": {"p": 5}}
    )
    assert (config.stage2.k, config.stage2.epochs, config.stage1.p) == (2, 3, 5)
    assert config.stage1.r == MethodConfig().stage1.r
    with pytest.raises(ConfigError, match="wider than stage1"):
        merged(MethodConfig(), {"stage2": {"k": 99}})
