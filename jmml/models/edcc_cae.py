"""Stage 2: extended deep canonically correlated cross-modal autoencoder (E-DCC-CAE).

For pairs (u_s, u_e) of stage-1 outputs of speech and EEG, u_m in R^r_m, with encoders f_m: R^r_m -> R^k, self
decoders g_m, cross decoders h_se (speech code to EEG) and h_es, the model minimises

    L = lam_r * sum_m ||u_m - g_m(f_m(u_m))||^2 / r_m
      + lam_x * ( ||u_e - h_se(f_s(u_s))||^2 / r_e + ||u_s - h_es(f_e(u_e))||^2 / r_s )
      - (lam_c / k) * sum_i rho_i( f_s(U_s), f_e(U_e) )
      + lam_y * CE on the shared code

with the smoothed correlation of :mod:`jmml.models.correlation`. lam_x = 0 gives DCCAE (Wang et al. 2015),
lam_r = 0 DCC-CAE, both 0 DCCA (Andrew et al. 2013). Every u_m is standardised on the training rows, so each
reconstruction of variance 1 has an error of 1 when it predicts the mean. The last layer of an encoder is a
batch normalisation without weights: by the batch in training, by the training set of the modality everywhere
else.

With pairs drawn at random inside a class the views are independent given the label, so the cross-covariance
of their codes has rank C - 1 at most, whatever the encoders: canonical correlations beyond the first C - 1
are noise, which is why ``rho_held_out`` must be read next to ``rho_permuted``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy.typing as npt
import torch
from torch import Tensor

from jmml.errors import ModelError
from jmml.models.cross_modal import CrossModalNetwork, Weights
from jmml.models.inputs import FloatArray
from jmml.models.networks import in_float64
from jmml.models.training import reproducible
from jmml.models.two_view import TwoView


@dataclass(eq=False, repr=False, kw_only=True)
class EDCCCAE(TwoView):
    """Shared code of speech and EEG, learnt from pairs; see the formula at the head of this module.

    Parameters
    ----------
    lam_r, lam_x, lam_c, lam_y : weights of self reconstruction, cross reconstruction, correlation, classes.
    ridge, smoothing : of :func:`jmml.models.correlation.correlation_loss`.

    The others, the attributes and the methods are those of :class:`~jmml.models.two_view.TwoView`. Terms that have a
    weight are reported per epoch: ``loss_self``, ``loss_cross``, ``loss_correlation``, ``loss_class``.

    scikit-learn's ``check_estimator`` finds one thing amiss: the second argument of ``fit`` is called ``X_eeg``, not
    ``y``. As it stands in the place of ``y``, pipelines and searches over parallel rows work all the same.

    Example
    -------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> shared = rng.normal(size=(200, 1))
    >>> speech = shared + 0.5 * rng.normal(size=(200, 4))
    >>> eeg = shared + 0.5 * rng.normal(size=(200, 3))
    >>> model = EDCCCAE(k=1, hidden=8, epochs=30).fit(speech, eeg)
    >>> model.history_[-1]["rho_train"] > 0.8 > 0.3 > model.history_[-1]["rho_permuted"]
    True
    >>> model.transform(X_speech=speech).shape, model.imagine(X_speech=speech).shape
    ((200, 1), (200, 3))
    """

    lam_r: float = 1.0
    lam_x: float = 1.0
    lam_c: float = 1.0
    lam_y: float = 0.0
    ridge: float = 1e-3
    smoothing: float = 1e-2

    name: ClassVar[str] = "E-DCC-CAE"

    def _check_weights(self) -> None:
        weights = {name: getattr(self, name) for name in ("lam_r", "lam_x", "lam_c", "lam_y")}
        if min(weights.values()) < 0 or not any(weights.values()):
            shown = ", ".join(f"{name} = {value}" for name, value in weights.items())
            raise ModelError(shown, where=self.name, expected="no weight below 0 and one above")

    def _network(self, r_s: int, r_e: int, n_classes: int, generator: torch.Generator) -> CrossModalNetwork:
        return CrossModalNetwork(r_s, r_e, self.hidden, self.k_, n_classes, generator)

    def _losses(
        self, net: Any, u_s: Tensor, u_e: Tensor, y: tuple[Tensor, Tensor] | None
    ) -> dict[str, Tensor]:
        weights = Weights(self.lam_r, self.lam_x, self.lam_c, self.lam_y, self.ridge, self.smoothing)
        losses: dict[str, Tensor] = net.losses(u_s, u_e, y, weights)
        return losses

    @property
    def _wants_labels(self) -> bool:
        return self.lam_y > 0

    @property
    def _wants_many_pairs(self) -> bool:
        return self.lam_c > 0

    def imagine(
        self, X_speech: npt.ArrayLike | None = None, X_eeg: npt.ArrayLike | None = None
    ) -> FloatArray:
        """The other modality, decoded from one: h_se(f_s(u_s)), (n, r_e), or h_es(f_e(u_e)), (n, r_s).

        In the units of the stage-1 outputs the model was fitted on, float64. Raises :class:`ModelError`
        unless exactly one modality is given and the cross decoders were trained (``lam_x`` > 0).
        """
        given = self._given(X_speech, X_eeg)
        if len(given) != 1:
            raise ModelError("both modalities were given", where=self.name, expected="the one to decode from")
        if not self.lam_x > 0:
            raise ModelError(
                "nothing can be imagined, the cross decoders were not trained (lam_x = 0)", where=self.name
            )
        ((modality, X),) = given.items()
        code = self._code(X, modality)
        decode = in_float64(self.network_.cross_decoder(modality))
        with reproducible(), torch.no_grad():
            decoded = decode(code).cpu().numpy()
        return self.scalers_["eeg" if modality == "speech" else "speech"].inverse(decoded)
