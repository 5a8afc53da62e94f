"""Base of the methods that learn a code from one view alone: training, codes, files.

The counterpart of :mod:`jmml.models.two_view`: an encoder f: R^D -> R^k on standardised features, ended by a batch
normalisation without weights (:class:`~jmml.models.encoders.Encoder`), trained by whatever loss a subclass says.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags
from torch import Tensor, nn

from jmml.errors import ModelError
from jmml.models.encoders import Encoder
from jmml.models.inputs import (
    FloatArray,
    IntArray,
    Standardiser,
    UnfittedError,
    check_input,
    check_labels,
    feature_names,
    plain_settings,
    remember_features,
)
from jmml.models.networks import in_float64, load_network, network_arrays
from jmml.models.progress import Continuable, Progress
from jmml.models.training import Trainer, generators, reproducible, resolve_device

DEFAULT_K = 6


class CodeNetwork(nn.Module):
    """An encoder f of D -> hidden -> k and, where the loss needs one, a ``head`` on the code."""

    def __init__(self, f: Encoder, head: nn.Module | None = None) -> None:
        super().__init__()
        self.f = f
        self.head = nn.Identity() if head is None else head


@dataclass(eq=False, repr=False, kw_only=True)
class SpeechOnly(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Continuable, BaseEstimator):  # type: ignore[misc]
    """Base of the methods that train on speech alone; see the head of this module.

    Parameters
    ----------
    k : width of the code, at most the number of features; None for 6, or all of them where they are fewer.
    hidden : width of the hidden layer.
    epochs, batch_size, lr, weight_decay : of Adam. The rows left over by whole batches are spread over them.
    seed : decides weights and batches; equal seeds give equal bits on a CPU, whatever its number of threads.
    device : "cpu", "cuda" or "cuda:<index>".

    Attributes
    ----------
    classes_ : class names, sorted; empty when fitted without labels.
    n_features_in_, feature_names_in_ : D and, when fitted on a data frame, the names of its columns.
    history_ : per epoch the mean ``loss`` and its terms.
    notes_ : remarks on what the data made of the settings, such as a raised batch size.
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
    needs_labels: ClassVar[bool] = True

    # ------------------------------------------------------------------ what a peer says

    def _network(self, d: int, n_classes: int, generator: torch.Generator) -> CodeNetwork:
        return CodeNetwork(Encoder(d, self.hidden, self.k_, generator))

    @abstractmethod
    def _losses(self, net: CodeNetwork, x: Tensor, y: Tensor) -> dict[str, Tensor]:
        """``loss``, which is minimised, and its terms, for standardised features x (n, D) and classes y (n,)."""

    def _least_batch(self, counts: IntArray) -> int:
        """The smallest batch the loss can be taken on, given the number of rows of each class."""
        return 2

    # ------------------------------------------------------------------ fitting

    def fit(self, X: npt.ArrayLike, y: npt.ArrayLike | None = None) -> Self:
        """Fit all epochs; see :meth:`iter_fit`."""
        for _ in self.iter_fit(X, y):
            pass
        return self

    def iter_fit(
        self, X: npt.ArrayLike, y: npt.ArrayLike | None = None, *, start: Progress | None = None
    ) -> Iterator[dict[str, float]]:
        """Fit on X (n, D), in any units, and y (n,), yielding the losses of every epoch as it ends.

        Between epochs the model can already be applied. ``start`` is the :meth:`progress` of an estimator that was left
        after an epoch; the epochs after it follow, on a CPU to the bits that would have followed there.

        Raises
        ------
        ModelError : values that are not finite, missing labels or fewer than two classes where labels are needed,
            a ``k`` wider than the features, a ``start`` of another network, or a loss that diverged. The input is
            checked at the call.
        """
        matrix = check_input(self, X, where=self.name, fitting=True)
        n, d = matrix.shape
        classes, codes = np.array([]), np.zeros(n, dtype=np.int64)
        if self.needs_labels:
            classes, codes = check_labels(y, n, where=self.name)
        self.k_ = min(DEFAULT_K, d) if self.k is None else self.k
        if self.k_ > d:
            raise ModelError(
                f"k = {self.k_} is wider than the {d} features",
                where=self.name,
                expected=f"k of at most {d}",
            )
        return self._epochs(matrix, classes, codes, self._least_batch(np.bincount(codes)), start)

    def _epochs(
        self,
        X: FloatArray,
        classes: npt.NDArray[Any],
        codes: IntArray,
        least: int,
        start: Progress | None,
    ) -> Iterator[dict[str, float]]:
        device = resolve_device(self.device)
        for_weights, for_order = generators(self.seed, 2)
        self.classes_, self.scaler_ = classes, Standardiser.fit(X)
        self.history_: list[dict[str, float]] = []
        self.notes_: list[str] = []
        if self.batch_size < least:
            self.notes_.append(f"batch_size raised from {self.batch_size} to {least}")
        net = self._network(X.shape[1], len(classes), for_weights).to(device)
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
        x, y = self._tensor(X), torch.from_numpy(codes).to(device)
        for epoch in range(done + 1, self.epochs + 1):
            net.train()
            means = trainer.epoch(
                len(x), max(self.batch_size, least), lambda rows: self._losses(net, x[rows], y[rows])
            )
            net.eval()
            with reproducible():
                net.f.measure(x)
            self.history_.append({"epoch": epoch, **means})
            yield self.history_[-1]
        self._end()

    # ------------------------------------------------------------------ inference

    def transform(self, X: npt.ArrayLike) -> FloatArray:
        """Codes of X (n, D): float64 of shape (n, k)."""
        code: FloatArray = self._apply(X)[0].cpu().numpy()
        return code

    def n_parameters(self) -> int:
        """Trained parameters between the features and the code."""
        self._check_fitted()
        return sum(weight.numel() for weight in self.network_.f.parameters())

    def _apply(self, X: npt.ArrayLike) -> tuple[Tensor, Tensor]:
        """The code (n, k) and what the head makes of it, both in float64."""
        self._check_fitted()
        matrix = check_input(self, X, where=self.name, fitting=False)
        network = in_float64(self.network_)
        with reproducible(), torch.no_grad():
            code = network.f(self._tensor(matrix, torch.float64))
            return code, network.head(code)

    def _tensor(self, X: FloatArray, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.from_numpy(self.scaler_(X)).to(self.network_.f.mean.device, dtype)

    def _check_fitted(self) -> None:
        if not hasattr(self, "network_"):
            raise UnfittedError("the model has not been fitted", where=self.name, fix="call fit first")

    @property
    def _n_features_out(self) -> int:
        return self.k_

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = self.needs_labels
        return tags

    # ------------------------------------------------------------------ persistence

    def state(self) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
        """Everything that inference needs: named arrays, and a description that JSON can hold."""
        self._check_fitted()
        arrays = network_arrays(self.network_)
        arrays |= {"scaler.mean": self.scaler_.mean, "scaler.scale": self.scaler_.scale}
        return arrays, {
            "model": type(self).__name__,
            "params": plain_settings(self),
            "classes": self.classes_.tolist(),
            "history": self.history_,
            "notes": self.notes_,
            "feature_names": feature_names(self),
        }

    def _load_scalers(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        self.scaler_ = Standardiser(arrays["scaler.mean"], arrays["scaler.scale"])

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
            d = len(model.scaler_.mean)
            remember_features(model, d, meta.get("feature_names"))
            model.k_ = len(arrays["network.f.mean"]) if model.k is None else model.k
            network = model._network(d, len(model.classes_), torch.Generator())
            load_network(network, arrays)
        except (KeyError, TypeError, RuntimeError) as error:
            raise ModelError(f"the saved model does not fit: {error}", where=cls.name) from None
        model.network_ = network.eval().to(resolve_device(device))
        return model
