"""Where the problems of a definition are said to be: file and line, override, option."""

from __future__ import annotations

import pytest

from jmml.errors import ConfigError
from pipelines.study.define.reading import load_definition as load_study
from pipelines.sweep.definition.reading import load_definition as load_sweep

SWEEP = """\
name: mine
budget:
  trials: 0
space:
  stage2.k:
    choice: [3, 4]
  stage2.kk: {choice: [1]}
  stage1.p: {int: [0, 4]}
"""
STUDY = """\
name: mine
tasks:
  a: {world: lable}
tuning:
  trials: 2
  space: {stage1.p: {int: [0, 4]}}
"""


def places(error: ConfigError) -> list[str]:
    return sorted(line.partition(": ")[0] for line in error.lines)


@pytest.mark.parametrize(
    ("load", "text", "lines"), [(load_sweep, SWEEP, [3, 4, 8]), (load_study, STUDY, [3, 6])]
)
def test_a_problem_of_the_file_has_its_line(tmp_path, load, text, lines):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert places(caught.value) == [f"{path}:{line}" for line in lines]


@pytest.mark.parametrize(("load", "text"), [(load_sweep, "space: 3"), (load_study, "tasks: 3")])
def test_a_key_that_is_missing_has_the_file_alone(tmp_path, load, text):
    path = tmp_path / "mine.yaml"
    path.write_text(f"{text}\n")
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert f"{path}: name: missing" in caught.value.lines


@pytest.mark.parametrize(
    ("load", "key"),
    [(load_sweep, "budget.hours"), (load_study, "tuning.inner_folds")],
    ids=["sweep", "study"],
)
def test_a_problem_of_an_override_names_it_and_not_the_file(load, key):
    with pytest.raises(ConfigError) as caught:
        load("quick", overrides=[f"{key}=-1", "nme=x"])
    problem, unknown = sorted(caught.value.lines)
    assert problem.startswith(f"-s {key}=-1: {key}: expected ")
    assert unknown.startswith("-s: override 'nme=x': unknown key 'nme'; did you mean 'name'?")


def test_a_problem_that_an_override_mends_is_not_said(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\nbudget: {trials: 0}\nspace: {stage2.k: {choice: [3, 4]}}\n")
    assert load_sweep(path, overrides=["trials=2"]).n_trials() == 2


@pytest.mark.parametrize("value", ["2026-13-01", "0x_", "!!int abc", "!!timestamp x", "9" * 5000, "[" * 2000])
@pytest.mark.parametrize(("load", "text"), [(load_sweep, SWEEP), (load_study, STUDY)], ids=["sweep", "study"])
def test_a_value_that_yaml_cannot_read_has_its_file_and_line(tmp_path, load, text, value):
    path = tmp_path / "mine.yaml"
    path.write_text(text.replace("name: mine", f"name: {value}"))
    with pytest.raises(ConfigError) as caught:
        load(path)
    (line,) = caught.value.lines
    assert line.startswith(f"{path}: no valid YAML at line 1, column ")
    assert len(line) < len(str(path)) + 200


@pytest.mark.parametrize("value", ["2026-13-01", "0x_", "9" * 5000, "[" * 2000])
@pytest.mark.parametrize(("load", "key"), [(load_sweep, "budget.trials"), (load_study, "tuning.trials")])
def test_an_override_that_yaml_cannot_read_is_text(load, key, value):
    with pytest.raises(ConfigError) as caught:
        load("quick", overrides=[f"{key}={value}"])
    (line,) = caught.value.lines
    assert f"{key}: expected an integer, got '{value[:10]}" in line
