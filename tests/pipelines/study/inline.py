"""The workers of a study in this process: blocks run side by side, results come in a seeded order.

Everything of :mod:`pipelines.study.run.workers` and of the pool runs but Ray itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.pipelines.compute.workers_here import DiedError, WorkersHere

__all__ = ["DiedError", "Inline"]


class Inline:
    """In place of Ray; ``asked`` is what each study asked of it, ``last`` the workers of the last one."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.asked: list[dict[str, Any]] = []
        self.last: WorkersHere | None = None

    def replace(self, monkeypatch: Any, workers: Any) -> Inline:
        """Put it in the place of Ray in ``workers``."""
        monkeypatch.setattr(workers, "on_ray", self.on_ray)
        return self

    @contextmanager
    def on_ray(
        self, plan: Any, body: Callable[..., Any], *, most: int, **options: Any
    ) -> Iterator[tuple[WorkersHere, Callable[[], int]]]:
        self.asked.append({"most": most, **options})
        shared = {name: (task.data, task.split, task.candidates) for name, task in plan.tasks.items()}
        self.last = WorkersHere(body, shared, seed=self.seed)
        yield self.last, lambda: min(most, plan.workers)
