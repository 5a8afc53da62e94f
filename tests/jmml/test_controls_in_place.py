"""The controls as a study trains them: what stage 2 is really given in place of EEG, and with which partners."""

from __future__ import annotations

import numpy as np
import pytest

from jmml.experiment import fit_fold
from jmml.methods import METHODS, Setting
from jmml.models.alignment import BarlowTwins, VICReg
from jmml.models.distillation import Distillation
from jmml.models.edcc_cae import EDCCCAE
from jmml.models.linear_cca import LinearCCA
from jmml.models.speech_only import Autoencoder, SupervisedContrastive, SupervisedMLP
from jmml.task import make_split, training_part
from tests.jmml.tasks import small_method, small_task

TASK = small_task()
SPLIT = make_split(TASK, groups_per_fold=2, seed=0)
TRAINING = training_part(TASK, SPLIT, 0)


def given(method):
    """The second view's rows and classes, the pairs of two epochs, and the true stage-1 outputs of EEG."""
    model = fit_fold(TASK, SPLIT, 0, method, small_method(), seed=0)
    rows, y = model._second_view(TRAINING.eeg)
    pairs = [model.pairs(TRAINING.speech, TRAINING.eeg)(epoch) for epoch in (0, 1)]
    u = model.stage1["eeg"].transform(TRAINING.eeg.X) if "eeg" in model.stage1 else None
    return rows, y, pairs, u


def same_class(pairs):
    return float(np.mean(TRAINING.eeg.y[pairs] == TRAINING.speech.y))


def test_jmml_meets_true_eeg_of_the_class_redrawn():
    rows, y, (first, second), u = given("jmml")
    assert np.array_equal(rows, u)
    assert np.array_equal(y, TRAINING.eeg.y)
    assert same_class(first) == same_class(second) == 1
    assert (first != second).any()


def test_frozen_pairs_meet_true_eeg_of_the_class_once():
    rows, _, (first, second), u = given("frozen-pairs")
    assert np.array_equal(rows, u)
    assert same_class(first) == 1
    assert np.array_equal(first, second)


def test_noise_is_no_eeg_and_its_partners_are_of_any_class():
    rows, _, (first, second), u = given("noise")
    assert rows.shape == u.shape
    assert abs(np.corrcoef(rows.ravel(), u.ravel())[0, 1]) < 0.1
    assert not np.isin(rows, u).any()
    assert same_class(first) < 0.5
    assert (first != second).any()
    other = fit_fold(TASK, SPLIT, 0, "noise", small_method(), seed=1)._second_view(TRAINING.eeg)[0]
    assert (rows != other).all()


def test_shuffled_labels_meet_true_eeg_of_any_class_redrawn():
    rows, _, (first, second), u = given("shuffled-labels")
    assert np.array_equal(rows, u)
    assert same_class(first) < 0.5
    assert same_class(second) < 0.5
    assert np.mean(first != second) > 0.5


@pytest.mark.parametrize("method", ["one-hot", "prototypes", "class-means"])
def test_label_only_controls_meet_one_row_per_class(method):
    rows, y, (first, second), u = given(method)
    assert len(rows) == 4
    assert np.array_equal(y[first], TRAINING.speech.y)
    assert np.array_equal(first, second)
    if method == "class-means":
        means = np.stack([u[TRAINING.eeg.y == c].mean(0) for c in range(4)])
        np.testing.assert_allclose(rows, means, rtol=1e-12)


def test_controls_are_jmml_in_everything_else():
    setting = Setting(small_method(), 3, "cpu", 20, 4)
    ours = METHODS["jmml"].build(setting)
    for name, row in METHODS.items():
        if row.kind == "control":
            control = row.build(setting)
            assert type(control) is EDCCCAE
            assert control.get_params() == ours.get_params(), name
    imagined = {
        name: fit_fold(TASK, SPLIT, 0, name, small_method(), seed=0)
        .embed(X_speech=TASK.speech.X[:2])
        .shape[1]
        for name in ("jmml", "one-hot", "noise", "class-means")
    }
    assert imagined == {"jmml": 3 + 6, "one-hot": 3 + 4, "noise": 3 + 6, "class-means": 3 + 6}


def test_peers_are_built_with_the_settings_that_are_theirs():
    config = small_method(
        lr=2e-3, weight_decay=3e-4, lam_r=0.7, lam_x=0.6, lam_c=0.5, ridge=2e-3, smoothing=3e-2
    )
    peers = {
        "temperature": 0.3, "barlow_weight": 0.2, "vicreg_invariance": 11.0, "vicreg_variance": 12.0,
        "vicreg_covariance": 13.0, "distillation_weight": 0.4, "distillation_temperature": 3.0,
    }  # fmt: skip
    config = config.model_copy(update={"peers": config.peers.model_copy(update=peers)})
    common = {
        "k": 3, "hidden": 16, "epochs": 4, "batch_size": 64, "lr": 2e-3, "weight_decay": 3e-4, "seed": 3,
        "device": "cpu",
    }  # fmt: skip
    correlated = {"lam_c": 0.5, "lam_y": 0.0, "ridge": 2e-3, "smoothing": 3e-2}
    expected = {
        "autoencoder": (Autoencoder, {}),
        "mlp": (SupervisedMLP, {}),
        "supervised-contrastive": (SupervisedContrastive, {"temperature": 0.3}),
        "dcca": (EDCCCAE, {**correlated, "lam_r": 0.0, "lam_x": 0.0, "lam_c": 1.0}),
        "dccae": (EDCCCAE, {**correlated, "lam_r": 0.7, "lam_x": 0.0}),
        "dcc-cae": (EDCCCAE, {**correlated, "lam_r": 0.0, "lam_x": 0.6}),
        "distillation": (Distillation, {"distillation_weight": 0.4, "distillation_temperature": 3.0}),
        "barlow-twins": (BarlowTwins, {"barlow_weight": 0.2}),
        "vicreg": (
            VICReg,
            {"vicreg_invariance": 11.0, "vicreg_variance": 12.0, "vicreg_covariance": 13.0},
        ),
        "jmml": (EDCCCAE, {**correlated, "lam_r": 0.7, "lam_x": 0.6}),
    }
    for name, (kind, own) in expected.items():
        estimator = METHODS[name].build(Setting(config, 3, "cpu", 20, 4))
        found = estimator.get_params()
        if METHODS[name].input == "features":
            assert found.pop("hidden") > 16  # that of JMML's capacity
            found["hidden"] = 16
        assert type(estimator) is kind
        assert found == common | own, name
    linear = METHODS["linear-cca"].build(Setting(config, 3, "cpu", 20, 4))
    assert isinstance(linear, LinearCCA)
    assert (linear.k, linear.ridge, linear.seed) == (3, 2e-3, 3)


def test_every_section_that_changes_a_method_is_among_those_it_reads():
    for row in METHODS.values():
        if row.build is not None:
            assert set(row.reads()) == {"stage1", "stage2", "peers", "classifier"}
    assert METHODS["raw"].reads() == ("classifier",)
    assert METHODS["jec-ssl"].reads() == ("stage1", "classifier")
