"""Figures as text: what does not exist is a dash, and p stands with what is possible."""

from __future__ import annotations

import pytest

from jmml.evaluation.wording import about_p, interval, number, p_in_view, p_value, speakers


@pytest.mark.parametrize(
    ("value", "plain", "signed"),
    [(0.1234, "0.123", "+0.123"), (-0.0567, "−0.057", "−0.057"), (-0.0001, "0.000", "0.000"),
     (float("nan"), "–", "–"), (None, "–", "–"), (float("inf"), "–", "–")],
)  # fmt: skip
def test_numbers(value: float | None, plain: str, signed: str) -> None:
    assert number(value) == plain
    assert number(value, signed=True) == signed


def test_p_values() -> None:
    assert [p_value(p) for p in (0.0004, 0.001, 0.25, 1.0, float("nan"), None)] == [
        "< 0.001", "0.001", "0.250", "1.000", "–", "–",
    ]  # fmt: skip


def test_intervals_and_speakers() -> None:
    assert interval(-0.0567, 0.1, signed=True) == "−0.057 to +0.100"
    assert interval(None, 0.1) == interval(0.1, float("nan")) == "–"
    assert [speakers(n) for n in (1, 2, 12, 13)] == [
        "one speaker",
        "two speakers",
        "twelve speakers",
        "13 speakers",
    ]


def test_p_stands_with_what_is_possible() -> None:
    assert p_in_view(2 / 2**9, 9) == "p 0.004, the smallest possible with nine speakers"
    assert p_in_view(4 / 2**9, 9) == "p 0.008 (cannot be below 0.004 with nine speakers)"
    assert p_in_view(1.0, 1) == "p 1.000, the smallest possible with one speaker"
    assert p_in_view(0.2, 40) == "p 0.200"
    assert p_in_view(0.0001, 40) == "p < 0.001"
    assert about_p(9, 3) == (
        "p: paired sign-flip test over speakers; it cannot be below 0.004 with nine speakers. "
        "Holm p: corrected for the 3 comparisons of the table; it cannot be below 0.012."
    )
    assert about_p(9, 1).endswith("There is one comparison, so Holm p is p.")
    assert "below" not in about_p(40, 3)
    assert "1.000" in about_p(3, 9)
