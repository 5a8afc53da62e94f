"""Embeddings of people a model never saw, projected to two dimensions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jmml.errors import DataError
from jmml.evaluation.palette import CAPTION
from jmml.evaluation.palette import SERIES as COLOURS
from jmml.evaluation.plots import _style
from jmml.evaluation.plots._style import MARKERS

_LEGEND = 14  # names that have room in a legend


class Embedding(NamedTuple):
    """Embeddings (n, d) of the test samples of one outer fold, with the class and the speaker of each."""

    values: npt.NDArray[np.float32]
    labels: Sequence[str]
    groups: Sequence[str]
    fold: int


def embedding_projection(
    panels: Mapping[str, Embedding], path: Path, *, title: str = "Embeddings of speakers never trained on"
) -> None:
    """Each method's embeddings on their first two principal components: by class, and by speaker below.

    A principal component analysis per method, fitted on the very samples that are shown (the test speakers of one outer
    fold): a picture of them, which nothing is computed from. Classes apart and speakers mixed is what one hopes for.

    Raises
    ------
    DataError
        If there is no panel, or an embedding is not finite.
    """
    if not panels:
        raise DataError("no embedding to draw", where=path)
    with rc_context(_style.STYLE):
        figure = Figure(figsize=(2.0 + 2.7 * len(panels), 6.0), layout="constrained")
        grid = figure.subplots(2, len(panels), squeeze=False)
        for column, (label, embedding) in enumerate(panels.items()):
            points, explained = principal_plane(embedding.values, where=label)
            grid[0, column].set_title(label, fontsize=10.5)
            for ax, names in zip(grid[:, column], (embedding.labels, embedding.groups), strict=True):
                _scatter(ax, points, names)
            grid[1, column].set_xlabel(f"PC 1 ({explained[0]:.0%}), PC 2 ({explained[1]:.0%})", fontsize=9)
        grid[0, 0].set_ylabel("by class")
        grid[1, 0].set_ylabel("by speaker")
        for row, heading in enumerate(("class", "speaker")):
            known = {
                text: handle
                for ax in grid[row]
                for handle, text in zip(*ax.get_legend_handles_labels(), strict=True)
            }
            names = sorted(known)
            more = [] if len(names) <= _LEGEND else [f"... {len(names) - _LEGEND} more"]
            handles = [known[name] for name in names[:_LEGEND]] + [Line2D([], [], ls="") for _ in more]
            grid[row, -1].legend(
                handles, [*names[:_LEGEND], *more], title=heading, loc="center left", bbox_to_anchor=(1.02, 0.5),
                fontsize=9, title_fontsize=9, handletextpad=0.2, alignment="left",
            )  # fmt: skip
        figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
        folds = sorted({embedding.fold for embedding in panels.values()})
        figure.text(
            0.01, -0.015,
            f"PCA per method, fitted on the samples shown: the test speakers of outer fold "
            f"{', '.join(map(str, folds))}, none of whom was trained on.",
            fontsize=8.5, color=CAPTION, va="top",
        )  # fmt: skip
        _style.write(figure, path)


def principal_plane(
    values: npt.NDArray[np.float32], *, where: object = None
) -> tuple[npt.NDArray[np.float64], tuple[float, float]]:
    """(n, 2) scores on the two first principal components, and their shares of the variance.

    Signs are fixed (the loading of largest size is positive). A component that a one-dimensional embedding lacks is 0.
    """
    X = np.asarray(values, dtype=np.float64)
    if not np.isfinite(X).all():
        raise DataError("the embedding is not finite", where=where)
    X = X - X.mean(axis=0)
    U, s, Vt = np.linalg.svd(X, full_matrices=False)
    sign = np.where(np.take_along_axis(Vt, np.abs(Vt).argmax(axis=1)[:, None], axis=1)[:, 0] < 0, -1.0, 1.0)
    scores = np.zeros((len(X), 2))
    kept = min(2, len(s))
    scores[:, :kept] = (U * s * sign)[:, :kept]
    share = np.zeros(2)
    share[:kept] = (s[:kept] ** 2) / max(float((s**2).sum()), np.finfo(float).tiny)
    return scores, (float(share[0]), float(share[1]))


def _scatter(ax: Axes, points: npt.NDArray[np.float64], names: Sequence[str]) -> None:
    kinds = np.asarray(names, dtype=str)
    size = 22 if len(points) < 200 else 10
    for number, name in enumerate(np.unique(kinds)):
        own = points[kinds == name]
        ax.scatter(own[:, 0], own[:, 1], s=size, color=COLOURS[number % len(COLOURS)], alpha=0.75, linewidths=0,
                   marker=MARKERS[number % len(MARKERS)], label=str(name))  # fmt: skip
    ax.set_xticks([])
    ax.set_yticks([])
    ax.margins(0.08)
    for spine in ax.spines.values():
        spine.set_visible(True)
        spine.set_color("#CCCCCC")
