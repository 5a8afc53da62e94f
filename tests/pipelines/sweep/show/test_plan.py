from __future__ import annotations

import pytest

from pipelines.sweep.definition.plan import plan
from pipelines.sweep.definition.reading import check
from pipelines.sweep.execute.estimate import Estimate
from pipelines.sweep.show.plan import as_dict, rows
from tests.pipelines.sweep.projects import definition, write_project

TIME = Estimate(work=170.0, seconds=90.0, source="by the sweep 'before'")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return write_project(tmp_path_factory.mktemp("plan") / "project")


@pytest.fixture(scope="module")
def planned(project):
    return plan(project, check(definition(trials=5)))


def test_rows_name_the_held_out_people_and_the_space(planned):
    found = dict(rows(planned, TIME))
    speech, eeg = planned.split.fold(0)
    assert found["held out"] == (
        f"outer fold 0 of 3: speakers {', '.join(speech.test)}; EEG subjects {', '.join(eeg.test)}"
    )
    assert found["  stage1.p"] == "choice [3, 4]"
    assert found["search on"] == "128 utterances of 4 speakers and 128 EEG rows of 4 subjects, 2 inner folds"


def test_the_plan_as_json(planned):
    data = as_dict(planned, TIME)
    assert check(data["definition"]) == planned.definition
    assert (data["trials"], data["space_size"], data["max_epochs"]) == (5, None, 3)
    assert data["held_out"]["speech"] == list(planned.split.fold(0)[0].test)
    assert data["estimate"] == {"seconds": 90.0, "worker_seconds": 170.0, "source": "by the sweep 'before'"}


def test_the_time_says_where_it_is_from_and_that_trials_may_stop_early(project):
    found = dict(rows(plan(project, check(definition())), TIME))["time"]
    assert found == "about 1 min 30 s (2 min 50 s of work), by the sweep 'before'"
    stopping = check(definition(scheduler={"name": "asha", "grace_epochs": 1}))
    assert dict(rows(plan(project, stopping), TIME))["time"].endswith("; less where trials are stopped early")
