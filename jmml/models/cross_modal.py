"""The network of stage 2: two encoders, two self decoders, two cross decoders and a class head, with the
loss.

See :mod:`jmml.models.edcc_cae` for the formula and the symbols.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from jmml.models.correlation import correlation_loss
from jmml.models.encoders import Modality, TwoEncoders
from jmml.models.networks import mlp


@dataclass(frozen=True)
class Weights:
    """Weights of the terms, and ridge and smoothing of the correlation; a term of weight 0 is not
    computed."""

    lam_r: float
    lam_x: float
    lam_c: float
    lam_y: float
    ridge: float
    smoothing: float


class CrossModalNetwork(TwoEncoders):
    """f_s, f_e (encoders), g_s, g_e (self decoders), h_se, h_es (cross decoders), head (classes).

    All parts exist whatever the weights of the loss, drawn in a fixed order: with the same seed the variants
    (DCCA, DCCAE, DCC-CAE) start from the same encoders.
    """

    def __init__(
        self, r_s: int, r_e: int, hidden: int, k: int, n_classes: int, generator: torch.Generator
    ) -> None:
        super().__init__(r_s, r_e, hidden, k, generator)
        self.g_s, self.g_e = mlp((k, hidden, r_s), generator), mlp((k, hidden, r_e), generator)
        self.h_se, self.h_es = mlp((k, hidden, r_e), generator), mlp((k, hidden, r_s), generator)
        self.head = mlp((k, max(n_classes, 1)), generator)

    def cross_decoder(self, modality: Modality) -> nn.Module:
        """Network that maps the code (n, k) of ``modality`` to the other modality."""
        return self.h_se if modality == "speech" else self.h_es

    def losses(
        self, u_s: Tensor, u_e: Tensor, y: tuple[Tensor, Tensor] | None, w: Weights
    ) -> dict[str, Tensor]:
        """The total ``loss`` and its terms before weighting, for pairs u_s (n, r_s), u_e (n, r_e)."""
        z_s, z_e = self.f_s(u_s), self.f_e(u_e)
        parts: dict[str, Tensor] = {}
        loss = u_s.new_zeros(())
        if w.lam_r > 0:
            parts["loss_self"] = functional.mse_loss(self.g_s(z_s), u_s) + functional.mse_loss(
                self.g_e(z_e), u_e
            )
            loss = loss + w.lam_r * parts["loss_self"]
        if w.lam_x > 0:
            parts["loss_cross"] = functional.mse_loss(self.h_se(z_s), u_e) + functional.mse_loss(
                self.h_es(z_e), u_s
            )
            loss = loss + w.lam_x * parts["loss_cross"]
        if w.lam_c > 0:
            total = correlation_loss(z_s, z_e, ridge=w.ridge, smoothing=w.smoothing)
            parts["loss_correlation"] = total / z_s.shape[1]
            loss = loss + w.lam_c * parts["loss_correlation"]
        if w.lam_y > 0 and y is not None:
            parts["loss_class"] = (
                functional.cross_entropy(self.head(z_s), y[0])
                + functional.cross_entropy(self.head(z_e), y[1])
            ) / 2
            loss = loss + w.lam_y * parts["loss_class"]
        return {"loss": loss, **parts}
