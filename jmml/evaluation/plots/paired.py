"""Two methods on every speaker."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure

from jmml.errors import DataError
from jmml.evaluation.palette import BLUE, CAPTION, GREY, GRID, INK, ORANGE
from jmml.evaluation.plots import _style
from jmml.evaluation.wording import number

_EQUAL = 1e-9


def paired_speakers(
    speakers: pd.DataFrame,
    path: Path,
    *,
    reference: str,
    claim: str,
    labels: tuple[str, str] | None = None,
    chance: float | None = None,
) -> None:
    """One line per speaker from ``reference`` (left) to ``claim`` (right), and the mean of all.

    Parameters
    ----------
    speakers : of :func:`jmml.evaluation.evidence.per_speaker`, columns method, group, uar.
    labels : display names of the two.

    Raises
    ------
    DataError
        If a speaker has one of the two only, or none has both.
    """
    wide = speakers.pivot(index="group", columns="method", values="uar").reindex(columns=[reference, claim])
    if wide.empty or wide.isna().any(axis=None):
        raise DataError(f"'{reference}' and '{claim}' do not share all speakers", where=path)
    before, after = wide[reference].to_numpy(np.float64), wide[claim].to_numpy(np.float64)
    change = after - before
    up, down = int((change > _EQUAL).sum()), int((change < -_EQUAL).sum())
    names = labels or (reference, claim)
    with rc_context(_style.STYLE):
        figure = Figure(figsize=(6.4, max(4.6, 1.6 + 0.2 * len(wide))), layout="constrained")
        ax = figure.add_subplot()
        for x0, x1, d in zip(before, after, change, strict=True):
            colour, dash = (
                (BLUE, "-") if d > _EQUAL else (ORANGE, (0, (4, 2))) if d < -_EQUAL else (GREY, ":")
            )
            ax.plot([0, 1], [x0, x1], color=colour, ls=dash, lw=1.4, alpha=0.85, zorder=2)
            ax.plot([0, 1], [x0, x1], "o", color=colour, ms=4.5, zorder=5)
        ax.plot([0, 1], [before.mean(), after.mean()], "-D", color=INK, lw=3.2, ms=8, mec="white", zorder=4)
        low, high = min(before.min(), after.min()), max(before.max(), after.max())
        if chance is not None:
            low = min(low, chance)
            ax.axhline(chance, color=CAPTION, lw=1, ls=(0, (1, 2)), zorder=1)
            ax.annotate(f"chance {chance:.3g}", (-0.24, chance), (0, 3), textcoords="offset points", fontsize=8.5,
                        color=CAPTION, va="bottom")  # fmt: skip
        gap = 0.032 * max(high - low, 0.05) * max(1.0, 5.0 / figure.get_figheight())
        for name, end, place in zip(wide.index, after, _spread(after, 1.25 * gap), strict=True):
            ax.annotate(str(name), (1, end), (1.07, place), fontsize=8, va="center", color=CAPTION,
                        arrowprops={"arrowstyle": "-", "color": "#BBBBBB", "lw": 0.6, "shrinkA": 1,
                                    "shrinkB": 4})  # fmt: skip
        ax.set_xticks([0, 1], [f"{name}\nmean {value.mean():.3f}" for name, value in
                               zip(names, (before, after), strict=True)], fontsize=10.5)  # fmt: skip
        ax.set_xlim(-0.25, 1.25)
        ax.set_ylim(low - 2 * gap, high + 2 * gap)
        ax.grid(axis="y", color=GRID, lw=0.8)
        ax.set_axisbelow(True)
        ax.set_ylabel("UAR of each speaker, mean of seeds")
        ax.set_title(f"Higher for {up} of {len(wide)} speakers, lower for {down}")
        equal = " Dotted: equal." if up + down < len(wide) else ""
        figure.text(
            0.01, -0.02,
            f"Solid: higher with {names[1]}. Dashed: lower.{equal}\n"
            f"Thick: mean of the speakers, {number(float(change.mean()), signed=True)}.",
            fontsize=8.5, color=CAPTION, va="top",
        )  # fmt: skip
        _style.write(figure, path)


def _spread(values: np.ndarray, gap: float) -> np.ndarray:
    """Heights for labels in the order of ``values``, at least ``gap`` apart and as near to them as a block allows."""
    order = np.argsort(values, kind="stable")
    blocks: list[list[float]] = []  # mean wanted position, number of labels
    for value in values[order]:
        blocks.append([float(value), 1])
        while len(blocks) > 1:
            (m0, n0), (m1, n1) = blocks[-2:]
            if m1 - m0 >= gap * (n0 + n1) / 2:
                break
            blocks[-2:] = [[(m0 * n0 + m1 * n1) / (n0 + n1), n0 + n1]]
    placed = np.concatenate([m + gap * (np.arange(n) - (n - 1) / 2) for m, n in blocks])
    result = np.empty_like(placed)
    result[order] = placed
    return result
