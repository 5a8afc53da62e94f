"""Stage 1: joint emotion class learning and self-similarity learning (JEC-SSL) of one modality.

For a standardised sample x in R^D with class y out of C, intra-class encoders E_1..E_C, an inter-class
encoder E_0 (each R^D -> R^p), a decoder G and class vectors v_c, the first step (JECL) minimises

    L = ||x - G(E_y(x), E_0(x))||^2 / D                reconstruction through the sample's own class branch
      + alpha * CE([v_c . E_c(x)]_c, y)                class discrimination
      + beta  * sum_c ||Corr(E_c, E_0)||_F^2           specific and shared parts stay decorrelated
      + gamma * sum_c ||mean_c(E_0) - mean(E_0)||^2    the shared part carries what classes have in common

with means and correlations over the batch. The second step (SSL) takes the blocks Z_b = E_b(X) / sqrt(p),
b = 0..C, and finds the r latent components of [Z_0 .. Z_C] that covary most with X (:mod:`jmml.models.pls`):
the output is u = [Z_0 .. Z_C] W*. All branches run on every sample, so inference needs no label.

The formulas are this project's formalisation of JEC-SSL (DOI 10.1145/3632410.3632417, arXiv 2503.18964),
whose exact losses are not public.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags
from torch import Tensor, nn
from torch.nn import functional

from jmml.errors import ModelError
from jmml.models.inputs import (
    FloatArray,
    IntArray,
    Standardiser,
    UnfittedError,
    check_input,
    check_labels,
    check_settings,
    feature_names,
    plain_settings,
    remember_features,
)
from jmml.models.networks import in_float64, load_network, mlp, network_arrays, uniform_
from jmml.models.persistence import Persistent
from jmml.models.pls import PLS
from jmml.models.training import Trainer, generators, reproducible, resolve_device

EPSILON = 1e-6
DEFAULT_R = 8


class _Branches(nn.Module):
    """The C + 1 encoders as stacked weights (one batched product), the class vectors and the decoder.

    Branch 0 is the inter-class encoder, branch c + 1 that of class number c.
    """

    def __init__(self, d: int, hidden: int, p: int, n_classes: int, generator: torch.Generator) -> None:
        super().__init__()
        b = n_classes + 1

        def draw(*shape: int, fan_in: int) -> nn.Parameter:
            return nn.Parameter(uniform_(torch.empty(shape), fan_in, generator))

        self.w1, self.b1 = draw(d, b * hidden, fan_in=d), draw(b * hidden, fan_in=d)
        self.w2, self.b2 = draw(b, hidden, p, fan_in=hidden), draw(b, 1, p, fan_in=hidden)
        self.v = draw(n_classes, p, fan_in=p)
        self.decoder = mlp((2 * p, hidden, d), generator)

    def encode(self, x: Tensor) -> Tensor:
        """E_b(x) of every branch: (n, D) -> (C + 1, n, p)."""
        b, hidden, _ = self.w2.shape
        h = functional.silu(torch.addmm(self.b1, x, self.w1)).view(len(x), b, hidden)
        return torch.baddbmm(self.b2, h.transpose(0, 1), self.w2)

    def logits(self, e: Tensor) -> Tensor:
        """v_c . E_c(x): (C + 1, n, p) -> (n, C)."""
        return torch.bmm(e[1:], self.v.unsqueeze(2)).squeeze(2).T

    def losses(self, x: Tensor, y: Tensor, *, alpha: float, beta: float, gamma: float) -> dict[str, Tensor]:
        n, n_classes = len(x), len(self.v)
        e = self.encode(x)
        own = e[y + 1, torch.arange(n, device=x.device)]
        parts = {"loss_reconstruction": functional.mse_loss(self.decoder(torch.cat([own, e[0]], dim=1)), x)}
        logits = self.logits(e)
        parts["loss_class"] = functional.cross_entropy(logits, y)

        # Epsilon keeps the correlation of a branch that is constant over the batch at 0.
        centred = e - e.mean(1, keepdim=True)
        unit = centred * torch.rsqrt(centred.square().mean(1, keepdim=True) + EPSILON)
        corr = unit[1:].transpose(1, 2) @ unit[0] / n
        parts["loss_decorrelation"] = corr.square().sum()

        # A class that is absent from the batch has no mean and adds nothing.
        member = functional.one_hot(y, n_classes).to(x.dtype)
        count = member.sum(0)
        gap = (member.T @ centred[0]) / count.clamp(min=1).unsqueeze(1)
        parts["loss_shared"] = gap.square().sum()

        loss = (
            parts["loss_reconstruction"]
            + alpha * parts["loss_class"]
            + beta * parts["loss_decorrelation"]
            + gamma * parts["loss_shared"]
        )
        accuracy = (logits.detach().argmax(1) == y).to(x.dtype).mean()
        return {"loss": loss, **parts, "accuracy": accuracy}


class JECSSL(
    ClassifierMixin,  # type: ignore[misc]
    ClassNamePrefixFeaturesOutMixin,  # type: ignore[misc]
    TransformerMixin,  # type: ignore[misc]
    Persistent,
    BaseEstimator,  # type: ignore[misc]
):
    """Class-aware latent features of one modality; see the formulas at the head of this module.

    A transformer that needs labels to be fitted and, by its class vectors, a classifier, as linear discriminant
    analysis is. Of scikit-learn's ``check_estimator`` the defaults fail ``check_classifiers_train`` alone (ninety steps
    on its 200 rows are too few); with ``lr=1e-2`` nothing.

    Parameters
    ----------
    p : width of every branch.
    r : number of latent components, at most min((C + 1) p, D, n - 1); None for 8, or that many where they are fewer.
    hidden : width of the hidden layer of every encoder and of the decoder.
    epochs, batch_size, lr, weight_decay : of Adam. The rows left over by whole batches are spread over them.
    alpha, beta, gamma : weights of the class, decorrelation and shared-mean terms.
    seed : decides weights and batches; equal seeds give equal bits on a CPU, whatever its number of threads.
    device : "cpu", "cuda" or "cuda:<index>".

    Attributes
    ----------
    classes_ : the C class names, sorted.
    n_features_in_, feature_names_in_ : D and, when fitted on a data frame, the names of its columns.
    history_ : per epoch the mean of ``loss``, of its four terms before weighting, and of the ``accuracy`` of
        the logits on the training batches.

    Example
    -------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat(["calm", "fear"], 40)
    >>> X = rng.normal(size=(80, 5)) + 2.0 * (y == "fear")[:, None]
    >>> JECSSL(p=2, r=3, hidden=8, epochs=2).fit(X, y).transform(X).shape
    (80, 3)
    """

    def __init__(
        self,
        p: int = 8,
        r: int | None = None,
        hidden: int = 64,
        epochs: int = 30,
        batch_size: int = 64,
        lr: float = 3e-3,
        weight_decay: float = 1e-4,
        alpha: float = 1.0,
        beta: float = 0.1,
        gamma: float = 0.1,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        self.p = p
        self.r = r
        self.hidden = hidden
        self.epochs = epochs
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.alpha = alpha
        self.beta = beta
        self.gamma = gamma
        self.seed = seed
        self.device = device

    def fit(self, X: npt.ArrayLike, y: npt.ArrayLike) -> JECSSL:
        """Fit both steps on X (n, D), in any units, and y (n,); see :meth:`iter_fit`."""
        for _ in self.iter_fit(X, y):
            pass
        return self

    def iter_fit(self, X: npt.ArrayLike, y: npt.ArrayLike) -> Iterator[dict[str, float]]:
        """Fit, yielding the losses of every epoch as it ends; with the last one the model is complete.

        Raises
        ------
        ModelError : settings out of range, values that are not finite, missing labels, fewer than two classes, more
            components than the data or the branches can carry, or a loss that diverged. The input is checked at
            the call.
        """
        check_settings(self, where="JEC-SSL")
        matrix = check_input(self, X, where="JEC-SSL", fitting=True)
        classes, codes = check_labels(y, len(matrix), where="JEC-SSL")
        n, d = matrix.shape
        limits = {"branches": (len(classes) + 1) * self.p, "features": d, "samples - 1": n - 1}
        tightest = min(limits, key=lambda name: limits[name])
        if self.r is not None and self.r > limits[tightest]:
            raise ModelError(
                f"r = {self.r} components from {n} samples of {d} features "
                f"and {len(classes) + 1} branches of width {self.p}",
                where="JEC-SSL",
                expected=f"r of at most {limits[tightest]} ({tightest})",
            )
        r = min(DEFAULT_R, limits[tightest]) if self.r is None else self.r
        return self._epochs(matrix, classes, codes, r)

    def _epochs(
        self, X: FloatArray, classes: npt.NDArray[Any], codes: IntArray, r: int
    ) -> Iterator[dict[str, float]]:
        device = resolve_device(self.device)
        for_weights, for_order = generators(self.seed, 2)
        self.classes_, self.scaler_ = classes, Standardiser.fit(X)
        self.history_: list[dict[str, float]] = []
        self.pls_: PLS | None = None
        self.network_ = _Branches(X.shape[1], self.hidden, self.p, len(classes), for_weights).to(device)
        standard = self.scaler_(X)
        x = torch.from_numpy(standard).to(device, torch.float32)
        y = torch.from_numpy(codes).to(device)
        trainer = Trainer(
            self.network_.parameters(),
            lr=self.lr,
            weight_decay=self.weight_decay,
            generator=for_order,
            device=device,
            where="JEC-SSL",
        )
        weights = {"alpha": self.alpha, "beta": self.beta, "gamma": self.gamma}
        for epoch in range(1, self.epochs + 1):
            means = trainer.epoch(
                len(x), self.batch_size, lambda rows: self.network_.losses(x[rows], y[rows], **weights)
            )
            self.history_.append({"epoch": epoch, **means})
            if epoch == self.epochs:
                with reproducible():
                    self.pls_ = PLS.fit(self._blocks(X), standard, r, where="JEC-SSL")
            yield self.history_[-1]

    def transform(self, X: npt.ArrayLike) -> FloatArray:
        """The latent components u = [Z_0 .. Z_C] W* of X (n, D): float64 of shape (n, r)."""
        pls = self._fitted_pls()
        matrix = check_input(self, X, where="JEC-SSL", fitting=False)
        with reproducible():
            return pls(self._blocks(matrix))

    def class_logits(self, X: npt.ArrayLike) -> FloatArray:
        """v_c . E_c(x) of every class: float64 of shape (n, C), columns as in ``classes_``."""
        self._fitted_pls()
        matrix = check_input(self, X, where="JEC-SSL", fitting=False)
        with reproducible(), torch.no_grad():
            network = in_float64(self.network_)
            logits: FloatArray = network.logits(network.encode(self._tensor(matrix))).cpu().numpy()
        return logits

    def predict_proba(self, X: npt.ArrayLike) -> FloatArray:
        """Softmax of the class logits: float64 of shape (n, C), columns as in ``classes_``."""
        probabilities: FloatArray = softmax(self.class_logits(X), axis=1)
        return probabilities

    def predict(self, X: npt.ArrayLike) -> npt.NDArray[Any]:
        """The class of the largest logit: names of shape (n,)."""
        logits = self.class_logits(X)
        names: npt.NDArray[Any] = self.classes_[logits.argmax(1)]
        return names

    def _tensor(self, X: FloatArray) -> Tensor:
        return torch.from_numpy(self.scaler_(X)).to(self.network_.v.device)

    def _blocks(self, X: FloatArray) -> FloatArray:
        """The concatenated blocks [Z_0 .. Z_C], Z_b = E_b / sqrt(p): (n, (C + 1) p)."""
        with torch.no_grad():
            e = in_float64(self.network_).encode(self._tensor(X)).cpu() / self.p**0.5
        blocks: FloatArray = e.transpose(0, 1).reshape(len(X), -1).numpy()
        return blocks

    @property
    def _n_features_out(self) -> int:
        return int(self._fitted_pls().rotation.shape[1])

    def __sklearn_is_fitted__(self) -> bool:
        return getattr(self, "pls_", None) is not None

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags

    def _fitted_pls(self) -> PLS:
        pls: PLS | None = getattr(self, "pls_", None)
        if pls is None:
            raise UnfittedError(
                "the model has not been fitted to the end",
                where="JEC-SSL",
                fix="call fit, or exhaust iter_fit",
            )
        return pls

    def state(self) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
        """Everything that :meth:`transform` needs: named arrays, and a description that JSON can hold."""
        pls = self._fitted_pls()
        arrays = network_arrays(self.network_)
        arrays |= {"scaler.mean": self.scaler_.mean, "scaler.scale": self.scaler_.scale}
        arrays |= {"pls.mean": pls.mean, "pls.rotation": pls.rotation}
        meta = {
            "model": type(self).__name__,
            "params": plain_settings(self),
            "classes": self.classes_.tolist(),
            "history": self.history_,
            "feature_names": feature_names(self),
        }
        return arrays, meta

    @classmethod
    def from_state(
        cls, arrays: Mapping[str, npt.NDArray[Any]], meta: Mapping[str, Any], *, device: str = "cpu"
    ) -> JECSSL:
        """The model that :meth:`state` described, on ``device``; it transforms to the same bits."""
        try:
            model = cls(**{**meta["params"], "device": device})
            model.classes_ = np.asarray(meta["classes"])
            model.history_ = list(meta["history"])
            model.scaler_ = Standardiser(arrays["scaler.mean"], arrays["scaler.scale"])
            remember_features(model, len(model.scaler_.mean), meta.get("feature_names"))
            model.pls_ = PLS(arrays["pls.mean"], arrays["pls.rotation"])
            network = _Branches(
                len(model.scaler_.mean), model.hidden, model.p, len(model.classes_), torch.Generator()
            )
            load_network(network, arrays)
        except (KeyError, TypeError, RuntimeError) as error:
            raise ModelError(f"the saved model does not fit: {error}", where="JEC-SSL") from None
        model.network_ = network.to(resolve_device(device))
        return model
