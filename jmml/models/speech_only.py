r"""Peers that learn a code from speech alone: an autoencoder, a supervised network and supervised contrast.

All train the same encoder D -> hidden -> k (:mod:`jmml.models.one_view`) and differ in the loss alone. ``hidden`` is
the H of :func:`jmml.models.capacity.matched_hidden` where they are compared with JMML. Each is a scikit-learn
transformer: ``fit(X, y).transform(X)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy.typing as npt
import torch
from sklearn.base import ClassifierMixin
from torch import Tensor
from torch.nn import functional

from jmml.errors import ModelError
from jmml.models.encoders import Encoder
from jmml.models.inputs import FloatArray, IntArray
from jmml.models.networks import mlp
from jmml.models.one_view import CodeNetwork, SpeechOnly


@dataclass(eq=False, repr=False, kw_only=True)
class Autoencoder(SpeechOnly):
    r"""The speech-only autoencoder: what the code of speech is worth when nothing but speech shapes it.

    .. math::  L = \lVert x - g(f(x)) \rVert^2 / D

    with f: D -> hidden -> k and g: k -> hidden -> D. Labels are ignored.

    Example
    -------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(60, 5))
    >>> Autoencoder(k=2, hidden=8, epochs=2).fit(X).transform(X).shape
    (60, 2)
    """

    name: ClassVar[str] = "autoencoder"
    needs_labels: ClassVar[bool] = False

    def _network(self, d: int, n_classes: int, generator: torch.Generator) -> CodeNetwork:
        f = Encoder(d, self.hidden, self.k_, generator)
        return CodeNetwork(f, mlp((self.k_, self.hidden, d), generator))

    def _losses(self, net: CodeNetwork, x: Tensor, y: Tensor) -> dict[str, Tensor]:
        return {"loss": functional.mse_loss(net.head(net.f(x)), x)}


@dataclass(eq=False, repr=False, kw_only=True)
class SupervisedMLP(ClassifierMixin, SpeechOnly):  # type: ignore[misc]
    r"""A network D -> hidden -> k -> C trained for the classes; its code is the layer of width k.

    .. math::  L = CE(head(f(x)), y)

    with a linear head. Also a classifier in its own right: ``predict`` and ``predict_proba``.

    Example
    -------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat(["calm", "fear"], 40)
    >>> X = rng.normal(size=(80, 5)) + 2.0 * (y == "fear")[:, None]
    >>> model = SupervisedMLP(k=1, hidden=8, epochs=60).fit(X, y)
    >>> model.transform(X).shape, model.score(X, y) > 0.9
    ((80, 1), True)
    """

    name: ClassVar[str] = "mlp"

    def _network(self, d: int, n_classes: int, generator: torch.Generator) -> CodeNetwork:
        f = Encoder(d, self.hidden, self.k_, generator)
        return CodeNetwork(f, mlp((self.k_, n_classes), generator))

    def _losses(self, net: CodeNetwork, x: Tensor, y: Tensor) -> dict[str, Tensor]:
        return {"loss": functional.cross_entropy(net.head(net.f(x)), y)}

    def predict_proba(self, X: npt.ArrayLike) -> FloatArray:
        """Class probabilities (n, C), columns as in ``classes_``."""
        proba: FloatArray = functional.softmax(self._apply(X)[1], dim=1).cpu().numpy()
        return proba

    def predict(self, X: npt.ArrayLike) -> npt.NDArray[Any]:
        """The most probable class of each row."""
        best = self.predict_proba(X).argmax(axis=1)
        chosen: npt.NDArray[Any] = self.classes_[best]
        return chosen


@dataclass(eq=False, repr=False, kw_only=True)
class SupervisedContrastive(SpeechOnly):
    r"""Supervised contrastive learning: rows of a class drawn together on the sphere, those of others pushed apart.

    .. math::
        L = \frac{1}{|I|} \sum_{i \in I} \frac{-1}{|P(i)|} \sum_{p \in P(i)}
            \log \frac{\exp(v_i \cdot v_p / \tau)}{\sum_{a \ne i} \exp(v_i \cdot v_a / \tau)},
        \qquad v = z / \lVert z \rVert

    (L_out of the paper), with P(i) the other rows of the batch that have the class of i, and I the rows for which
    there are any: the rest have no attraction to take a mean of. A batch has at least C + 1 rows, so that there
    always is such a pair. The codes z are batch-normalised, as those of every other method: it centres them, as the
    best solution is, and keeps each coordinate alive, while what it fixes (their scale) is lost in v. In a trial on
    Gaussian classes it changed nothing (UAR of unseen rows 0.735 with it, 0.738 without).

    Parameters
    ----------
    temperature : tau > 0.

    References
    ----------
    Khosla et al.: Supervised contrastive learning, NeurIPS 2020.

    Example
    -------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat(["calm", "fear"], 40)
    >>> X = rng.normal(size=(80, 5)) + 2.0 * (y == "fear")[:, None]
    >>> SupervisedContrastive(k=2, hidden=8, epochs=2).fit(X, y).transform(X).shape
    (80, 2)
    """

    temperature: float = 0.1

    name: ClassVar[str] = "supervised contrastive"

    def _losses(self, net: CodeNetwork, x: Tensor, y: Tensor) -> dict[str, Tensor]:
        return {"loss": contrast(net.f(x), y, self.temperature)}

    def _least_batch(self, counts: IntArray) -> int:
        if counts.max() < 2:
            raise ModelError(
                f"each of {len(counts)} classes has a single row, none has a positive",
                where=self.name,
                expected="a class with at least two rows",
            )
        return len(counts) + 1


def contrast(z: Tensor, y: Tensor, temperature: float) -> Tensor:
    """The loss L of :class:`SupervisedContrastive` for codes z (n, k) of classes y (n,); 0 without any positive."""
    v = functional.normalize(z, dim=1)
    itself = torch.eye(len(z), dtype=torch.bool, device=z.device)
    similarity = (v @ v.T / temperature).masked_fill(itself, -torch.inf)
    log_share = functional.log_softmax(similarity, dim=1).masked_fill(itself, 0.0)
    positive = (y[:, None] == y).masked_fill(itself, False).to(z.dtype)
    count = positive.sum(1)
    attraction = (log_share * positive).sum(1) / count.clamp(min=1)
    return -attraction.sum() / (count > 0).sum().clamp(min=1)
