"""Peers that align the codes of a pair without canonical correlations: Barlow Twins and VICReg.

Both came from self-supervised learning, where two views are two distortions of one image; here the views are speech
and EEG, with encoders of their own. They want what stage 2 of JMML wants (codes that agree across the pair, with
coordinates that do not repeat each other) and pay for it coordinate by coordinate instead of by a whitened subspace.

The terms against repetition sum over k (k - 1) pairs of coordinates. The papers weigh them for codes of 8192
coordinates (0.005 and 1); with the few of a code here that weight is next to none, and on parallel views with two
shared latents both coordinates settle on the same one (held-out mean correlation 0.52 and 0.42 after 40 epochs, where
CCA reaches 0.78). The defaults here are larger: 0.76 and 0.70 on the same views, and on class pairs no difference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from jmml.models.encoders import TwoEncoders
from jmml.models.two_view import TwoView

EPSILON = 1e-4


@dataclass(eq=False, repr=False, kw_only=True)
class BarlowTwins(TwoView):
    r"""Cross-correlation of the batch-normalised codes, drawn to the identity.

    .. math::
        L = \sum_i (1 - R_{ii})^2 + \lambda \sum_{i \ne j} R_{ij}^2, \qquad
        R_{ij} = \frac{1}{n} \sum_b z^s_{bi} z^e_{bj}

    with codes z of the n pairs of a batch, every coordinate of mean 0 and variance 1 over the batch. Reported terms:
    ``loss_invariance`` (first sum) and ``loss_redundancy`` (second).

    Parameters
    ----------
    barlow_weight : lambda.

    References
    ----------
    Zbontar, Jing, Misra, LeCun, Deny: Barlow Twins: self-supervised learning via redundancy reduction, ICML 2021.
    """

    barlow_weight: float = 0.1

    name: ClassVar[str] = "Barlow Twins"

    def _network(self, r_s: int, r_e: int, n_classes: int, generator: torch.Generator) -> TwoEncoders:
        return TwoEncoders(r_s, r_e, self.hidden, self.k_, generator)

    def _losses(
        self, net: Any, u_s: Tensor, u_e: Tensor, y: tuple[Tensor, Tensor] | None
    ) -> dict[str, Tensor]:
        cross = net.f_s(u_s).T @ net.f_e(u_e) / len(u_s)
        invariance = (1 - cross.diagonal()).square().sum()
        redundancy = _off_diagonal(cross).square().sum()
        return {
            "loss": invariance + self.barlow_weight * redundancy,
            "loss_invariance": invariance,
            "loss_redundancy": redundancy,
        }


@dataclass(eq=False, repr=False, kw_only=True)
class VICReg(TwoView):
    r"""Codes of a pair drawn together (invariance), held apart (variance) and decorrelated (covariance).

    .. math::
        L = \lambda \frac{1}{nk} \sum_b \lVert h^s_b - h^e_b \rVert^2
          + \frac{\mu}{2k} \sum_{m \in \{s, e\}} \sum_j \max\!\left(0, 1 - \sqrt{V^m_{jj} + \epsilon}\right)
          + \frac{\nu}{k} \sum_{m \in \{s, e\}} \sum_{i \ne j} (V^m_{ij})^2

    with V^m the covariance matrix (n - 1) of the codes h^m over the batch and epsilon = 1e-4. The h are the outputs of
    the encoders' layers before the closing batch normalisation, which would fix the variance that the second term is
    to hold up. Invariance per coordinate and the mean over both views in the variance term are those of the authors'
    program, whose weights lambda and mu are the defaults here. Reported terms: ``loss_invariance``,
    ``loss_variance`` and ``loss_covariance``, before weighting.

    Parameters
    ----------
    vicreg_invariance, vicreg_variance, vicreg_covariance : lambda, mu, nu.

    References
    ----------
    Bardes, Ponce, LeCun: VICReg: variance-invariance-covariance regularization for self-supervised learning,
    ICLR 2022.
    """

    vicreg_invariance: float = 25.0
    vicreg_variance: float = 25.0
    vicreg_covariance: float = 25.0

    name: ClassVar[str] = "VICReg"

    def _network(self, r_s: int, r_e: int, n_classes: int, generator: torch.Generator) -> TwoEncoders:
        return TwoEncoders(r_s, r_e, self.hidden, self.k_, generator)

    def _losses(
        self, net: Any, u_s: Tensor, u_e: Tensor, y: tuple[Tensor, Tensor] | None
    ) -> dict[str, Tensor]:
        h = net.f_s.layers(u_s), net.f_e.layers(u_e)
        invariance = functional.mse_loss(*h)
        covariances = [_covariance(view) for view in h]
        spread = [torch.sqrt(v.diagonal() + EPSILON) for v in covariances]
        variance = torch.stack([functional.relu(1 - s).mean() for s in spread]).mean()
        covariance = torch.stack([_off_diagonal(v).square().sum() / len(v) for v in covariances]).sum()
        return {
            "loss": self.vicreg_invariance * invariance
            + self.vicreg_variance * variance
            + self.vicreg_covariance * covariance,
            "loss_invariance": invariance,
            "loss_variance": variance,
            "loss_covariance": covariance,
        }


def _covariance(h: Tensor) -> Tensor:
    centred = h - h.mean(0)
    return centred.T @ centred / (len(h) - 1)


def _off_diagonal(square: Tensor) -> Tensor:
    return square - torch.diag(square.diagonal())
