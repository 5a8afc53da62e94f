"""Building blocks of the networks: layers drawn from a generator of their own, and weights as named
arrays."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from itertools import chain, pairwise
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import numpy.typing as npt
import torch
from torch import Tensor, nn

PREFIX = "network."
Network = TypeVar("Network", bound=nn.Module)

# Copying a module takes longer than applying one of this size, so the copy is kept as long as its original.
_COPIES: WeakKeyDictionary[nn.Module, nn.Module] = WeakKeyDictionary()


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
    """A copy of ``network`` that computes in float64, for inference; the next call brings the same copy up to date.

    In float32 the last bits of a row would depend on the rows around it, as kernels for one row and for many add up
    in different orders.
    """
    copy: Any = _COPIES.get(network)
    if copy is None or not _refresh(copy, network):
        copy = _COPIES[network] = deepcopy(network).double().requires_grad_(False)
    kept: Network = copy
    return kept


def _refresh(copy: nn.Module, network: nn.Module) -> bool:
    """Give ``copy`` the weights, buffers and mode of ``network``; False where their shapes or devices differ."""
    there, here = (list(chain(n.parameters(), n.buffers())) for n in (copy, network))
    if [(t.shape, t.device) for t in there] != [(h.shape, h.device) for h in here]:
        return False
    with torch.no_grad():
        for target, source in zip(there, here, strict=True):
            target.copy_(source)
    if copy.training != network.training:
        copy.train(network.training)
    return True


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
