"""Batches, reproducibility and divergence of the shared training loop."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from jmml.errors import ModelError
from jmml.models.networks import load_network, mlp, network_arrays
from jmml.models.training import Trainer, generators, minibatches, reproducible, resolve_device


@given(n=st.integers(1, 400), batch_size=st.integers(1, 150), seed=st.integers(0, 99))
def test_batches_cover_every_row_once_and_none_is_small(n: int, batch_size: int, seed: int) -> None:
    batches = minibatches(n, batch_size, torch.Generator().manual_seed(seed))
    sizes = [len(batch) for batch in batches]
    assert sorted(torch.cat(batches).tolist()) == list(range(n))
    assert min(sizes) >= min(n, batch_size)
    assert max(sizes) - min(sizes) <= 1
    assert max(sizes) < 2 * batch_size


def test_settings_of_torch_are_restored_even_after_an_error() -> None:
    threads, mode = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    fill = torch.utils.deterministic.fill_uninitialized_memory
    torch.set_num_threads(2)
    try:
        with pytest.raises(RuntimeError, match="boom"), reproducible():
            assert torch.get_num_threads() == 1
            assert torch.are_deterministic_algorithms_enabled()
            assert not torch.utils.deterministic.fill_uninitialized_memory
            raise RuntimeError("boom")
        assert torch.get_num_threads() == 2
        assert torch.are_deterministic_algorithms_enabled() == mode
        assert torch.utils.deterministic.fill_uninitialized_memory == fill
    finally:
        torch.set_num_threads(threads)


def test_generators_are_reproducible_and_differ() -> None:
    first, again = ([torch.rand(3, generator=g) for g in generators(5, 3)] for _ in range(2))
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    assert len({tuple(draw.tolist()) for draw in first}) == 3
    # A further part leaves the draws of the others as they were.
    assert torch.equal(torch.rand(3, generator=generators(5, 4)[0]), first[0])


def test_unknown_and_absent_devices_are_named() -> None:
    with pytest.raises(ModelError, match="unknown device 'tpux'"):
        resolve_device("tpux")
    with pytest.raises(ModelError, match=r"'cuda:97' is not available"):
        resolve_device("cuda:97")


def _trainer(parameter: nn.Parameter, lr: float = 0.1, seed: int = 0) -> Trainer:
    return Trainer(
        [parameter],
        lr=lr,
        weight_decay=0.0,
        generator=torch.Generator().manual_seed(seed),
        device=torch.device("cpu"),
        where="model",
    )


def test_an_epoch_reports_means_over_rows_and_minimises_the_loss() -> None:
    target = torch.arange(10.0)
    centre = nn.Parameter(torch.tensor(20.0))
    trainer = _trainer(centre)

    def losses(rows: Tensor) -> dict[str, Tensor]:
        return {"loss": (target[rows] - centre).square().mean(), "row": rows.float().mean()}

    first = trainer.epoch(10, 3, losses)
    # Batches of 4, 3 and 3 rows: a plain mean over batches would not give the mean over rows.
    assert first["row"] == pytest.approx(4.5)
    for _ in range(200):
        last = trainer.epoch(10, 3, losses)
    assert last["loss"] == pytest.approx(target.var(correction=0).item(), rel=0.05)
    assert centre.item() == pytest.approx(4.5, abs=0.3)


def test_a_training_that_goes_on_from_its_state_is_that_which_was_not_broken_off() -> None:
    """Weights, moments of Adam, number of the epoch and the order of the rows."""
    target = torch.linspace(-1, 1, 10)

    def trained(weight: nn.Parameter, trainer: Trainer, epochs: int) -> list[list[int]]:
        orders: list[list[int]] = []

        def losses(rows: Tensor) -> dict[str, Tensor]:
            orders.append(rows.tolist())
            return {"loss": (target[rows] * (1 + rows) - weight).square().mean()}

        for _ in range(epochs):
            trainer.epoch(10, 3, losses)
        return orders

    whole = nn.Parameter(torch.tensor(3.0))
    one = _trainer(whole)
    trained(whole, one, 2)
    state, weight = one.state(), whole.detach().clone()
    orders = trained(whole, one, 3)
    part = nn.Parameter(weight)
    other = _trainer(part, seed=7)
    other.load(state)
    assert trained(part, other, 3) == orders
    assert torch.equal(part, whole)
    assert other.epochs_done == one.epochs_done == 5


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_divergence_is_named_with_its_epoch(value: float) -> None:
    weight = nn.Parameter(torch.tensor(1.0))
    trainer = _trainer(weight)
    trainer.epoch(4, 2, lambda rows: {"loss": weight * 1.0})
    with pytest.raises(ModelError, match=r"model: training diverged in epoch 2.*Lower lr"):
        trainer.epoch(4, 2, lambda rows: {"loss": weight * value})


def test_a_refused_decomposition_counts_as_divergence() -> None:
    weight = nn.Parameter(torch.eye(2))
    trainer = _trainer(weight)
    with pytest.raises(ModelError, match="diverged in epoch 1"):
        trainer.epoch(4, 2, lambda rows: {"loss": torch.linalg.svdvals(weight * float("nan")).sum()})


def test_layers_come_from_their_generator_and_return_from_arrays() -> None:
    before = torch.random.get_rng_state()
    net = mlp((3, 5, 2), torch.Generator().manual_seed(1))
    twin = mlp((3, 5, 2), torch.Generator().manual_seed(2))
    assert torch.equal(torch.random.get_rng_state(), before)
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(3))
    assert not torch.equal(net(x), twin(x))
    assert all(p.abs().max() <= layer.in_features**-0.5 for layer in net[::2] for p in layer.parameters())
    load_network(twin, network_arrays(net))
    assert torch.equal(net(x), twin(x))
    with pytest.raises(RuntimeError, match="size mismatch"):
        load_network(mlp((3, 4, 2), torch.Generator()), network_arrays(net))
