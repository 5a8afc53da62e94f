from __future__ import annotations

from dataclasses import replace

import pytest

from jmml.cell import run_cell
from jmml.config import MethodConfig, validate
from jmml.errors import ConfigError, ModelError
from jmml.methods import METHODS
from jmml.task import make_inner_split, training_part
from pipelines.study.define.plan import StudyPlan, plan
from pipelines.study.define.widths import Sizes, width_problems
from tests.pipelines.study.studies import make
from tests.pipelines.sweep.projects import write_project

WIDE = {"stage1": {"p": 8, "r": 16, "epochs": 1}, "stage2": {"k": 14, "epochs": 1}}
LAST = {"trials": 1, "inner_folds": 2}
# In an inner fold of two 64 rows are fitted and 64 scored, of 20 features each.
TOO_FEW = "64 training pairs are too few for k = 14, even independent views would correlate"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return write_project(tmp_path_factory.mktemp("study") / "project")


def refused(project, **changes) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        plan(project, make(**changes))
    return caught.value.lines


def fails(planned: StudyPlan, method: str) -> str:
    """What the first cell of a method says when it is run; "" where it is fitted."""
    task = planned.tasks["lab"]
    try:
        run_cell(task.data, task.split, 0, method, task.candidates, seed=0, inner_folds=planned.inner_folds)
    except ModelError as error:
        return error.what
    return ""


@pytest.mark.parametrize(
    ("methods", "changes", "line"),
    [
        (
            ["jmml", "one-hot", "raw", "mlp"],
            {"method": WIDE},
            f"study tiny: task lab: {TOO_FEW} (methods jmml, one-hot; smallest inner fold); expected at least 8 k = "
            "112 pairs; lower method.stage2.k to 8 or less, or take more data",
        ),
        (
            ["jmml", "one-hot", "raw", "dcca", "noise"],
            {"tasks": {"lab": {"project": True, "method": WIDE}}},
            f"study tiny: task lab: {TOO_FEW} (methods dcca, jmml, one-hot and 1 more; smallest inner fold); expected "
            "at least 8 k = 112 pairs; lower tasks.lab.method.stage2.k to 8 or less, or take more data",
        ),
        (
            ["jmml", "one-hot"],
            {
                "method": {"stage1": {"p": 8, "r": 16}},
                "tuning": LAST | {"trials": 2, "space": {"stage2.k": {"choice": [3, 14]}}},
            },
            f"study tiny: task lab: {TOO_FEW} (methods jmml, one-hot; smallest inner fold); expected at least 8 k = "
            "112 pairs; lower tuning.space.stage2.k to 8 or less, or take more data",
        ),
        (
            ["jmml", "one-hot", "raw"],
            {"method": {"stage1": {"p": 8, "r": 60}}},
            "study tiny: task lab: r = 60 components from 64 samples of 20 features and 5 branches of width 8 "
            "(methods jmml, one-hot; smallest inner fold); expected r of at most 20 (features); lower "
            "method.stage1.r to 20 or less",
        ),
        (
            ["jmml", "one-hot"],
            {
                "method": {"stage1": {"p": 8, "r": 20}, "stage2": {"k": 17, "lam_c": 0.0}},
                "tuning": LAST | {"inner_folds": 4},
            },
            "study tiny: task lab: 32 held-out speech rows and 32 EEG rows (method jmml; smallest inner fold); "
            "expected as many of both, and at least 2 k = 34; lower method.stage2.k, or take more data",
        ),
    ],
    ids=["study", "task", "space", "stage 1", "held out"],
)
def test_a_width_that_an_inner_fold_cannot_carry_is_one_line(project, methods, changes, line):
    assert refused(project, methods=methods, claim="jmml", **({"tuning": LAST} | changes)) == [line]


def test_a_setting_that_many_candidates_have_too_wide_is_one_line(project):
    task = plan(project, make(tuning=LAST)).tasks["lab"]
    wide = [validate(MethodConfig, WIDE | {"stage2": {"k": k}}) for k in (14, 3, 10)]
    assert width_problems(task.data, Sizes(64, 64, 64), ["jmml", "dcca"], wide, lambda _, key: key) == [
        f"{TOO_FEW} (methods jmml, dcca; smallest inner fold); expected at least 8 k = 112 pairs; lower stage2.k to 8 "
        "or less, or take more data"
    ]


def test_a_method_that_watches_no_held_out_pairs_needs_none(project, monkeypatch):
    task = plan(project, make(tuning=LAST)).tasks["lab"]
    few = Sizes(speech=64, eeg=64, scored=1)
    assert width_problems(task.data, few, ["jmml"], task.candidates, lambda _, key: key)
    unwatched = {"jmml": replace(METHODS["jmml"], two_view=False)}
    monkeypatch.setattr("pipelines.study.define.widths.METHODS", unwatched)
    assert width_problems(task.data, few, ["jmml"], task.candidates, lambda _, key: key) == []


def test_the_smallest_inner_fold_counts(project):
    task = plan(project, make(tuning=LAST)).tasks["lab"]
    training = training_part(task.data, task.split, 0)
    two, four = (make_inner_split(training, n_folds=folds, seed=0) for folds in (2, 4))
    assert Sizes.of(task.data, [two]) == Sizes(64, 64, 64)
    assert Sizes.of(task.data, [four, two]) == Sizes(64, 64, 32)


def test_a_world_is_given_more_trials(project):
    world = {"world": "label", "people": 6, "trials": 8}
    (line,) = refused(project, tasks={"w": world}, tuning=LAST)
    assert line.endswith("lower method.stage2.k to 2 or less, or raise tasks.w.trials")


def test_the_widest_that_fits_is_no_problem(project):
    fits = {"stage1": {"p": 8, "r": 16}, "stage2": {"k": 8}}
    assert plan(project, make(method=fits, methods=list(METHODS.own()))).cells
    assert refused(project, method=fits | {"stage2": {"k": 9}})


@pytest.mark.parametrize("name", ["mlp", "dcca", "class-means", "barlow-twins", "jec-ssl"])
@pytest.mark.parametrize("width", [8, 14], ids=["fits", "too wide"])
def test_what_is_refused_fails_and_nothing_else(project, monkeypatch, name, width):
    monkeypatch.setattr("pipelines.study.define.tasks.width_problems", lambda *_: [])
    method = {**WIDE, "stage2": {"k": width, "epochs": 1}}
    planned = plan(project, make(methods=[name, "jmml", "one-hot"], method=method, tuning=LAST))
    task = planned.tasks["lab"]
    found = width_problems(task.data, Sizes(64, 64, 64), [name], task.candidates, lambda _, key: key)
    said = fails(planned, name)
    assert bool(said) == (width == 14 and METHODS[name].two_view)
    assert [line.startswith(said) for line in found] == ([True] if said else [])
