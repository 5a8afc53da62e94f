"""Stage 2: emotion-directed deep canonically correlated cross-modal autoencoder (E-DCC-CAE).

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
are noise. Independent views of width k show a mean rho^2 of k / (n - 1), which is why ``rho_held_out`` must
be read next to ``rho_permuted``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import BaseEstimator
from torch import Tensor

from jmml.errors import ModelError
from jmml.models.cross_modal import CrossModalNetwork, Modality, Weights
from jmml.models.inputs import (
    FloatArray,
    IntArray,
    Standardiser,
    check_features,
    check_same_classes,
)
from jmml.models.networks import load_network, network_arrays
from jmml.models.pairs import (
    ROWS_PER_DIMENSION,
    WHERE,
    Pairing,
    check_held_out,
    check_sizes,
    mean_correlations,
    partners,
)
from jmml.models.training import Trainer, generators, reproducible, resolve_device

PERMUTATIONS = 5


class EDCCCAE(BaseEstimator):  # type: ignore[misc]
    """Shared code of speech and EEG, learnt from pairs; see the formula at the head of this module.

    Parameters
    ----------
    k : width of the shared code, at most that of either view. About C - 1 is the honest choice for class
        pairing.
    hidden : width of the hidden layer of every encoder and decoder.
    epochs, batch_size, lr, weight_decay : of Adam. A batch has at least ``max(batch_size, 8 k)`` pairs:
        smaller ones make correlations out of noise.
    lam_r, lam_x, lam_c, lam_y : weights of self reconstruction, cross reconstruction, correlation, classes.
    ridge, smoothing : of :func:`jmml.models.correlation.correlation_loss`.
    seed : decides weights and batches; equal seeds give equal bits on a CPU, whatever its number of threads.
    device : "cpu", "cuda" or "cuda:<index>".

    Attributes
    ----------
    classes_ : class names, sorted; empty when fitted without labels.
    notes_ : remarks on what the data made of the settings, such as a raised batch size.
    history_ : per epoch the mean losses and the mean canonical correlations of the codes.

    Example
    -------
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

    def __init__(
        self,
        k: int = 6,
        hidden: int = 32,
        epochs: int = 40,
        batch_size: int = 64,
        lr: float = 5e-3,
        weight_decay: float = 1e-4,
        lam_r: float = 1.0,
        lam_x: float = 1.0,
        lam_c: float = 1.0,
        lam_y: float = 0.0,
        ridge: float = 1e-3,
        smoothing: float = 1e-2,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        self.k = k
        self.hidden = hidden
        self.epochs = epochs
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.lam_r = lam_r
        self.lam_x = lam_x
        self.lam_c = lam_c
        self.lam_y = lam_y
        self.ridge = ridge
        self.smoothing = smoothing
        self.seed = seed
        self.device = device

    # ------------------------------------------------------------------ fitting

    def fit(
        self,
        X_speech: npt.ArrayLike,
        X_eeg: npt.ArrayLike,
        y_speech: npt.ArrayLike | None = None,
        y_eeg: npt.ArrayLike | None = None,
        *,
        pairing: Pairing | None = None,
        held_out: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
    ) -> EDCCCAE:
        """Fit all epochs; arguments and errors are those of :meth:`iter_fit`."""
        for _ in self.iter_fit(X_speech, X_eeg, y_speech, y_eeg, pairing=pairing, held_out=held_out):
            pass
        return self

    def iter_fit(
        self,
        X_speech: npt.ArrayLike,
        X_eeg: npt.ArrayLike,
        y_speech: npt.ArrayLike | None = None,
        y_eeg: npt.ArrayLike | None = None,
        *,
        pairing: Pairing | None = None,
        held_out: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
    ) -> Iterator[dict[str, float]]:
        """Fit, yielding after every epoch; between epochs the model can already be applied.

        Parameters
        ----------
        X_speech, X_eeg : stage-1 outputs (n_s, r_s) and (n_e, r_e), in any units.
        y_speech, y_eeg : labels, for the class term and for the check that both modalities have the same
            classes. They may be left out while ``lam_y`` is 0.
        pairing : called with the number of the epoch (0, 1, ...), returns the EEG row for every speech row.
            ``None`` pairs row i with row i (parallel recordings).
        held_out : rows of both modalities that form pairs and take no part in training, for the metrics.

        Yields
        ------
        The mean ``loss`` and, before weighting, those of its terms that have a weight: ``loss_self``,
        ``loss_cross``, ``loss_correlation``, ``loss_class``. Then mean canonical correlations, by exact CCA
        on the codes: ``rho_train`` of the epoch's pairs; ``rho_held_out``, if there are such pairs; and
        ``rho_permuted``, what chance alone reaches: the held-out pairs (else the training pairs) with the EEG
        rows permuted, mean of five fixed permutations.

        Raises
        ------
        ModelError : values that are not finite, a class in one modality only, a ``k`` wider than a view,
            fewer than 8 k training pairs (while ``lam_c`` is positive) or 2 k held-out pairs, a pairing that
            does not fit, or a loss that diverged. All but the last two are checked at the call.
        """
        speech = check_features(X_speech, where=f"{WHERE}, speech")
        eeg = check_features(X_eeg, where=f"{WHERE}, EEG")
        check_sizes(speech.shape, eeg.shape, k=self.k, aligned=pairing is None, correlated=self.lam_c > 0)
        classes, labels = np.array([]), None
        if y_speech is not None and y_eeg is not None:
            classes, labels = check_same_classes(y_speech, y_eeg, (len(speech), len(eeg)), where=WHERE)
        elif self.lam_y > 0:
            raise ModelError(f"lam_y = {self.lam_y} needs labels of both modalities", where=WHERE)
        probe = held_out and check_held_out(held_out, (speech.shape[1], eeg.shape[1]), k=self.k)
        return self._epochs(speech, eeg, classes, labels, pairing, probe)

    def _epochs(
        self,
        speech: FloatArray,
        eeg: FloatArray,
        classes: npt.NDArray[Any],
        labels: tuple[IntArray, IntArray] | None,
        pairing: Pairing | None,
        held_out: tuple[FloatArray, FloatArray] | None,
    ) -> Iterator[dict[str, float]]:
        device, n = resolve_device(self.device), len(speech)
        for_weights, for_order, for_shuffles = generators(self.seed, 3)
        self.classes_ = classes
        self.scalers_: dict[Modality, Standardiser] = {
            "speech": Standardiser.fit(speech),
            "eeg": Standardiser.fit(eeg),
        }
        self.history_: list[dict[str, float]] = []
        self.notes_: list[str] = []
        net = CrossModalNetwork(speech.shape[1], eeg.shape[1], self.hidden, self.k, len(classes), for_weights)
        self.network_ = net.to(device)
        u_s, u_e = self._tensor(speech, "speech"), self._tensor(eeg, "eeg")
        y = labels and (torch.from_numpy(labels[0]).to(device), torch.from_numpy(labels[1]).to(device))
        probe = held_out and (self._tensor(held_out[0], "speech"), self._tensor(held_out[1], "eeg"))
        m = n if probe is None else len(probe[0])
        batch_size = self._batch_size(m)
        shuffles = [torch.randperm(m, generator=for_shuffles).to(device) for _ in range(PERMUTATIONS)]
        weights = Weights(self.lam_r, self.lam_x, self.lam_c, self.lam_y, self.ridge, self.smoothing)
        trainer = Trainer(
            net.parameters(),
            lr=self.lr,
            weight_decay=self.weight_decay,
            generator=for_order,
            device=device,
            where=WHERE,
        )
        for epoch in range(self.epochs):
            mate = partners(pairing, epoch, n, len(eeg)).to(device)

            def losses(rows: Tensor, mate: Tensor = mate) -> dict[str, Tensor]:
                own = y and (y[0][rows], y[1][mate[rows]])
                return net.losses(u_s[rows], u_e[mate[rows]], own, weights)

            net.train()
            means = trainer.epoch(n, batch_size, losses)
            net.eval()
            with reproducible(), torch.no_grad():
                net.f_s.measure(u_s)
                net.f_e.measure(u_e)
                rho = mean_correlations(net, (u_s, u_e[mate]), probe, shuffles)
            self.history_.append({"epoch": epoch + 1, **means, **rho})
            yield self.history_[-1]

    def _batch_size(self, probed: int) -> int:
        """The batch size in force; what had to be changed or doubted is noted."""
        least = ROWS_PER_DIMENSION * self.k
        if self.batch_size < least:
            self.notes_.append(f"batch_size raised from {self.batch_size} to 8 k = {least}")
        if probed < least:
            self.notes_.append(
                f"rho_held_out and rho_permuted rest on {probed} pairs, fewer than 8 k = {least}"
            )
        return max(self.batch_size, least)

    # ------------------------------------------------------------------ inference

    def transform(
        self, X_speech: npt.ArrayLike | None = None, X_eeg: npt.ArrayLike | None = None
    ) -> FloatArray:
        """Shared codes (n, k), float64: of speech, of EEG, or row by row the mean of both.

        Needs no label and no second modality. Raises :class:`ModelError` when neither is given, or when both
        are and differ in rows.
        """
        codes = [
            self._code(X, name).double().cpu().numpy() for name, X in self._given(X_speech, X_eeg).items()
        ]
        if len({len(code) for code in codes}) > 1:
            raise ModelError(f"{len(codes[0])} speech rows and {len(codes[1])} EEG rows", where=WHERE)
        return codes[0] if len(codes) == 1 else (codes[0] + codes[1]) / 2

    def imagine(
        self, X_speech: npt.ArrayLike | None = None, X_eeg: npt.ArrayLike | None = None
    ) -> FloatArray:
        """The other modality, decoded from one: h_se(f_s(u_s)), (n, r_e), or h_es(f_e(u_e)), (n, r_s).

        In the units of the stage-1 outputs the model was fitted on, float64. Raises :class:`ModelError`
        unless exactly one modality is given and the cross decoders were trained (``lam_x`` > 0).
        """
        given = self._given(X_speech, X_eeg)
        if len(given) != 1:
            raise ModelError("both modalities were given", where=WHERE, expected="the one to decode from")
        if not self.lam_x > 0:
            raise ModelError(
                "nothing can be imagined, the cross decoders were not trained (lam_x = 0)", where=WHERE
            )
        ((name, X),) = given.items()
        code = self._code(X, name)
        with reproducible(), torch.no_grad():
            decoded = self.network_.cross_decode(code, name).double().cpu().numpy()
        return self.scalers_["eeg" if name == "speech" else "speech"].inverse(decoded)

    def _given(
        self, X_speech: npt.ArrayLike | None, X_eeg: npt.ArrayLike | None
    ) -> dict[Modality, npt.ArrayLike]:
        self._check_fitted()
        given: dict[Modality, npt.ArrayLike] = {}
        if X_speech is not None:
            given["speech"] = X_speech
        if X_eeg is not None:
            given["eeg"] = X_eeg
        if not given:
            raise ModelError("no features were given", where=WHERE, expected="speech, EEG or both")
        return given

    def _code(self, X: npt.ArrayLike, name: Modality) -> Tensor:
        matrix = check_features(X, where=f"{WHERE}, {name}", width=len(self.scalers_[name].mean))
        with reproducible(), torch.no_grad():
            return self.network_.encode(self._tensor(matrix, name), name)

    def _tensor(self, X: FloatArray, name: Modality) -> Tensor:
        return torch.from_numpy(self.scalers_[name](X)).to(self.network_.f_s.mean.device, torch.float32)

    def _check_fitted(self) -> None:
        if not hasattr(self, "network_"):
            raise ModelError("the model has not been fitted", where=WHERE, fix="call fit first")

    # ------------------------------------------------------------------ persistence

    def state(self) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
        """Everything that inference needs: named arrays, and a description that JSON can hold."""
        self._check_fitted()
        arrays = network_arrays(self.network_)
        for name, scaler in self.scalers_.items():
            arrays |= {f"scaler.{name}.mean": scaler.mean, f"scaler.{name}.scale": scaler.scale}
        return arrays, {
            "model": WHERE,
            "params": self.get_params(),
            "classes": self.classes_.tolist(),
            "history": self.history_,
            "notes": self.notes_,
        }

    @classmethod
    def from_state(
        cls, arrays: Mapping[str, npt.NDArray[Any]], meta: Mapping[str, Any], *, device: str = "cpu"
    ) -> EDCCCAE:
        """The model that :meth:`state` described, on ``device``; on a CPU its codes are the same bits."""
        try:
            model = cls(**{**meta["params"], "device": device})
            model.classes_ = np.asarray(meta["classes"])
            model.history_, model.notes_ = list(meta["history"]), list(meta["notes"])
            model.scalers_ = {
                "speech": Standardiser(arrays["scaler.speech.mean"], arrays["scaler.speech.scale"]),
                "eeg": Standardiser(arrays["scaler.eeg.mean"], arrays["scaler.eeg.scale"]),
            }
            r_s, r_e = len(model.scalers_["speech"].mean), len(model.scalers_["eeg"].mean)
            network = CrossModalNetwork(
                r_s, r_e, model.hidden, model.k, len(model.classes_), torch.Generator()
            )
            load_network(network, arrays)
        except (KeyError, TypeError, RuntimeError) as error:
            raise ModelError(f"the saved model does not fit: {error}", where=WHERE) from None
        model.network_ = network.eval().to(resolve_device(device))
        return model
