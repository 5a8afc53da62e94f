"""What stands in place of EEG: what each control reads, what it can tell, and that stage 2 takes it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score

from jmml.errors import ConfigError, ModelError, ProtocolError
from jmml.models.controls import CONTROLS, Control, control_pairs, register_control, second_view
from jmml.models.correlation import canonical_correlations
from jmml.models.edcc_cae import EDCCCAE

LABEL_ONLY = {name for name, control in CONTROLS.items() if control.label_only}
NO_INFORMATION = {name for name, control in CONTROLS.items() if control.partners == "any"}
C, R = 3, 6


def corpus(n: int, seed: int, *, gap: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian classes in R^6, whose means span two dimensions."""
    rng = np.random.default_rng(seed)
    means = np.zeros((C, R))
    means[:, :2] = gap * np.array([[1.0, 0.0], [-0.5, 0.87], [-0.5, -0.87]])
    y = rng.permutation(np.arange(n) % C)
    return means[y] + rng.normal(size=(n, R)), y


U, Y = corpus(240, 1)


def view(control: str, u: np.ndarray = U, y: np.ndarray = Y, seed: int = 0, k: int = 2):  # type: ignore[no-untyped-def]
    return second_view(control, u, y, n_classes=C, k=k, seed=seed)


def test_the_controls_fall_into_kinds() -> None:
    assert {"one-hot", "prototypes", "class-means"} == LABEL_ONLY
    assert {"noise", "shuffled-labels"} == NO_INFORMATION
    assert set(CONTROLS) - LABEL_ONLY - NO_INFORMATION == {"frozen-pairs"}


@pytest.mark.parametrize("control", ["one-hot", "prototypes"])
def test_label_only_controls_that_need_no_eeg_read_none(control: str) -> None:
    rows, y = view(control)
    other, _ = view(control, u=np.full((1, R), np.nan), y=np.zeros(1, int))
    np.testing.assert_array_equal(rows, other)
    np.testing.assert_array_equal(y, np.arange(C))


def test_one_hot_codes_are_repeated_until_they_are_as_wide_as_the_code() -> None:
    rows, _ = view("one-hot", k=4)
    np.testing.assert_array_equal(rows, np.hstack([np.eye(C), np.eye(C)]))
    assert view("one-hot", k=3)[0].shape == (C, 3)


def test_prototypes_are_as_wide_as_eeg_and_drawn_from_the_seed() -> None:
    rows, _ = view("prototypes")
    assert rows.shape == (C, R)
    np.testing.assert_array_equal(rows, view("prototypes")[0])
    assert not np.array_equal(rows, view("prototypes", seed=1)[0])


def test_class_means_depend_on_the_means_of_the_classes_alone() -> None:
    rows, y = view("class-means")
    np.testing.assert_array_equal(y, np.arange(C))
    # Scatter around the means that leaves them where they are changes nothing.
    noise = np.random.default_rng(0).normal(size=U.shape)
    for c in range(C):
        own = np.equal(Y, c)
        np.testing.assert_allclose(rows[c], U[own].mean(0))
        noise[own] -= noise[own].mean(0)
    np.testing.assert_allclose(view("class-means", u=U + 10 * noise)[0], rows, atol=1e-12)
    with pytest.raises(ModelError, match=r"no EEG row of 1 of 3 classes \(numbers 2\)"):
        view("class-means", u=U[Y < 2], y=Y[Y < 2])


def test_noise_takes_the_shape_of_eeg_and_none_of_its_values() -> None:
    rows, y = view("noise")
    assert rows.shape == U.shape
    np.testing.assert_array_equal(rows, view("noise", u=1e3 * U)[0])
    np.testing.assert_array_equal(y, Y)
    assert abs(rows.mean()) < 0.1
    assert rows.std() == pytest.approx(1.0, abs=0.05)


def test_shuffled_labels_keep_the_rows_and_cross_the_classes() -> None:
    rows, y = view("shuffled-labels")
    np.testing.assert_array_equal(rows, U)
    np.testing.assert_array_equal(np.bincount(y), np.bincount(Y))
    assert np.mean(y == Y) == pytest.approx(1 / 3, abs=0.1)


def test_frozen_pairs_change_nothing_but_the_schedule() -> None:
    rows, y = view("frozen-pairs")
    np.testing.assert_array_equal(rows, U)
    np.testing.assert_array_equal(y, Y)
    y_speech = corpus(90, 0)[1]
    at = control_pairs("frozen-pairs", "class", y_speech, y, seed=0)
    np.testing.assert_array_equal(at(0), at(7))
    np.testing.assert_array_equal(y[at(0)], y_speech)


@pytest.mark.parametrize("control", sorted(LABEL_ONLY))
@pytest.mark.parametrize("kind", ["class", "instance"])
def test_the_partner_in_a_label_only_control_is_the_row_of_the_class(control, kind) -> None:  # type: ignore[no-untyped-def]
    y_speech = corpus(90, 0)[1]
    at = control_pairs(control, kind, y_speech, view(control)[1], seed=0)
    np.testing.assert_array_equal(at(0), y_speech)
    np.testing.assert_array_equal(at(3), y_speech)


@pytest.mark.parametrize("control", sorted(NO_INFORMATION))
@pytest.mark.parametrize("kind", ["class", "class-frozen", "instance"])
def test_partners_in_a_no_information_control_cross_classes_and_change(control, kind) -> None:  # type: ignore[no-untyped-def]
    y_speech = corpus(480, 0)[1]
    at = control_pairs(control, kind, y_speech, view(control)[1], seed=0)
    tables = [np.histogram2d(y_speech, Y[at(epoch)], bins=C)[0] for epoch in range(20)]
    share = np.sum(tables, axis=0) / (20 * len(y_speech))
    np.testing.assert_allclose(share, 1 / 9, atol=0.01)
    assert np.mean(at(0) == at(1)) < 0.05
    np.testing.assert_array_equal(np.bincount(at(4)), 2)
    # The class that a row is given changes as well, or it could be learnt by heart.
    given = np.empty((2, len(Y)), int)
    for epoch in range(2):
        given[epoch, at(epoch)] = y_speech
    assert np.mean(given[0] == given[1]) == pytest.approx(1 / 3, abs=0.12)


def test_without_a_control_the_pairs_are_those_of_eeg() -> None:
    ids = [str(i) for i in range(240)]
    at = control_pairs(None, "instance", Y, Y, seed=0, pair_ids=(ids, ids))
    np.testing.assert_array_equal(at(5), np.arange(240))


def trained(control: str | None, seed: int = 0) -> tuple[EDCCCAE, dict[str, float]]:
    """DCCA trained with a control, and on unseen speech its UAR, its mean rho and that of permuted pairs.

    The second view of unseen rows is that of the control for label-only controls, else EEG by the rule of training.
    """
    speech, y_speech = corpus(300, 10 + seed, gap=1.0)
    unseen, y_unseen = corpus(300, 50 + seed, gap=1.0)
    rows, y = (U, Y) if control is None else view(control, seed=seed)
    model = EDCCCAE(k=2, hidden=16, epochs=20, lam_r=0.0, lam_x=0.0, seed=seed)
    model.fit(speech, rows, y_speech, y, pairs=control_pairs(control, "class", y_speech, y, seed=seed))
    head = LogisticRegression().fit(model.transform(speech), y_speech)
    partners = rows[control_pairs(control, "class", y_unseen, y, seed=99)(0)]
    z_s, z_e = (torch.from_numpy(z) for z in (model.transform(unseen), model.transform(X_eeg=partners)))
    shuffles = [torch.from_numpy(np.random.default_rng(i).permutation(300)) for i in range(5)]
    return model, {
        "uar": balanced_accuracy_score(y_unseen, head.predict(model.transform(unseen))),
        "rho": float(canonical_correlations(z_s, z_e).mean()),
        "permuted": float(np.mean([canonical_correlations(z_s, z_e[rows]).mean() for rows in shuffles])),
    }


def test_correlation_on_unseen_speech_needs_the_label() -> None:
    """With labels (or EEG) it holds there; in the no-information controls it is that of permuted pairs."""
    for control in (None, *CONTROLS):
        model, on_unseen = trained(control)
        assert all(np.isfinite(list(entry.values())).all() for entry in model.history_), control
        assert on_unseen["permuted"] < 0.12, control
        if control in NO_INFORMATION:
            assert on_unseen["rho"] < on_unseen["permuted"] + 0.08, control
        else:
            assert on_unseen["rho"] > 0.25, control


def test_the_speech_code_of_a_no_information_control_knows_less_of_the_class() -> None:
    def mean_uar(control: str | None) -> float:
        return float(np.mean([trained(control, seed)[1]["uar"] for seed in range(2)]))

    informed = min(mean_uar(control) for control in (None, "one-hot"))
    for control in sorted(NO_INFORMATION):
        assert mean_uar(control) < informed - 0.1


def test_stage_2_refuses_a_control_narrower_than_the_code() -> None:
    speech, y_speech = corpus(300, 0)
    rows, y = second_view("prototypes", U[:, :1], Y, n_classes=C, k=2, seed=0)
    with pytest.raises(ModelError, match=r"k = 2 is wider than a view \(speech 6 columns, EEG 1\)"):
        EDCCCAE(k=2).fit(speech, rows, y_speech, y)


def test_bad_input_is_named() -> None:
    with pytest.raises(ConfigError, match="unknown control 'onehot'; did you mean 'one-hot'"):
        view("onehot")
    with pytest.raises(ConfigError, match="there is a control 'noise' already"):
        register_control("noise", Control(CONTROLS["one-hot"].rows))
    with pytest.raises(ModelError, match="240 rows of EEG and 3 labels"):
        view("noise", y=Y[:3])
    with pytest.raises(ProtocolError, match="'2' in speech"):
        control_pairs("noise", "class", [0, 1, 2], [0, 1, 1], seed=0)
