"""What a worker process has of the process that gave it its work: the project, and the end."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from jmml.plugins._sources import project, use_project

P = ParamSpec("P")
R = TypeVar("R")

LOOK_S = 1.0  # between two looks whether the parent is still there


def in_project(function: Callable[P, R]) -> Callable[P, R]:
    """``function`` for a worker process, in which the additions of this project are known as they are here.

    A child of this process that gets it ends when this process does, also where it was killed (-9, or for want of
    memory): nobody else would end the workers, which work on and wait for more.
    """
    return _InProject(project(), function)


class _InProject:
    """A function that takes the project it was made in along, into whatever process calls it."""

    def __init__(self, root: Path | None, function: Callable[..., Any] | None = None) -> None:
        self.root, self.function = root, function

    def __call__(self, *args: Any, **options: Any) -> Any:
        assert self.function is not None
        return self.function(*args, **options)

    def __reduce__(self) -> tuple[Any, ...]:
        # The function may belong to a file of the project: as the state, it is unpickled after `_entered` was called.
        return _entered, (self.root, os.getpid()), self.function

    def __setstate__(self, function: Callable[..., Any]) -> None:
        self.function = function


def _entered(root: Path | None, sender: int) -> _InProject:
    if os.getppid() == sender:
        _end_with(sender)
    use_project(root)
    return _InProject(root)


@cache
def _end_with(parent: int) -> None:
    """End this process once its parent has ended; it is then the child of another."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(LOOK_S)
        os._exit(1)

    threading.Thread(target=watch, name="watch over the parent", daemon=True).start()
