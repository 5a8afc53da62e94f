from __future__ import annotations

import pytest

from pipelines.sweep.definition.plan import plan
from pipelines.sweep.definition.reading import check
from pipelines.sweep.execute.estimate import estimate
from pipelines.sweep.execute.fingerprint import fingerprint
from pipelines.sweep.record.folder import SweepFolder
from pipelines.sweep.record.journal import Journal, encode
from tests.pipelines.sweep.projects import definition, write_project


def test_an_estimate_by_a_measurement(tmp_path):
    planned = plan(write_project(tmp_path), check(definition(trials=5)))
    found = estimate(planned)
    assert found.source == "by a few epochs measured just now"
    assert found.work > 0
    assert found.seconds > found.work / planned.concurrent


def test_an_estimate_by_the_last_sweep(tmp_path):
    project = write_project(tmp_path)
    planned = plan(project, check(definition(trials=4, concurrent=1)))
    folder = SweepFolder.of(project, "before")
    journal = Journal(folder.journal)
    base = planned.params.method.model_dump(mode="json")
    journal.append("sweep", fingerprint=fingerprint(planned), base=base)
    journal.close()
    lines = [{"e": "start", "trial": 1, "configuration": {"stage1.epochs": 10}, "t": 0}]
    lines += [{"e": "report", "trial": 1, "epoch": e, "t": 50_000 + 10_000 * e} for e in (1, 2, 3)]
    with folder.journal.open("ab") as handle:
        handle.writelines(map(encode, lines))
    # 50 s for 10 epochs of stage 1 and 10 s for one of stage 2, on two folds.
    found = estimate(planned)
    assert found.source == "by the sweep 'before'"
    stage1, stage2 = 2.5 * base["stage1"]["epochs"], 5 * base["stage2"]["epochs"]
    assert found.work == pytest.approx(2 * (2 * stage1 + 4 * stage2) + 2 * (stage1 + stage2))
    with folder.journal.open("r+b") as handle:
        handle.write(b"damaged")
    assert estimate(plan(project, planned.definition)).source == "by a few epochs measured just now"
