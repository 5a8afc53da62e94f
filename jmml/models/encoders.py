"""The two encoders that every two-view method trains, one per modality."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from jmml.models.networks import mlp

Modality = Literal["speech", "eeg"]


class Encoder(nn.Module):
    """f: R^r -> R^k, ending in a batch normalisation without weights.

    It normalises by the statistics of the batch in training. Those used elsewhere are not a running mean over
    batches but are set by :meth:`measure` from all training rows, so that codes of the training set have mean
    0 and variance 1 exactly.
    """

    mean: Tensor
    var: Tensor

    def __init__(self, r: int, hidden: int, k: int, generator: torch.Generator) -> None:
        super().__init__()
        self.layers = mlp((r, hidden, k), generator)
        self.register_buffer("mean", torch.zeros(k))
        self.register_buffer("var", torch.ones(k))

    def forward(self, u: Tensor) -> Tensor:
        return self.normalise(self.layers(u))

    def normalise(self, h: Tensor) -> Tensor:
        """The code from the output ``h`` of the layers."""
        if self.training:
            return functional.batch_norm(h, None, None, training=True)
        return functional.batch_norm(h, self.mean, self.var)

    @torch.no_grad()
    def measure(self, u: Tensor) -> None:
        """Take the statistics of the code from the rows of ``u``, the training set."""
        h = self.layers(u)
        self.mean, self.var = h.mean(0), h.var(0, correction=0)


class TwoEncoders(nn.Module):
    """f_s of speech and f_e of EEG. They are drawn first, so all methods start from the same encoders."""

    def __init__(self, r_s: int, r_e: int, hidden: int, k: int, generator: torch.Generator) -> None:
        super().__init__()
        self.f_s, self.f_e = Encoder(r_s, hidden, k, generator), Encoder(r_e, hidden, k, generator)

    def encoder(self, modality: Modality) -> Encoder:
        """Encoder that maps stage-1 outputs (n, r) of one modality to their code (n, k)."""
        return self.f_s if modality == "speech" else self.f_e
