"""Differences of all methods to the reference, with their intervals."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jmml.errors import DataError
from jmml.evaluation.palette import BLUE, CAPTION, GREY, GRID, INK, ORANGE
from jmml.evaluation.plots import _style
from jmml.evaluation.wording import MINUS, NO_INTERVAL, about_p, number, p_value

_GROUPS: Mapping[str, str] = {"ours": "Ours", "peer": "Peers", "control": "Controls in place of EEG"}
_ROW = 0.3  # inches
_GAP, _P, _HOLM = 10, 172, 222  # points right of the axes: where the columns of figures begin


def forest(table: pd.DataFrame, path: Path, *, confidence: float = 0.95, title: str = "") -> None:
    """UAR of each method minus that of the reference, grouped by kind; the primary contrast is set apart.

    Parameters
    ----------
    table : of :func:`jmml.evaluation.contrast.study_table`; rows without a difference are left out.

    Raises
    ------
    DataError
        If no row has a difference.
    """
    rows = table[table["diff"].notna() & (table["method"] != table["reference"])]
    if rows.empty:
        raise DataError("no difference to draw", where=path, expected="a table with a reference")
    lines: list[Any] = []
    for kind, heading in _GROUPS.items():
        part = list(rows[rows["kind"] == kind].itertuples())
        lines += [heading, *part] if part else []
    with rc_context(_style.STYLE):
        figure = Figure(figsize=(9.8, 1.2 + _ROW * len(lines)), layout="constrained")
        ax = figure.add_subplot()
        for y, line in enumerate(lines):
            if isinstance(line, str):
                ax.annotate(line, (0, y), (-8, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
                            ha="right", va="center", fontsize=9, color=CAPTION, style="italic")  # fmt: skip
            else:
                _row(ax, y, line)
        bounds = rows[["diff", "diff_low", "diff_high"]].to_numpy(np.float64)
        low, high = min(0.0, np.nanmin(bounds)), max(0.0, np.nanmax(bounds))
        margin = 0.04 * max(high - low, 0.02)
        ax.set_xlim(low - margin, high + margin)
        ax.axvline(0, color=INK, lw=1.2, zorder=1)
        named = [(y, line.label) for y, line in enumerate(lines) if not isinstance(line, str)]
        ax.set_yticks([y for y, _ in named], [label for _, label in named])
        for tick, (y, _) in zip(ax.get_yticklabels(), named, strict=True):
            tick.set_fontweight("bold" if lines[y].primary else "normal")
        ax.set_ylim(len(lines) - 0.4, -0.7)
        ax.grid(axis="x", color=GRID, lw=0.8)
        ax.set_axisbelow(True)
        ax.tick_params(axis="y", length=0)
        ax.spines["left"].set_visible(False)
        ax.xaxis.set_major_formatter(
            lambda value, _: "0" if abs(value) < 1e-9 else f"{value:+.2f}".replace("-", MINUS)
        )
        reference = table.loc[table["method"] == rows["reference"].iloc[0], "label"].iloc[0]
        ax.set_xlabel(f"UAR minus that of: {reference.lower()}")
        ax.set_title(title or "Difference to the reference", pad=22)
        spans = rows["diff_low"].notna().any()
        heading = f"difference [{confidence:.0%} interval]" if spans else "difference"
        heads = ((1, _GAP, heading, "left"), (1, _P, "p", "left"),
                 (1, _HOLM, "Holm p", "left"),
                 (0, 0, "worse than the reference", "left"), (1, 0, "better", "right"))  # fmt: skip
        for x, right, text, side in heads:
            ax.annotate(text, (x, 1), (right, 6), xycoords="axes fraction", textcoords="offset points", fontsize=9,
                        color=CAPTION, va="bottom", ha=side)  # fmt: skip
        if family := int(rows["p"].notna().sum()):
            said = about_p(int(rows["n_groups"].max()), family)
            said = said if spans else f"There is {NO_INTERVAL}.\n{said}"
            figure.text(0.01, -0.02, said, fontsize=8.5, color=CAPTION, va="top")
        _style.write(figure, path)


def _row(ax: Axes, y: int, row: Any) -> None:
    colour = ORANGE if row.primary else GREY if row.kind == "control" else BLUE
    weight = "bold" if row.primary else "normal"
    tested = np.isfinite(row.p)
    if row.primary:
        ax.axhspan(y - 0.45, y + 0.45, color=ORANGE, alpha=0.1, lw=0, zorder=0)
    if np.isfinite(row.diff_low):
        ax.plot([row.diff_low, row.diff_high], [y, y], color=colour, lw=3 if row.primary else 2, zorder=3,
                solid_capstyle="butt")  # fmt: skip
    marker = "D" if row.primary else "o"
    ax.plot(row.diff, y, marker, ms=8 if row.primary else 6.5, mec=colour if not tested else "white", mew=1,
            color=colour if tested else "white", zorder=4)  # fmt: skip
    figures = number(row.diff, signed=True)
    if np.isfinite(row.diff_low):
        figures += f"  [{number(row.diff_low, signed=True)}, {number(row.diff_high, signed=True)}]"
    words = [(_GAP, figures if tested else "is the reference in every fold")]
    for column, p in ((_P, row.p), (_HOLM, row.p_holm)):
        if np.isfinite(p):
            words.append((column, p_value(p)))
    for right, text in words:
        ax.annotate(text, (1, y), (right, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
                    va="center", fontsize=9, fontweight=weight)  # fmt: skip
