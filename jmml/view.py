"""One modality of a task, row by row: what every fit is handed, and by which it is known whom it has seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256

import numpy as np


@dataclass(frozen=True)
class View:
    """One modality of a task: features (n, D), class numbers (n,); per row its group, id, recording.

    ``keys`` holds what else is known of each row (n,): ``text``, ``session``, ``recording`` (the longer one that it is
    a part of), ``device``, ``order``, and ``content``, the hash of its recording's bytes or, in a table, of its row.
    """

    X: np.ndarray
    y: np.ndarray
    groups: np.ndarray
    ids: np.ndarray
    recordings: np.ndarray
    names: tuple[str, ...] = ()
    keys: Mapping[str, np.ndarray] = field(default_factory=dict)

    def rows(self, keep: np.ndarray) -> View:
        """The rows that ``keep`` selects: a mask, or row numbers."""
        kept = {name: getattr(self, name)[keep] for name in ("X", "y", "groups", "ids", "recordings")}
        return replace(self, **kept, keys={name: values[keep] for name, values in self.keys.items()})

    def mapped(self, X: np.ndarray) -> View:
        """The same samples with other features ``X`` (n, D'): what was fitted on them can still be told."""
        return replace(self, X=X, names=())

    @cached_property
    def content(self) -> str:
        """SHA-256 of the features and classes, computed once: a view is not changed after it was made."""
        h = sha256()
        for values in (self.X, self.y):
            h.update(f"{values.dtype.str} {values.shape}\n".encode())
            h.update(np.ascontiguousarray(values).data)
        return h.hexdigest()

    def __len__(self) -> int:
        return len(self.y)
