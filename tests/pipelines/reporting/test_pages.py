"""Pages are readable in light and dark, and take every colour from one palette."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from jmml.evaluation.palette import DARK, LIGHT
from pipelines.reporting import pages
from pipelines.reporting.figures import colours, embedded

PIPELINES = Path(pages.__file__).parents[1]
STYLES = sorted(PIPELINES.rglob("templates/*.css"))


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_texts_and_marks_stand_out(palette: dict[str, str]) -> None:
    for ground in ("paper", "tint", "claim", "picked"):
        assert contrast(palette["ink"], palette[ground]) > 7
    for text in ("soft", "warn"):
        assert contrast(palette[text], palette["paper"]) > 4.5
    for mark in ("blue", "orange", "green", "s6", "s7"):
        assert contrast(palette[mark], palette["paper"]) > 3
    ramp = [contrast(palette[f"s{i}"], palette["paper"]) for i in range(8)]
    assert ramp == sorted(ramp)  # the higher the score, the stronger, on either ground


def test_both_palettes_have_every_colour_that_a_style_names_and_no_style_has_its_own() -> None:
    assert LIGHT.keys() == DARK.keys()
    assert len(STYLES) == 4
    for path in STYLES:
        style = re.sub(r"/\*.*?\*/", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        assert set(re.findall(r"var\(--([a-z0-9]+)\)", style)) <= LIGHT.keys()
        assert not re.search(r"#[0-9a-fA-F]{3,8}\b|\brgb\(", style)


def test_dark_is_what_the_reader_asks_for_and_never_printed() -> None:
    light, dark = colours().split("@media")
    assert dark.startswith(" screen and (prefers-color-scheme: dark)")
    assert f"--paper: {LIGHT['paper']};" in light
    assert f"--paper: {DARK['paper']};" in dark


def test_every_report_extends_the_one_skeleton() -> None:
    reports = sorted(PIPELINES.rglob("templates/report.html.jinja"))
    assert len(reports) == 3
    for path in reports:
        text = path.read_text(encoding="utf-8")
        assert text.startswith('{% extends "page.html.jinja" %}')
        assert "<html" not in text
        assert "<head" not in text


def test_an_embedded_image_is_its_bytes() -> None:
    assert embedded(b"\x89PNG") == "data:image/png;base64,iVBORw=="
