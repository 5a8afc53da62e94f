"""The correlation loss against three public ways to write it: time of value and gradient, and where it is finite.

    python benchmarks/correlation.py [--quick] [--rounds N]

Compared are ours (jmml.models.correlation: Cholesky, singular values, closed-form gradient) and three styles found
in public code, written out here with autograd doing the gradient:

- eigh: whitening by S^-1/2 from an eigendecomposition, correlations as roots of the eigenvalues of T^T T;
- svd: the same whitening, correlations as singular values of T;
- Cholesky + svdvals: whitening by Cholesky factors, correlations as singular values of T.

All take float32 views, compute in float64 with a ridge of 1e-3 and sum all correlations (ours with its smoothing). In a
round every style runs once on the same views, in an order drawn anew; a ratio is taken within a round. Times are of the
processor, so that other programs disturb them little.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from scipy.linalg import hadamard
from torch import Tensor

from jmml.models.correlation import correlation_loss

RIDGE = 1e-3
SIZES = ((256, 16), (512, 64), (1024, 128))
Loss = Callable[[Tensor, Tensor], Tensor]


def covariances(h1: Tensor, h2: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    h1, h2 = h1.double(), h2.double()
    n = len(h1)
    h1, h2 = h1 - h1.mean(0), h2 - h2.mean(0)
    s11 = h1.T @ h1 / (n - 1) + RIDGE * torch.eye(h1.shape[1], dtype=h1.dtype)
    s22 = h2.T @ h2 / (n - 1) + RIDGE * torch.eye(h2.shape[1], dtype=h2.dtype)
    return s11, h1.T @ h2 / (n - 1), s22


def inverse_root(s: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(s)
    root: Tensor = vectors @ torch.diag(values**-0.5) @ vectors.T
    return root


def by_eigh(h1: Tensor, h2: Tensor) -> Tensor:
    s11, s12, s22 = covariances(h1, h2)
    t = inverse_root(s11) @ s12 @ inverse_root(s22)
    correlations: Tensor = torch.linalg.eigh(t.T @ t).eigenvalues.clamp(min=1e-12).sqrt()
    return -correlations.sum()


def by_svd(h1: Tensor, h2: Tensor) -> Tensor:
    s11, s12, s22 = covariances(h1, h2)
    correlations: Tensor = torch.linalg.svd(inverse_root(s11) @ s12 @ inverse_root(s22)).S
    return -correlations.sum()


def by_cholesky(h1: Tensor, h2: Tensor) -> Tensor:
    s11, s12, s22 = covariances(h1, h2)
    left = torch.linalg.solve_triangular(torch.linalg.cholesky(s11), s12, upper=False)
    t = torch.linalg.solve_triangular(torch.linalg.cholesky(s22), left.T, upper=False)
    correlations: Tensor = torch.linalg.svdvals(t)
    return -correlations.sum()


def ours(h1: Tensor, h2: Tensor) -> Tensor:
    return correlation_loss(h1, h2, ridge=RIDGE)


STYLES: dict[str, Loss] = {"ours": ours, "eigh": by_eigh, "svd": by_svd, "Cholesky + svdvals": by_cholesky}


def views(n: int, d: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shared = torch.randn(n, d, generator=generator)
    return tuple(shared + torch.randn(n, d, generator=generator) for _ in range(2))  # type: ignore[return-value]


def inputs(n: int = 256, d: int = 16) -> dict[str, tuple[Tensor, Tensor]]:
    h1, h2 = views(n, d)
    # Columns of a Hadamard matrix have mean 0, variance 1 and no covariance, without a rounding error.
    white = torch.from_numpy(hadamard(n)[:, 1 : d + 1]).float()
    duplicate, dead = h1.clone(), h1.clone()
    duplicate[:, 1], dead[:, 1] = duplicate[:, 0], 0.0
    classes = torch.eye(4, d)[torch.arange(n) % 4]
    return {
        "regular": (h1, h2),
        "whitened": (white, white.roll(1, dims=1)),
        "identical views": (h1, h1.clone()),
        "duplicate feature": (duplicate, h2),
        "dead feature": (dead, h2),
        "collapsed to a line": (h1[:, :1] @ torch.ones(1, d), h2),
        "collapsed to a point": (torch.full_like(h1, 0.5), h2),
        "neural collapse": (classes, 2 * classes),
    }


def gradients(loss: Loss, h1: Tensor, h2: Tensor) -> tuple[Tensor, Tensor]:
    h1, h2 = h1.detach().requires_grad_(), h2.detach().requires_grad_()
    of_h1, of_h2 = torch.autograd.grad(loss(h1, h2), (h1, h2))
    return of_h1, of_h2


def times(n: int, d: int, rounds: int) -> dict[str, np.ndarray]:
    """Seconds of value and gradient, one entry per round."""
    rng = np.random.default_rng(0)
    h1, h2 = views(n, d)
    seconds = {name: np.empty(rounds) for name in STYLES}
    for loss in STYLES.values():
        gradients(loss, h1, h2)
    for round_ in range(rounds):
        for name in rng.permutation(list(STYLES)):
            begin = time.process_time()
            gradients(STYLES[name], h1, h2)
            seconds[name][round_] = time.process_time() - begin
    return seconds


def verdict(loss: Loss, h1: Tensor, h2: Tensor) -> str:
    try:
        found = gradients(loss, h1, h2)
    except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
        return "error"
    bad = sum(int((~torch.isfinite(g)).sum()) for g in found)
    return "NaN" if bad else f"{max(float(g.abs().max()) for g in found):.1e}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="three rounds: to see that it runs")
    parser.add_argument("--rounds", type=int, default=100, help="rounds per size")
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    rounds = 3 if arguments.quick else arguments.rounds
    print(
        f"value and gradient, {rounds} rounds, one thread: median ms, and ratio to ours: median (quartiles)"
    )
    print(f"{'(n, d)':<12}" + "".join(f"{name:>26}" for name in STYLES))
    for n, d in SIZES:
        seconds = times(n, d, rounds)
        row = f"{(n, d)!s:<12}"
        for spent in seconds.values():
            low, ratio, high = np.quantile(spent / seconds["ours"], [0.25, 0.5, 0.75])
            row += f"{1e3 * np.median(spent):>9.2f} {ratio:>5.2f} ({low:.2f}-{high:.2f})"
        print(row)

    print("\nlargest entry of the gradient, or NaN")
    print(f"{'input (256, 16)':<22}" + "".join(f"{name:>20}" for name in STYLES))
    for name, case in inputs().items():
        print(f"{name:<22}" + "".join(f"{verdict(loss, *case):>20}" for loss in STYLES.values()))

    pair = [view.double() for view in views(256, 16)]
    reference = correlation_loss(*pair, ridge=RIDGE, smoothing=0.0)
    gaps = {name: abs(float(loss(*pair) - reference)) for name, loss in STYLES.items()}
    print("\ndistance of the value from ours without smoothing, regular input: ", end="")
    print(", ".join(f"{name} {gap:.0e}" for name, gap in gaps.items() if name != "ours"))


if __name__ == "__main__":
    main()
