"""The correlation loss against exact CCA, numerical gradients, its invariances, and degenerate input."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from jmml.errors import ModelError
from jmml.models.correlation import canonical_correlations, correlation_loss, permuted_correlations


def views(n: int = 60, d1: int = 4, d2: int = 3, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Correlated Gaussian views with offsets and unequal scales, float64."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(n, max(d1, d2)))
    h1 = shared[:, :d1] * rng.uniform(0.5, 3, d1) + rng.normal(size=(n, d1)) + 5.0
    h2 = shared[:, :d2] + rng.uniform(0.5, 2, d2) * rng.normal(size=(n, d2)) - 2.0
    return torch.from_numpy(h1), torch.from_numpy(h2)


def exact_cca(h1: Tensor, h2: Tensor) -> np.ndarray:
    """Bjorck and Golub: cosines of the principal angles between the centred column spaces."""
    q1, q2 = (scipy.linalg.qr((h - h.mean(0)).numpy(), mode="economic")[0] for h in (h1, h2))
    return scipy.linalg.svdvals(q1.T @ q2)


def regularised_cca(h1: Tensor, h2: Tensor, ridge: float) -> np.ndarray:
    """Square roots of the eigenvalues of S11^-1 S12 S22^-1 S21: another road than Cholesky and SVD."""
    a, b = ((h - h.mean(0)).numpy() for h in (h1, h2))
    n = len(a)
    s11, s22 = a.T @ a / (n - 1) + ridge * np.eye(a.shape[1]), b.T @ b / (n - 1) + ridge * np.eye(b.shape[1])
    s12 = a.T @ b / (n - 1)
    values = scipy.linalg.eigvals(scipy.linalg.solve(s11, s12) @ scipy.linalg.solve(s22, s12.T)).real
    return np.sqrt(np.sort(np.clip(values, 0, None))[::-1][: min(s12.shape)])


def _rank(n: int, d: int, rank: int) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    centres = torch.randn(rank + 1, d, generator=generator, dtype=torch.float64)
    return centres[torch.arange(n) % (rank + 1)]


def _whiten(h: Tensor) -> Tensor:
    return torch.linalg.qr(h - h.mean(0))[0] * math.sqrt(len(h) - 1)


def degenerate() -> dict[str, tuple[Tensor, Tensor]]:
    h1, h2 = views(n=64, d1=5, d2=5)
    constant, dead, duplicate = torch.full_like(h1, 7.3), h1.clone(), h1.clone()
    dead[:, 2] = 0.0
    duplicate[:, 3] = duplicate[:, 1]
    return {
        "constant view": (constant, h2),
        "dead feature": (dead, h2),
        "duplicate feature": (duplicate, h2),
        "identical views": (h1, h1.clone()),
        "collapsed encoder": (h1[:, :1] @ torch.ones(1, 5, dtype=h1.dtype), h2),
        "neural collapse": (_rank(64, 5, 3), _rank(64, 5, 3) @ torch.diag(torch.arange(1.0, 6.0).double())),
        "whitened latent": (_whiten(h1), _whiten(h1).roll(1, dims=1)),
        "fewer rows than features": (h1[:4], h2[:4]),
        "views scaled by 1e-3": (h1 * 1e-3, h2 * 1e-3),
        "views scaled by 1e4": (h1 * 1e4, h2 * 1e4),
    }


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", degenerate())
@pytest.mark.parametrize(
    ("ridge", "smoothing"), [(1e-3, 1e-2), (0.0, 1e-2), (0.0, 0.0), (1e-12, 0.0)], ids=str
)
def test_degenerate_input_gives_finite_values_and_gradients(
    name: str, dtype: torch.dtype, ridge: float, smoothing: float
) -> None:
    h1, h2 = (h.to(dtype).requires_grad_() for h in degenerate()[name])
    loss = correlation_loss(h1, h2, ridge=ridge, smoothing=smoothing)
    loss.backward()
    assert loss.dtype == dtype
    assert -5.0 <= loss.item() <= 0.0
    for h in (h1, h2):
        assert h.grad is not None
        assert h.grad.dtype == dtype
        assert torch.isfinite(h.grad).all()
    rho = canonical_correlations(h1, h2, ridge=ridge)
    assert rho.shape == (5,)
    assert ((rho >= 0) & (rho <= 1)).all()


@pytest.mark.parametrize(
    ("name", "rank"),
    [
        ("constant view", 0),
        ("dead feature", 4),
        ("duplicate feature", 4),
        ("collapsed encoder", 1),
        ("neural collapse", 3),
        ("fewer rows than features", 3),
    ],
)
def test_exact_correlations_stop_at_the_rank_of_the_views(name: str, rank: int) -> None:
    rho = canonical_correlations(*degenerate()[name])
    assert (rho[:rank] > 1e-3).all()
    assert (rho[rank:] == 0).all()


@pytest.mark.parametrize("shape", [(60, 4, 3), (200, 1, 1), (40, 2, 7), (500, 8, 8)])
def test_agrees_with_exact_cca_without_smoothing_and_ridge(shape: tuple[int, int, int]) -> None:
    h1, h2 = views(*shape)
    expected = exact_cca(h1, h2)
    np.testing.assert_allclose(canonical_correlations(h1, h2).numpy(), expected, atol=1e-6, rtol=0)
    loss = correlation_loss(h1, h2, ridge=0.0, smoothing=0.0)
    assert -loss.item() == pytest.approx(expected.sum(), abs=1e-6)
    top = correlation_loss(h1, h2, k=1, ridge=0.0, smoothing=0.0)
    assert -top.item() == pytest.approx(expected[0], abs=1e-6)


@pytest.mark.parametrize("name", ["identical views", "neural collapse", "dead feature", "constant view"])
def test_permuted_rows_correlate_as_one_by_one(name: str) -> None:
    h1, h2 = degenerate()[name]
    h2 = h2[:, :4]
    orders = torch.stack([torch.randperm(64, generator=torch.Generator().manual_seed(s)) for s in range(3)])
    expected = torch.stack([canonical_correlations(h1, h2[order]) for order in orders])
    found = permuted_correlations(h1, h2, orders)
    assert found.shape == (3, 4)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("ridge", [1e-3, 0.5])
def test_ridge_and_smoothing_follow_their_formulas(ridge: float) -> None:
    h1, h2 = views()
    rho = regularised_cca(h1, h2, ridge)
    np.testing.assert_allclose(canonical_correlations(h1, h2, ridge=ridge).numpy(), rho, atol=1e-9)
    loss = correlation_loss(h1, h2, k=2, ridge=ridge, smoothing=0.1)
    assert loss.item() == pytest.approx(-(np.sqrt(rho[:2] ** 2 + 0.01) - 0.1).sum(), abs=1e-9)


@pytest.mark.parametrize("k", [None, 1, 2])
@pytest.mark.parametrize("ridge", [0.0, 1e-3, 0.3])
@pytest.mark.parametrize("smoothing", [0.0, 1e-2])
def test_gradient_agrees_with_finite_differences(k: int | None, ridge: float, smoothing: float) -> None:
    h1, h2 = (h.requires_grad_() for h in views(n=15))

    def loss(a: Tensor, b: Tensor) -> Tensor:
        return correlation_loss(a, b, k=k, ridge=ridge, smoothing=smoothing)

    assert torch.autograd.gradcheck(loss, (h1, h2), eps=1e-6, atol=1e-7)


def test_gradient_agrees_with_autograd_through_the_decomposition() -> None:
    """Where a decomposition can be differentiated at all, the closed form is what autograd finds."""
    h1, h2 = (h.requires_grad_() for h in views())

    def through(a: Tensor, b: Tensor) -> Tensor:
        a, b = a - a.mean(0), b - b.mean(0)
        n = len(a)
        l1 = torch.linalg.cholesky(a.T @ a / (n - 1) + 0.1 * torch.eye(4, dtype=a.dtype))
        l2 = torch.linalg.cholesky(b.T @ b / (n - 1) + 0.1 * torch.eye(3, dtype=a.dtype))
        left = torch.linalg.solve_triangular(l1, a.T @ b / (n - 1), upper=False)
        rho = torch.linalg.svdvals(torch.linalg.solve_triangular(l2, left.T, upper=False))
        return -(torch.sqrt(rho**2 + 1e-4) - 1e-2).sum()

    expected = torch.autograd.grad(through(h1, h2), (h1, h2))
    found = torch.autograd.grad(correlation_loss(h1, h2, ridge=0.1), (h1, h2))
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


def test_gradient_is_scaled_by_what_comes_from_above_and_given_where_asked() -> None:
    h1, h2 = views()
    h1.requires_grad_()
    (once,) = torch.autograd.grad(correlation_loss(h1, h2), h1)
    (thrice,) = torch.autograd.grad(3 * correlation_loss(h1, h2), h1)
    torch.testing.assert_close(thrice, 3 * once)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(12, 50),
    d1=st.integers(1, 5),
    d2=st.integers(1, 5),
    log_scale=st.floats(-3, 3),
)
def test_laws_of_canonical_correlation(seed: int, n: int, d1: int, d2: int, log_scale: float) -> None:
    h1, h2 = views(n, d1, d2, seed)
    k = min(d1, d2)
    generator = torch.Generator().manual_seed(seed)
    plain = correlation_loss(h1, h2, ridge=0.0)

    # An invertible map: a rotation, distinct stretches (condition number 3), an offset, any overall scale.
    q = torch.linalg.qr(torch.randn(d1, d1, generator=generator, dtype=h1.dtype))[0]
    mapped = (h1 @ (q * torch.linspace(1, 3, d1, dtype=h1.dtype)) + 1.0) * 10.0**log_scale
    torch.testing.assert_close(correlation_loss(mapped, h2, ridge=0.0), plain, atol=1e-8, rtol=0)

    for ridge in (0.0, 1e-3):
        loss = correlation_loss(h1, h2, ridge=ridge)
        assert -k <= loss.item() <= 0.0
        torch.testing.assert_close(correlation_loss(h2, h1, ridge=ridge), loss, atol=1e-10, rtol=0)
        order = torch.randperm(n, generator=generator)
        torch.testing.assert_close(
            correlation_loss(h1[order], h2[order], ridge=ridge), loss, atol=1e-10, rtol=0
        )
    rho = canonical_correlations(h1, h2)
    assert (rho.diff() <= 0).all()


def test_ascent_along_the_gradient_reaches_full_correlation() -> None:
    """The loss trains: views made equal by a linear map are found from a poor start."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(200, 4, generator=generator)
    noisy = torch.cat([x[:, :1], torch.randn(200, 3, generator=generator)], dim=1)
    w = torch.randn(4, 1, generator=generator).requires_grad_()
    optimiser = torch.optim.Adam([w], lr=0.05)
    start = correlation_loss(x @ w, noisy[:, :1]).item()
    for _ in range(200):
        optimiser.zero_grad()
        correlation_loss(x @ w, noisy[:, :1]).backward()
        optimiser.step()
    assert start > -0.6
    assert canonical_correlations(x @ w, noisy[:, :1]).item() > 0.999


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda a, b: correlation_loss(a, b[:-1]), r"\(60, 4\) and \(59, 3\)"),
        (lambda a, b: correlation_loss(a[:1], b[:1]), "n >= 2"),
        (lambda a, b: correlation_loss(a, b, k=4), "k between 1 and 3"),
        (lambda a, b: correlation_loss(a, b, k=0), "k between 1 and 3"),
        (lambda a, b: correlation_loss(a, b, ridge=-1.0), "at least 0"),
        (lambda a, b: canonical_correlations(a[:, 0], b), "expected"),
        (lambda a, b: permuted_correlations(a, b[:-1], torch.arange(60)[None]), r"\(60, 4\) and \(59, 3\)"),
    ],
)
def test_misuse_is_named(call, said: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ModelError, match=said):
        call(*views())
