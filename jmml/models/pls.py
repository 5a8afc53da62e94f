"""Two-block partial least squares: the latent components of a block that covary most with a target.

Component a = 1..r of the centred block Z (n, q) for the centred target X (n, D) is

    w_a = argmax_{|w| = 1} || X^T Z_a w ||       (leading left singular vector of Z_a^T X),
    t_a = Z_a w_a,   p_a = Z_a^T t_a / (t_a^T t_a),   Z_{a+1} = Z_a - t_a p_a^T,    Z_1 = Z,

so each score t_a has the largest summed squared covariance with X that remains after the earlier scores
(PLS2). With W = [w_1..w_r] and P = [p_1..p_r], all scores follow from the undeflated block by one rotation, T
= Z W*, W* = W (P^T W)^-1. Concatenated blocks, each divided by the root of its width, give the super scores
of multiblock PLS (Westerhuis, Kourti, MacGregor, J. Chemometrics 12, 1998).

The leading vector comes from a singular value decomposition, not from the power iteration of
``sklearn.cross_decomposition.PLSRegression``: the same components without a tolerance, a cap on iterations or
a warning about it (the tests compare the two). What remains of a fit is two arrays.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from jmml.errors import ModelError
from jmml.models.inputs import FloatArray


@dataclass(frozen=True)
class PLS:
    """``(Z - mean) @ rotation``: mean of shape (q,), rotation W* of shape (q, r)."""

    mean: FloatArray
    rotation: FloatArray

    @classmethod
    def fit(cls, Z: FloatArray, X: FloatArray, r: int, *, where: str) -> PLS:
        """Fit ``r`` components of Z (n, q) on X (n, D), in float64.

        Raises
        ------
        ModelError : fewer than ``r`` components have a covariance with X that is not rounding error.
        """
        block, target = torch.from_numpy(Z), torch.from_numpy(X)
        mean = block.mean(0)
        block = block - mean
        # The covariance with X after deflation equals that with the deflated X, so X stays as it is.
        cross = block.T @ (target - target.mean(0))
        noise = torch.finfo(torch.float64).eps * max(Z.shape) * torch.linalg.matrix_norm(cross)
        weights, loadings = [], []
        for found in range(r):
            u, s, _ = torch.linalg.svd(cross, full_matrices=False)
            if not s[0] > noise:
                raise ModelError(
                    f"r = {r} components, but the blocks have only {found} that covary with the features",
                    where=where,
                    expected=f"r of at most {found}",
                )
            w = u[:, 0] * torch.sign(u[u[:, 0].abs().argmax(), 0])
            t = block @ w
            loading = block.T @ t / (t @ t)
            block = block - torch.outer(t, loading)
            cross = cross - torch.outer(loading, t @ target)
            weights.append(w)
            loadings.append(loading)
        W, P = torch.stack(weights, 1), torch.stack(loadings, 1)
        return cls(mean.numpy(), torch.linalg.solve(P.T @ W, W, left=False).numpy())

    def __call__(self, Z: FloatArray) -> FloatArray:
        return (torch.from_numpy(Z - self.mean) @ torch.from_numpy(self.rotation)).numpy()
