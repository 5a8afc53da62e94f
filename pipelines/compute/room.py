"""How much fits at a time on a cluster that machines join and leave."""

from __future__ import annotations

import time
from collections.abc import Callable

from jmml.errors import SweepError
from pipelines.compute.ray_session import Resources, available

LOOK_SECONDS = 3.0


class ChangingRoom:
    """How many pieces of work fit at a time; asked as often as one likes, the cluster is looked at every 3 s.

    Parameters
    ----------
    fits : how many fit into what there is; a :class:`~jmml.errors.SweepError` means that not even one does.
    now : how many fit at first.
    """

    def __init__(self, fits: Callable[[Resources], int], *, now: int) -> None:
        self._fits, self._found, self._looked = fits, now, time.monotonic()

    def __call__(self) -> int:
        if time.monotonic() - self._looked >= LOOK_SECONDS:
            self._looked = time.monotonic()
            try:
                self._found = self._fits(available())
            except SweepError:  # it waits for a machine
                self._found = 1
        return self._found
