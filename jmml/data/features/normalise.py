"""Normalisation by group: each speaker (or subject) measured against their own recordings.

Label free, but transductive: the statistics of a speaker come from several of that speaker's recordings. In
an experiment those are the recordings in the table; at inference they are enrolment recordings, whose
statistics an :class:`Enrolment` keeps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jmml.errors import ProtocolError

# A feature that does not vary within a speaker has a standard deviation of rounding errors alone; dividing by
# it would blow them up. Below this share of the feature's magnitude the feature is centred and left unscaled.
RELATIVE_FLOOR = 1e-6


@dataclass(frozen=True)
class Enrolment:
    """Mean and standard deviation (D,) of one speaker's or subject's enrolment recordings.

    ``apply`` computes (x - mean) / std. ``std`` is 1 for features that do not vary over the enrolment
    recordings (population standard deviation below 1e-6 of the feature's magnitude): these are centred only.
    """

    mean: np.ndarray
    std: np.ndarray

    @classmethod
    def fit(cls, X: np.ndarray, *, where: object = None) -> Enrolment:
        """Statistics of ``X`` (n, D), n >= 2; :class:`ProtocolError` for fewer rows."""
        if len(X) < 2:
            raise ProtocolError(
                f"{len(X)} recording{'' if len(X) == 1 else 's'} cannot give a mean and a standard deviation",
                where=where,
                expected="at least 2 recordings of each speaker or subject",
                fix="add enrolment recordings, or set protocol.normalisation: none",
            )
        mean = X.mean(axis=0, dtype=np.float64)
        std = X.std(axis=0, dtype=np.float64)
        floor = RELATIVE_FLOOR * np.abs(X).max(axis=0).astype(np.float64)
        return cls(mean=mean, std=np.where(std > floor, std, 1.0))

    def apply(self, X: np.ndarray) -> np.ndarray:
        """Rows of ``X`` (n, D) or (D,) on the scale of this speaker, as float32."""
        if X.shape[-1] != len(self.mean):
            raise ProtocolError(f"{X.shape[-1]} features, but enrolment holds {len(self.mean)}")
        return np.asarray((X - self.mean) / self.std, dtype=np.float32)


def zscore_per_group(X: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """``X`` (n, D) with every group's rows z-scored by that group's own mean and standard deviation.

    No label is read, and no group influences another. Features that do not vary within a group are centred
    and left unscaled there.

    Raises
    ------
    ProtocolError
        a group has a single row.

    Example
    -------
    >>> zscore_per_group(np.array([[1.0], [3.0], [10.0], [30.0]]), np.array(["a", "a", "b", "b"])).ravel()
    array([-1.,  1., -1.,  1.], dtype=float32)
    """
    out = np.empty(X.shape, dtype=np.float32)
    groups = np.asarray(groups)
    for group in dict.fromkeys(groups.tolist()):
        rows = groups == group
        out[rows] = Enrolment.fit(X[rows], where=f"group '{group}'").apply(X[rows])
    return out
