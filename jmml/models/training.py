"""The training loop both stages share: reproducible, in memory, one host synchronisation per epoch.

Randomness comes from generators of the model's own, so fitting neither reads nor moves the
caller's global random state. Weights and the order of rows are drawn on the CPU and then moved: a seed means
the same start on every device.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from jmml.errors import ModelError


@contextmanager
def reproducible() -> Iterator[None]:
    """Deterministic kernels and one thread inside the block; all settings are restored after it.

    A matrix product split over threads sums in another order, so the last bits would depend on how many
    processors a machine, or a trial of a sweep, happens to have. The models are small: one thread costs no
    time. Filling fresh memory with NaN, which torch does in deterministic mode to expose reads of it, is left out:
    it takes up to a twentieth of a step, and no kernel used here reads what it has not written.
    """
    threads = torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    debugging: Any = torch.utils.deterministic
    fill = debugging.fill_uninitialized_memory
    if threads != 1:
        torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    debugging.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
        debugging.fill_uninitialized_memory = fill
        if threads != 1:
            torch.set_num_threads(threads)


def resolve_device(name: str) -> torch.device:
    """The torch device ``name`` ("cpu", "cuda", "cuda:1"); :class:`ModelError` when it is not there."""
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ModelError(f"unknown device '{name}'", expected="cpu, cuda or cuda:<index>") from None
    if device.type == "cuda":
        # cuBLAS is deterministic only with a fixed workspace, which it reads when its first handle is made.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= count:
            raise ModelError(
                f"device '{name}' is not available ({count} CUDA devices found)",
                fix="set `device: cpu` in params.yaml",
            )
    return device


def generators(seed: int, count: int) -> list[torch.Generator]:
    """Independent generators, one for each random part of a model.

    With one generator for all, an additional layer or a set to watch would shift every draw after it, and two
    models that differ in that one thing could no longer be compared seed by seed.
    """
    words = np.random.SeedSequence(seed).generate_state(count, np.uint64)
    return [torch.Generator().manual_seed(int(word >> np.uint64(1))) for word in words]


def minibatches(
    n: int, batch_size: int, generator: torch.Generator, device: torch.device | str = "cpu"
) -> tuple[Tensor, ...]:
    """Row numbers 0..n-1 in random order, cut into batches of at least ``min(n, batch_size)`` rows.

    The rows left over by whole batches are spread over them, so sizes differ by at most one: no batch is ever
    too small for a standard deviation or a correlation. The order is moved to ``device`` once, not batch by batch.
    """
    return torch.randperm(n, generator=generator).to(device).tensor_split(max(1, n // batch_size))


class Trainer:
    """Adam on minibatches of row numbers.

    Parameters
    ----------
    parameters : what is trained, already on ``device``.
    lr, weight_decay : of Adam.
    generator : decides the order of the rows.
    where : the model's name, for messages.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        *,
        lr: float,
        weight_decay: float,
        generator: torch.Generator,
        device: torch.device,
        where: str,
    ) -> None:
        self.optimiser = torch.optim.Adam(parameters, lr=lr, weight_decay=weight_decay, fused=True)
        self.generator, self.device, self.where = generator, device, where
        self.epochs_done = 0

    def epoch(
        self, n: int, batch_size: int, losses: Callable[[Tensor], dict[str, Tensor]]
    ) -> dict[str, float]:
        """One pass over ``n`` rows; the mean of every loss over the rows.

        ``losses`` maps row numbers (on the device) to named scalars, of which ``"loss"`` is minimised. They
        stay on the device and are read once, at the end of the pass.

        Raises
        ------
        ModelError : the loss is no longer finite.
        """
        self.epochs_done += 1
        try:
            with reproducible():
                means = self._pass(n, batch_size, losses)
        except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
            # Decompositions refuse what is not finite before the loss could show it.
            means = {"loss": math.nan}
        if not all(math.isfinite(value) for value in means.values()):
            raise ModelError(
                f"training diverged in epoch {self.epochs_done}, the loss is not finite",
                where=self.where,
                fix="lower lr, or look for extreme feature values",
            )
        return means

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Where training stands: epochs done, the moments of Adam by number of the parameter, the generator."""
        arrays = {
            "trainer.epochs": np.array([self.epochs_done]),
            "trainer.generator": self.generator.get_state().numpy().copy(),
        }
        for number, moments in self.optimiser.state_dict()["state"].items():
            for name, value in moments.items():
                arrays[f"trainer.{number}.{name}"] = np.array(value.cpu().numpy()).reshape(-1)
        return arrays

    def load(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on from :meth:`state`, with this trainer's own learning rate and weight decay.

        Raises
        ------
        KeyError, RuntimeError : these are not the arrays of a trainer with the same parameters.
        """
        (group,) = self.optimiser.state_dict()["param_groups"]
        weights = self.optimiser.param_groups[0]["params"]
        moments: dict[int, dict[str, Tensor]] = {}
        for number, weight in enumerate(weights):
            # A parameter that no term of the loss has reached so far has no moments.
            if f"trainer.{number}.step" in arrays:
                step, mean, square = (
                    torch.tensor(arrays[f"trainer.{number}.{name}"])
                    for name in ("step", "exp_avg", "exp_avg_sq")
                )
                moments[number] = {
                    "step": step.reshape(()),
                    "exp_avg": mean.reshape(weight.shape),
                    "exp_avg_sq": square.reshape(weight.shape),
                }
        self.optimiser.load_state_dict({"state": moments, "param_groups": [group]})
        self.generator.set_state(torch.tensor(arrays["trainer.generator"]))
        self.epochs_done = int(arrays["trainer.epochs"][0])

    def _pass(
        self, n: int, batch_size: int, losses: Callable[[Tensor], dict[str, Tensor]]
    ) -> dict[str, float]:
        batches = minibatches(n, batch_size, self.generator, self.device)
        names: list[str] = []
        values: list[Tensor] = []
        for rows in batches:
            parts = losses(rows)
            self.optimiser.zero_grad(set_to_none=True)
            parts["loss"].backward()  # type: ignore[no-untyped-call]
            self.optimiser.step()
            names = list(parts)
            values += [part.detach() for part in parts.values()]
        sizes = torch.tensor([len(rows) for rows in batches], device=self.device, dtype=torch.float64)
        means = sizes @ torch.stack(values).view(len(batches), len(names)).double() / n
        return dict(zip(names, means.tolist(), strict=True))
