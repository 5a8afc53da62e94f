r"""Canonical correlation between two views, as a loss with a closed-form gradient and as a metric.

Let :math:`H_{1c}, H_{2c}` be the centred views (n rows), :math:`S_{ab} = H_{ac}^T H_{bc} / (n - 1)`, and

.. math::
    S_{11} + r I = L_1 L_1^T, \quad S_{22} + r I = L_2 L_2^T, \quad
    T = L_1^{-1} S_{12} L_2^{-T} = U \operatorname{diag}(\rho) V^T .

The singular values :math:`\rho_1 \ge \rho_2 \ge \dots` of T are the canonical correlations (regularised when
the ridge r is positive). With :math:`A = L_1^{-T} U` and :math:`B = L_2^{-T} V` the canonical directions,

.. math::
    d\rho_i = a_i^T \, dS_{12} \, b_i
              - \tfrac{1}{2} \rho_i \, (a_i^T \, dS_{11} \, a_i + b_i^T \, dS_{22} \, b_i),

so the gradient of :math:`\sum_i \varphi(\rho_i)` with :math:`w_i = \varphi'(\rho_i)` is

.. math::
    \frac{\partial}{\partial H_1} = \frac{1}{n-1} \left[ H_{2c} B \operatorname{diag}(w)
              - H_{1c} A \operatorname{diag}(w \rho) \right] A^T

and the same with the views exchanged for :math:`H_2`. The ridge is a constant and leaves the expression as it
is. Nothing differentiates through a Cholesky factor or a singular value decomposition, whose derivatives
divide by differences of singular values and become infinite on whitened, duplicated or collapsed latents.

References
----------
Andrew, Arora, Bilmes, Livescu: Deep canonical correlation analysis, ICML 2013 (objective and its gradient).
Bjorck, Golub: Numerical methods for computing angles between linear subspaces, Math. Comp. 27, 1973.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from jmml.errors import ModelError

EPS = torch.finfo(torch.float64).eps


def correlation_loss(
    h1: Tensor, h2: Tensor, *, k: int | None = None, ridge: float = 1e-3, smoothing: float = 1e-2
) -> Tensor:
    r"""Minus the smoothed sum of the ``k`` largest canonical correlations of two views.

    .. math::
        \ell(H_1, H_2) = - \sum_{i=1}^{k} \left( \sqrt{\rho_i^2 + d^2} - d \right)

    where d is the smoothing: the sum of singular values is not differentiable where one of them is zero, this
    is, and its slope there is zero. The loss lies between ``-k`` and 0. Computed in float64 whatever the
    type of the views; value and gradient come back in the type of the views.

    Parameters
    ----------
    h1, h2 : views of shape (n, d1) and (n, d2), n >= 2; row i of both belongs to the same pair.
    k : number of correlations that count; ``None`` for all ``min(d1, d2)``.
    ridge : r >= 0, added to the diagonal of both covariances, in squared units of the views. With 0 a view
        is reduced to its numerical rank instead, and directions outside it get no gradient.
    smoothing : d >= 0, in units of correlation. With 0 the slope at a zero correlation is taken as 0.

    Raises
    ------
    ModelError : shapes that do not fit, fewer than two rows, or a ``k`` outside 1..min(d1, d2).

    Example
    -------
    >>> view = torch.randn(100, 3, generator=torch.Generator().manual_seed(0))
    >>> round(float(correlation_loss(view, 5.0 - 2.0 * view, ridge=0.0, smoothing=0.0)), 6)
    -3.0
    """
    _check(h1, h2)
    most = min(h1.shape[1], h2.shape[1])
    if k is not None and not 1 <= k <= most:
        raise ModelError(
            f"{k} canonical correlations of views with {h1.shape[1]} and {h2.shape[1]} dimensions",
            where="correlation_loss",
            expected=f"k between 1 and {most}",
        )
    if not ridge >= 0 or not smoothing >= 0:
        raise ModelError(
            f"ridge {ridge} and smoothing {smoothing}", where="correlation_loss", expected="both at least 0"
        )
    size = most if k is None else k
    loss: Tensor = _CorrelationLoss.apply(h1, h2, size, ridge, smoothing)  # type: ignore[no-untyped-call]
    return loss


@torch.no_grad()
def canonical_correlations(h1: Tensor, h2: Tensor, *, ridge: float = 0.0) -> Tensor:
    """Canonical correlations of two views, in descending order; a metric, without gradient.

    With ``ridge`` 0 this is exact CCA: a view of deficient rank (a constant or duplicated feature, more
    features than rows) is reduced to its numerical rank, and the correlations that do not exist are 0.

    Parameters
    ----------
    h1, h2 : views of shape (n, d1) and (n, d2), n >= 2.
    ridge : r >= 0, added to the diagonal of both covariances.

    Returns
    -------
    Tensor of shape (min(d1, d2),), values between 0 and 1, in the type of the views.

    Raises
    ------
    ModelError : shapes that do not fit or fewer than two rows.
    """
    _check(h1, h2)
    return _padded(_decompose(h1, h2, ridge).rho, h1, h2)


@torch.no_grad()
def permuted_correlations(h1: Tensor, h2: Tensor, orders: Tensor) -> Tensor:
    """Exact canonical correlations of ``h1`` with the rows of ``h2`` in each of several orders; a metric.

    Row p equals ``canonical_correlations(h1, h2[orders[p]])``. An order of the rows changes neither basis, so each view
    is decomposed once and the orders cost one batched product and one batched decomposition.

    Parameters
    ----------
    h1, h2 : views of shape (n, d1) and (n, d2), n >= 2.
    orders : permutations of the row numbers 0..n-1, of shape (P, n).

    Returns
    -------
    Tensor of shape (P, min(d1, d2)), in the type of the views. Raises :class:`ModelError` for shapes that do not fit.
    """
    _check(h1, h2)
    h1c, h2c = _centre(h1), _centre(h2)
    left, right = h1c @ _reduce(h1, h1c) / (len(h1) - 1), h2c @ _reduce(h2, h2c)
    return _padded(torch.linalg.svdvals(left.T @ right[orders]).clamp(max=1.0), h1, h2)


def _padded(rho: Tensor, h1: Tensor, h2: Tensor) -> Tensor:
    """Correlations (..., q) with those that do not exist as 0: (..., min(d1, d2)), in the type of the views."""
    return functional.pad(rho, (0, min(h1.shape[1], h2.shape[1]) - rho.shape[-1])).to(h1.dtype)


class _Canonical(NamedTuple):
    """Centred views (n, d1) and (n, d2), canonical directions A (d1, q) and B (d2, q), correlations (q,)."""

    h1: Tensor
    h2: Tensor
    a: Tensor
    b: Tensor
    rho: Tensor


def _decompose(h1: Tensor, h2: Tensor, ridge: float) -> _Canonical:
    h1c, h2c = _centre(h1), _centre(h2)
    if ridge == 0:
        w1, w2 = _reduce(h1, h1c), _reduce(h2, h2c)
        t = (h1c @ w1).T @ (h2c @ w2) / (len(h1) - 1)
    else:
        w1, w2 = _whiten(h1c, ridge), _whiten(h2c, ridge)
        t = w1.T @ (h1c.T @ h2c / (len(h1) - 1)) @ w2
    u, rho, vt = torch.linalg.svd(t, full_matrices=False)
    return _Canonical(h1c, h2c, w1 @ u, w2 @ vt.T, rho.clamp(max=1.0))


def _centre(h: Tensor) -> Tensor:
    h = h.double()
    return h - h.mean(0)


def _whiten(hc: Tensor, ridge: float) -> Tensor:
    """L^-T, so that W^T (S + r I) W = I."""
    n, d = hc.shape
    s = hc.T @ hc / (n - 1)
    diagonal = s.diagonal()
    # A ridge below the rounding error of S would leave it indefinite; this floor is far below any real ridge.
    diagonal.add_(ridge + EPS * d * diagonal.sum())
    identity = torch.eye(d, dtype=hc.dtype, device=hc.device)
    inverse: Tensor = torch.linalg.solve_triangular(torch.linalg.cholesky(s), identity, upper=False)
    return inverse.T


def _reduce(h: Tensor, hc: Tensor) -> Tensor:
    """W of shape (d, q) with W^T S W = I, where q is the numerical rank of the view."""
    n, d = hc.shape
    # Rank is judged against the view before centring: a constant view keeps rounding noise of that size.
    _, s, vt = torch.linalg.svd(hc, full_matrices=False)
    keep = s > EPS * max(n, d) * torch.linalg.vector_norm(h.double())
    reduced: Tensor = vt[keep].T * ((n - 1) ** 0.5 / s[keep])
    return reduced


class _CorrelationLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, h1: Tensor, h2: Tensor, k: int, ridge: float, smoothing: float) -> Tensor:
        c = _decompose(h1, h2, ridge)
        rho = c.rho[:k]
        root = torch.sqrt(rho.square() + smoothing**2)
        w = torch.where(root > 0, rho / root, 0.0)
        ctx.save_for_backward(c.h1, c.h2, c.a[:, :k], c.b[:, :k], w, w * rho)
        ctx.types = h1.dtype, h2.dtype
        return (smoothing - root).sum().to(h1.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        h1, h2, a, b, w, w_rho = ctx.saved_tensors
        scale = -upstream.double() / (len(h1) - 1)
        w, w_rho = w * scale, w_rho * scale
        x, y = h1 @ a, h2 @ b
        g1, g2 = (y * w - x * w_rho) @ a.T, (x * w - y * w_rho) @ b.T
        return g1.to(ctx.types[0]), g2.to(ctx.types[1]), None, None, None


def _check(h1: Tensor, h2: Tensor) -> None:
    if h1.ndim != 2 or h2.ndim != 2 or len(h1) != len(h2) or len(h1) < 2 or 0 in (h1.shape[1], h2.shape[1]):
        raise ModelError(
            f"views of shape {tuple(h1.shape)} and {tuple(h2.shape)}",
            where="correlation",
            expected="(n, d1) and (n, d2) with the same n >= 2",
        )
