"""What the training of both stages costs beside a plain torch loop of the same arithmetic, and how cost grows.

    python benchmarks/training.py [--quick] [--rounds N]

The plain loops below have the same network, the same losses, the same batches and Adam, and nothing else: no metrics,
no check for divergence, no deterministic kernels. One epoch of ours and one of theirs are run in turn, in an order
drawn anew, and a ratio is taken within a round. Times are of the processor, so that
other programs disturb them little. ``step`` is the pass over the batches divided by their number; ``epoch`` is all that
happens between two epochs, with pairs drawn and canonical correlations measured.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from jmml.models.correlation import correlation_loss
from jmml.models.cross_modal import CrossModalNetwork
from jmml.models.edcc_cae import EDCCCAE
from jmml.models.inputs import Standardiser
from jmml.models.jec_ssl import EPSILON, JECSSL, _Branches
from jmml.models.training import Trainer, minibatches

SIZES = ((400, 100, 4), (2000, 300, 6))
R = 8


def features(n: int, d: int, n_classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(n) % n_classes)
    return rng.normal(size=(n, d)) + rng.normal(size=(n_classes, d))[y], y


def optimise(
    net: torch.nn.Module, m: JECSSL | EDCCCAE, n: int, batch_size: int, loss: Callable[[Tensor], Tensor]
) -> Iterator[None]:
    optimiser = torch.optim.Adam(net.parameters(), lr=m.lr, weight_decay=m.weight_decay, fused=True)
    generator = torch.Generator().manual_seed(m.seed)
    while True:
        for rows in minibatches(n, batch_size, generator):
            optimiser.zero_grad()
            torch.autograd.backward(loss(rows))
            optimiser.step()
        yield


def plain_stage1(m: JECSSL, X: np.ndarray, labels: np.ndarray) -> Iterator[None]:
    x, y = torch.from_numpy(Standardiser.fit(X)(X)).float(), torch.from_numpy(labels)
    n_classes = int(y.max()) + 1
    net = _Branches(X.shape[1], m.hidden, m.p, n_classes, torch.Generator().manual_seed(m.seed))

    def loss(rows: Tensor) -> Tensor:
        xb, yb = x[rows], y[rows]
        e = net.encode(xb)
        own = e[yb + 1, torch.arange(len(rows))]
        total = functional.mse_loss(net.decoder(torch.cat([own, e[0]], 1)), xb)
        total = total + m.alpha * functional.cross_entropy(net.logits(e), yb)
        centred = e - e.mean(1, keepdim=True)
        unit = centred * torch.rsqrt(centred.square().mean(1, keepdim=True) + EPSILON)
        total = total + m.beta * (unit[1:].transpose(1, 2) @ unit[0] / len(rows)).square().sum()
        member = functional.one_hot(yb, n_classes).float()
        gap = (member.T @ centred[0]) / member.sum(0).clamp(min=1).unsqueeze(1)
        return total + m.gamma * gap.square().sum()

    return optimise(net, m, len(x), m.batch_size, loss)


def plain_stage2(m: EDCCCAE, k: int, X: np.ndarray, X_eeg: np.ndarray) -> Iterator[None]:
    """With the pairs of one epoch, as drawing them is no part of a step."""
    u_s, u_e = (torch.from_numpy(Standardiser.fit(v)(v)).float() for v in (X, X_eeg))
    mate = torch.randperm(len(u_e), generator=torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(m.seed)
    net = CrossModalNetwork(X.shape[1], X_eeg.shape[1], m.hidden, k, 1, generator)
    mse = functional.mse_loss

    def loss(rows: Tensor) -> Tensor:
        s, e = u_s[rows], u_e[mate[rows]]
        z_s, z_e = net.f_s(s), net.f_e(e)
        own = mse(net.g_s(z_s), s) + mse(net.g_e(z_e), e)
        cross = mse(net.h_se(z_s), e) + mse(net.h_es(z_e), s)
        correlation = correlation_loss(z_s, z_e, ridge=m.ridge, smoothing=m.smoothing) / k
        return m.lam_r * own + m.lam_x * cross + m.lam_c * correlation

    return optimise(net, m, len(u_s), max(m.batch_size, 8 * k), loss)


class Clock:
    """Adds up the time spent in ``Trainer.epoch``."""

    def __init__(self) -> None:
        self.spent = 0.0
        inner = Trainer.epoch

        def timed(trainer: Trainer, *args: object) -> dict[str, float]:
            begin = time.process_time()
            result = inner(trainer, *args)  # type: ignore[arg-type]
            self.spent += time.process_time() - begin
            return result

        Trainer.epoch = timed  # type: ignore[method-assign,assignment]


def times(ours: Iterator[object], plain: Iterator[None], rounds: int, clock: Clock) -> np.ndarray:
    """Seconds per epoch, (rounds, 3): our optimisation, all of our epoch, the plain loop."""
    rng = np.random.default_rng(0)
    for _ in range(2):
        next(ours), next(plain)
    table = np.empty((rounds, 3))
    for row in table:
        for which in rng.permutation(2):
            clock.spent, begin = 0.0, time.process_time()
            next(plain if which else ours)
            total = time.process_time() - begin
            if which:
                row[2] = total
            else:
                row[:2] = clock.spent, total
    return table


def stage1(n: int, d: int, n_classes: int, rounds: int, clock: Clock) -> np.ndarray:
    X, y = features(n, d, n_classes)
    model = JECSSL(epochs=rounds + 3)
    return times(model.iter_fit(X, y), plain_stage1(model, X, y), rounds, clock)


def stage2(
    n: int, r: int, n_classes: int, rounds: int, clock: Clock, *, k: int = 6, batch_size: int = 64
) -> np.ndarray:
    (X, y), (X_eeg, y_eeg) = features(n, r, n_classes), features(n, r, n_classes, seed=1)
    model = EDCCCAE(k=k, epochs=rounds + 3, batch_size=batch_size)
    return times(model.iter_fit(X, X_eeg, y, y_eeg), plain_stage2(model, k, X, X_eeg), rounds, clock)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="two rounds and small data: to see that it runs")
    parser.add_argument("--rounds", type=int, default=60, help="rounds per case of the comparison")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    clock = Clock()
    rounds = 2 if arguments.quick else arguments.rounds
    sizes = ((160, 20, 3),) if arguments.quick else SIZES

    print(f"{rounds} rounds, one thread; medians, ratio to the plain loop with quartiles")
    print(f"{'':<38} {'us/step':>8} {'plain':>8} {'step ratio':>20} {'epoch ratio':>20}")
    for n, d, n_classes in sizes:
        for name, table, batch in (
            (f"stage 1, n={n}, D={d}, C={n_classes}", stage1(n, d, n_classes, rounds, clock), 64),
            (f"stage 2, n={n}, r={R}, k=6", stage2(n, R, n_classes, rounds, clock), 64),
        ):
            steps = n // batch
            mine, plain = 1e6 * np.median(table[:, [0, 2]], axis=0) / steps
            ratios = [np.quantile(table[:, column] / table[:, 2], [0.25, 0.5, 0.75]) for column in (0, 1)]
            cells = [f"{mid:.3f} ({low:.3f}-{high:.3f})" for low, mid, high in ratios]
            print(f"{name:<38} {mine:>8.0f} {plain:>8.0f} {cells[0]:>20} {cells[1]:>20}")

    rounds = 2 if arguments.quick else max(5, arguments.rounds // 5)
    n = 160 if arguments.quick else 1000
    print(
        "\ngrowth of ours: microseconds per step, milliseconds per epoch (a step has 64 pairs, or 128 where k varies)"
    )
    for c in (2, 4, 8, 16):
        growth(f"stage 1, n={n}, D=100, C={c}", stage1(n, 100, c, rounds, clock), n // 64)
    for k in (2, 4, 8, 16):
        table = stage2(n, 16, 4, rounds, clock, k=k, batch_size=128)
        growth(f"stage 2, n={n}, r=16, k={k}", table, n // 128)
    for rows in (n, 2 * n, 4 * n):
        growth(f"stage 1, n={rows}, D=100, C=4", stage1(rows, 100, 4, rounds, clock), rows // 64)
        growth(f"stage 2, n={rows}, r=16, k=6", stage2(rows, 16, 4, rounds, clock), rows // 64)


def growth(name: str, table: np.ndarray, steps: int) -> None:
    step, epoch, _ = np.median(table, axis=0)
    print(f"{name:<38} {1e6 * step / steps:>8.0f} {1e3 * epoch:>8.2f}")


if __name__ == "__main__":
    main()
