"""Stage 2: the loss term by term, its special cases, what it recovers, determinism and bad input."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch
from sklearn.cross_decomposition import CCA
from torch.nn import functional

from jmml.config import Stage2Config
from jmml.errors import ModelError
from jmml.models.correlation import canonical_correlations
from jmml.models.cross_modal import CrossModalNetwork, Weights
from jmml.models.edcc_cae import EDCCCAE


def parallel(n: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two Gaussian views with two shared latents: canonical correlations 0.8, 0.8, then 0."""
    rng = np.random.default_rng(seed)
    mix = np.random.default_rng(77)
    shared = rng.normal(size=(n, 2))
    latents = [
        np.concatenate([shared + 0.5 * rng.normal(size=(n, 2)), rng.normal(size=(n, d - 2))], axis=1)
        for d in (6, 5)
    ]
    speech, eeg = (z @ mix.normal(size=(z.shape[1],) * 2) * 20 + 7 for z in latents)
    return speech, eeg


def model(**changes: object) -> EDCCCAE:
    return EDCCCAE(**{"k": 2, "hidden": 16, "epochs": 4, "batch_size": 64, **changes})


def network(seed: int = 0) -> tuple[CrossModalNetwork, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    net = CrossModalNetwork(6, 5, 8, 2, 3, generator).double()
    u_s = torch.randn(40, 6, generator=generator, dtype=torch.float64)
    u_e = torch.randn(40, 5, generator=generator, dtype=torch.float64)
    return net, u_s, u_e


def test_losses_are_the_formulas_written_out() -> None:
    net, u_s, u_e = network()
    y_s, y_e = torch.arange(40) % 3, torch.arange(40) % 2
    parts = net.losses(u_s, u_e, (y_s, y_e), Weights(0.5, 0.25, 2.0, 3.0, ridge=1e-3, smoothing=1e-2))

    def code(encoder, u):  # type: ignore[no-untyped-def]
        h = encoder.layers(u)
        return (h - h.mean(0)) / torch.sqrt(h.var(0, correction=0) + 1e-5)

    z_s, z_e = code(net.f_s, u_s), code(net.f_e, u_e)
    own = ((u_s - net.g_s(z_s)) ** 2).sum(1).mean() / 6 + ((u_e - net.g_e(z_e)) ** 2).sum(1).mean() / 5
    cross = ((u_e - net.h_se(z_s)) ** 2).sum(1).mean() / 5 + ((u_s - net.h_es(z_e)) ** 2).sum(1).mean() / 6
    rho = canonical_correlations(z_s, z_e, ridge=1e-3)
    correlation = -(torch.sqrt(rho**2 + 1e-4) - 1e-2).sum() / 2
    classes = (
        functional.cross_entropy(net.head(z_s), y_s) + functional.cross_entropy(net.head(z_e), y_e)
    ) / 2
    for name, expected in {
        "loss_self": own,
        "loss_cross": cross,
        "loss_correlation": correlation,
        "loss_class": classes,
        "loss": 0.5 * own + 0.25 * cross + 2.0 * correlation + 3.0 * classes,
    }.items():
        torch.testing.assert_close(parts[name], expected, msg=name)


@pytest.mark.parametrize(
    ("lam", "terms", "trained"),
    [
        ({"lam_r": 0.0, "lam_x": 0.0}, {"loss_correlation"}, {"f_s", "f_e"}),  # DCCA
        ({"lam_x": 0.0}, {"loss_correlation", "loss_self"}, {"f_s", "f_e", "g_s", "g_e"}),  # DCCAE
        ({"lam_r": 0.0}, {"loss_correlation", "loss_cross"}, {"f_s", "f_e", "h_se", "h_es"}),  # DCC-CAE
    ],
    ids=["DCCA", "DCCAE", "DCC-CAE"],
)
def test_a_term_of_weight_zero_leaves_its_decoders_untouched(
    lam: dict[str, float], terms: set[str], trained: set[str]
) -> None:
    speech, eeg = parallel()
    start = model(**lam, epochs=1, lr=1e-30, weight_decay=0.0).fit(speech, eeg).network_
    end = model(**lam, epochs=1).fit(speech, eeg)
    changed = {
        name.split(".")[0]
        for (name, a), b in zip(start.named_parameters(), end.network_.parameters(), strict=True)
        if not torch.equal(a, b)
    }
    assert changed == trained
    assert {name for name in end.history_[0] if name.startswith("loss_")} == terms


def test_instance_pairs_recover_on_held_out_rows_what_linear_cca_finds() -> None:
    (speech, eeg), held_out = parallel(600), parallel(400, seed=1)
    reference = CCA(n_components=2, max_iter=5000).fit(speech, eeg)
    a, b = reference.transform(*held_out)
    best = np.mean([np.corrcoef(a[:, i], b[:, i])[0, 1] for i in range(2)])
    fitted = model(epochs=40, lam_r=0.0, lr=2e-3).fit(speech, eeg, held_out=held_out)
    last = fitted.history_[-1]
    assert 0.7 < best < 0.85
    assert last["rho_held_out"] == pytest.approx(best, abs=0.04)
    assert last["rho_permuted"] < 0.1
    # The sum over two standardised views would be 2 if the decoders knew nothing.
    assert last["loss_cross"] < 1.6


def test_class_pairs_carry_the_labels_and_nothing_else() -> None:
    """Two classes, two shared latents: one direction is the class, the other stays at the level of chance."""
    rng = np.random.default_rng(0)
    speech, eeg = parallel(800)
    y = rng.integers(0, 2, 800)
    speech, eeg = speech + 60 * y[:, None], eeg - 60 * y[:, None]
    rows = [np.flatnonzero(y == c) for c in range(2)]

    def by_class(epoch: int) -> np.ndarray:
        draw = np.random.default_rng(epoch)
        return np.array([draw.choice(rows[c]) for c in y[:400]])

    mates = np.array([rng.choice(np.intersect1d(rows[c], np.arange(400, 800))) for c in y[400:]])
    fitted = model(epochs=15).fit(
        speech[:400], eeg, y[:400], y, pairs=by_class, held_out=(speech[400:], eeg[mates])
    )
    codes = [
        torch.tensor(fitted.transform(X_speech=speech[400:])),
        torch.tensor(fitted.transform(X_eeg=eeg[mates])),
    ]
    first, second = canonical_correlations(*codes).tolist()
    assert first > 0.6
    assert second < 0.15
    assert fitted.history_[-1]["rho_held_out"] == pytest.approx((first + second) / 2, abs=1e-6)
    assert fitted.history_[-1]["rho_permuted"] < 0.15


def test_independent_views_stay_at_the_level_of_permuted_pairs() -> None:
    speech, _ = parallel(300)
    _, eeg = parallel(300, seed=5)
    held_out = parallel(300, seed=2)[0], parallel(300, seed=3)[1]
    last = model(epochs=10).fit(speech, eeg, held_out=held_out).history_[-1]
    assert last["rho_held_out"] < 0.15
    assert last["rho_permuted"] < 0.15


def test_codes_of_the_training_set_are_standardised_and_rows_are_independent() -> None:
    speech, eeg = parallel()
    fitted = model().fit(speech, eeg)
    for view in ({"X_speech": speech}, {"X_eeg": eeg}):
        codes = fitted.transform(**view)
        np.testing.assert_allclose(codes.mean(0), 0.0, atol=1e-4)
        np.testing.assert_allclose(codes.std(0), 1.0, atol=1e-3)
    np.testing.assert_allclose(
        fitted.transform(X_speech=speech[:1]), fitted.transform(X_speech=speech)[:1], atol=1e-5
    )
    both = fitted.transform(speech, eeg)
    np.testing.assert_allclose(both, (fitted.transform(speech) + fitted.transform(X_eeg=eeg)) / 2)


def test_the_other_modality_is_imagined_in_its_own_units() -> None:
    speech, eeg = parallel(600)
    fitted = model(epochs=40).fit(speech, eeg)
    for given, target in (({"X_speech": speech}, eeg), ({"X_eeg": eeg}, speech)):
        imagined = fitted.imagine(**given)
        assert imagined.shape == target.shape
        error = ((imagined - target) ** 2).mean(0) / target.var(0)
        assert error.mean() < 0.9


def test_the_model_can_be_used_between_epochs() -> None:
    speech, eeg = parallel()
    stepwise = model()
    seen = []
    for metrics in stepwise.iter_fit(speech, eeg):
        codes = stepwise.transform(speech)
        assert np.isfinite(codes).all()
        seen.append(metrics)
    assert seen == stepwise.history_
    # Looking in between changes nothing.
    np.testing.assert_array_equal(stepwise.transform(speech), model().fit(speech, eeg).transform(speech))


def test_its_parameters_are_the_settings_of_the_configuration() -> None:
    settings = set(Stage2Config.model_fields) - {"pairing", "imagined"}
    assert set(EDCCCAE().get_params()) == {*settings, "seed", "device"}


def test_partners_are_drawn_anew_each_epoch() -> None:
    speech, eeg = parallel()
    asked: list[int] = []

    def pairing(epoch: int) -> np.ndarray:
        asked.append(epoch)
        return np.random.default_rng(epoch).integers(0, 50, 400)

    model().fit(speech, eeg[:50], pairs=pairing)
    assert asked == [0, 1, 2, 3]


def test_same_seed_same_bits_and_nothing_global_moves() -> None:
    speech, eeg = parallel()
    before, threads = torch.random.get_rng_state(), torch.get_num_threads()
    first = model(seed=3).fit(speech, eeg)
    assert torch.equal(torch.random.get_rng_state(), before)
    try:
        torch.set_num_threads(2)
        again = model(seed=3).fit(speech, eeg)
    finally:
        torch.set_num_threads(threads)
    np.testing.assert_array_equal(first.transform(speech), again.transform(speech))
    np.testing.assert_array_equal(first.imagine(speech), again.imagine(speech))
    assert first.history_ == again.history_
    assert not np.array_equal(first.transform(speech), model(seed=4).fit(speech, eeg).transform(speech))


def test_labels_of_given_pairs_change_nothing_unless_their_term_has_a_weight() -> None:
    speech, eeg = parallel()
    y = np.arange(400) % 3
    plain = model().fit(speech, eeg).transform(speech)
    rows = np.arange(400)
    np.testing.assert_array_equal(model().fit(speech, eeg, y, y, pairs=rows).transform(speech), plain)
    assert not np.array_equal(model(lam_y=1.0).fit(speech, eeg, y, y, pairs=rows).transform(speech), plain)


def test_watching_held_out_pairs_changes_nothing() -> None:
    speech, eeg = parallel()
    watched = model().fit(speech, eeg, held_out=parallel(50, seed=1))
    np.testing.assert_array_equal(watched.transform(speech), model().fit(speech, eeg).transform(speech))


def test_the_class_term_makes_the_shared_code_separate_the_classes() -> None:
    speech, eeg = parallel()
    y = (speech[:, 0] > np.median(speech[:, 0])).astype(int)
    fitted = model(epochs=30, lam_y=3.0, lam_c=0.0).fit(speech, eeg, y, y)
    assert fitted.history_[-1]["loss_class"] < 0.8 * fitted.history_[0]["loss_class"]


def test_small_batches_are_raised_and_noted() -> None:
    speech, eeg = parallel(40)
    fitted = model(batch_size=4).fit(speech, eeg)
    assert fitted.notes_ == ["batch_size raised from 4 to 8 k = 16"]
    fitted = model().fit(speech, eeg, held_out=(speech[:8], eeg[:8]))
    assert fitted.notes_ == ["rho_held_out and rho_permuted rest on 8 pairs, fewer than 8 k = 16"]
    assert model().fit(speech, eeg).notes_ == []


def test_degenerate_views_train_to_finite_codes() -> None:
    """One-hot labels in place of EEG (rank C - 1), and a constant feature."""
    speech, _ = parallel()
    speech[:, 0] = 4.0
    y = np.arange(400) % 3
    fitted = model(epochs=10).fit(speech, np.eye(3), y, np.arange(3), pairs=lambda epoch: y)
    assert all(np.isfinite(list(entry.values())).all() for entry in fitted.history_)
    assert np.isfinite(fitted.transform(speech)).all()


def test_state_restores_the_same_bits() -> None:
    speech, eeg = parallel()
    y = np.array(["calm", "fear"])[np.arange(400) % 2]
    fitted = model(lam_y=0.1).fit(speech, eeg, y, y)
    arrays, meta = fitted.state()
    twin = EDCCCAE.from_state(arrays, meta)
    np.testing.assert_array_equal(twin.transform(speech, eeg), fitted.transform(speech, eeg))
    np.testing.assert_array_equal(twin.imagine(X_eeg=eeg), fitted.imagine(X_eeg=eeg))
    assert (twin.history_, twin.notes_) == (fitted.history_, fitted.notes_)
    assert twin.classes_.tolist() == ["calm", "fear"]
    with pytest.raises(ModelError, match="does not fit"):
        EDCCCAE.from_state(arrays, {**meta, "params": {**meta["params"], "k": 1}})


SPEECH, EEG = parallel()


@pytest.mark.parametrize(
    ("changes", "arguments", "options", "said"),
    [
        ({"k": 6}, (SPEECH, EEG), {}, r"k = 6 is wider than a view \(speech 6 columns, EEG 5\).*at most 5"),
        (
            {},
            (SPEECH[:15], EEG[:15]),
            {},
            r"15 training pairs are too few for k = 2.*8 k = 16.*k of at most 1",
        ),
        ({}, (SPEECH, EEG[:50]), {}, "400 speech rows and 50 EEG rows"),
        ({}, (SPEECH, EEG * np.nan), {}, "E-DCC-CAE, EEG: 2000 feature values are not finite"),
        ({"lam_y": 1.0}, (SPEECH, EEG), {}, "labels of both modalities are needed"),
        ({}, (SPEECH, EEG, ["a"] * 400, ["a"] * 400), {}, "all 400 rows have the class 'a'"),
        (
            {},
            (SPEECH, EEG, ["a", "b"] * 200, ["a", "c"] * 200),
            {},
            r"'b' \(200 speech rows\), 'c' \(200 EEG rows\)",
        ),
        ({}, (SPEECH, EEG, ["a", "b"] * 200, ["c", "d"] * 200), {}, r"'d' \(200 EEG rows\); none in both"),
        ({}, (SPEECH, EEG, np.arange(400) % 2, [0, 1] * 199), {}, r"labels of shape \(398,\) for 400 rows"),
        ({"k": 0}, (SPEECH, EEG), {}, "k = 0; expected a whole number of at least 1"),
        ({"lr": -1.0}, (SPEECH, EEG), {}, "lr = -1.0; expected a learning rate above 0"),
        ({}, (SPEECH, EEG), {"held_out": (SPEECH[:3], EEG[:3])}, r"at least 2 k = 4"),
        ({}, (SPEECH, EEG), {"held_out": (SPEECH[:9], EEG[:8])}, r"9 held-out speech rows and 8"),
        ({}, (SPEECH, EEG), {"pairs": lambda e: np.zeros(3, int)}, r"shape \(3,\)"),
        ({}, (SPEECH, EEG), {"pairs": lambda e: np.zeros(400)}, "type float64"),
        (
            {},
            (SPEECH, EEG),
            {"pairs": lambda e: np.full(400, 400)},
            "400 to 400; expected 0 to 399",
        ),
        ({"lr": 1e30}, (SPEECH, EEG), {}, "training diverged in epoch"),
        ({"lam_x": -1.0}, (SPEECH, EEG), {}, "lam_x = -1.0.*expected no weight below 0"),
        (
            dict.fromkeys(("lam_r", "lam_x", "lam_c"), 0.0),
            (SPEECH, EEG),
            {},
            "no weight below 0 and one above",
        ),
        ({}, (SPEECH, EEG, ["a", "b"] * 200), {}, "labels of speech alone; expected labels of both"),
    ],
)
def test_bad_input_is_named(changes, arguments, options, said: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ModelError, match=said):
        model(**changes).fit(*arguments, **options)


def test_input_is_checked_at_the_call_not_at_the_first_epoch() -> None:
    with pytest.raises(ModelError, match="not finite"):
        model().iter_fit(SPEECH * np.inf, EEG)


def test_wrong_use_at_inference_is_named() -> None:
    with pytest.raises(ModelError, match="has not been fitted"):
        model().transform(SPEECH)
    fitted = model(lam_x=0.0, epochs=1).fit(SPEECH, EEG)
    for call, said in (
        (lambda: fitted.transform(), "no features were given"),
        (lambda: fitted.transform(SPEECH, EEG[:3]), "400 speech rows and 3 EEG rows"),
        (lambda: fitted.transform(EEG), "X has 5 features, but EDCCCAE is expecting 6"),
        (lambda: fitted.imagine(SPEECH, EEG), "both modalities"),
        (lambda: fitted.imagine(SPEECH), r"cross decoders were not trained \(lam_x = 0\)"),
    ):
        with pytest.raises(ModelError, match=said):
            call()


def test_first_epochs_do_not_depend_on_how_many_follow() -> None:
    """What a scheduler that stops early relies on."""
    short = list(model(epochs=2).iter_fit(SPEECH, EEG))
    assert list(islice(model(epochs=50).iter_fit(SPEECH, EEG), 2)) == short
