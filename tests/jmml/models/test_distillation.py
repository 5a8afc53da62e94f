"""Distillation: the loss and its gradients, what the teacher hands on, files, the contract, bad input."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import parametrize_with_checks

from jmml.errors import ModelError
from jmml.models.distillation import Distillation, TeacherStudent
from jmml.models.persistence import load_state, save_state
from tests.jmml.models.test_edcc_cae import parallel


def corpus(n: int, seed: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    """Three Gaussian classes, in two directions of d."""
    means = np.zeros((3, d))
    means[:, :2] = 1.5 * np.array([[1.0, 0.0], [-0.5, 0.87], [-0.5, -0.87]])
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(n) % 3)
    return means[y] + rng.normal(size=(n, d)), y


def make(**changes: object) -> Distillation:
    return Distillation(**{"k": 2, "hidden": 16, "epochs": 4, **changes})


def network() -> tuple[TeacherStudent, torch.Tensor, torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    net = TeacherStudent(6, 5, 8, 2, 3, generator).double()
    u_s = torch.randn(40, 6, generator=generator, dtype=torch.float64)
    u_e = torch.randn(40, 5, generator=generator, dtype=torch.float64)
    return net, u_s, u_e, (torch.arange(40) % 3, torch.arange(40) // 5 % 3)


def test_the_loss_is_the_formula_written_out() -> None:
    net, u_s, u_e, y = network()
    w, T = 0.3, 2.5
    logits = []
    for f, head, u in ((net.f_s, net.student, u_s), (net.f_e, net.teacher, u_e)):
        h = f.layers(u).detach().numpy()
        z = (h - h.mean(0)) / np.sqrt(h.var(0) + 1e-5)
        logits.append(z @ head[0].weight.detach().numpy().T + head[0].bias.detach().numpy())

    def softmax(a: np.ndarray) -> np.ndarray:
        return np.exp(a) / np.exp(a).sum(1, keepdims=True)

    s, t = logits
    rows = np.arange(40)
    teacher = -np.log(softmax(t)[rows, y[1].numpy()]).mean()
    student = -np.log(softmax(s)[rows, y[0].numpy()]).mean()
    p, q = softmax(t / T), softmax(s / T)
    taught = T**2 * (p * np.log(p / q)).sum(1).mean()
    parts = make(distillation_weight=w, distillation_temperature=T)._losses(net, u_s, u_e, y)
    expected = {
        "loss": teacher + (1 - w) * student + w * taught,
        "loss_teacher": teacher,
        "loss_student": student,
        "loss_distillation": taught,
    }
    assert {name: part.item() for name, part in parts.items()} == pytest.approx(expected)


def test_the_student_does_not_teach_the_teacher() -> None:
    net, u_s, u_e, y = network()
    make()._losses(net, u_s, u_e, y)["loss_distillation"].backward()
    touched = {name.split(".")[0] for name, weight in net.named_parameters() if weight.grad is not None}
    assert touched == {"f_s", "student"}


def test_a_student_learns_the_classes_from_the_teacher_alone() -> None:
    """w = 1: no label of speech in the loss. With teachers of permuted labels there is nothing to learn."""
    speech, y_speech = corpus(300, 0, 6)
    eeg, y_eeg = corpus(240, 1, 5)
    unseen, y_unseen = corpus(600, 2, 6)

    def score(y_teacher: np.ndarray, **changes: object) -> float:
        pairs = np.random.default_rng(0).permuted(
            np.stack([np.resize(np.flatnonzero(y_eeg == c), 300) for c in range(3)]), axis=1
        )[y_speech, np.arange(300)]
        model = make(epochs=20, **changes).fit(speech, eeg, y_speech, y_teacher, pairs=pairs)
        with torch.no_grad():
            code = torch.from_numpy(model.transform(unseen)).float()
            return float(np.mean(model.network_.student(code).argmax(1).numpy() == y_unseen))

    assert score(y_eeg, distillation_weight=1.0) > 0.7
    assert score(np.random.default_rng(5).permutation(y_eeg), distillation_weight=1.0) < 0.55


def test_the_code_separates_the_classes_of_unseen_speech() -> None:
    speech, y_speech = corpus(300, 0, 6)
    eeg, y_eeg = corpus(240, 1, 5)
    unseen, y_unseen = corpus(600, 2, 6)
    model = make(epochs=20).fit(speech, eeg, y_speech, y_eeg)
    head = LogisticRegression().fit(model.transform(speech), y_speech)
    assert head.score(model.transform(unseen), y_unseen) > 0.7
    first, last = model.history_[0], model.history_[-1]
    for name in ("loss_teacher", "loss_student"):
        assert last[name] < first[name]


def test_same_seed_same_bits_also_from_files(tmp_path) -> None:  # type: ignore[no-untyped-def]
    speech, eeg = parallel(200)
    y = np.array(["calm", "fear"])[np.arange(200) % 2]
    model, again = (make().fit(speech, eeg, y, y) for _ in range(2))
    np.testing.assert_array_equal(model.transform(speech), again.transform(speech))
    save_state(tmp_path, "peer", *model.state())
    twin = Distillation.from_state(*load_state(tmp_path, "peer"))
    np.testing.assert_array_equal(twin.transform(speech), model.transform(speech))
    np.testing.assert_array_equal(twin.transform(X_eeg=eeg), model.transform(X_eeg=eeg))
    assert (twin.classes_.tolist(), twin.get_params()) == (["calm", "fear"], model.get_params())
    assert model.n_parameters() == 6 * 16 + 16 + 16 * 2 + 2


class OnOneView(Distillation):
    """The contract gives ``fit`` one matrix and its labels; here both modalities get them."""

    def fit(self, X, y):  # type: ignore[no-untyped-def, override]
        if y is None:
            raise ModelError("requires y to be passed, but the target y is None")
        return super().fit(X, X, y, y)


@parametrize_with_checks([OnOneView(k=1, hidden=4, epochs=2)])
@pytest.mark.filterwarnings("ignore")
def test_it_is_a_scikit_learn_estimator(estimator, check) -> None:  # type: ignore[no-untyped-def]
    check(estimator)


def test_bad_input_is_named() -> None:
    speech, eeg = parallel(200)
    y = np.arange(200) % 2
    for labels, said in (
        ((None, None), "labels of both modalities are needed"),
        ((y, None), "labels of speech alone"),
        ((None, y), "labels of EEG alone"),
    ):
        with pytest.raises(ModelError, match=f"distillation: {said}"):
            make().fit(speech, eeg, *labels)
    with pytest.raises(ModelError, match="all 200 rows have the class '0'"):
        make().fit(speech, eeg, 0 * y, 0 * y)
    with pytest.raises(ModelError, match="not finite"):
        make().fit(speech, eeg * np.inf, y, y)
    with pytest.raises(ModelError, match="k = 6 is wider than a view"):
        make(k=6).fit(speech, eeg, y, y)
    with pytest.raises(ModelError, match="share no code"):
        make().fit(speech, eeg, y, y).transform(speech, eeg)
