"""Stage-1 models that several fits share, so that each is trained once.

A stage-1 model is known by the digest of its data, settings, seed and kind of device. A memo is a plain dictionary by
that digest, or an object that is handed all jobs at once and so can share them with other processes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, Protocol

from jmml.models.jec_ssl import JECSSL

if TYPE_CHECKING:
    from jmml.view import View

Job = Callable[[], JECSSL]


class Stage1Memo(Protocol):
    """A memo that settles by itself where each model comes from."""

    def obtain(self, jobs: Mapping[str, Job]) -> dict[str, JECSSL]:
        """The fitted model of every key: one that was kept, or what its job makes."""
        ...


Memo = MutableMapping[str, JECSSL] | Stage1Memo


def fit_stage1(options: Mapping[str, Any], device: str, view: View) -> JECSSL:
    """A stage-1 model of one view: all that is computed for a key, so that models outlive edits of other code."""
    return JECSSL(**options, device=device).fit(view.X, view.y)


def obtain(memo: Memo | None, jobs: Mapping[str, Job]) -> dict[str, JECSSL]:
    """The model of every key, from ``memo`` or by its job; a dictionary is filled with what was missing."""
    if memo is not None and not isinstance(memo, MutableMapping):
        return memo.obtain(jobs)
    kept: MutableMapping[str, JECSSL] = {} if memo is None else memo
    for key, job in jobs.items():
        if key not in kept:
            kept[key] = job()
    return {key: kept[key] for key in jobs}
