"""Correlations of the two codes while they are trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from jmml.errors import DataError
from jmml.evaluation.palette import BLUE, CAPTION, GREY, GRID, ORANGE
from jmml.evaluation.plots import _style

_LINES: tuple[tuple[str, str, str, Any], ...] = (
    ("rho_train", "training pairs", GREY, "-"),
    ("rho_held_out", "held-out pairs", BLUE, "-"),
    ("rho_permuted", "permuted pairs", ORANGE, (0, (5, 3))),
)


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
        Several records of one epoch (folds, seeds) are drawn as their mean with the range as a band; an epoch
        without a correlation (held-out pairs are not looked at in every one) is passed over.

    Raises
    ------
    DataError
        If there is no correlation in the records.
    """
    frame = pd.DataFrame(history)
    lines = _correlations(frame)
    if not lines:
        raise DataError("no correlations to draw", where=path, expected="epoch and rho_train or others")
    by_epoch = frame.groupby("epoch")[[name for name, *_ in lines]]
    mean, low, high = by_epoch.mean(), by_epoch.min(), by_epoch.max()
    runs = int(by_epoch.size().max())
    with rc_context(_style.STYLE):
        figure = Figure(figsize=(7.2, 4.2), layout="constrained")
        ax = figure.add_subplot()
        for name, _, colour, dash in lines:
            known = mean[name].dropna()
            if runs > 1:
                ax.fill_between(
                    known.index, low.loc[known.index, name], high.loc[known.index, name],
                    color=colour, alpha=0.15, lw=0,
                )  # fmt: skip
            ax.plot(known.index, known, color=colour, ls=dash, lw=2.2)
        _label_ends(ax, [(mean[name].dropna().iloc[-1], text, colour) for name, text, colour, _ in lines])
        ax.set_xlim(mean.index.min(), max(mean.index.max(), mean.index.min() + 1))
        ax.set_ylim(0, 1.02)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.grid(axis="y", color=GRID, lw=0.8)
        ax.set_xlabel("training epoch")
        ax.set_ylabel("mean canonical correlation (0 to 1)")
        ax.set_title(title if runs == 1 else f"{title}\n", pad=6)
        if runs > 1:
            ax.text(0, 1.02, f"mean and range of {runs} runs", transform=ax.transAxes, fontsize=9,
                    color=CAPTION)  # fmt: skip
        _style.write(figure, path)


def correlation_panels(
    histories: Mapping[str, pd.DataFrame],
    path: Path,
    *,
    title: str = "Correlation of the two codes over training",
) -> None:
    """:func:`correlation_history` of several methods as small multiples on one scale, in the order given.

    Runs stop at different epochs; a line ends where fewer than half of its method's runs are left, so that its end is
    no average over the few that went on.

    Raises
    ------
    DataError
        If no history holds a correlation.
    """
    named = {label: frame for label, frame in histories.items() if _correlations(frame)}
    if not named:
        raise DataError("no correlations to draw", where=path, expected="epoch and rho_train or others")
    columns = min(4, len(named))
    rows = -(-len(named) // columns)
    with rc_context(_style.STYLE):
        figure = Figure(figsize=(max(5.6, 0.6 + 2.5 * columns), 1.3 + 2.15 * rows), layout="constrained")
        grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
        for number, (ax, (label, frame)) in enumerate(zip(grid.flat, named.items(), strict=False)):
            runs = frame.groupby("epoch").size()
            kept = frame[frame["epoch"].isin(runs.index[2 * runs >= runs.max()])]
            closed_form = kept["epoch"].nunique() == 1  # fitted in one step: points, side by side
            for place, (name, text, colour, dash) in enumerate(_correlations(frame)):
                by_epoch = kept.dropna(subset=[name]).groupby("epoch")[name]
                mean, low, high = by_epoch.mean(), by_epoch.min(), by_epoch.max()
                if closed_form:
                    ax.vlines(place, low, high, color=colour, alpha=0.4, lw=5)
                    ax.plot(place, mean.iloc[0], "o", color=colour, ms=6, label="_point")
                else:
                    ax.fill_between(mean.index, low, high, color=colour, alpha=0.13, lw=0)
                    ax.plot(mean.index, mean, color=colour, ls=dash, lw=1.8, label=text)
            ax.set_title(label, fontsize=10, pad=4)
            ax.set_ylim(0, 1.02)
            if closed_form:
                ax.set_xlim(-0.7, 2.7)
                ax.set_xticks([])
            else:
                ax.set_xlim(kept["epoch"].min(), kept["epoch"].max())
                ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))
            ax.grid(axis="y", color=GRID, lw=0.8)
            if number + columns >= len(named):
                ax.set_xlabel("training epoch", fontsize=9)
        for ax in grid.flat[len(named) :]:
            ax.set_visible(False)
        figure.supylabel("mean canonical correlation", fontsize=10)
        handles = {line.get_label(): line for ax in grid.flat for line in ax.lines}
        handles.pop("_point", None)
        figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
        figure.legend(
            handles.values(), handles.keys(), loc="outside lower center", ncols=3, handlelength=3, fontsize=9.5
        )  # fmt: skip
        _style.write(figure, path)


def _correlations(frame: pd.DataFrame) -> list[tuple[str, str, str, Any]]:
    """Column, name, colour and dash of each correlation that the records hold."""
    if "epoch" not in frame.columns:
        return []
    return [line for line in _LINES if line[0] in frame.columns and frame[line[0]].notna().any()]


def _label_ends(ax: Axes, ends: list[tuple[float, str, str]], gap: float = 0.06) -> None:
    """Name each line beside its last point, moved apart where two ends are nearer than ``gap``."""
    placed = -np.inf
    for value, text, colour in sorted(ends):
        placed = max(value, placed + gap)
        ax.annotate(
            f"{text} {value:.2f}", (1.01, placed), xycoords=("axes fraction", "data"), color=colour,
            va="center", fontsize=10,
        )  # fmt: skip
