"""Barlow Twins and VICReg: losses against the formulas, what they recover on unseen rows, files, the contract."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.cross_decomposition import CCA
from sklearn.utils.estimator_checks import parametrize_with_checks

from jmml.errors import ModelError
from jmml.models.alignment import BarlowTwins, VICReg
from jmml.models.encoders import TwoEncoders
from jmml.models.persistence import load_state, save_state
from jmml.models.two_view import TwoView
from tests.jmml.models.test_edcc_cae import parallel

PEERS = (BarlowTwins, VICReg)


def make(kind: type[TwoView], **changes: object) -> TwoView:
    return kind(**{"k": 2, "hidden": 16, "epochs": 4, **changes})


def network() -> tuple[TwoEncoders, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    net = TwoEncoders(6, 5, 8, 3, generator).double()
    u_s = torch.randn(40, 6, generator=generator, dtype=torch.float64)
    return net, u_s, torch.randn(40, 5, generator=generator, dtype=torch.float64)


def layers(net: TwoEncoders, u_s: torch.Tensor, u_e: torch.Tensor) -> list[np.ndarray]:
    return [f.layers(u).detach().numpy() for f, u in ((net.f_s, u_s), (net.f_e, u_e))]


def test_the_loss_of_barlow_twins_is_the_formula_written_out() -> None:
    net, u_s, u_e = network()
    z_s, z_e = ((h - h.mean(0)) / np.sqrt(h.var(0) + 1e-5) for h in layers(net, u_s, u_e))
    on = off = 0.0
    for i in range(3):
        for j in range(3):
            r = np.sum(z_s[:, i] * z_e[:, j]) / 40
            on, off = (on + (1 - r) ** 2, off) if i == j else (on, off + r**2)
    parts = BarlowTwins(k=3, barlow_weight=0.3)._losses(net, u_s, u_e, None)
    expected = {"loss": on + 0.3 * off, "loss_invariance": on, "loss_redundancy": off}
    assert {name: part.item() for name, part in parts.items()} == pytest.approx(expected)


def test_the_loss_of_vicreg_is_the_formula_written_out() -> None:
    net, u_s, u_e = network()
    views = layers(net, u_s, u_e)
    # One coordinate of speech wide enough to stand beyond the hinge.
    views[0][:, 0] *= 40
    with torch.no_grad():
        net.f_s.layers[-1].weight[0] *= 40
        net.f_s.layers[-1].bias[0] *= 40
    invariance = np.sum((views[0] - views[1]) ** 2) / (40 * 3)
    variance = covariance = 0.0
    for h in views:
        v = np.cov(h.T)
        assert (v[0, 0] > 1) == (h is views[0])
        variance += sum(max(0.0, 1 - np.sqrt(v[j, j] + 1e-4)) for j in range(3)) / 3 / 2
        covariance += sum(v[i, j] ** 2 for i in range(3) for j in range(3) if i != j) / 3
    model = VICReg(k=3, vicreg_invariance=2.0, vicreg_variance=5.0, vicreg_covariance=0.7)
    expected = {
        "loss": 2 * invariance + 5 * variance + 0.7 * covariance,
        "loss_invariance": invariance,
        "loss_variance": variance,
        "loss_covariance": covariance,
    }
    parts = model._losses(net, u_s, u_e, None)
    assert {name: part.item() for name, part in parts.items()} == pytest.approx(expected)


@pytest.mark.parametrize("kind", PEERS)
def test_pairs_of_one_trial_recover_the_shared_latents_on_unseen_rows(kind: type[TwoView]) -> None:
    (speech, eeg), held_out = parallel(600), parallel(400, seed=1)
    reference = CCA(n_components=2, max_iter=5000).fit(speech, eeg)
    a, b = reference.transform(*held_out)
    best = np.mean([np.corrcoef(a[:, i], b[:, i])[0, 1] for i in range(2)])
    last = make(kind, epochs=40).fit(speech, eeg, held_out=held_out).history_[-1]
    assert 0.7 < best < 0.85
    assert last["rho_held_out"] > best - 0.1
    assert last["rho_permuted"] < 0.1


def test_without_a_weight_on_repetition_both_coordinates_find_the_same_latent() -> None:
    speech, eeg = parallel(600)
    for kind, weight in ((BarlowTwins, "barlow_weight"), (VICReg, "vicreg_covariance")):
        first, second = make(kind, epochs=60, **{weight: 0.0}).fit(speech, eeg).transform(speech).T
        assert abs(np.corrcoef(first, second)[0, 1]) > 0.8
        first, second = make(kind, epochs=60).fit(speech, eeg).transform(speech).T
        assert abs(np.corrcoef(first, second)[0, 1]) < 0.4


@pytest.mark.parametrize("kind", PEERS)
def test_permuted_pairs_recover_nothing(kind: type[TwoView]) -> None:
    (speech, eeg), held_out = parallel(600), parallel(400, seed=1)
    order = np.random.default_rng(0).permutation(600)
    last = make(kind, epochs=15).fit(speech, eeg[order], held_out=held_out).history_[-1]
    assert last["rho_held_out"] < 0.2


def test_the_variance_term_keeps_the_codes_of_vicreg_from_collapsing() -> None:
    """On pairs that share nothing the first two terms are 2 s^2 + (1 - s) for codes of deviation s: s = 1/4."""
    speech, eeg = parallel(300)[0], parallel(300, seed=9)[1]

    def spread(weight: float) -> float:
        model = make(VICReg, epochs=40, vicreg_variance=weight).fit(speech, eeg)
        return float(model.network_.f_s.var.sqrt().mean())

    assert spread(0.0) < 0.05
    assert spread(25.0) == pytest.approx(0.25, abs=0.1)


@pytest.mark.parametrize("kind", PEERS)
def test_same_seed_same_bits_also_from_files(kind: type[TwoView], tmp_path) -> None:  # type: ignore[no-untyped-def]
    speech, eeg = parallel(200)
    y = np.arange(200) % 3
    model = make(kind).fit(speech, eeg, y, y)
    again = make(kind).fit(speech, eeg, y, y)
    np.testing.assert_array_equal(model.transform(speech, eeg), again.transform(speech, eeg))
    assert not np.array_equal(make(kind, seed=1).fit(speech, eeg).transform(speech), model.transform(speech))
    save_state(tmp_path, "peer", *model.state())
    twin = kind.from_state(*load_state(tmp_path, "peer"))
    np.testing.assert_array_equal(twin.transform(speech, eeg), model.transform(speech, eeg))
    assert twin.get_params() == model.get_params()
    assert model.n_parameters() == 6 * 16 + 16 + 16 * 2 + 2


@parametrize_with_checks(
    [BarlowTwins(k=1, hidden=4, epochs=2), VICReg(k=1, hidden=4, epochs=2)],
    expected_failed_checks=lambda estimator: {
        "check_fit_score_takes_y": "the second argument of fit is the second view, X_eeg"
    },
)
@pytest.mark.filterwarnings("ignore")
def test_it_is_a_scikit_learn_estimator(estimator, check) -> None:  # type: ignore[no-untyped-def]
    check(estimator)


@pytest.mark.parametrize("kind", PEERS)
def test_bad_input_is_named(kind: type[TwoView]) -> None:
    speech, eeg = parallel(200)
    with pytest.raises(ModelError, match=f"{kind.name}, EEG: .* not finite"):
        make(kind).fit(speech, eeg * np.nan)
    with pytest.raises(ModelError, match=r"k = 6 is wider than a view"):
        make(kind, k=6).fit(speech, eeg)
    with pytest.raises(ModelError, match="15 training pairs are too few for k = 2"):
        make(kind).fit(speech[:15], eeg[:15])
    with pytest.raises(ModelError, match="all 200 rows have the class 'a'"):
        make(kind).fit(speech, eeg, ["a"] * 200, ["a"] * 200)
