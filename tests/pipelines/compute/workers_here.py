"""Workers of a pool (:class:`pipelines.compute.pool.Workers`) without processes: in this one, several at a time.

What they bring comes in an order drawn from a seed, pickled on its way as between processes.
"""

from __future__ import annotations

import pickle
import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from pipelines.compute.pool import Block, Body, JobError, WorkerDiedError

AHEAD = 2  # results of a block that come back at a time, at most


class DiedError(BaseException):
    """Raised by a job in place of the death of its worker."""


class WorkersHere:
    """Workers that keep what was asked of them: ``started`` blocks, the ``most`` at once, ``dismissed``, ``closed``."""

    def __init__(self, body: Body, shared: Mapping[str, Any], *, seed: int = 0) -> None:
        self.body, self.shared, self.draw = body, shared, random.Random(seed)
        self.started: list[Block[Any]] = []
        self.at_work: list[_Stream] = []
        self.most, self.closed, self.dismissed = 0, False, 0

    def start(self, block: Block[Any]) -> object:
        self.started.append(block)
        self.at_work.append(_Stream(self.body(self.shared[block.shared], block.jobs)))
        self.most = max(self.most, len(self.at_work))
        return self.at_work[-1]

    def ready(self, handles: Iterable[object], *, timeout: float) -> Sequence[Any]:
        streams: list[Any] = list(handles)
        if timeout and not any(stream.back for stream in streams):
            chosen = self.draw.choice(streams)
            for _ in range(self.draw.randint(1, AHEAD)):
                chosen.go_on()
        found = [stream for stream in streams if stream.back]
        return found[:1] if timeout else found

    def take(self, handle: Any) -> Any:
        try:
            return handle.back.popleft()()
        except (StopIteration, JobError, WorkerDiedError):
            self.at_work.remove(handle)
            raise

    def dismiss_idle(self) -> None:
        self.dismissed += 1

    def close(self) -> None:
        self.at_work.clear()
        self.closed = True


class _Stream:
    """What one block has brought so far, each entry a function that returns or raises it."""

    def __init__(self, body: Iterator[Any]) -> None:
        self.body, self.back, self.over = body, deque[Callable[[], Any]](), False

    def go_on(self) -> None:
        """One result more, or the end."""
        if self.over:
            return
        try:
            text = pickle.dumps(next(self.body))
            self.back.append(lambda: pickle.loads(text))  # noqa: S301 - written one line above
            return
        except StopIteration:
            self.back.append(_raises(StopIteration()))
        except DiedError:
            self.back.append(_raises(WorkerDiedError("it is gone")))
        except Exception as error:
            self.back.append(_raises(JobError(pickle.loads(pickle.dumps(error)))))  # noqa: S301 - as above
        self.over = True


def _raises(error: BaseException) -> Callable[[], Any]:
    def reference() -> Any:
        raise error

    return reference
