"""Scores of all methods in one picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure

from jmml.errors import DataError
from jmml.evaluation.palette import BLUE, CAPTION, GREY, GRID, ORANGE
from jmml.evaluation.plots import _style
from jmml.evaluation.wording import about_p, number, p_value


def method_comparison(
    table: pd.DataFrame,
    speakers: pd.DataFrame,
    path: Path,
    *,
    chance: float,
    confidence: float = 0.95,
    title: str = "Recognition on speakers never trained on",
) -> None:
    """UAR of each method: estimate and interval, every speaker as a dot, and the chance level.

    Parameters
    ----------
    table : of :func:`jmml.evaluation.evidence.compare`, one row per method, drawn from the top.
    speakers : of :func:`jmml.evaluation.evidence.per_speaker`, columns method, group, uar.
    path : PNG to write.
    chance : UAR of guessing, one over the number of classes.
    confidence : level of the intervals in ``table``, for the caption.

    Raises
    ------
    DataError
        If the table has no row.
    """
    rows: list[Any] = list(table.itertuples())
    if not rows:
        raise DataError("no method to draw", where=path, expected="a table of evidence.compare")
    with rc_context(_style.STYLE):
        figure = Figure(figsize=(8.4, 1.9 + 0.72 * len(rows)), layout="constrained")
        ax = figure.add_subplot()
        rng = np.random.default_rng(0)  # jitter only: the same dots on every call
        for y, row in enumerate(rows):
            own = speakers.loc[speakers["method"] == row.method, "uar"].to_numpy(np.float64)
            jitter = rng.uniform(-0.09, 0.09, len(own))
            ax.scatter(own, y + 0.28 + jitter, s=20, color=GREY, alpha=0.7, linewidths=0, zorder=2)
            if np.isfinite(row.ci_low):
                ax.plot([row.ci_low, row.ci_high], [y, y], color=BLUE, lw=3, zorder=3)
            ax.plot(row.uar, y, "D", ms=8, color=BLUE, mec="white", mew=1.2, zorder=4)
            ax.annotate(
                _figures(row), (1.02, y), xycoords=("axes fraction", "data"), va="center", fontsize=9,
                linespacing=1.5,
            )  # fmt: skip
        ax.axvline(chance, color=ORANGE, ls=(0, (5, 3)), lw=1.4, zorder=1)
        ax.annotate(
            f"chance {chance:.3g}", (chance, -0.52), xytext=(4, 0), textcoords="offset points",
            color=ORANGE, fontsize=9, va="center",
        )  # fmt: skip
        ax.set_yticks(range(len(rows)), [str(row.method) for row in rows], fontsize=11)
        ax.set_ylim(len(rows) - 0.4, -0.7)
        lowest = min([chance, *speakers["uar"], *table["ci_low"].dropna()])
        highest = max([*speakers["uar"], *table["ci_high"].dropna(), *table["uar"]])
        ax.set_xlim(max(0, lowest - 0.05), min(1.01, highest + 0.05))
        ax.grid(axis="x", color=GRID, lw=0.8)
        ax.set_axisbelow(True)
        ax.tick_params(axis="y", length=0)
        ax.spines["left"].set_visible(False)
        ax.set_xlabel("UAR (unweighted average recall, 1 = perfect)")
        ax.set_title(title)
        figure.text(0.01, -0.02, _caption(table, confidence), fontsize=8.5, color=CAPTION, va="top")
        _style.write(figure, path)


def _figures(row: Any) -> str:
    """``0.52 [0.46, 0.58]`` and, below it, the difference to the reference."""
    text = f"{row.uar:.3f}"
    if np.isfinite(row.ci_low):
        text += f"  [{row.ci_low:.3f}, {row.ci_high:.3f}]"
    if row.reference == row.method:
        return f"{text}\nreference"
    if np.isfinite(row.diff):
        text += f"\n{number(row.diff, signed=True)} to {row.reference}, Holm p {p_value(row.p_holm)}"
    return text


def _caption(table: pd.DataFrame, confidence: float) -> str:
    """Meaning of the marks, and every warning of the table."""
    seeds = sorted(set(table["n_seeds"]))
    groups = int(table["n_groups"].iloc[0])
    bars = (
        f" and bar: UAR with {confidence:.0%} interval over"
        if table["ci_low"].notna().any()
        else ": UAR over"
    )
    lines = [
        f"Diamond{bars} {groups} speaker{'' if groups == 1 else 's'}, "
        f"mean of {' or '.join(map(str, seeds))} seed{'' if seeds == [1] else 's'}. Dots: each speaker."
    ]
    if family := int(table["p_holm"].notna().sum()):
        lines.append(about_p(groups, family))
    notes = {note: None for row in table["note"] for note in row.split("; ") if note}
    notes = {note: None for note in notes if not (family and note.startswith("p cannot"))}
    return "\n".join(lines + [f"Note: {note}." for note in notes])
