"""Pairs of speech and EEG rows: which are enough, which EEG row goes with which speech row, how they
correlate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from jmml.errors import ModelError
from jmml.models.correlation import canonical_correlations, permuted_correlations
from jmml.models.encoders import TwoEncoders
from jmml.models.inputs import FloatArray, IntArray, check_features
from jmml.models.pairing import schedule

Pairs = Callable[[int], npt.NDArray[Any]] | npt.NDArray[Any]
ROWS_PER_DIMENSION = 8


def check_sizes(
    speech: tuple[int, ...], eeg: tuple[int, ...], *, k: int, aligned: bool, correlated: bool, where: str
) -> None:
    """:class:`ModelError` when views of these shapes cannot carry a shared code of width ``k``.

    ``aligned`` pairs go row by row. ``correlated`` training needs 8 k pairs: n independent pairs show a mean
    rho^2 of k / (n - 1).
    """
    n, least = speech[0], ROWS_PER_DIMENSION * k
    narrow = min(speech[1], eeg[1])
    if k > narrow:
        raise ModelError(
            f"k = {k} is wider than a view (speech {speech[1]} columns, EEG {eeg[1]})",
            where=where,
            expected=f"k of at most {narrow}",
        )
    if aligned and eeg[0] != n:
        raise ModelError(
            f"{n} speech rows and {eeg[0]} EEG rows cannot be paired row by row",
            where=where,
            fix="give labels or pairs",
        )
    if correlated and n < least:
        raise ModelError(
            f"{n} training pairs are too few for k = {k}, even independent views would correlate",
            where=where,
            expected=f"at least 8 k = {least} pairs",
            fix=f"use k of at most {n // ROWS_PER_DIMENSION}" if n >= ROWS_PER_DIMENSION else None,
        )


def check_held_out(
    held_out: tuple[npt.ArrayLike, npt.ArrayLike], widths: tuple[int, int], *, k: int, where: str
) -> tuple[FloatArray, FloatArray]:
    """Held-out speech and EEG rows as matrices; :class:`ModelError` unless they form at least 2 k pairs."""
    speech = check_features(held_out[0], where=f"{where}, held-out speech", width=widths[0])
    eeg = check_features(held_out[1], where=f"{where}, held-out EEG", width=widths[1])
    if len(speech) != len(eeg) or len(speech) < 2 * k:
        raise ModelError(
            f"{len(speech)} held-out speech rows and {len(eeg)} EEG rows",
            where=where,
            expected=f"as many of both, and at least 2 k = {2 * k}",
        )
    return speech, eeg


def as_schedule(pairs: Pairs | None, labels: tuple[IntArray, IntArray] | None, *, seed: int) -> Pairs | None:
    """``pairs``, or, where there are labels and no pairs, partners of the same class, redrawn in every epoch."""
    if pairs is None and labels is not None:
        return schedule("class", *labels, seed=seed)
    return pairs


def partners(pairs: Pairs | None, epoch: int, n: int, n_eeg: int, *, where: str) -> Tensor:
    """The EEG row of every speech row in this epoch, checked."""
    if pairs is None:
        return torch.arange(n)
    rows = np.asarray(pairs(epoch) if callable(pairs) else pairs)
    if rows.shape != (n,) or not np.issubdtype(rows.dtype, np.integer):
        raise ModelError(
            f"pairs of epoch {epoch} has shape {rows.shape} and type {rows.dtype}",
            where=where,
            expected=f"an EEG row number for each of {n} speech rows",
        )
    if rows.min() < 0 or rows.max() >= n_eeg:
        raise ModelError(
            f"pairs of epoch {epoch} names EEG rows {rows.min()} to {rows.max()}",
            where=where,
            expected=f"0 to {n_eeg - 1}",
        )
    return torch.from_numpy(rows.astype(np.int64))


def mean_correlations(
    net: TwoEncoders,
    train: tuple[Tensor, Tensor],
    probe: tuple[Tensor, Tensor] | None,
    shuffles: list[Tensor],
) -> dict[str, float]:
    """Mean canonical correlations of the codes (of network ``net``, in evaluation mode), by exact CCA on
    them.

    ``rho_train`` of the pairs in ``train``; ``rho_held_out`` of those in ``probe``, if given;
    ``rho_permuted`` of the last of these with the EEG rows in each order of ``shuffles``, averaged. Read from
    the device once.
    """
    codes, names = (net.f_s(train[0]), net.f_e(train[1])), ["rho_train"]
    found = []
    if probe is not None:
        found.append(canonical_correlations(*codes).mean())
        codes, names = (net.f_s(probe[0]), net.f_e(probe[1])), ["rho_train", "rho_held_out"]
    as_paired = torch.arange(len(codes[0]), device=codes[0].device)
    rho = permuted_correlations(*codes, torch.stack([as_paired, *shuffles])).mean(1)
    found += [rho[0], rho[1:].mean()]
    return dict(zip([*names, "rho_permuted"], torch.stack(found).tolist(), strict=True))
