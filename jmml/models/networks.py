"""Building blocks of the networks: layers drawn from a generator of their own, and weights as named
arrays."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from itertools import pairwise
from typing import Any, TypeVar

import numpy.typing as npt
import torch
from torch import Tensor, nn

PREFIX = "network."
Network = TypeVar("Network", bound=nn.Module)


def uniform_(weight: Tensor, fan_in: int, generator: torch.Generator) -> Tensor:
    """Fill ``weight`` from U(-1/sqrt(fan_in), 1/sqrt(fan_in)), the start that ``torch.nn.Linear`` uses."""
    bound = fan_in**-0.5
    with torch.no_grad():
        return weight.uniform_(-bound, bound, generator=generator)


def mlp(sizes: tuple[int, ...], generator: torch.Generator) -> nn.Sequential:
    """Linear layers of the given ``sizes`` with SiLU between them, drawn from ``generator``."""
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(sizes):
        # On the meta device the constructor draws nothing: it would do so from the caller's global generator.
        layer = nn.Linear(fan_in, fan_out, device="meta").to_empty(device="cpu")
        uniform_(layer.weight, fan_in, generator)
        uniform_(layer.bias, fan_in, generator)
        layers += [layer, nn.SiLU()]
    return nn.Sequential(*layers[:-1])


def in_float64(network: Network) -> Network:
    """A copy of ``network`` that computes in float64, for inference.

    In float32 the last bits of a row would depend on the rows around it, as kernels for one row and for many add up
    in different orders.
    """
    return deepcopy(network).double()


def network_arrays(network: nn.Module) -> dict[str, npt.NDArray[Any]]:
    """Weights and buffers as arrays on the host, under names that start with ``network.``"""
    return {PREFIX + name: tensor.cpu().numpy() for name, tensor in network.state_dict().items()}


def load_network(network: nn.Module, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Put back what :func:`network_arrays` took; ``RuntimeError`` when names or shapes differ."""
    # Copied, as arrays that come from a file are read-only.
    network.load_state_dict(
        {
            name.removeprefix(PREFIX): torch.tensor(value)
            for name, value in arrays.items()
            if name.startswith(PREFIX)
        }
    )
