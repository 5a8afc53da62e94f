"""Knowledge distillation across modalities: what an EEG classifier believes of its half of a pair teaches speech."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from jmml.errors import ModelError
from jmml.models.encoders import TwoEncoders
from jmml.models.inputs import FloatArray
from jmml.models.networks import mlp
from jmml.models.two_view import TwoView


class TeacherStudent(TwoEncoders):
    """f_s and f_e, each with a linear head (k -> C) of its own."""

    def __init__(
        self, r_s: int, r_e: int, hidden: int, k: int, n_classes: int, generator: torch.Generator
    ) -> None:
        super().__init__(r_s, r_e, hidden, k, generator)
        self.student, self.teacher = mlp((k, n_classes), generator), mlp((k, n_classes), generator)


@dataclass(eq=False, repr=False, kw_only=True)
class Distillation(TwoView, auto_wrap_output_keys=None):  # type: ignore[call-arg]
    r"""EEG teacher and speech student, trained together on pairs.

    .. math::
        L = CE(t, y_e) + (1 - w) \, CE(s, y_s)
          + w \, T^2 \, KL\!\left(\operatorname{softmax}(t / T) \,\Vert\, \operatorname{softmax}(s / T)\right)

    with teacher logits t = head_e(f_e(u_e)) and student logits s = head_s(f_s(u_s)). No gradient of the last term
    reaches the teacher. T^2 keeps the size of its gradients whatever the temperature T. Reported terms:
    ``loss_teacher``, ``loss_student`` and ``loss_distillation`` (with T^2), before weighting.

    Parameters
    ----------
    distillation_weight : w, between 0 (labels alone) and 1 (the teacher alone).
    distillation_temperature : T > 0.

    References
    ----------
    Hinton, Vinyals, Dean: Distilling the knowledge in a neural network, arXiv 1503.02531.
    Gupta, Hoffman, Malik: Cross modal distillation for supervision transfer, CVPR 2016.
    """

    distillation_weight: float = 0.5
    distillation_temperature: float = 2.0

    name: ClassVar[str] = "distillation"
    needs_labels: ClassVar[bool] = True

    def _network(self, r_s: int, r_e: int, n_classes: int, generator: torch.Generator) -> TeacherStudent:
        return TeacherStudent(r_s, r_e, self.hidden, self.k_, n_classes, generator)

    def _losses(
        self, net: Any, u_s: Tensor, u_e: Tensor, y: tuple[Tensor, Tensor] | None
    ) -> dict[str, Tensor]:
        if y is None:
            raise ModelError("labels of both modalities are needed", where=self.name)
        w, temperature = self.distillation_weight, self.distillation_temperature
        student, teacher = net.student(net.f_s(u_s)), net.teacher(net.f_e(u_e))
        taught = functional.kl_div(
            functional.log_softmax(student / temperature, dim=1),
            functional.log_softmax(teacher.detach() / temperature, dim=1),
            reduction="batchmean",
            log_target=True,
        )
        parts = {
            "loss_teacher": functional.cross_entropy(teacher, y[1]),
            "loss_student": functional.cross_entropy(student, y[0]),
            "loss_distillation": temperature**2 * taught,
        }
        loss = parts["loss_teacher"] + (1 - w) * parts["loss_student"] + w * parts["loss_distillation"]
        return {"loss": loss, **parts}

    @property
    def _wants_many_pairs(self) -> bool:
        return False

    def transform(
        self, X_speech: npt.ArrayLike | None = None, X_eeg: npt.ArrayLike | None = None
    ) -> FloatArray:
        """The student's code of speech or the teacher's code of EEG, (n, k), float64.

        Nothing brings the two into one space, so :class:`ModelError` when both are given (or neither).
        """
        if X_speech is not None and X_eeg is not None:
            raise ModelError(
                "teacher and student share no code that could be averaged",
                where=self.name,
                expected="speech or EEG",
            )
        return super().transform(X_speech, X_eeg)
