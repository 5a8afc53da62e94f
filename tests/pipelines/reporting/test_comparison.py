"""One table, four renderings: each says the same, and none more than the speakers allow."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from jmml.evaluation.wording import about_p
from pipelines.reporting.comparison import COLUMNS, TESTS, ComparisonTable, plain


def row(method: str, uar: float, diff: float = np.nan, *, people: int = 9, **more: Any) -> dict[str, Any]:
    tested = np.isfinite(diff)
    return {
        "method": method, "uar": uar, "ci_low": uar - 0.05, "ci_high": uar + 0.05, "diff": diff,
        "diff_low": diff - 0.1, "diff_high": diff + 0.1, "p": 0.25 if tested else np.nan,
        "p_holm": 0.5 if tested else np.nan, "dz": 0.4 if tested else np.nan, "accuracy": uar, "macro_f1": uar,
        "ece": 0.1, "n_groups": people, "reference": "raw", "note": "", "kind": "peer",
    } | more  # fmt: skip


def table(people: int = 9, **options: Any) -> ComparisonTable:
    rows = [row("raw", 0.5, people=people), row("jmml", 0.48, -0.02, people=people, kind="ours"),
            row("mlp", 0.53, 0.03, people=people, p=0.00390625)]  # fmt: skip
    return ComparisonTable.of(rows, TESTS, **{"confidence": 0.9, "claim": "jmml", **options})


def texts(rendered: str) -> str:
    """Without markup, in the characters of a terminal."""
    return re.sub(r"[*$\\]|textbf\{|\}", "", rendered).replace("−", "-").replace("–", "-").replace("--", "-")


def test_every_rendering_says_the_same() -> None:
    shown = table()
    _, rows = shown.terminal()
    markdown = [texts(line).strip("| ").split(" | ") for line in shown.markdown()[2:]]
    latex = [texts(line).strip().split(" & ") for line in shown.latex() if " & " in line][1:]
    html = [[texts(cell) for cell in line["cells"]] for line in shown.html()["rows"]]
    plain_rows = [[cell.removesuffix(" *") for cell in cells] for cells in rows]
    assert plain_rows == markdown == html == latex
    assert plain_rows[1] == [
        "JMML", "0.480", "0.430 to 0.530", "-0.020", "-0.120 to +0.080", "0.250", "0.500", "+0.400",
    ]  # fmt: skip


def test_the_claim_is_set_apart_in_every_rendering() -> None:
    shown = table()
    assert [cells[0] for cells in shown.terminal()[1]] == ["raw speech", "JMML *", "supervised MLP"]
    assert [line["primary"] for line in shown.html()["rows"]] == [False, True, False]
    assert [line.startswith("| **") for line in shown.markdown()[2:]] == [False, True, False]
    assert [r"\textbf{JMML}" in line for line in shown.latex() if " & " in line] == [
        False,
        False,
        True,
        False,
    ]
    assert (
        sum(line == r"\midrule" for line in shown.latex()) == 3
    )  # below the head, before and after the claim


@pytest.mark.parametrize("people", [1, 2, 3])
def test_below_four_speakers_no_rendering_has_an_interval(people: int) -> None:
    shown = table(people)
    for cells in shown.cells():
        assert cells[2] == cells[4] == "–"
    assert not re.search(r"\d to [+−]?\d", "\n".join((*shown.markdown(), *shown.latex())))
    assert shown.notes()[0].endswith(": no interval below four.")
    assert table(4).cells()[0][2] == "0.450 to 0.550"


def test_figures_that_do_not_exist_are_none_and_others_untouched() -> None:
    assert plain({"uar": 0.5, "ci_low": np.nan, "p": float("inf"), "n_groups": 9}) == {
        "uar": 0.5, "ci_low": None, "p": None, "n_groups": 9,
    }  # fmt: skip
    assert plain({"uar": 0.5, "ci_low": 0.0, "n_groups": 2})["ci_low"] is None
    assert "diff_low" not in plain({"uar": 0.5, "n_groups": 2})


def test_a_note_of_all_is_said_once_and_that_of_one_with_its_name() -> None:
    rows = [
        row("jmml", 0.5, 0.1, note="rough; p cannot be below 0.1"),
        row("mlp", 0.4, 0.0, note="rough; copied"),
    ]
    notes = ComparisonTable.of(rows, TESTS, confidence=0.95).notes()
    assert notes[:2] == ["Rough.", "supervised MLP: copied."]
    assert not any("0.1" in note for note in notes)


def test_tests_are_explained_where_they_are_shown_and_only_there() -> None:
    shown = table()
    assert shown.family == 2
    assert shown.notes()[-1] == about_p(9, 2)
    without = ComparisonTable(shown.rows, ("method", "uar", "gain"), confidence=0.9)
    assert without.notes() == []
    assert table(4, primary=True).notes()[-1].startswith("Beside the primary contrast")
    assert table(9, primary=True).notes()[-1] == about_p(9, 2)


def test_terminals_have_the_reference_in_the_heading() -> None:
    shown = ComparisonTable(
        table().rows, ("method", "uar", "interval", "tested_gain", "macro_f1"), confidence=0.95
    )
    head, rows = shown.terminal()
    assert head == ["method", "UAR", "95 % interval", "UAR - raw", "macro F1"]
    assert [cells[3] for cells in rows] == ["", "-0.020 (Holm p 0.500)", "+0.030 (Holm p 0.500)"]
    assert ComparisonTable(shown.rows, ("interval",)).head() == ["Interval"]


def test_every_column_can_be_shown_of_a_row_that_lacks_all_figures() -> None:
    (cells,) = ComparisonTable.of([{"method": "jmml", "reference": None}], tuple(COLUMNS)).cells()
    assert set(cells) == {"JMML", "–", ""}


def test_the_speakers_are_those_of_the_tests_where_there_are_tests() -> None:
    rows = [row("raw", 0.5, people=9), row("jmml", 0.48, -0.02, people=5), row("mlp", 0.53, 0.03, people=6)]
    assert ComparisonTable.of(rows, TESTS).groups == 6
    assert ComparisonTable.of(rows[:1], TESTS).groups == 9
    assert ComparisonTable.of([{"method": "raw"}], TESTS).groups is None


def test_a_bar_in_a_label_is_part_of_its_cell_in_markdown() -> None:
    shown = ComparisonTable.of(
        [row("raw", 0.5, label="a|b"), row("jmml", 0.4, label="|")], TESTS, claim="jmml"
    )
    head, _, *rows = shown.markdown()
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in (head, *rows)]
    assert {len(each) for each in cells} == {len(TESTS)}
    assert [each[0].strip() for each in cells[1:]] == [r"a\|b", r"**\|**"]
