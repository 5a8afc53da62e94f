"""Base of the methods that align speech with EEG: pairs, training, codes, files.

Two encoders f_s: R^r_s -> R^k and f_e: R^r_e -> R^k map stage-1 outputs of both modalities to codes. A method is a
subclass that says which network it trains and by which loss; everything else is here. Inputs are standardised on the
training rows of their modality. Whatever the method, every epoch reports the mean canonical correlation of its codes:
of the training pairs, of pairs that were held out, and of permuted pairs, which is what chance alone reaches
(independent views of width k show a mean rho^2 of k / (n - 1)).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from torch import Tensor

from jmml.errors import ModelError
from jmml.models.encoders import Modality, TwoEncoders
from jmml.models.inputs import (
    FloatArray,
    IntArray,
    Standardiser,
    UnfittedError,
    check_features,
    check_input,
    check_same_classes,
    check_settings,
    feature_names,
    plain_settings,
    remember_features,
)
from jmml.models.networks import in_float64, load_network, network_arrays
from jmml.models.pairs import (
    ROWS_PER_DIMENSION,
    Pairs,
    as_schedule,
    check_held_out,
    check_sizes,
    mean_correlations,
    partners,
)
from jmml.models.progress import Continuable, Progress
from jmml.models.training import Trainer, generators, reproducible, resolve_device

PERMUTATIONS = 5
DEFAULT_K = 6


@dataclass(eq=False, repr=False, kw_only=True)
class TwoView(TransformerMixin, Continuable, BaseEstimator, auto_wrap_output_keys=None):  # type: ignore[misc, call-arg]
    """Base of the two-view methods; see the head of this module.

    Parameters
    ----------
    k : width of the shared code, at most that of either view. About C - 1 is the honest choice for class pairing.
        None for 6, or fewer where a view is narrower or there are fewer than 8 k pairs; ``k_`` is what it came to.
    hidden : width of the hidden layer of every network.
    epochs, batch_size, lr, weight_decay : of Adam. A batch has at least ``max(batch_size, 8 k)`` pairs:
        smaller ones make correlations out of noise.
    seed : decides weights, pairs and batches; equal seeds give equal bits on a CPU, whatever its number of threads.
    device : "cpu", "cuda" or "cuda:<index>".

    Attributes
    ----------
    classes_ : class names, sorted; empty when fitted without labels.
    notes_ : remarks on what the data made of the settings, such as a raised batch size.
    history_ : per epoch the mean losses and the mean canonical correlations of the codes.
    """

    k: int | None = None
    hidden: int = 32
    epochs: int = 40
    batch_size: int = 64
    lr: float = 5e-3
    weight_decay: float = 1e-4
    seed: int = 0
    device: str = "cpu"

    name: ClassVar[str]
    needs_labels: ClassVar[bool] = False

    # ------------------------------------------------------------------ what a method says

    @abstractmethod
    def _network(self, r_s: int, r_e: int, n_classes: int, generator: torch.Generator) -> TwoEncoders:
        """The network to train, drawn from ``generator``."""

    @abstractmethod
    def _losses(
        self, net: Any, u_s: Tensor, u_e: Tensor, y: tuple[Tensor, Tensor] | None
    ) -> dict[str, Tensor]:
        """``loss``, which is minimised, and its terms before weighting, for pairs u_s (n, r_s), u_e (n, r_e)."""

    def _check_weights(self) -> None:
        """:class:`ModelError` for weights of the loss that cannot be."""

    @property
    def _wants_labels(self) -> bool:
        return self.needs_labels

    @property
    def _wants_many_pairs(self) -> bool:
        """Whether the loss measures correlations, which need 8 k pairs to be more than noise."""
        return True

    # ------------------------------------------------------------------ fitting

    def fit(
        self,
        X_speech: npt.ArrayLike,
        X_eeg: npt.ArrayLike,
        y_speech: npt.ArrayLike | None = None,
        y_eeg: npt.ArrayLike | None = None,
        *,
        pairs: Pairs | None = None,
        held_out: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
    ) -> Self:
        """Fit all epochs; arguments and errors are those of :meth:`iter_fit`."""
        for _ in self.iter_fit(X_speech, X_eeg, y_speech, y_eeg, pairs=pairs, held_out=held_out):
            pass
        return self

    def iter_fit(
        self,
        X_speech: npt.ArrayLike,
        X_eeg: npt.ArrayLike,
        y_speech: npt.ArrayLike | None = None,
        y_eeg: npt.ArrayLike | None = None,
        *,
        pairs: Pairs | None = None,
        held_out: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
        start: Progress | None = None,
    ) -> Iterator[dict[str, float]]:
        """Fit, yielding after every epoch; between epochs the model can already be applied.

        Parameters
        ----------
        X_speech, X_eeg : stage-1 outputs (n_s, r_s) and (n_e, r_e), in any units.
        y_speech, y_eeg : labels, for pairing, for the check that both modalities have the same classes, and for
            methods whose loss has a class term. Parallel data may leave them out unless the method needs them.
        pairs : which EEG row every speech row meets. ``None`` draws partners of the same class anew in every epoch
            (not parallel data), or, without labels, pairs row i with row i. An array of n_s EEG row numbers holds
            for all epochs: ``numpy.arange(n)`` for parallel recordings. A function gets the number of the epoch
            (0, 1, ...) and returns such an array.
        held_out : rows of both modalities that form pairs and take no part in training, for the metrics.
        start : the :meth:`progress` of an estimator that was left after an epoch; the epochs after it follow. On a CPU
            they are, to the last bit, those that would have followed there, if data and settings are the same.

        Yields
        ------
        The mean ``loss`` and its terms before weighting. Then mean canonical correlations, by exact CCA on the codes:
        ``rho_train`` of the epoch's pairs; ``rho_held_out``, if there are such pairs; and ``rho_permuted``, what
        chance alone reaches: the held-out pairs (else the training pairs) with the EEG rows permuted, mean of five
        fixed permutations.

        Raises
        ------
        ModelError : settings out of range, values that are not finite, a class in one modality only, a ``k`` wider
            than a view, fewer than 8 k training pairs (where the loss correlates) or 2 k held-out pairs, pairs that
            do not fit, a ``start`` of another network, or a loss that diverged. All but the last three are checked at
            the call.
        """
        check_settings(self, where=self.name)
        self._check_weights()
        speech = check_input(self, X_speech, where=f"{self.name}, speech", fitting=True)
        if X_eeg is None:
            raise ModelError(
                "this requires y to be passed, but the target y is None", where=f"{self.name}, EEG"
            )
        eeg = check_features(X_eeg, where=f"{self.name}, EEG", vector=True)
        classes, labels = np.array([]), None
        if y_speech is not None and y_eeg is not None:
            classes, labels = check_same_classes(y_speech, y_eeg, (len(speech), len(eeg)), where=self.name)
        elif (y_speech is None) != (y_eeg is None):
            raise ModelError(
                f"labels of {'EEG' if y_speech is None else 'speech'} alone",
                where=self.name,
                expected="labels of both modalities, or of none and pairs",
            )
        elif self._wants_labels:
            raise ModelError("labels of both modalities are needed", where=self.name)
        aligned = pairs is None and labels is None
        widest = min(speech.shape[1], eeg.shape[1])
        if self._wants_many_pairs:
            widest = min(widest, max(1, len(speech) // ROWS_PER_DIMENSION))
        self.k_ = min(DEFAULT_K, widest) if self.k is None else self.k
        check_sizes(
            speech.shape,
            eeg.shape,
            k=self.k_,
            aligned=aligned,
            correlated=self._wants_many_pairs,
            where=self.name,
        )
        schedule = as_schedule(pairs, labels, seed=self.seed)
        probe = held_out and check_held_out(
            held_out, (speech.shape[1], eeg.shape[1]), k=self.k_, where=self.name
        )
        return self._epochs(speech, eeg, classes, labels, schedule, probe, start)

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
        device, n = resolve_device(self.device), len(speech)
        for_weights, for_order, for_shuffles = generators(self.seed, 3)
        self.classes_ = classes
        self.scalers_: dict[Modality, Standardiser] = {
            "speech": Standardiser.fit(speech),
            "eeg": Standardiser.fit(eeg),
        }
        self.history_: list[dict[str, float]] = []
        self.notes_: list[str] = []
        net = self._network(speech.shape[1], eeg.shape[1], len(classes), for_weights).to(device)
        self.network_ = net
        trainer = Trainer(
            net.parameters(),
            lr=self.lr,
            weight_decay=self.weight_decay,
            generator=for_order,
            device=device,
            where=self.name,
        )
        done = self._begin(trainer, start)
        u_s, u_e = self._tensor(speech, "speech"), self._tensor(eeg, "eeg")
        y = labels and (torch.from_numpy(labels[0]).to(device), torch.from_numpy(labels[1]).to(device))
        probe = held_out and (self._tensor(held_out[0], "speech"), self._tensor(held_out[1], "eeg"))
        m = n if probe is None else len(probe[0])
        batch_size = self._batch_size(m)
        shuffles = [torch.randperm(m, generator=for_shuffles).to(device) for _ in range(PERMUTATIONS)]
        for epoch in range(done, self.epochs):
            mate = partners(schedule, epoch, n, len(eeg), where=self.name).to(device)
            met, y_met = u_e[mate], y and (y[0], y[1][mate])

            def losses(
                rows: Tensor, met: Tensor = met, y: tuple[Tensor, Tensor] | None = y_met
            ) -> dict[str, Tensor]:
                return self._losses(net, u_s[rows], met[rows], y and (y[0][rows], y[1][rows]))

            net.train()
            means = trainer.epoch(n, batch_size, losses)
            net.eval()
            with reproducible(), torch.no_grad():
                net.f_s.measure(u_s)
                net.f_e.measure(u_e)
                rho = mean_correlations(net, (u_s, met), probe, shuffles)
            self.history_.append({"epoch": epoch + 1, **means, **rho})
            yield self.history_[-1]
        self._end()

    def _batch_size(self, probed: int) -> int:
        """The batch size in force; what had to be changed or doubted is noted."""
        least = ROWS_PER_DIMENSION * self.k_
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
        given = self._given(X_speech, X_eeg)
        codes = [self._code(X, name).cpu().numpy() for name, X in given.items()]
        if len({len(code) for code in codes}) > 1:
            raise ModelError(f"{len(codes[0])} speech rows and {len(codes[1])} EEG rows", where=self.name)
        return codes[0] if len(codes) == 1 else (codes[0] + codes[1]) / 2

    def n_parameters(self) -> int:
        """Trained parameters on the path from speech to its code."""
        self._check_fitted()
        return sum(weight.numel() for weight in self.network_.f_s.parameters())

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
            raise ModelError("no features were given", where=self.name, expected="speech, EEG or both")
        return given

    def _code(self, X: npt.ArrayLike, modality: Modality) -> Tensor:
        """The code (n, k) of one modality, in float64."""
        where = f"{self.name}, {modality}"
        if modality == "speech":
            matrix = check_input(self, X, where=where, fitting=False)
        else:
            width = len(self.scalers_["eeg"].mean)
            matrix = check_features(X, where=where, width=width, vector=True)
        encode = in_float64(self.network_.encoder(modality))
        with reproducible(), torch.no_grad():
            code: Tensor = encode(self._tensor(matrix, modality, torch.float64))
        return code

    def _tensor(self, X: FloatArray, modality: Modality, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.from_numpy(self.scalers_[modality](X)).to(self.network_.f_s.mean.device, dtype)

    def _check_fitted(self) -> None:
        if not hasattr(self, "network_"):
            raise UnfittedError("the model has not been fitted", where=self.name, fix="call fit first")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags

    # ------------------------------------------------------------------ persistence

    def state(self) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
        """Everything that inference needs: named arrays, and a description that JSON can hold."""
        self._check_fitted()
        arrays = network_arrays(self.network_)
        for name, scaler in self.scalers_.items():
            arrays |= {f"scaler.{name}.mean": scaler.mean, f"scaler.{name}.scale": scaler.scale}
        return arrays, {
            "model": type(self).__name__,
            "params": plain_settings(self),
            "classes": self.classes_.tolist(),
            "history": self.history_,
            "notes": self.notes_,
            "feature_names": feature_names(self),
        }

    def _load_scalers(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        self.scalers_ = {
            "speech": Standardiser(arrays["scaler.speech.mean"], arrays["scaler.speech.scale"]),
            "eeg": Standardiser(arrays["scaler.eeg.mean"], arrays["scaler.eeg.scale"]),
        }

    @classmethod
    def from_state(
        cls, arrays: Mapping[str, npt.NDArray[Any]], meta: Mapping[str, Any], *, device: str = "cpu"
    ) -> Self:
        """The model that :meth:`state` described, on ``device``; on a CPU its codes are the same bits."""
        try:
            model = cls(**{**meta["params"], "device": device})
            model.classes_ = np.asarray(meta["classes"])
            model.history_, model.notes_ = list(meta["history"]), list(meta["notes"])
            model._load_scalers(arrays)
            r_s, r_e = len(model.scalers_["speech"].mean), len(model.scalers_["eeg"].mean)
            remember_features(model, r_s, meta.get("feature_names"))
            model.k_ = len(arrays["network.f_s.mean"]) if model.k is None else model.k
            network = model._network(r_s, r_e, len(model.classes_), torch.Generator())
            load_network(network, arrays)
        except (KeyError, TypeError, RuntimeError) as error:
            raise ModelError(f"the saved model does not fit: {error}", where=cls.name) from None
        model.network_ = network.eval().to(resolve_device(device))
        return model
