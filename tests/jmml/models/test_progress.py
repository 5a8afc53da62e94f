"""Estimators that are left after an epoch and continued, and what they need for it."""

from __future__ import annotations

import pickle
from copy import deepcopy

import numpy as np
import pytest
import torch

from jmml.errors import ModelError
from jmml.models import EDCCCAE, JECSSL, LinearCCA, SupervisedMLP
from jmml.models.networks import in_float64

RNG = np.random.default_rng(0)
SPEECH, EEG = RNG.normal(size=(120, 6)), RNG.normal(size=(90, 5))
Y, Y_EEG = np.arange(120) % 3, np.arange(90) % 3
SMALL = {"k": 2, "hidden": 8, "epochs": 5}


def epochs_of(kind, start=None, **options):
    model = kind(**SMALL | options)
    data = (SPEECH, Y) if kind is SupervisedMLP else (SPEECH, EEG, Y, Y_EEG)
    return model, model.iter_fit(*data, start=start)


@pytest.mark.parametrize("kind", [EDCCCAE, SupervisedMLP])
@pytest.mark.parametrize("epoch", [1, 4, 5])
def test_a_continued_estimator_is_the_one_that_was_never_left(kind, epoch) -> None:
    straight, running = epochs_of(kind)
    for _ in range(epoch):
        next(running)
    arrays, meta = straight.progress()
    rest = list(running)
    continued, epochs = epochs_of(kind, (arrays, meta))
    assert list(epochs) == rest
    assert len(rest) == 5 - epoch
    assert continued.history_ == straight.history_
    assert continued.transform(SPEECH).tobytes() == straight.transform(SPEECH).tobytes()


@pytest.mark.parametrize("kind", [EDCCCAE, SupervisedMLP])
def test_nothing_to_continue_before_and_after_training(kind) -> None:
    model, running = epochs_of(kind)
    with pytest.raises(ModelError, match="no training is under way"):
        model.progress()
    list(running)
    with pytest.raises(ModelError, match="no training is under way"):
        model.progress()
    assert pickle.loads(pickle.dumps(model)).history_ == model.history_  # noqa: S301


@pytest.mark.parametrize("change", [{"hidden": 9}, {"k": 3}])
@pytest.mark.parametrize("kind", [EDCCCAE, SupervisedMLP])
def test_another_network_cannot_continue(kind, change) -> None:
    model, running = epochs_of(kind)
    next(running)
    _, epochs = epochs_of(kind, model.progress(), **change)
    with pytest.raises(ModelError, match="cannot be continued"):
        next(epochs)


def test_a_method_without_epochs_has_nothing_to_continue() -> None:
    model, running = epochs_of(EDCCCAE)
    next(running)
    with pytest.raises(ModelError, match="fitted in one step"):
        next(LinearCCA(k=2).iter_fit(SPEECH, EEG, Y, Y_EEG, start=model.progress()))


def test_a_term_that_is_switched_on_later_starts_its_moments_then() -> None:
    model, running = epochs_of(EDCCCAE, lam_x=0.0)
    next(running)
    arrays, meta = model.progress()
    untouched = [name for name, _ in model.network_.named_parameters() if name.startswith("h_")]
    assert (
        len([name for name in arrays if name.endswith("exp_avg")])
        < len(list(model.network_.parameters())) - len(untouched) + 1
    )
    continued, epochs = epochs_of(EDCCCAE, (arrays, meta), lam_x=1.0)
    assert "loss_cross" in next(epochs)
    assert np.isfinite(continued.imagine(X_speech=SPEECH)).all()


def test_the_copy_in_float64_follows_its_network() -> None:
    network = JECSSL(p=2, r=3, hidden=8, epochs=1).fit(SPEECH, Y).network_
    copy = in_float64(network)
    x = torch.from_numpy(SPEECH)
    with torch.no_grad():
        assert torch.equal(copy.encode(x), deepcopy(network).double().encode(x))
        network.w1.mul_(1.5)
        assert in_float64(network) is copy
        assert torch.equal(copy.encode(x), deepcopy(network).double().encode(x))
        network.w1 = torch.nn.Parameter(torch.ones(6, 4 * 8 + 1))
        assert in_float64(network).w1.shape == (6, 33)
    assert in_float64(network.eval()).training is False


def test_the_copy_in_float64_has_buffers_that_were_replaced() -> None:
    encoder = EDCCCAE(**SMALL).fit(SPEECH, EEG, Y, Y_EEG).network_.f_s
    in_float64(encoder)
    encoder.mean = encoder.mean + 1.0
    u = torch.from_numpy(SPEECH)
    with torch.no_grad():
        assert torch.equal(in_float64(encoder)(u), deepcopy(encoder).double()(u))
