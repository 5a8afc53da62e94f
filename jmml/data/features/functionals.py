"""Functionals: how a contour over time becomes a few numbers.

Each works on contours (L, T), L contours over T frames, and returns (L,). Times are in seconds, so a slope
has the contour's unit per second whatever the hop.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

PERCENTILES = {"p10": 10.0, "p50": 50.0, "p90": 90.0}
FUNCTIONALS = ("mean", "std", *PERCENTILES, "range", "slope", "mean_abs")


def unit(functional: str, contour_unit: str) -> str:
    """Unit of a functional of a contour with the given unit."""
    if functional != "slope":
        return contour_unit
    return "1/s" if contour_unit == "1" else f"{contour_unit}/s"


def apply(contours: np.ndarray, times_s: np.ndarray, functionals: Sequence[str]) -> np.ndarray:
    """Values (L, F) of ``functionals`` over ``contours`` (L, T) sampled at ``times_s`` (T,), T >= 1.

    mean; std (population); p10, p50, p90 (linear interpolation); range = p90 - p10; mean_abs = mean of |x|;
    slope = cov(t, x) / var(t), the least-squares slope over time, 0 for a single frame.
    """
    contours = np.asarray(contours, dtype=np.float64)
    columns: dict[str, np.ndarray] = {}
    wanted = [name for name in PERCENTILES if name in functionals or "range" in functionals]
    if wanted:
        ordered = np.sort(contours, axis=1)
        columns = {name: percentile(ordered.T, PERCENTILES[name]) for name in wanted}
    if "range" in functionals:
        columns["range"] = columns["p90"] - columns["p10"]
    mean = contours.mean(axis=1)
    if "mean" in functionals:
        columns["mean"] = mean
    if "mean_abs" in functionals:
        columns["mean_abs"] = np.abs(contours).mean(axis=1)
    if "slope" in functionals:
        centred = times_s - times_s.mean()
        variance = float(centred @ centred)
        columns["slope"] = contours @ centred / variance if variance > 0 else np.zeros(len(contours))
    if "std" in functionals:
        deviation = contours - mean[:, None]
        columns["std"] = np.sqrt(np.einsum("lt,lt->l", deviation, deviation) / contours.shape[1])
    return np.stack([columns[name] for name in functionals], axis=1)


def percentile(ordered: np.ndarray, share: float) -> Any:
    """Percentile over the first axis of values in ascending order, linear between neighbours."""
    place = share / 100 * (len(ordered) - 1)
    below = int(place)
    low, high = ordered[below], ordered[min(below + 1, len(ordered) - 1)]
    return low + (high - low) * (place - below)
