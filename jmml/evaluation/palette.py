"""The colours of every figure, drawn by matplotlib or in a page: Okabe and Ito's, which readers with colour blindness
can tell apart. :data:`DARK` has them for a dark ground."""

from __future__ import annotations

from collections.abc import Mapping

BLUE, ORANGE, GREEN, GREY, INK = "#0072B2", "#D55E00", "#009E73", "#6B6B6B", "#222222"
CAPTION, GRID = "#555555", "#DDDDDD"
# Yellow last: it is faint on white.
SERIES = (BLUE, ORANGE, GREEN, "#CC79A7", "#E69F00", "#56B4E9", INK, "#F0E442")
# From low to high, weak to strong.
RAMP = ("#C3CFDA", "#ABC3D6", "#8FB4D0", "#6FA3C9", "#4A90C0", "#1F7AB4", "#005F9B", "#003F6B")

LIGHT: Mapping[str, str] = {
    "paper": "#FFFFFF", "clear": "rgb(255 255 255 / 0)", "shade": "rgb(0 0 0 / .2)", "tint": "#F5F6F8",
    "ink": INK, "soft": CAPTION, "line": "#D9D9D9", "faint": "#EEEEEE", "rule": "#999999", "grid": GRID,
    "blue": BLUE, "orange": ORANGE, "warn": "#B84C00", "green": GREEN, "grey": "#9A9A9A", "brown": "#A58A7A",
    "weak": RAMP[0], "picked": "#E3EEF6", "claim": "#FDF0E6", **{f"s{i}": colour for i, colour in enumerate(RAMP)},
}  # fmt: skip
_DARK_RAMP = ("#2F3C48", "#33495B", "#385972", "#3D6B8D", "#4480AA", "#5098C9", "#6FB4E2", "#B5DCF7")
DARK: Mapping[str, str] = {
    "paper": "#15181B", "clear": "rgb(21 24 27 / 0)", "shade": "rgb(0 0 0 / .7)", "tint": "#1F2328",
    "ink": "#E6E6E6", "soft": "#A9AFB5", "line": "#3A4046", "faint": "#262B30", "rule": "#7A8087", "grid": "#2C3136",
    "blue": "#56B4E9", "orange": "#F5883C", "warn": "#F5883C", "green": "#34C79A", "grey": "#868C92",
    "brown": "#8C786B", "weak": "#3E4B57", "picked": "#1D3345", "claim": "#3A2A1C",
    **{f"s{i}": colour for i, colour in enumerate(_DARK_RAMP)},
}  # fmt: skip
