from __future__ import annotations

from dataclasses import replace

import pytest

from pipelines.study.define.plan import plan
from pipelines.study.publish.summary import Summary, folder_of
from pipelines.study.run.dry_run import _rows, would_run
from tests.pipelines.study.studies import CELLS, FOLDS, make
from tests.pipelines.sweep.projects import write_project


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return write_project(tmp_path_factory.mktemp("study") / "project")


def test_the_plan_in_lines_and_as_json(project):
    found = would_run(project, make(description="a test"), workers=2)
    text = "\n".join(found.lines())
    for part in (
        "tiny: a test",
        "192 utterances of 6 speakers, 192 EEG rows of 6 subjects, recorded apart; quadrants, 3 folds, class pairs",
        "4: raw, jec-ssl, jmml, one-hot",
        "jmml minus the best label-only control",
        "2 candidates, 2 inner folds, the same for every method",
        "candidate 1  stage1.p=",
        f"{CELLS}: 0 cached, {CELLS} to compute",
    ):
        assert part in text
    data = found.as_dict()
    assert data["cells"] == {"total": CELLS, "cached": 0, "damaged": 0, "missing": CELLS}
    assert data["expected_cpu_seconds"] is None
    assert [len(fold) for fold in data["tasks"]["lab"]["folds"]] == [2] * FOLDS
    assert (found.exit_code, data["refused"]) == (0, None)


def test_damaged_cells_are_counted(project):
    planned = replace(plan(project, make()), damaged=("its folder",))
    assert dict(_rows(planned, ""))["cells"] == f"{CELLS}: 0 cached, {CELLS} to compute (1 of them damaged)"


def test_a_report_of_other_settings_is_announced(tmp_path):
    project = write_project(tmp_path / "project")
    assert would_run(project, make()).values["kept_as"] is None
    folder = folder_of(project, "tiny")
    folder.mkdir(parents=True)
    Summary("tiny", "", "0123456789abcdef", "", 0, 0.95, []).save(folder)
    found = would_run(project, make())
    assert found.values["kept_as"] == "tiny-01234567"
    said = "a report of other settings lies under tiny; it will be kept as tiny-01234567"
    assert found.lines()[-1].endswith(said)
    Summary("tiny", "", found.values["digest"], "", 0, 0.95, []).save(folder)
    assert would_run(project, make()).values["kept_as"] is None
