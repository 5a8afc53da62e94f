"""What a finished sweep tells people; a whole one is in test_run.py."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pipelines.sweep.execute.outcome import SweepResult
from tests.pipelines.sweep.scripts import Script


def result(people: int = 4, **refit: Any) -> SweepResult:
    """Two methods on a few speakers, so that no p can be small."""
    script = Script(total=1)
    script("run", run_id="abc")
    script.trial(1, [0.3, 0.5])
    row = {
        "accuracy": 0.5,
        "macro_f1": 0.4,
        "ece": 0.1,
        "ci_low": 0.4,
        "ci_high": 0.6,
        "diff": 0.1,
        "diff_low": 0.1,
    }
    row |= {"diff_high": 0.1, "p_holm": 0.5, "reference": "one-hot", "n_groups": people}
    note = f"only {people} speakers: the interval is rough; p cannot be below 0.5"
    rows = [
        {"method": "jmml", "uar": 0.52, "note": note, **row},
        {"method": "raw", "uar": 0.42, "note": "", **row},
    ]
    values = {"metrics": {}, "comparison": rows, "model_uri": "models:/m", "opened": 1} | refit
    script("refit", trial=1, epoch=2, configuration={}, **values)
    script("close", state="finished", reason="")
    plan: Any = SimpleNamespace(params=SimpleNamespace(evaluation=SimpleNamespace(confidence=0.9)))
    config: Any = None
    return SweepResult.of(plan, script.state, config)


@pytest.mark.parametrize(
    ("recorded", "heading"),
    [
        ({"confidence": 0.95}, "95 % interval"),
        ({"confidence": 0.999}, "99.9 % interval"),
        ({}, "90 % interval"),
    ],
)
def test_the_level_of_the_interval_is_named(recorded, heading):
    found = result(**recorded)
    head, rows = found.table.terminal()
    assert head == ["method", "UAR", heading, "accuracy", "macro F1", "UAR - one-hot"]
    assert rows[0] == ["jmml", "0.520", "0.400 to 0.600", "0.500", "0.400", "+0.100"]


def test_nothing_is_said_of_a_p_that_is_not_shown():
    lines = result().lines()
    assert lines[0] == "jmml: only 4 speakers: the interval is rough."
    assert not any("p cannot" in line for line in lines)


def test_two_speakers_have_no_interval_even_where_the_journal_of_an_earlier_version_has_one():
    found = result(people=2)
    assert [row[2] for row in found.table.terminal()[1]] == ["-", "-"]
    assert found.lines()[0] == "Two speakers: no interval below four."
    assert not any("rough" in line for line in found.lines())
    for method in found.table.rows:  # what --json has as well
        assert {method[key] for key in ("ci_low", "ci_high", "diff_low", "diff_high")} == {None}
        assert method["diff"] == 0.1
