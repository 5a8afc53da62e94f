"""Speech-only peers: losses against the formulas, what they learn, the scikit-learn contract, files, bad input."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_classifiers_train, parametrize_with_checks

from jmml.errors import ModelError
from jmml.models.inputs import UnfittedError
from jmml.models.one_view import SpeechOnly
from jmml.models.persistence import load_state, save_state
from jmml.models.speech_only import Autoencoder, SupervisedContrastive, SupervisedMLP, contrast

PEERS = (Autoencoder, SupervisedMLP, SupervisedContrastive)


def corpus(n: int = 240, seed: int = 0, d: int = 12, gap: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    """Three classes whose means differ in two directions; the other directions vary more, and say nothing."""
    means = np.zeros((3, d))
    means[:, :2] = gap * np.array([[1.0, 0.0], [-0.5, 0.87], [-0.5, -0.87]])
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(n) % 3)
    X = means[y] + rng.normal(size=(n, d)) * np.r_[np.ones(2), np.full(d - 2, 3.0)]
    mix = np.linalg.qr(np.random.default_rng(7).normal(size=(d, d)))[0]
    return X @ mix * 20 + 5, np.array(["calm", "fear", "joy"])[y]


def make(kind: type[SpeechOnly], **changes: object) -> SpeechOnly:
    return kind(**{"k": 2, "hidden": 16, "epochs": 5, **changes})


X, Y = corpus()


# ---------------------------------------------------------------------- losses


@pytest.mark.parametrize("classes", [2, 5, 40])
def test_the_contrastive_loss_is_the_formula_written_out(classes: int) -> None:
    rng = np.random.default_rng(classes)
    z, y, tau = rng.normal(size=(30, 3)), rng.integers(0, classes, 30), 0.3
    v = z / np.linalg.norm(z, axis=1, keepdims=True)
    terms = []
    for i in range(30):
        others = [a for a in range(30) if a != i]
        positives = [p for p in others if y[p] == y[i]]
        if positives:
            below = sum(np.exp(v[i] @ v[a] / tau) for a in others)
            logs = [np.log(np.exp(v[i] @ v[p] / tau) / below) for p in positives]
            terms.append(-np.mean(logs))
    assert (len(terms) < 30) == (classes == 40)
    found = contrast(torch.from_numpy(z), torch.from_numpy(y), tau)
    assert float(found) == pytest.approx(np.mean(terms), abs=1e-12)


def test_the_gradient_of_the_contrastive_loss_is_finite_and_right() -> None:
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(9, 2, generator=generator, dtype=torch.float64, requires_grad=True)
    y = torch.tensor([0, 0, 1, 1, 1, 2, 3, 0, 2])
    assert torch.autograd.gradcheck(lambda z: contrast(z, y, 0.2), (z,))
    lonely = contrast(z, torch.arange(9), 0.2)
    lonely.backward()
    assert lonely.item() == 0.0
    assert z.grad is not None
    assert not z.grad.any()


def test_losses_of_the_others_are_the_formulas_written_out() -> None:
    x, y = torch.from_numpy(np.random.default_rng(0).normal(size=(20, 5))), torch.arange(20) % 3
    for kind in (Autoencoder, SupervisedMLP):
        peer = make(kind)
        peer.k_ = peer.k  # what fit settles first
        net = peer._network(5, 3, torch.Generator().manual_seed(0)).double()
        h = net.f.layers(x)
        out = net.head((h - h.mean(0)) / torch.sqrt(h.var(0, correction=0) + 1e-5))
        if kind is Autoencoder:
            expected = ((x - out) ** 2).sum(1).mean() / 5
        else:
            expected = -(out.exp() / out.exp().sum(1, keepdim=True))[torch.arange(20), y].log().mean()
        found = peer._losses(net, x, y)["loss"]
        torch.testing.assert_close(found, expected)


# ---------------------------------------------------------------------- what they learn


@pytest.mark.parametrize("kind", [SupervisedMLP, SupervisedContrastive])
def test_supervised_codes_separate_the_classes_of_unseen_rows(kind: type[SpeechOnly]) -> None:
    """The best two directions are among the weakest: an unsupervised code of width 2 does not see them."""
    unseen, y = corpus(seed=1)

    def score(model: SpeechOnly) -> float:
        model.fit(X, Y)
        return LogisticRegression().fit(model.transform(X), Y).score(model.transform(unseen), y)

    blind = score(make(Autoencoder, epochs=20))
    assert blind < 0.5
    assert score(make(kind, epochs=20)) > 0.65 > blind + 0.15


def test_labels_that_say_nothing_teach_nothing() -> None:
    unseen, y = corpus(seed=1)
    shuffled = np.random.default_rng(0).permutation(Y)
    assert SupervisedMLP(k=2, epochs=20).fit(X, shuffled).score(unseen, y) < 0.45
    assert SupervisedMLP(k=2, epochs=20).fit(X, Y).score(unseen, y) > 0.65


def test_the_autoencoder_reconstructs_linear_data_as_well_as_pca() -> None:
    """Three latent directions in 12 features: chance is an error of 1, PCA leaves the noise."""
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(3, 12))
    train, unseen = (rng.normal(size=(500, 3)) @ mix + 0.3 * rng.normal(size=(500, 12)) for _ in range(2))
    scaler = StandardScaler().fit(train)
    a, b = scaler.transform(train), scaler.transform(unseen)

    def pca(k: int) -> float:
        model = PCA(k).fit(a)
        return float(np.mean((b - model.inverse_transform(model.transform(b))) ** 2))

    model = Autoencoder(k=3, hidden=32, epochs=60).fit(train)
    error = float(np.mean((b - model._apply(unseen)[1].numpy()) ** 2))
    assert pca(3) < 0.5 * pca(2) < 0.5
    assert error < min(1.3 * pca(3), 0.8 * pca(2))
    assert model.history_[-1]["loss"] < 0.3 * model.history_[0]["loss"]


def test_the_autoencoder_reads_no_label() -> None:
    plain = make(Autoencoder).fit(X)
    np.testing.assert_array_equal(plain.transform(X), make(Autoencoder).fit(X, Y).transform(X))
    assert plain.classes_.size == 0


# ---------------------------------------------------------------------- the common base


@pytest.mark.parametrize("kind", PEERS)
def test_codes_are_standardised_and_the_parameters_counted(kind: type[SpeechOnly]) -> None:
    model = make(kind).fit(X, Y)
    codes = model.transform(X)
    assert codes.shape == (240, 2)
    assert codes.dtype == np.float64
    np.testing.assert_allclose(codes.mean(0), 0.0, atol=1e-4)
    np.testing.assert_allclose(codes.std(0), 1.0, atol=1e-3)
    np.testing.assert_allclose(model.transform(X * 1.0)[:1], model.transform(X[:1]), atol=1e-12)
    assert model.n_parameters() == 12 * 16 + 16 + 16 * 2 + 2


@pytest.mark.parametrize("kind", PEERS)
def test_same_seed_same_bits_and_nothing_global_moves(kind: type[SpeechOnly]) -> None:
    before, threads = torch.random.get_rng_state(), torch.get_num_threads()
    first = make(kind, seed=3).fit(X, Y)
    assert torch.equal(torch.random.get_rng_state(), before)
    try:
        torch.set_num_threads(2)
        again = make(kind, seed=3).fit(X, Y)
    finally:
        torch.set_num_threads(threads)
    np.testing.assert_array_equal(first.transform(X), again.transform(X))
    assert first.history_ == again.history_
    assert not np.array_equal(first.transform(X), make(kind, seed=4).fit(X, Y).transform(X))


@pytest.mark.parametrize("kind", PEERS)
def test_the_model_can_be_used_between_epochs(kind: type[SpeechOnly]) -> None:
    stepwise, codes = make(kind), []
    for metrics in stepwise.iter_fit(X, Y):
        codes.append(stepwise.transform(X))
        assert metrics == stepwise.history_[-1]
    assert len(codes) == 5
    assert not any(np.array_equal(a, b) for a, b in pairwise(codes))
    np.testing.assert_array_equal(codes[-1], make(kind).fit(X, Y).transform(X))
    np.testing.assert_array_equal(codes[1], make(kind, epochs=2).fit(X, Y).transform(X))


@pytest.mark.parametrize("kind", PEERS)
def test_files_restore_the_same_bits(kind: type[SpeechOnly], tmp_path) -> None:  # type: ignore[no-untyped-def]
    model = make(kind, batch_size=3).fit(X, Y)
    save_state(tmp_path, "peer", *model.state())
    twin = kind.from_state(*load_state(tmp_path, "peer"))
    np.testing.assert_array_equal(twin.transform(X), model.transform(X))
    assert (twin.history_, twin.notes_) == (model.history_, model.notes_)
    assert twin.get_params() == model.get_params()
    assert twin.classes_.tolist() == model.classes_.tolist()
    if isinstance(model, SupervisedMLP):
        np.testing.assert_array_equal(twin.predict_proba(X), model.predict_proba(X))
        assert twin.predict(X).tolist() == model.predict(X).tolist()
    arrays, meta = model.state()
    with pytest.raises(ModelError, match="does not fit"):
        kind.from_state(arrays, {**meta, "params": {**meta["params"], "k": 1}})


def test_probabilities_are_of_the_named_classes() -> None:
    model = SupervisedMLP(k=2, epochs=20).fit(X, Y)
    proba = model.predict_proba(X)
    np.testing.assert_allclose(proba.sum(1), 1.0)
    assert model.classes_.tolist() == ["calm", "fear", "joy"]
    for c, name in enumerate(model.classes_):
        assert proba[np.equal(Y, name)].mean(0).argmax() == c
    assert np.mean(model.predict(X) == Y) == model.score(X, Y) > 0.65


def test_batches_that_could_lack_a_positive_are_raised_and_noted() -> None:
    assert make(SupervisedContrastive, batch_size=3).fit(X, Y).notes_ == ["batch_size raised from 3 to 4"]
    assert make(SupervisedMLP, batch_size=1).fit(X, Y).notes_ == ["batch_size raised from 1 to 2"]
    assert make(SupervisedContrastive).fit(X, Y).notes_ == []


@parametrize_with_checks(
    [
        Autoencoder(k=1, hidden=8, epochs=3),
        SupervisedMLP(k=1, hidden=8, epochs=3),
        SupervisedContrastive(k=1, hidden=8, epochs=3),
    ],
    expected_failed_checks=lambda model: (
        {"check_classifiers_train": "three epochs teach it too little: checked below"}
        if isinstance(model, SupervisedMLP)
        else {}
    ),
)
@pytest.mark.filterwarnings("ignore")
def test_it_is_a_scikit_learn_estimator(estimator, check) -> None:  # type: ignore[no-untyped-def]
    check(estimator)


@pytest.mark.filterwarnings("ignore")
def test_it_is_a_classifier_as_scikit_learn_wants_it() -> None:
    check_classifiers_train("SupervisedMLP", SupervisedMLP(k=1, hidden=16, epochs=60, lr=1e-2, batch_size=16))


def test_it_can_be_searched_in_a_pipeline() -> None:
    pipeline = make_pipeline(SupervisedContrastive(k=2, hidden=8, epochs=3), LogisticRegression())
    search = GridSearchCV(pipeline, {"supervisedcontrastive__temperature": [0.1, 1.0]}, cv=2).fit(X, Y)
    assert search.best_estimator_.predict(X).shape == Y.shape
    assert clone(pipeline[0]).get_params() == pipeline[0].get_params()


# ---------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("kind", "changes", "features", "labels", "said"),
    [
        (Autoencoder, {"k": 13}, X, None, "k = 13 is wider than the 12 features; expected k of at most 12"),
        (Autoencoder, {}, X * np.nan, None, r"2880 feature values are not finite \(NaN or inf\)"),
        (Autoencoder, {}, X[:1], None, r"1 sample\(s\)"),
        (SupervisedMLP, {}, X, None, "requires y to be passed"),
        (SupervisedMLP, {}, X, ["a"] * 240, "mlp: all 240 rows have the class 'a'"),
        (SupervisedMLP, {}, X, Y[:9], r"labels of shape \(9,\) for 240 rows"),
        (SupervisedContrastive, {}, X, np.arange(240), "each of 240 classes has a single row"),
        (Autoencoder, {"lr": 1e30}, X, None, "autoencoder: training diverged in epoch"),
    ],
)
def test_bad_input_is_named(kind, changes, features, labels, said: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ModelError, match=said):
        make(kind, **changes).fit(features, labels)


def test_wrong_use_at_inference_is_named() -> None:
    with pytest.raises(UnfittedError, match="has not been fitted"):
        make(Autoencoder).transform(X)
    model = make(SupervisedMLP).fit(X, Y)
    with pytest.raises(ModelError, match="X has 5 features"):
        model.transform(X[:, :5])
    with pytest.raises(ModelError, match="not finite"):
        make(SupervisedMLP).iter_fit(X * np.inf, Y)
