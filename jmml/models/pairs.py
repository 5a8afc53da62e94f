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
from jmml.models.correlation import canonical_correlations
from jmml.models.cross_modal import CrossModalNetwork
from jmml.models.inputs import FloatArray, check_features

Pairing = Callable[[int], npt.NDArray[Any]]
WHERE = "E-DCC-CAE"
ROWS_PER_DIMENSION = 8


def check_sizes(
    speech: tuple[int, ...], eeg: tuple[int, ...], *, k: int, aligned: bool, correlated: bool
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
            where=WHERE,
            expected=f"k of at most {narrow}",
        )
    if aligned and eeg[0] != n:
        raise ModelError(
            f"{n} speech rows and {eeg[0]} EEG rows cannot be paired row by row",
            where=WHERE,
            fix="give a pairing",
        )
    if correlated and n < least:
        raise ModelError(
            f"{n} training pairs are too few for k = {k}, even independent views would correlate",
            where=WHERE,
            expected=f"at least 8 k = {least} pairs",
            fix=f"use k of at most {n // ROWS_PER_DIMENSION}" if n >= ROWS_PER_DIMENSION else None,
        )


def check_held_out(
    held_out: tuple[npt.ArrayLike, npt.ArrayLike], widths: tuple[int, int], *, k: int
) -> tuple[FloatArray, FloatArray]:
    """Held-out speech and EEG rows as matrices; :class:`ModelError` unless they form at least 2 k pairs."""
    speech = check_features(held_out[0], where=f"{WHERE}, held-out speech", width=widths[0])
    eeg = check_features(held_out[1], where=f"{WHERE}, held-out EEG", width=widths[1])
    if len(speech) != len(eeg) or len(speech) < 2 * k:
        raise ModelError(
            f"{len(speech)} held-out speech rows and {len(eeg)} EEG rows",
            where=WHERE,
            expected=f"as many of both, and at least 2 k = {2 * k}",
        )
    return speech, eeg


def partners(pairing: Pairing | None, epoch: int, n: int, n_eeg: int) -> Tensor:
    """The EEG row of every speech row in this epoch, checked."""
    if pairing is None:
        return torch.arange(n)
    rows = np.asarray(pairing(epoch))
    if rows.shape != (n,) or not np.issubdtype(rows.dtype, np.integer):
        raise ModelError(
            f"pairing of epoch {epoch} has shape {rows.shape} and type {rows.dtype}",
            where=WHERE,
            expected=f"an EEG row number for each of {n} speech rows",
        )
    if rows.min() < 0 or rows.max() >= n_eeg:
        raise ModelError(
            f"pairing of epoch {epoch} names EEG rows {rows.min()} to {rows.max()}",
            where=WHERE,
            expected=f"0 to {n_eeg - 1}",
        )
    return torch.from_numpy(rows.astype(np.int64))


def mean_correlations(
    net: CrossModalNetwork,
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
    codes = net.f_s(train[0]), net.f_e(train[1])
    rho = {"rho_train": canonical_correlations(*codes).mean()}
    if probe is not None:
        codes = net.f_s(probe[0]), net.f_e(probe[1])
        rho["rho_held_out"] = canonical_correlations(*codes).mean()
    chance = [canonical_correlations(codes[0], codes[1][rows]).mean() for rows in shuffles]
    rho["rho_permuted"] = torch.stack(chance).mean()
    return dict(zip(rho, torch.stack(list(rho.values())).tolist(), strict=True))
