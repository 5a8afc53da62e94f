"""Tables that fit the terminal, and curves of characters."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from pipelines.reporting.terminal import (
    Column,
    PlainConsole,
    curve,
    fitted,
    labelled,
    plain_table,
    plain_text,
)
from pipelines.reporting.wording import magnitude


def printed(what, width):
    console = Console(file=io.StringIO(), width=width)
    console.print(what)
    return console.file.getvalue()


def test_columns_go_by_weight():
    columns = [Column("name", ["abc"], 0), Column("little", ["x"], 9), Column("more", ["xy"], 1)]
    assert "no room for little" in printed(fitted(columns, 12), 40)
    assert "no room" not in printed(fitted(columns, 18), 40)


def test_a_curve_is_a_staircase_of_the_given_size():
    drawn = curve([(0, 0.2), (4, 0.3), (8, 0.4)], 10, width=20, height=3, plain=True)
    assert drawn == ["0.400 |         ***", "      |    ******", "0.200 |*****"]


def test_braille_holds_eight_dots_a_character():
    drawn = curve([(0, 0.5)], 10, width=18, height=2)
    assert drawn[-1].split("│")[1] == "⣀" * 10  # the lowest row, both columns of dots
    assert curve([], 10, width=20, height=3) == []


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (950, "950"), (12.5, "12.5"), (12_345, "12.3k"), (4.1e6, "4.1M"), (2e9, "2.0G")],
)
def test_magnitudes(number, text):
    assert magnitude(number) == text


def test_a_plain_table_folds_what_is_long_and_shows_what_it_is_given():
    console = PlainConsole(file=io.StringIO(), width=30)
    console.print(plain_table(["name", "UAR"], [["a [bold] name", 0.5], ["x " * 40, 1]], title="Scores"))
    lines = console.file.getvalue().splitlines()
    assert lines[0].strip() == "Scores"
    assert any("a [bold] name" in line and line.rstrip().endswith("0.5") for line in lines)
    assert sum(line.count("x") for line in lines) == 40


FORGED = "n\nerror: forged\x1b[2J"
SHOWN = "n\N{SYMBOL FOR LINE FEED}error: forged\N{SYMBOL FOR ESCAPE}[2J"


@pytest.mark.parametrize("make", [Console, PlainConsole])
@pytest.mark.parametrize(
    "what",
    [
        plain_table(["name", "UAR"], [[FORGED, 0.5]]),
        plain_table([FORGED, "UAR"], [["a", 0.5]]),
        plain_table(["name " * 8, "UAR"], [["a", 0.5]], title=FORGED),
        fitted([Column("name", [FORGED], 0), Column("UAR", [plain_text("0.5")], 0)], 60),
        fitted([Column(FORGED, ["a"], 0, "left")], 60),
        fitted([Column("name", [FORGED], 0)], 60, FORGED),
        labelled([(FORGED, "text"), ("label", FORGED)]),
        plain_text("a ", (FORGED, "bold")),
    ],
)
def test_the_end_of_a_line_in_a_text_ends_no_line(make, what):
    console = make(file=io.StringIO(), width=60)
    console.print(what)
    shown = console.file.getvalue()
    assert SHOWN in shown
    assert not [line for line in shown.splitlines() if line.strip().startswith("error")]


def test_what_is_printed_in_one_piece_is_one_line():
    console = PlainConsole(file=io.StringIO(), width=60)
    console.print(FORGED, soft_wrap=True)
    assert console.file.getvalue() == f"{SHOWN}\n"
