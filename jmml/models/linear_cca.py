r"""Linear CCA in closed form: what stage 2 finds when its encoders are matrices.

With pairs (u_s, u_e) of standardised views, covariances S over the pairs and a ridge r,

.. math::
    S_{ss} + r I = L_s L_s^T, \quad S_{ee} + r I = L_e L_e^T, \quad
    L_s^{-1} S_{se} L_e^{-T} = U \operatorname{diag}(\rho) V^T, \qquad
    z_m = W_m^T u_m, \quad W_s = (L_s^{-T} U)_{\cdot, 1..k}, \quad W_e = (L_e^{-T} V)_{\cdot, 1..k}

(Hotelling, Relations between two sets of variates, Biometrika 28, 1936; the ridge: Vinod 1976). Pairs drawn inside a
class are redrawn in every epoch, and one draw is noise: the covariances are those of ``draws`` drawings together,
that is, of the pairs of the first ``draws`` epochs stacked. In the limit of many draws S_se becomes the covariance of
the class means, which has rank C - 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy.typing as npt
import torch
from torch import Tensor, nn

from jmml.errors import ModelError
from jmml.models.correlation import _decompose
from jmml.models.encoders import Encoder, TwoEncoders
from jmml.models.inputs import FloatArray, IntArray, Standardiser
from jmml.models.pairs import Pairs, mean_correlations, partners
from jmml.models.progress import Progress
from jmml.models.training import generators, reproducible, resolve_device
from jmml.models.two_view import PERMUTATIONS, TwoView


class LinearEncoder(Encoder):
    """f(u) = W^T u, its coordinates brought to mean 0 and variance 1 over the training set as those of any code."""

    def __init__(self, r: int, k: int) -> None:
        nn.Module.__init__(self)
        self.layers = nn.Sequential(nn.Linear(r, k, bias=False, device="meta").to_empty(device="cpu"))
        self.register_buffer("mean", torch.zeros(k))
        self.register_buffer("var", torch.ones(k))


class LinearEncoders(TwoEncoders):
    def __init__(self, r_s: int, r_e: int, k: int) -> None:
        nn.Module.__init__(self)
        self.f_s, self.f_e = LinearEncoder(r_s, k), LinearEncoder(r_e, k)

    def set(self, w_s: Tensor, w_e: Tensor) -> None:
        """Take the directions W_s (r_s, k) and W_e (r_e, k)."""
        for encoder, w in ((self.f_s, w_s), (self.f_e, w_e)):
            encoder.layers.load_state_dict({"0.weight": w.T.float()})


class LinearCCA(TwoView):
    """Canonical directions of speech and EEG; see the formula at the head of this module.

    Arguments of ``fit``, codes, attributes and files are those of :class:`~jmml.models.two_view.TwoView`. There are no
    epochs: ``iter_fit`` yields once, with the ``loss`` (minus the mean of the k correlations that were maximised) and
    the canonical correlations of the codes.

    Parameters
    ----------
    k : width of the shared code, at most that of either view; None as for every two-view method.
    ridge : r >= 0, added to the diagonal of both covariances of the standardised views.
    draws : number of drawings of pairs taken together where pairs are redrawn.
    seed : decides the pairs, where they are drawn here, and the permutations behind ``rho_permuted``.
    device : "cpu", "cuda" or "cuda:<index>".

    Example
    -------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> shared = rng.normal(size=(400, 1))
    >>> speech, eeg = (shared @ np.ones((1, d)) + rng.normal(size=(400, d)) for d in (4, 3))
    >>> LinearCCA(k=1).fit(speech, eeg).history_[0]["rho_train"] > 0.7
    True
    """

    name: ClassVar[str] = "linear CCA"

    def __init__(
        self,
        *,
        k: int | None = None,
        ridge: float = 1e-3,
        draws: int = 20,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        self.k = k
        self.ridge = ridge
        self.draws = draws
        self.seed = seed
        self.device = device

    def _network(self, r_s: int, r_e: int, n_classes: int, generator: torch.Generator) -> LinearEncoders:
        return LinearEncoders(r_s, r_e, self.k_)

    def _losses(
        self, net: Any, u_s: Tensor, u_e: Tensor, y: tuple[Tensor, Tensor] | None
    ) -> dict[str, Tensor]:
        """None: the maximum is found at once, see :meth:`_epochs`."""
        return {}

    def _epochs(
        self,
        speech: FloatArray,
        eeg: FloatArray,
        classes: npt.NDArray[Any],
        labels: tuple[IntArray, IntArray] | None,
        schedule: Pairs | None,
        held_out: tuple[FloatArray, FloatArray] | None,
        start: Progress | None,
    ) -> Iterator[dict[str, float]]:
        if start is not None:
            raise ModelError("is fitted in one step, there is nothing to continue", where=self.name)
        device, n = resolve_device(self.device), len(speech)
        for_weights, for_shuffles = generators(self.seed, 2)
        self.classes_ = classes
        self.scalers_ = {"speech": Standardiser.fit(speech), "eeg": Standardiser.fit(eeg)}
        self.history_: list[dict[str, float]] = []
        self.notes_: list[str] = []
        net = self._network(speech.shape[1], eeg.shape[1], len(classes), for_weights).to(device)
        self.network_ = net
        u_s, u_e = self._tensor(speech, "speech"), self._tensor(eeg, "eeg")
        probe = held_out and (self._tensor(held_out[0], "speech"), self._tensor(held_out[1], "eeg"))
        if self.draws < 1:
            raise ModelError(f"draws = {self.draws}", where=self.name, expected="at least 1")
        draws = self.draws if callable(schedule) else 1
        mates = [partners(schedule, draw, n, len(eeg), where=self.name).to(device) for draw in range(draws)]
        m = n if probe is None else len(probe[0])
        shuffles = [torch.randperm(m, generator=for_shuffles).to(device) for _ in range(PERMUTATIONS)]
        with reproducible(), torch.no_grad():
            found = _decompose(u_s.repeat(len(mates), 1), u_e[torch.cat(mates)], self.ridge)
            if len(found.rho) < self.k_:
                raise ModelError(
                    f"k = {self.k_}, but the views have only {len(found.rho)} canonical directions",
                    where=self.name,
                    expected=f"k of at most {len(found.rho)}, or a ridge",
                )
            a, b, rho = found.a[:, : self.k_], found.b[:, : self.k_], found.rho[: self.k_]
            # A singular vector comes with either sign; this makes the largest weight of speech positive.
            sign = torch.sign(a.gather(0, a.abs().argmax(0, keepdim=True)))
            net.set(a * sign, b * sign)
            net.eval()
            net.f_s.measure(u_s)
            net.f_e.measure(u_e)
            correlations = mean_correlations(net, (u_s, u_e[mates[0]]), probe, shuffles)
        self.history_.append({"epoch": 1, "loss": -float(rho.mean()), **correlations})
        yield self.history_[-1]
