"""Figures of an evaluation, as PNG files.

Drawn on a Figure of their own, without pyplot: no display, no global state, safe in any process. Colours are
from Okabe and Ito's palette, which readers with colour blindness can tell apart; nothing is told by colour
alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from jmml.errors import DataError
from jmml.files import atomic_path

BLUE, ORANGE, GREEN, GREY, INK = "#0072B2", "#D55E00", "#009E73", "#6B6B6B", "#222222"
_STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
}


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
    with rc_context(_STYLE):
        figure = Figure(figsize=(8.4, 1.9 + 0.72 * len(rows)), layout="constrained")
        ax = figure.add_subplot()
        rng = np.random.default_rng(0)  # jitter only: the same dots on every call
        for y, row in enumerate(rows):
            own = speakers.loc[speakers["method"] == row.method, "uar"].to_numpy(np.float64)
            jitter = rng.uniform(-0.09, 0.09, len(own))
            ax.scatter(own, y + 0.2 + jitter, s=20, color=GREY, alpha=0.7, linewidths=0, zorder=2)
            if np.isfinite(row.ci_low):
                ax.plot([row.ci_low, row.ci_high], [y - 0.08] * 2, color=BLUE, lw=3, zorder=3)
            ax.plot(row.uar, y - 0.08, "D", ms=8, color=BLUE, mec="white", mew=1.2, zorder=4)
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
        ax.grid(axis="x", color="#DDDDDD", lw=0.8)
        ax.set_axisbelow(True)
        ax.tick_params(axis="y", length=0)
        ax.spines["left"].set_visible(False)
        ax.set_xlabel("UAR (unweighted average recall, 1 = perfect)")
        ax.set_title(title)
        figure.text(0.01, -0.02, _caption(table, confidence), fontsize=8.5, color="#555555", va="top")
        _write(figure, path)


def confusion_matrix(
    counts: npt.NDArray[Any], classes: Sequence[str], path: Path, *, title: str = "Confusion"
) -> None:
    """Share of each true class (row) that was recognised as each class (column), with the number of samples.

    ``counts`` is (C, C), true classes in rows, summed over speakers and seeds. The diagonal is the recall; a
    class without a sample has an empty row.
    """
    counts = np.asarray(counts)
    size = len(classes)
    support = counts.sum(axis=1, keepdims=True)
    share = np.divide(counts, support, out=np.zeros(counts.shape), where=support > 0)
    with rc_context(_STYLE):
        figure = Figure(figsize=(2.6 + 0.95 * size, 2.0 + 0.8 * size), layout="constrained")
        ax = figure.add_subplot()
        image = ax.imshow(share, cmap=colormaps["Blues"], vmin=0, vmax=1, aspect="auto")
        for i in range(size):
            for j in range(size):
                if support[i, 0] == 0:
                    continue
                colour = "white" if share[i, j] > 0.62 else INK
                weight = "bold" if i == j else "normal"
                ax.text(j, i - 0.1, f"{share[i, j]:.0%}", ha="center", va="center", color=colour,
                        fontsize=11, fontweight=weight)  # fmt: skip
                ax.text(j, i + 0.24, f"{int(counts[i, j])}", ha="center", va="center", color=colour,
                        fontsize=8)  # fmt: skip
        ax.set_xticks(range(size), list(classes), rotation=30 if size > 5 else 0, ha="center")
        ax.set_yticks(
            range(size), [f"{c}\n(n = {int(n)})" for c, n in zip(classes, support[:, 0], strict=True)]
        )
        ax.set_xticks(np.arange(size + 1) - 0.5, minor=True)
        ax.set_yticks(np.arange(size + 1) - 0.5, minor=True)
        ax.grid(which="minor", color="white", lw=2)
        ax.tick_params(which="both", length=0)
        for spine in ax.spines.values():
            spine.set_visible(False)
        ax.set_xlabel("recognised as")
        ax.set_ylabel("true class")
        ax.set_title(title)
        bar = figure.colorbar(image, ax=ax, shrink=0.85, format=PercentFormatter(1.0))
        bar.set_label("share of the true class")
        bar.outline.set_visible(False)
        _write(figure, path)


def correlation_history(
    history: pd.DataFrame | Sequence[Mapping[str, Any]],
    path: Path,
    *,
    title: str = "Correlation of the speech and EEG codes",
) -> None:
    """Mean canonical correlation by training epoch: training pairs, held-out pairs, permuted pairs.

    Only what held-out pairs reach above permuted ones was learned; the rest is what any two samples of that
    size show by chance.

    Parameters
    ----------
    history : records with ``epoch`` and at least one of ``rho_train``, ``rho_held_out``, ``rho_permuted``.
        Several records of one epoch (folds, seeds) are drawn as their mean with the range as a band.

    Raises
    ------
    DataError
        If there is no correlation in the records.
    """
    frame = pd.DataFrame(history)
    lines = [
        ("rho_train", "training pairs", GREY, "-"),
        ("rho_held_out", "held-out pairs", BLUE, "-"),
        ("rho_permuted", "permuted pairs", ORANGE, (0, (5, 3))),
    ]
    lines = [line for line in lines if line[0] in frame.columns and frame[line[0]].notna().any()]
    if not lines or "epoch" not in frame.columns:
        raise DataError("no correlations to draw", where=path, expected="epoch and rho_train or others")
    by_epoch = frame.groupby("epoch")[[name for name, *_ in lines]]
    mean, low, high = by_epoch.mean(), by_epoch.min(), by_epoch.max()
    runs = int(by_epoch.size().max())
    with rc_context(_STYLE):
        figure = Figure(figsize=(7.2, 4.2), layout="constrained")
        ax = figure.add_subplot()
        for name, _, colour, dash in lines:
            if runs > 1:
                ax.fill_between(mean.index, low[name], high[name], color=colour, alpha=0.15, lw=0)
            ax.plot(mean.index, mean[name], color=colour, ls=dash, lw=2.2)
        _label_ends(ax, [(mean[name].iloc[-1], text, colour) for name, text, colour, _ in lines])
        ax.set_xlim(mean.index.min(), max(mean.index.max(), mean.index.min() + 1))
        ax.set_ylim(0, 1.02)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.grid(axis="y", color="#DDDDDD", lw=0.8)
        ax.set_xlabel("training epoch")
        ax.set_ylabel("mean canonical correlation (0 to 1)")
        ax.set_title(title if runs == 1 else f"{title}\n", pad=6)
        if runs > 1:
            ax.text(0, 1.02, f"mean and range of {runs} runs", transform=ax.transAxes, fontsize=9,
                    color="#555555")  # fmt: skip
        _write(figure, path)


def _label_ends(ax: Axes, ends: list[tuple[float, str, str]], gap: float = 0.06) -> None:
    """Name each line beside its last point, moved apart where two ends are nearer than ``gap``."""
    placed = -np.inf
    for value, text, colour in sorted(ends):
        placed = max(value, placed + gap)
        ax.annotate(
            f"{text} {value:.2f}", (1.01, placed), xycoords=("axes fraction", "data"), color=colour,
            va="center", fontsize=10,
        )  # fmt: skip


def _figures(row: Any) -> str:
    """``0.52 [0.46, 0.58]`` and, below it, the difference to the reference."""
    text = f"{row.uar:.3f}"
    if np.isfinite(row.ci_low):
        text += f"  [{row.ci_low:.3f}, {row.ci_high:.3f}]"
    if row.reference == row.method:
        return f"{text}\nreference"
    if np.isfinite(row.diff):
        p = "p < 0.001" if row.p_holm < 0.001 else f"p = {row.p_holm:.3f}"
        text += f"\n{row.diff:+.3f} to {row.reference}, {p}".replace("-0.", "\N{MINUS SIGN}0.")
    return text


def _caption(table: pd.DataFrame, confidence: float) -> str:
    """What the marks mean, and every warning of the table."""
    seeds = sorted(set(table["n_seeds"]))
    lines = [
        f"Diamond and bar: UAR with {confidence:.0%} interval over {table['n_groups'].iloc[0]} speakers, "
        f"mean of {' or '.join(map(str, seeds))} seed{'' if seeds == [1] else 's'}. Dots: each speaker."
    ]
    if table["p_holm"].notna().any():
        lines.append("p: paired sign-flip test over speakers, Holm-corrected.")
    notes = {note: None for row in table["note"] for note in row.split("; ") if note}
    return "\n".join(lines + [f"Note: {note}." for note in notes])


def _write(figure: Figure, path: Path) -> None:
    # No software name or date in the file: equal data give equal bytes, and DVC sees no change.
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=150, bbox_inches="tight", metadata={"Software": None})
