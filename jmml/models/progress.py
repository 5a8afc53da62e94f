"""Training that can be left after any epoch and taken up again, to the same bits on a CPU."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy.typing as npt

from jmml.errors import ModelError
from jmml.models.networks import load_network
from jmml.models.persistence import Persistent
from jmml.models.training import Trainer

# Named arrays, and a description that JSON can hold.
Progress = tuple[Mapping[str, npt.NDArray[Any]], Mapping[str, Any]]


class Continuable(Persistent):
    """An estimator whose ``iter_fit`` trains epoch by epoch and can ``start`` from the :meth:`progress` of another.

    A subclass calls :meth:`_begin` once its network, scalers and trainer are made, and :meth:`_end` after the last
    epoch. What a seed decides at the start (weights, permutations) is drawn again; all that training has changed since
    comes from the progress. Settings are those of the estimator that continues.
    """

    name: ClassVar[str]
    network_: Any
    history_: list[dict[str, float]]
    _trainer: Trainer | None = None

    def progress(self) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
        """State for ``iter_fit(start=...)``, taken between two epochs: copies, which further training leaves alone.

        Raises :class:`ModelError` where no training is under way.
        """
        if self._trainer is None:
            raise ModelError(
                "no training is under way", where=self.name, expected="a call between two epochs of iter_fit"
            )
        arrays, meta = self.state()
        kept = {name: value.copy() for name, value in arrays.items()}
        return kept | self._trainer.state(), {**meta, "history": [dict(row) for row in self.history_]}

    def _begin(self, trainer: Trainer, start: Progress | None) -> int:
        """The number of epochs that are done, with everything as it was after them."""
        self._trainer = trainer
        if start is not None:
            arrays, meta = start
            try:
                load_network(self.network_, arrays)
                self.network_.eval()  # as between epochs: it can be applied
                self._load_scalers(arrays)
                trainer.load(arrays)
                self.history_ = [dict(row) for row in meta["history"]]
            except (KeyError, IndexError, TypeError, RuntimeError) as error:
                raise ModelError(f"cannot be continued from this state: {error}", where=self.name) from None
        return trainer.epochs_done

    def _end(self) -> None:
        self._trainer = None

    @abstractmethod
    def _load_scalers(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take the scalers that ``state`` put into ``arrays``."""
