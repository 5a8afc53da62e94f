"""Partial least squares against scikit-learn's NIPALS, and by its defining properties."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.cross_decomposition import PLSRegression

from jmml.errors import ModelError
from jmml.models.pls import PLS


def blocks(n: int = 80, q: int = 12, d: int = 20) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    latent = rng.normal(size=(n, 6)) * [5.0, 3.0, 2.0, 1.0, 0.6, 0.4]
    Z = latent @ rng.normal(size=(6, q)) + 0.1 * rng.normal(size=(n, q)) + 4.0
    X = latent @ rng.normal(size=(6, d)) + 0.5 * rng.normal(size=(n, d)) - 1.0
    return Z, X


def test_scores_are_those_of_scikit_learn() -> None:
    Z, X = blocks()
    scores = PLS.fit(Z, X, 5, where="test")(Z)
    reference = PLSRegression(n_components=5, scale=False, tol=1e-14, max_iter=10_000).fit(Z, X)
    expected = reference.transform(Z)
    signs = np.sign((scores * expected).sum(0))
    np.testing.assert_allclose(scores, expected * signs, atol=1e-6)


def test_scores_are_orthogonal_and_no_direction_covaries_more() -> None:
    Z, X = blocks()
    pls = PLS.fit(Z, X, 4, where="test")
    T = pls(Z)
    np.testing.assert_allclose(T.mean(0), 0.0, atol=1e-9)
    gram = T.T @ T
    np.testing.assert_allclose(gram - np.diag(np.diag(gram)), 0.0, atol=1e-8 * gram.max())
    centred = X - X.mean(0)
    best = np.linalg.norm(centred.T @ T[:, 0])
    directions = np.random.default_rng(1).normal(size=(500, Z.shape[1]))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    tried = np.linalg.norm(centred.T @ (Z - Z.mean(0)) @ directions.T, axis=0)
    assert tried.max() < best
    assert best == pytest.approx(np.linalg.norm(centred.T @ (Z - Z.mean(0)), ord=2))


def test_new_rows_are_rotated_by_what_was_fitted() -> None:
    Z, X = blocks()
    pls = PLS.fit(Z[:60], X[:60], 3, where="test")
    np.testing.assert_allclose(pls(Z[60:]), (Z[60:] - Z[:60].mean(0)) @ pls.rotation, rtol=1e-12)


def test_more_components_than_the_blocks_carry_is_refused_with_numbers() -> None:
    Z, X = blocks()
    Z = Z[:, :2] @ np.ones((2, 5))  # rank 1
    with pytest.raises(ModelError, match=r"r = 3 components, but the blocks have only 1 .*r of at most 1"):
        PLS.fit(Z, X, 3, where="test")
