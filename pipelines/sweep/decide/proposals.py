"""Base of every search of a sweep: configurations in order, none of them twice, results by number.

A search knows nothing of Ray, of time or of workers. Proposal n is a function of the definition, of n, of the
proposals before it and of the results of the trials 1 to n - lag: whatever runs where and how long it takes, the same
seed gives the same sweep, also after a restart (:meth:`Search.restore`). No configuration is proposed twice.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Hashable, Iterator
from typing import Protocol

import numpy as np

from pipelines.definitions import spaces
from pipelines.definitions.spaces import Configuration, Space

ATTEMPTS = 10  # to propose something new before any configuration that was not tried will do


class SpaceExhausted(Exception):  # noqa: N818 - no error: the sweep ends early, with a note
    """Every configuration of the space has been proposed."""


class Search(Protocol):
    """Proposes the configurations of one sweep; the calls come in one thread."""

    def ready(self, number: int) -> bool:
        """Whether trial ``number`` can be proposed now; else results of earlier trials have to be told first."""
        ...

    def propose(self, number: int) -> Configuration:
        """The configuration of a trial; trials are numbered from 1 and proposed in order.

        Raises
        ------
        SpaceExhausted : nothing is left to try.
        """
        ...

    def tell(self, number: int, values: tuple[float, ...] | None) -> None:
        """The result of a trial that is over, (score,) or (score, cost), None if it failed; in any order."""
        ...

    def restore(self, number: int, configuration: Configuration) -> None:
        """In place of :meth:`propose`, for a trial that was proposed before; results are told as ever."""
        ...


class _NeverTwice:
    """Proposals without repetition: those made so far, in order, and new ones drawn at random."""

    def __init__(self, source: Iterator[Configuration]) -> None:
        self._source = source
        self._proposed: set[Hashable] = set()
        self._last = 0

    def restore(self, number: int, configuration: Configuration) -> None:
        self._enter(number, configuration)

    def _enter(self, number: int, configuration: Configuration) -> None:
        self._check_next(number)
        self._last = number
        self._proposed.add(_key(configuration))

    def _check_next(self, number: int) -> None:
        if number != self._last + 1:
            raise ValueError(f"trial {number} after trial {self._last}; expected them in order")

    def _is_new(self, configuration: Configuration) -> bool:
        return _key(configuration) not in self._proposed

    def _next_new(self) -> Configuration:
        for configuration in self._source:
            if self._is_new(configuration):
                return configuration
        raise SpaceExhausted("every configuration of the space has been tried")


class ListedSearch(_NeverTwice):
    """Configurations in an order that does not depend on results: the whole grid, or random draws."""

    def ready(self, number: int) -> bool:
        return True

    def propose(self, number: int) -> Configuration:
        self._check_next(number)
        configuration = self._next_new()
        self._enter(number, configuration)
        return configuration

    def tell(self, number: int, values: tuple[float, ...] | None) -> None:
        pass


class PopulationSearch(ListedSearch):
    """Random draws that are changed later: those who were restored have had their draws, whatever became of them."""

    def restore(self, number: int, configuration: Configuration) -> None:
        self._proposed.add(_key(self._next_new()))
        super().restore(number, configuration)


class LearningSearch(_NeverTwice, ABC):
    """Base of the algorithms that learn from results, which are taken in by number, up to ``lag`` trials behind.

    A restored trial is taken in with the next proposal, when the results that its own proposal knew are there.
    """

    def __init__(self, space: Space, *, seed: int, lag: int) -> None:
        super().__init__(spaces.stream(space, seed=seed_of(seed)))
        self._space, self._seed, self._lag = space, seed, lag
        self._results: dict[int, tuple[float, ...] | None] = {}
        self._told = 0  # the results of the trials 1 to this one are there
        self._learnt = 0  # and those up to this one are taken in
        self._restored: deque[tuple[int, Configuration]] = deque()

    def ready(self, number: int) -> bool:
        return self._told >= number - self._lag

    def propose(self, number: int) -> Configuration:
        self._check_next(number)
        if not self.ready(number):
            raise ValueError(f"trial {number} before the result of trial {self._told + 1}")
        while self._restored:
            earlier, configuration = self._restored.popleft()
            self._learn_until(earlier - self._lag)
            self._recall(earlier, configuration)
        self._learn_until(number - self._lag)
        for attempt in range(ATTEMPTS):
            configuration = self._suggest(number, attempt)
            if self._is_new(configuration):
                break
        else:
            configuration = self._next_new()
        self._enter(number, configuration)
        self._take(number, configuration)
        return configuration

    def tell(self, number: int, values: tuple[float, ...] | None) -> None:
        if values is not None and not all(math.isfinite(value) for value in values):
            values = None
        self._results.setdefault(number, values)
        while self._told + 1 in self._results:
            self._told += 1

    def restore(self, number: int, configuration: Configuration) -> None:
        super().restore(number, configuration)
        self._restored.append((number, configuration))

    def _learn_until(self, number: int) -> None:
        while self._learnt < number:
            self._learnt += 1
            self._learn(self._learnt, self._results[self._learnt])

    # What an algorithm says ------------------------------------------------------------------------

    @abstractmethod
    def _suggest(self, number: int, attempt: int) -> Configuration:
        """A configuration by what has been learnt; another one in another attempt. Changes nothing else."""

    @abstractmethod
    def _take(self, number: int, configuration: Configuration) -> None:
        """Trial ``number`` has this configuration: the latest one suggested, or one at random."""

    @abstractmethod
    def _recall(self, number: int, configuration: Configuration) -> None:
        """Trial ``number`` has this configuration, which was suggested in an earlier session or is foreign."""

    @abstractmethod
    def _learn(self, number: int, values: tuple[float, ...] | None) -> None:
        """Take in a result."""


def seed_of(*parts: int) -> int:
    """32 bits that depend on all of ``parts``."""
    return int(np.random.SeedSequence(parts).generate_state(1)[0])


def _key(configuration: Configuration) -> Hashable:
    return tuple(sorted(configuration.items(), key=lambda item: item[0]))
