"""The same texts change definitions of sweeps and of studies, each by its own keys."""

from __future__ import annotations

from typing import Any

import pytest

from pipelines.definitions.overrides import override
from pipelines.study.define.reading import KEYS as STUDY
from pipelines.sweep.definition.reading import KEYS as SWEEP


def changed(text: str, keys: Any, **data: Any) -> dict[str, Any]:
    assert override(data, text, keys) is None
    return data


def said(text: str, keys: Any, **data: Any) -> str:
    problem = override(data, text, keys)
    assert problem is not None
    assert problem.startswith(f"override '{text}': ")
    return problem.partition("': ")[2]


@pytest.mark.parametrize(("keys", "place"), [(SWEEP, "space"), (STUDY, "tuning.space")])
def test_the_space(keys, place):
    def space(text: str, **entries: Any) -> Any:
        data: dict[str, Any] = {"tuning": {"space": entries}} if "." in place else {"space": entries}
        data = changed(f"{place}.{text}", keys, **data)
        return data["tuning"]["space"] if "." in place else data["space"]

    assert space("stage2.k=3, 4") == {"stage2.k": {"choice": [3, 4]}}
    assert space("stage2.lr=loguniform(1e-4,1e-2)") == {"stage2.lr": {"loguniform": [1e-4, 1e-2]}}
    assert space("stage2.k=null", **{"stage2.k": 1, "stage2.lr": 2}) == {"stage2.lr": 2}
    assert space("stage2.k=choice(null)") == {"stage2.k": {"choice": [None]}}
    assert said(f"{place}.stage2.k=uniforn(1,2)", keys).startswith(
        "unknown distribution 'uniforn'; did you mean 'uniform'?"
    )
    assert said(f"{place}.stage2.k=uniform(1,2", keys).startswith("')' is missing")
    assert said(f"{place}.stage2.k=null", keys).startswith("stage2.k is not in the space")
    assert said(f"{place}=3", keys).startswith(f"unknown key '{place}'; expected {place}.SETTING=VALUES")


def test_a_section_that_is_no_mapping_is_left_to_the_check():
    for data in ({"budget": 3}, {"budget": [1]}):
        assert changed("budget.hours=2", SWEEP, **data) == data
    assert changed("tuning.space.stage2.k=3", STUDY, tuning=4) == {"tuning": 4}
    assert changed("space.stage2.k=3", SWEEP, space=[1]) == {"space": [1]}


def test_values_are_read_as_the_model_says():
    assert changed("corpora.speech.version=0123456", SWEEP)["corpora"]["speech"] == {"version": "0123456"}
    assert changed("corpora.speech.version=1", SWEEP, corpora={"speech": "nemo"})["corpora"]["speech"] == {
        "name": "nemo",
        "version": "1",
    }
    assert changed("scheduler=none", SWEEP) == {"scheduler": "none"}
    assert changed("name=2024", STUDY) == {"name": "2024"}
    assert changed("name=2026-13-01", STUDY) == {"name": "2026-13-01"}
    assert changed("method.classifier.options.C=2026-13-01", STUDY) == {
        "method": {"classifier": {"options": {"C": "2026-13-01"}}}
    }
    assert changed("protocol.seeds=4,5", SWEEP) == {"protocol": {"seeds": [4, 5]}}
    assert changed("protocol.seeds=null", SWEEP) == {"protocol": {"seeds": None}}
    assert changed("methods=jmml, raw", STUDY) == {"methods": ["jmml", "raw"]}
    assert changed("method.classifier.options.C=0.1", STUDY) == {
        "method": {"classifier": {"options": {"C": 0.1}}}
    }


def test_a_short_key_stands_for_the_long_one():
    assert changed("trials=5", SWEEP, trials=3) == {"budget": {"trials": 5}}
    assert changed("stage2.k=2", SWEEP) == {"space": {"stage2.k": {"choice": [2]}}}


def test_named_sections_are_kept_and_changed_by_their_names():
    tasks = {"a": {"world": "label"}, "b": {"world": "trial"}}
    assert changed("tasks=b", STUDY, tasks=tasks) == {"tasks": {"b": {"world": "trial"}}}
    assert changed("tasks.a.people=4", STUDY, tasks=tasks)["tasks"]["a"] == {"world": "label", "people": 4}
    assert tasks["a"] == {"world": "label"}  # what is changed is a copy
    assert said("tasks=c,a", STUDY, tasks=tasks) == "no task 'c'; valid: a, b"


def test_a_setting_by_itself_could_mean_two_things_in_a_study():
    assert said("stage2.k=3", STUDY) == (
        "unknown key 'stage2.k'; did you mean 'method.stage2.k' (fixed) or 'tuning.space.stage2.k' (searched)?"
    )


def test_what_can_be_completed():
    assert {"budget.trials", "corpora.speech.version", "stage2.k"} <= set(SWEEP.completions())
    assert {"tuning.trials", "tuning.space.stage2.k", "method.stage2.k"} <= set(STUDY.completions())
    assert not {"space", "trials"} & set(SWEEP.completions())
