"""Who is taken for whom."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import PercentFormatter

from jmml.evaluation.palette import CAPTION, INK
from jmml.evaluation.plots import _style

Counts = npt.NDArray[Any]


def confusion_matrix(counts: Counts, classes: Sequence[str], path: Path, *, title: str = "Confusion") -> None:
    """Share of each true class (row) that was recognised as each class (column), with the number of samples.

    ``counts`` is (C, C), true classes in rows, summed over speakers and seeds. The diagonal is the recall; a
    class without a sample has an empty row.
    """
    confusion_matrices([(title, counts)], classes, path)


def confusion_matrices(
    panels: Sequence[tuple[str, Counts]], classes: Sequence[str], path: Path, *, caption: str = ""
) -> None:
    """One :func:`confusion_matrix` per panel (title, counts) side by side, on one scale."""
    size = len(classes)
    with rc_context(_style.STYLE):
        width = 1.2 + (1.4 + 0.95 * size) * len(panels)
        figure = Figure(figsize=(width, 2.0 + 0.8 * size), layout="constrained")
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for ax, (title, counts) in zip(axes, panels, strict=True):
            image = _draw(ax, np.asarray(counts), classes)
            ax.set_title(title)
        axes[0].set_ylabel("true class")
        bar = figure.colorbar(image, ax=list(axes), shrink=0.85, format=PercentFormatter(1.0))
        bar.set_label("share of the true class")
        bar.outline.set_visible(False)
        if caption:
            figure.text(0.01, -0.02, caption, fontsize=8.5, color=CAPTION, va="top")
        _style.write(figure, path)


def _draw(ax: Axes, counts: Counts, classes: Sequence[str]) -> AxesImage:
    size = len(classes)
    support = counts.sum(axis=1, keepdims=True)
    share = np.divide(counts, support, out=np.zeros(counts.shape), where=support > 0)
    image = ax.imshow(share, cmap=colormaps["Blues"], vmin=0, vmax=1, aspect="auto")
    for i, j in np.ndindex(size, size):
        if support[i, 0] == 0:
            continue
        style: Any = {"ha": "center", "va": "center", "color": "white" if share[i, j] > 0.62 else INK}
        weight = "bold" if i == j else "normal"
        ax.text(j, i - 0.1, f"{share[i, j]:.0%}", fontsize=11, fontweight=weight, **style)
        ax.text(j, i + 0.24, f"{int(counts[i, j])}", fontsize=8, **style)
    ax.set_xticks(range(size), list(classes), rotation=30 if size > 5 else 0, ha="center")
    ax.set_yticks(range(size), [f"{c}\n(n = {int(n)})" for c, n in zip(classes, support[:, 0], strict=True)])
    ax.set_xticks(np.arange(size + 1) - 0.5, minor=True)
    ax.set_yticks(np.arange(size + 1) - 0.5, minor=True)
    ax.grid(which="minor", color="white", lw=2)
    _style.quiet(ax)
    ax.set_xlabel("recognised as")
    return image
