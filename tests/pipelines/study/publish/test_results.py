"""What is reported follows from the cells, and cells that prove nothing are refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from jmml.errors import ProtocolError
from jmml.evaluation import contrast
from jmml.evaluation.leakage import Certificate
from pipelines.study.publish.results import StudyResults, gather
from tests.pipelines.study import reported


@pytest.fixture(scope="module")
def cells() -> list[reported.Cell]:
    return reported.cells()


@pytest.fixture(scope="module")
def results(cells: list[reported.Cell]) -> StudyResults:
    return reported.study({"label": cells})


def test_table_and_contrast_are_those_of_the_evidence(
    cells: list[reported.Cell], results: StudyResults
) -> None:
    (task,) = results.tasks
    val_uar = {(c.method, c.fold, c.seed): c.metrics["val_uar"] for c in cells}
    frame = pd.concat([c.evidence for c in cells], ignore_index=True)
    expected = contrast.study_table(frame, val_uar=val_uar, bootstrap=500)
    pd.testing.assert_frame_equal(task.table, expected)
    assert task.primary == contrast.primary(expected)
    assert task.chosen == contrast.label_only(frame, val_uar)[1]
    assert set(task.evidence["method"]) == {*reported.SKILLS, "label-only"}
    assert task.title == "EEG knows the label"
    assert results.chance == {"label": 0.25}


def test_order_of_the_cells_does_not_matter(cells: list[reported.Cell], results: StudyResults) -> None:
    again = reported.study({"label": cells[::-1]})
    pd.testing.assert_frame_equal(again.tasks[0].table, results.tasks[0].table)
    assert again.tasks[0].cells == results.tasks[0].cells


def test_cells_are_summed_up(cells: list[reported.Cell], results: StudyResults) -> None:
    task = results.tasks[0]
    assert results.n_cells == len(cells) == 6 * 4 * 2
    assert results.seconds == pytest.approx(1.5 * len(cells))
    assert [c.method for c in task.cells[::8]] == [
        "raw", "jec-ssl", "jmml", "one-hot", "prototypes", "noise",
    ]  # fmt: skip
    first = task.cells[0]
    assert (first.fold, first.seed, first.candidate, first.epochs, first.n_parameters) == (0, 0, 1, 10, 12345)


def test_histories_hold_correlations_alone(results: StudyResults) -> None:
    histories = results.tasks[0].histories
    assert set(histories["method"]) == {"jmml", "one-hot", "prototypes", "noise"}
    assert set(histories) == {"method", "fold", "seed", "epoch", "rho_train", "rho_held_out", "rho_permuted"}
    held_out = histories.dropna(subset=["rho_held_out"])["epoch"]
    assert set(held_out) == {1, 6}


def test_embeddings_are_of_one_fold_with_its_own_labels(
    cells: list[reported.Cell], results: StudyResults
) -> None:
    task = results.tasks[0]
    assert list(task.embeddings) == ["raw", "jec-ssl", "jmml", task.chosen[0]]
    cell = next(c for c in cells if (c.method, c.fold, c.seed) == ("jmml", 0, 0))
    shown = task.embeddings["jmml"]
    assert np.array_equal(shown.values, cell.embedding)
    assert shown.labels == cell.evidence["y_true"].tolist()
    assert shown.groups == cell.evidence["group"].tolist()


def test_certificates_are_counted_by_object(results: StudyResults) -> None:
    certificate = results.tasks[0].certificate
    assert (certificate.cells, certificate.audited, certificate.transductive) == (48, 24, False)
    assert certificate.objects == {("classifier/speech", "speech"): 48, ("search/selection", "speech"): 48}


def test_a_leak_in_one_cell_stops_everything(cells: list[reported.Cell]) -> None:
    leaky = Certificate()
    leaky.add("scaler", "speech", ["s04", "s05"])
    spoilt = [replace(c, certificate=leaky) if c is cells[0] else c for c in cells]
    with pytest.raises(ProtocolError, match=r"task label, raw, fold 0, seed 0: .*'scaler' was fitted .*s04"):
        reported.study({"label": spoilt})
    empty = [replace(c, certificate=Certificate()) if c is cells[0] else c for c in cells]
    with pytest.raises(ProtocolError, match="nothing is certified"):
        reported.study({"label": empty})


def test_incomplete_studies_are_refused(cells: list[reported.Cell]) -> None:
    with pytest.raises(ProtocolError, match="task label: no cell was computed"):
        reported.study({"label": []})
    with pytest.raises(ProtocolError, match="'prototypes' has no evidence in fold 3, seed 1"):
        reported.study({"label": [c for c in cells if (c.method, c.fold, c.seed) != ("prototypes", 3, 1)]})
    with pytest.raises(ProtocolError, match="not evaluated on the same samples"):
        reported.study({"label": [c for c in cells if (c.method, c.fold) != ("raw", 2)]})


def test_without_texts_the_task_keeps_its_name(cells: list[reported.Cell]) -> None:
    bare = gather("s", "", {}, {"label": cells}, bootstrap=100, seconds=3.0)
    assert (bare.tasks[0].title, bare.seconds, bare.provenance) == ("label", 3.0, {})
