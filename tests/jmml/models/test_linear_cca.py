"""Linear CCA: against scipy and scikit-learn, averaging over drawn pairs, files, the contract, bad input."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import eigh
from sklearn.cross_decomposition import CCA
from sklearn.utils.estimator_checks import parametrize_with_checks

from jmml.errors import ModelError
from jmml.models.linear_cca import LinearCCA
from jmml.models.pairing import schedule
from jmml.models.persistence import load_state, save_state
from tests.jmml.models.test_edcc_cae import parallel

SPEECH, EEG = parallel(500)
HELD_OUT = parallel(400, seed=1)


def same_up_to_sign(a: np.ndarray, b: np.ndarray, tolerance: float) -> None:
    for i in range(a.shape[1]):
        assert abs(np.corrcoef(a[:, i], b[:, i])[0, 1]) > 1 - tolerance


def test_without_a_ridge_it_is_the_cca_of_scikit_learn_on_seen_and_unseen_rows() -> None:
    model = LinearCCA(k=2, ridge=0.0).fit(SPEECH, EEG, held_out=HELD_OUT)
    reference = CCA(n_components=2, max_iter=5000, tol=1e-12).fit(SPEECH, EEG)
    for rows, rho in (((SPEECH, EEG), "rho_train"), (HELD_OUT, "rho_held_out")):
        a, b = reference.transform(*rows)
        same_up_to_sign(model.transform(rows[0]), a, 1e-6)
        same_up_to_sign(model.transform(X_eeg=rows[1]), b, 1e-6)
        if rho == "rho_train":
            each = [np.corrcoef(a[:, i], b[:, i])[0, 1] for i in range(2)]
            assert model.history_[0][rho] == pytest.approx(np.mean(each), abs=1e-6)
            assert -model.history_[0]["loss"] == pytest.approx(np.mean(each), abs=1e-6)
    assert 0.7 < model.history_[0]["rho_held_out"] < 0.85
    assert model.history_[0]["rho_permuted"] < 0.1


@pytest.mark.parametrize("ridge", [1e-3, 1.0])
def test_with_a_ridge_it_is_the_generalised_eigenproblem_of_scipy(ridge: float) -> None:
    a, b = ((v - v.mean(0)) / v.std(0) for v in (SPEECH, EEG))
    n, p, q = len(a), a.shape[1], b.shape[1]
    cross = a.T @ b / (n - 1)
    left = np.block([[np.zeros((p, p)), cross], [cross.T, np.zeros((q, q))]])
    right = np.zeros((p + q, p + q))
    right[:p, :p] = a.T @ a / (n - 1) + ridge * np.eye(p)
    right[p:, p:] = b.T @ b / (n - 1) + ridge * np.eye(q)
    rho, vectors = eigh(left, right)
    model = LinearCCA(k=3, ridge=ridge).fit(SPEECH, EEG)
    assert -model.history_[0]["loss"] == pytest.approx(rho[::-1][:3].mean(), abs=1e-6)
    same_up_to_sign(model.transform(SPEECH), a @ vectors[:p, ::-1][:, :3], 1e-6)
    same_up_to_sign(model.transform(X_eeg=EEG), b @ vectors[p:, ::-1][:, :3], 1e-6)


def test_permuted_rows_recover_nothing() -> None:
    """Directions are then random, which finds some correlation between related views, far from all of it."""
    found = []
    for seed in range(10):
        order = np.random.default_rng(seed).permutation(500)
        model = LinearCCA(k=2).fit(SPEECH, EEG[order], held_out=HELD_OUT)
        assert model.history_[0]["rho_train"] < 0.2
        found.append(model.history_[0]["rho_held_out"])
    assert np.mean(found) < 0.4


def test_it_fits_once() -> None:
    model = LinearCCA(k=2)
    (only,) = model.iter_fit(SPEECH, EEG, held_out=HELD_OUT)
    assert set(only) == {"epoch", "loss", "rho_train", "rho_held_out", "rho_permuted"}
    assert model.history_ == [only]
    assert set(LinearCCA(k=2).fit(SPEECH, EEG).history_[0]) == set(only) - {"rho_held_out"}


def classes(n: int, seed: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    """Three Gaussian classes, in two directions of d."""
    means = np.zeros((3, d))
    means[:, :2] = 0.7 * np.array([[1.0, 0.0], [-0.5, 0.87], [-0.5, -0.87]])
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(n) % 3)
    return means[y] + rng.normal(size=(n, d)), y


def test_many_draws_of_class_pairs_approach_the_covariance_of_the_class_means() -> None:
    """Its third correlation would be zero; one draw shows one of the size that chance gives."""
    (speech, y_s), (eeg, y_e) = classes(150, 0, 5), classes(120, 1, 4)
    first_two, third = [], []
    for draws in (1, 20, 400):
        pairs = schedule("class", y_s, y_e, seed=0)
        two, three = (
            -k
            * LinearCCA(k=k, draws=draws, ridge=1e-6)
            .fit(speech, eeg, y_s, y_e, pairs=pairs)
            .history_[0]["loss"]
            for k in (2, 3)
        )
        first_two.append(two / 2)
        third.append(three - two)
    assert third[0] > 0.05 > third[1] > third[2]

    a, b = ((u - u.mean(0)) / u.std(0) for u in (speech, eeg))
    means = [np.stack([v[y == c].mean(0) for c in range(3)]) for v, y in ((a, y_s), (b, y_e))]
    whiten = [np.linalg.inv(np.linalg.cholesky(v.T @ v / len(v))) for v in (a, b)]
    expected = np.linalg.svd(whiten[0] @ (means[0].T @ means[1] / 3) @ whiten[1].T)[1]
    assert expected[2] < 1e-12
    errors = [abs(value - expected[:2].mean()) for value in first_two]
    assert errors[2] < 0.01
    assert errors[2] < errors[0]


def test_pairs_are_drawn_for_the_given_number_of_epochs() -> None:
    asked: list[int] = []

    def pairs(epoch: int) -> np.ndarray:
        asked.append(epoch)
        return np.random.default_rng(epoch).permutation(500)

    LinearCCA(k=2, draws=7).fit(SPEECH, EEG, pairs=pairs)
    assert asked == list(range(7))
    # A fixed array is one draw, as are rows that belong together.
    by_array = LinearCCA(k=2).fit(SPEECH, EEG, pairs=np.arange(500))
    np.testing.assert_array_equal(
        by_array.transform(SPEECH), LinearCCA(k=2).fit(SPEECH, EEG).transform(SPEECH)
    )


def test_codes_are_standardised_and_the_parameters_counted() -> None:
    model = LinearCCA(k=2).fit(SPEECH, EEG)
    for codes in (model.transform(SPEECH), model.transform(X_eeg=EEG)):
        np.testing.assert_allclose(codes.mean(0), 0.0, atol=1e-4)
        np.testing.assert_allclose(codes.std(0), 1.0, atol=1e-3)
    both = model.transform(SPEECH, EEG)
    np.testing.assert_allclose(both, (model.transform(SPEECH) + model.transform(X_eeg=EEG)) / 2)
    # Signs of the two views agree: codes of a pair correlate positively.
    assert np.corrcoef(model.transform(SPEECH)[:, 0], model.transform(X_eeg=EEG)[:, 0])[0, 1] > 0.7
    assert model.n_parameters() == 6 * 2
    assert set(model.get_params()) == {"k", "ridge", "draws", "seed", "device"}


def test_same_seed_same_bits_also_from_files(tmp_path) -> None:  # type: ignore[no-untyped-def]
    (speech, y_s), (eeg, y_e) = classes(150, 0, 5), classes(120, 1, 4)
    model, again = (LinearCCA(k=2, seed=3).fit(speech, eeg, y_s, y_e) for _ in range(2))
    np.testing.assert_array_equal(model.transform(speech), again.transform(speech))
    other = LinearCCA(k=2, seed=4).fit(speech, eeg, y_s, y_e)
    assert not np.array_equal(other.transform(speech), model.transform(speech))
    save_state(tmp_path, "peer", *model.state())
    twin = LinearCCA.from_state(*load_state(tmp_path, "peer"))
    np.testing.assert_array_equal(twin.transform(speech), model.transform(speech))
    np.testing.assert_array_equal(twin.transform(X_eeg=eeg), model.transform(X_eeg=eeg))
    assert (twin.get_params(), twin.history_) == (model.get_params(), model.history_)


@parametrize_with_checks(
    [LinearCCA(k=1)],
    expected_failed_checks=lambda estimator: {
        "check_fit_score_takes_y": "the second argument of fit is the second view, X_eeg"
    },
)
@pytest.mark.filterwarnings("ignore")
def test_it_is_a_scikit_learn_estimator(estimator, check) -> None:  # type: ignore[no-untyped-def]
    check(estimator)


def test_degenerate_views_give_finite_codes() -> None:
    """A constant feature, a duplicate and one row per class in place of EEG: the ridge holds all three."""
    speech, y_s = classes(150, 0, 5)
    speech[:, 0], speech[:, 1] = 3.0, speech[:, 2]
    model = LinearCCA(k=3).fit(speech, np.eye(3), y_s, np.arange(3))
    assert np.isfinite(list(model.history_[0].values())).all()
    assert np.isfinite(model.transform(speech)).all()


def test_bad_input_is_named() -> None:
    speech, y_s = classes(150, 0, 5)
    with pytest.raises(
        ModelError, match=r"k = 3, but the views have only 2 canonical directions.*or a ridge"
    ):
        LinearCCA(k=3, ridge=0.0).fit(speech, np.eye(3), y_s, np.arange(3))
    with pytest.raises(ModelError, match=r"k = 6 is wider than a view"):
        LinearCCA(k=6).fit(SPEECH, EEG)
    with pytest.raises(ModelError, match=r"linear CCA, speech: .* not finite"):
        LinearCCA(k=2).fit(SPEECH * np.nan, EEG)
    with pytest.raises(ModelError, match="15 training pairs are too few"):
        LinearCCA(k=2).fit(SPEECH[:15], EEG[:15])
    with pytest.raises(ModelError, match="all 500 rows have the class 'a'"):
        LinearCCA(k=2).fit(SPEECH, EEG, ["a"] * 500, ["a"] * 500)
    with pytest.raises(ModelError, match="draws = 0; expected at least 1"):
        LinearCCA(k=2, draws=0).fit(SPEECH, EEG)
    with pytest.raises(ModelError, match="has not been fitted"):
        LinearCCA().transform(SPEECH)
