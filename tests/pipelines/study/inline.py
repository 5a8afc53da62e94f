"""Ray as the pool of a study uses it, in this process: two blocks run side by side, results come in a seeded order.

Everything of :mod:`pipelines.study.run.workers` runs but Ray itself: blocks are started, their streams waited for,
results taken one by one, failures raised as Ray raises them.
"""

from __future__ import annotations

import pickle
import random
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

from ray.exceptions import RayTaskError, WorkerCrashedError

AHEAD = 2  # results of a block that come back at a time, at most


class Died(BaseException):
    """Raised by a cell in place of the death of its worker."""


class Stream:
    """What one block has brought so far, each entry a function that returns or raises it."""

    def __init__(self, body: Iterator[Any]) -> None:
        self.body, self.back, self.over = body, deque[Callable[[], Any] | None](), False

    def go_on(self) -> None:
        """One result more, or the end."""
        if self.over:
            return
        try:
            text = pickle.dumps(next(self.body))
            self.back.append(lambda: pickle.loads(text))  # noqa: S301 - written one line above
            return
        except StopIteration:
            self.back.append(None)
        except Died:
            self.back.append(_raises(WorkerCrashedError()))
        except Exception as error:
            cause = pickle.loads(pickle.dumps(error))  # noqa: S301 - as above
            self.back.append(_raises(RayTaskError("_compute_block", "", cause).as_instanceof_cause()))
        self.over = True

    def __next__(self) -> Callable[[], Any]:
        found = self.back.popleft()
        if found is None:
            raise StopIteration
        return found


class Inline:
    """In place of the remote function, and of the functions of Ray that the pool calls."""

    def __init__(self, seed: int = 0) -> None:
        self.draw = random.Random(seed)
        self.body: Callable[..., Iterator[Any]]
        self.asked: list[dict[str, Any]] = []
        self.prepared: list[tuple[Any, ...]] = []

    def replace(self, monkeypatch: Any, workers: Any) -> SimpleNamespace:
        """Put it in the place of Ray in ``workers``."""
        self.body = workers._compute_block._function
        for name, value in {
            "_compute_block": self,
            "_ctrl_c_ignored": nullcontext,  # its blocks would be left in another order than they were entered
            "prepare_worker": lambda *arguments: self.prepared.append(arguments),
            "ray_session": lambda **options: nullcontext(),
        }.items():
            monkeypatch.setattr(workers, name, value)
        monkeypatch.setattr(workers.ray, "put", lambda value: value)
        monkeypatch.setattr(workers.ray, "get", lambda reference: reference())
        monkeypatch.setattr(workers.ray, "wait", self.wait)
        monkeypatch.setattr(workers.ray, "cancel", lambda stream, *, force: None)
        return SimpleNamespace(asked=self.asked, prepared=self.prepared)

    def options(self, **resources: Any) -> Inline:
        self.asked.append(resources)
        return self

    def remote(self, *arguments: Any) -> Stream:
        return Stream(self.body(*arguments))

    def wait(
        self, streams: list[Stream], *, num_returns: int, timeout: float
    ) -> tuple[list[Stream], list[Stream]]:
        """Some streams that have brought something; where nothing has and there is time, one goes on first."""
        if timeout and not any(stream.back for stream in streams):
            chosen = self.draw.choice(streams)
            for _ in range(self.draw.randint(1, AHEAD)):
                chosen.go_on()
        ready = [stream for stream in streams if stream.back][:num_returns]
        return ready, [stream for stream in streams if stream not in ready]


def _raises(error: BaseException) -> Callable[[], Any]:
    def reference() -> Any:
        raise error

    return reference
