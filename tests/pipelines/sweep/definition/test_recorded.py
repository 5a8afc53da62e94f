from __future__ import annotations

import json

import pytest

from jmml.errors import SweepError
from pipelines.sweep.definition.reading import check
from pipelines.sweep.definition.recorded import recorded
from tests.pipelines.sweep.projects import definition

POPULATION = {
    "algorithm": "pbt",
    "trials": 8,
    "scheduler": None,
    "space": {"stage2.lr": {"loguniform": [1e-4, 1e-2]}},
}


@pytest.mark.parametrize("changes", [{}, {"budget": {"hours": 2}}, POPULATION])
def test_what_a_journal_holds_is_read_as_it_was(changes):
    written = check(definition(**changes))
    assert recorded(json.loads(json.dumps(written.plain())), sweep="tiny") == written


def test_what_an_earlier_release_did_not_know_has_its_default():
    data = check(definition()).plain()
    del data["lag"], data["share"], data["objective"]["cost"]
    assert recorded(data, sweep="tiny") == check(definition())


def test_a_definition_of_a_newer_release_says_so():
    data = check(definition()).plain() | {"algorithm": "bohb", "budgets": {}}
    with pytest.raises(SweepError) as caught:
        recorded(data, sweep="tiny")
    text = str(caught.value)
    assert text.startswith("the journal of sweep tiny: holds a definition that this release cannot read (")
    assert "unknown algorithm 'bohb'" in text
    assert "budgets: unknown key" in text
    assert text.endswith("Update jmml: a newer release drives this sweep")
