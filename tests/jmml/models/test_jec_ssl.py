"""Stage 1: the loss term by term against plain loops, determinism, persistence and bad input."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch.nn import functional

from jmml.config import Stage1Config
from jmml.errors import ModelError
from jmml.models.jec_ssl import JECSSL, _Branches

CLASSES = np.array(["anger", "calm", "fear"])
ABC = {"alpha": 1.0, "beta": 0.1, "gamma": 0.1}


def data(n: int = 150, d: int = 20, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    fixed = np.random.default_rng(99)
    means, units = fixed.normal(size=(3, d)), fixed.uniform(0.1, 50, d)
    return (rng.normal(size=(n, d)) + means[y]) * units + 3.0, CLASSES[y]


def model(**changes: object) -> JECSSL:
    return JECSSL(**{"p": 4, "r": 4, "hidden": 16, "epochs": 8, "batch_size": 32, **changes})


def test_losses_are_the_formulas_written_out() -> None:
    """Branch by branch, class by class, sample by sample, against the batched products."""
    d, hidden, p, n_classes, n = 6, 5, 3, 4, 21
    generator = torch.Generator().manual_seed(0)
    net = _Branches(d, hidden, p, n_classes, generator).double()
    x = torch.randn(n, d, generator=generator, dtype=torch.float64)
    y = torch.arange(n) % 3  # class 3 is absent from this batch

    W1 = net.w1.view(d, n_classes + 1, hidden)
    b1 = net.b1.view(n_classes + 1, hidden)
    E = [functional.silu(x @ W1[:, b] + b1[b]) @ net.w2[b] + net.b2[b] for b in range(n_classes + 1)]
    torch.testing.assert_close(net.encode(x), torch.stack(E))

    reconstruction = sum(
        (x[i] - net.decoder(torch.cat([E[y[i] + 1][i], E[0][i]]))).square().sum() / d for i in range(n)
    )
    logits = torch.stack([(E[c + 1] * net.v[c]).sum(1) for c in range(n_classes)], dim=1)
    corr = sum(
        np.square(np.corrcoef(E[c + 1].detach(), E[0].detach(), rowvar=False)[:p, p:]).sum()
        for c in range(n_classes)
    )
    gaps = sum((E[0][y == c].mean(0) - E[0].mean(0)).square().sum() for c in range(3))

    parts = net.losses(x, y, alpha=0.7, beta=0.2, gamma=0.3)
    torch.testing.assert_close(parts["loss_reconstruction"], reconstruction / n)
    torch.testing.assert_close(parts["loss_class"], -torch.log_softmax(logits, 1)[range(n), y].mean())
    # The epsilon under the variance moves a correlation by parts in a thousand at the scale of the start.
    assert parts["loss_decorrelation"].item() == pytest.approx(corr, rel=1e-2)
    torch.testing.assert_close(parts["loss_shared"], gaps)
    assert parts["accuracy"].item() == pytest.approx((logits.argmax(1) == y).double().mean().item())
    total = (
        parts["loss_reconstruction"]
        + 0.7 * parts["loss_class"]
        + 0.2 * parts["loss_decorrelation"]
        + 0.3 * parts["loss_shared"]
    )
    torch.testing.assert_close(parts["loss"], total)


@pytest.mark.parametrize("n", [2, 3])
def test_losses_and_gradients_are_finite_on_tiny_batches_and_constant_branches(n: int) -> None:
    generator = torch.Generator().manual_seed(0)
    net = _Branches(6, 5, 3, 4, generator)
    with torch.no_grad():
        net.w2[0].zero_()  # the inter-class encoder says the same of every sample
    parts = net.losses(torch.randn(n, 6, generator=generator), torch.zeros(n, dtype=torch.long), **ABC)
    parts["loss"].backward()
    assert all(torch.isfinite(value) for value in parts.values())
    assert all(torch.isfinite(p.grad).all() for p in net.parameters())
    assert parts["loss_decorrelation"] < 1e-12


def test_training_lowers_every_weighted_term_and_separates_the_classes() -> None:
    X, y = data()
    fitted = model(epochs=40, lr=5e-3, beta=1.0).fit(X, y)
    first, last = fitted.history_[0], fitted.history_[-1]
    for name in ("loss", "loss_reconstruction", "loss_class", "loss_decorrelation"):
        assert last[name] < first[name], name
    assert [entry["epoch"] for entry in fitted.history_] == list(range(1, 41))

    X_new, y_new = data(seed=1)
    assert (fitted.classes_[fitted.class_logits(X_new).argmax(1)] == y_new).mean() > 0.8
    head = LogisticRegression(max_iter=1000).fit(fitted.transform(X), y)
    assert head.score(fitted.transform(X_new), y_new) > 0.8


def test_output_is_the_scaled_blocks_times_the_rotation() -> None:
    X, y = data()
    fitted = model().fit(X, y)
    u = fitted.transform(X)
    assert u.shape == (150, 4)
    assert u.dtype == np.float64
    x = torch.tensor((X - X.mean(0)) / X.std(0), dtype=torch.float32)
    with torch.no_grad():
        blocks = np.concatenate([e.double().numpy() / 2.0 for e in fitted.network_.encode(x)], axis=1)
    np.testing.assert_allclose(u, (blocks - blocks.mean(0)) @ fitted.pls_.rotation, atol=1e-5)


def test_same_seed_same_bits_and_nothing_global_moves() -> None:
    X, y = data()
    torch.manual_seed(5)
    before, threads = torch.random.get_rng_state(), torch.get_num_threads()
    numpy_before = np.random.get_state()[1].copy()  # noqa: NPY002
    first = model(seed=3).fit(X, y).transform(X)
    assert torch.equal(torch.random.get_rng_state(), before)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002
    try:
        torch.manual_seed(6)
        torch.set_num_threads(2)
        again = model(seed=3).fit(X, y).transform(X)
    finally:
        torch.set_num_threads(threads)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, model(seed=4).fit(X, y).transform(X))


def test_labels_are_not_needed_nor_used_at_inference() -> None:
    X, y = data()
    fitted = model().fit(X, y)
    np.testing.assert_array_equal(fitted.transform(X[:10]), fitted.transform(X[:10]))
    order = np.random.default_rng(0).permutation(150)
    np.testing.assert_allclose(fitted.transform(X[order]), fitted.transform(X)[order], atol=1e-12)


def test_stepwise_fitting_ends_in_the_same_model() -> None:
    X, y = data()
    stepwise = model()
    steps = list(islice(stepwise.iter_fit(X, y), 8))  # not one call beyond the last epoch
    assert steps == stepwise.history_
    np.testing.assert_array_equal(stepwise.transform(X), model().fit(X, y).transform(X))


def test_its_parameters_are_the_settings_of_the_configuration() -> None:
    assert set(JECSSL().get_params()) == {*Stage1Config.model_fields, "seed", "device"}


def test_state_restores_the_same_bits() -> None:
    X, y = data()
    fitted = model().fit(X, y)
    arrays, meta = fitted.state()
    twin = JECSSL.from_state(arrays, meta)
    np.testing.assert_array_equal(twin.transform(X), fitted.transform(X))
    np.testing.assert_array_equal(twin.class_logits(X), fitted.class_logits(X))
    assert twin.classes_.tolist() == CLASSES.tolist()
    assert twin.history_ == fitted.history_
    del arrays["network.v"]
    with pytest.raises(ModelError, match="does not fit"):
        JECSSL.from_state(arrays, meta)


@pytest.mark.parametrize(
    ("changes", "spoil", "said"),
    [
        ({}, lambda X, y: (np.where(X.max() - 1e-9 < X, np.nan, X), y), "1 feature values are not finite"),
        ({}, lambda X, y: (X, np.repeat("calm", 150)), "all 150 rows have the class 'calm'"),
        ({"r": 17}, lambda X, y: (X, y), r"r = 17 components .*at most 16 \(branches\)"),
        ({"p": 8, "r": 21}, lambda X, y: (X, y), r"r = 21 components .*at most 20 \(features\)"),
        ({"r": 12}, lambda X, y: (X[:12], y[:12]), r"r = 12 .* 12 samples.*at most 11 \(samples - 1\)"),
        ({"r": 0}, lambda X, y: (X, y), "r = 0; expected a whole number of at least 1"),
        ({"batch_size": 2.5}, lambda X, y: (X, y), "batch_size = 2.5; expected a whole number"),
        ({}, lambda X, y: (X, y[:-1]), r"labels of shape \(149,\) for 150 rows"),
        ({"lr": 1e30}, lambda X, y: (X, y), "training diverged in epoch"),
        ({"device": "cuda:97"}, lambda X, y: (X, y), "'cuda:97' is not available"),
    ],
)
def test_bad_input_is_named(changes: dict[str, object], spoil, said: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ModelError, match=said):
        model(**changes).fit(*spoil(*data()))


def test_use_before_the_end_of_training_is_named() -> None:
    X, y = data()
    unfinished = model()
    with pytest.raises(ModelError, match="has not been fitted"):
        unfinished.transform(X)
    next(unfinished.iter_fit(X, y))
    with pytest.raises(ModelError, match="has not been fitted to the end"):
        unfinished.transform(X)
    with pytest.raises(ModelError, match="X has 19 features, but JECSSL is expecting 20"):
        model().fit(X, y).transform(X[:, :19])
