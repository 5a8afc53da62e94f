"""Search spaces: one dimension per setting of the method, by its dotted name.

    space:
      stage1.p: {choice: [4, 8, 16]}          one of the listed values
      stage2.k: {int: [2, 6]}                 an integer, both bounds included
      stage2.hidden: {logint: [16, 128]}      an integer, uniform in its logarithm
      stage2.lam_c: {uniform: [0.0, 2.0]}     a number
      stage2.lr: {loguniform: [1e-4, 1e-2]}   a number, uniform in its logarithm

Everything a definition does not name keeps its value from the ``method`` section of ``params.yaml``.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np
from pydantic import model_validator

from jmml.config import MethodConfig, Section, validate
from jmml.errors import nearest

Scalar = bool | int | float | str | None
Kind = Literal["choice", "int", "logint", "uniform", "loguniform"]
DISTRIBUTIONS: dict[str, str] = {
    "choice": "[value, value, ...]",
    "int": "[low, high]",
    "logint": "[low, high], low above 0",
    "uniform": "[low, high]",
    "loguniform": "[low, high], low above 0",
}

# PyYAML reads 1e-4 (no dot) as text; in a search space it can only be meant as a number.
_EXPONENT = re.compile(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+")
_MAX_ENUMERATED = 100_000
_MAX_MISSES = 1000


class Dimension(Section):
    """One setting that varies: the kind of its distribution, with its values or its two bounds.

    Built from the form of a definition, ``{kind: values}``.

    Example
    -------
    >>> Dimension.model_validate({"int": [2, 6]})
    Dimension(kind='int', values=(2, 6))
    """

    kind: Kind
    values: tuple[Scalar, ...]

    @model_validator(mode="before")
    @classmethod
    def _from_definition(cls, data: object) -> object:
        if isinstance(data, dict) and set(data) == {"kind", "values"}:
            data = {data["kind"]: list(data["values"])}
        if not isinstance(data, dict) or len(data) != 1:
            raise ValueError(f"expected one distribution, for example {{choice: [2, 4]}}, got {data!r}")
        kind, values = next(iter(data.items()))
        if kind not in DISTRIBUTIONS:
            raise ValueError(f"unknown distribution '{kind}'; {nearest(str(kind), DISTRIBUTIONS)}")
        if not isinstance(values, list):
            raise ValueError(f"expected {kind}: {DISTRIBUTIONS[kind]}, got {values!r}")
        values = [float(v) if isinstance(v, str) and _EXPONENT.fullmatch(v) else v for v in values]
        return {"kind": kind, "values": tuple(_checked(kind, values))}

    @property
    def size(self) -> float:
        """Number of different values; infinite for a continuous distribution."""
        if self.kind == "choice":
            return len(self.values)
        if self.kind in ("int", "logint"):
            low, high = self.bounds
            return int(high) - int(low) + 1
        return 1 if self.values[0] == self.values[1] else math.inf

    @property
    def bounds(self) -> tuple[float, float]:
        """The two bounds of a range."""
        low, high = self.values
        assert isinstance(low, int | float)
        assert isinstance(high, int | float)
        return low, high

    def corners(self) -> tuple[Scalar, ...]:
        """The values at which a setting can leave its own bounds: all choices, or both ends of a range."""
        return self.values

    def all_values(self) -> tuple[Scalar, ...]:
        """Every value of a finite dimension, in order."""
        if self.kind in ("int", "logint"):
            low, high = self.bounds
            return tuple(range(int(low), int(high) + 1))
        return tuple(dict.fromkeys(self.values))

    def draw(self, rng: np.random.Generator) -> Scalar:
        """One value at random."""
        if self.kind == "choice":
            return self.values[int(rng.integers(len(self.values)))]
        low, high = self.bounds
        if self.kind == "int":
            return int(rng.integers(int(low), int(high) + 1))
        if self.kind == "uniform":
            return float(rng.uniform(low, high))
        if self.kind == "loguniform":
            return float(np.clip(np.exp(rng.uniform(np.log(low), np.log(high))), low, high))
        value = np.exp(rng.uniform(np.log(low - 0.5), np.log(high + 0.5)))
        return int(np.clip(np.rint(value), low, high))

    def holds(self, value: object) -> bool:
        """Whether ``value`` can be drawn."""
        if self.kind == "choice":
            return any(type(value) is type(own) and value == own for own in self.values)
        wanted = int if self.kind in ("int", "logint") else int | float
        low, high = self.bounds
        return isinstance(value, wanted) and not isinstance(value, bool) and low <= value <= high

    def clipped(self, value: Scalar) -> Scalar:
        """The value of a range nearest to ``value``; choices are left alone."""
        if self.kind == "choice" or not isinstance(value, int | float):
            return value
        low, high = self.bounds
        inside = min(max(value, low), high)
        return int(inside) if self.kind in ("int", "logint") else float(inside)

    def __str__(self) -> str:
        return f"{self.kind} [{', '.join(show(value) for value in self.values)}]"


Space = Mapping[str, Dimension]
Configuration = dict[str, Scalar]


def size(space: Space) -> float:
    """Number of configurations in ``space``; infinite when a dimension is continuous."""
    return math.prod(dimension.size for dimension in space.values())


def holds(space: Space, configuration: Mapping[str, object]) -> bool:
    """Whether ``configuration`` is one of ``space``."""
    return configuration.keys() == space.keys() and all(
        dimension.holds(configuration[key]) for key, dimension in space.items()
    )


def grid(space: Space) -> Iterator[Configuration]:
    """Every configuration of a finite space; the last dimension varies fastest."""
    values = [dimension.all_values() for dimension in space.values()]
    return (dict(zip(space, combination, strict=True)) for combination in itertools.product(*values))


def draw(space: Space, n: int, *, seed: int) -> list[Configuration]:
    """``n`` different configurations at random: the first ``n`` of :func:`stream`.

    Raises
    ------
    ValueError : the space holds fewer than ``n``.
    """
    total = size(space)
    if n > total:
        raise ValueError(f"{n} configurations from a space of {total:g}")
    drawn = list(itertools.islice(stream(space, seed=seed), n))
    if len(drawn) < n:
        raise ValueError(f"{n} configurations from a space of hardly more than {len(drawn)}")
    return drawn


def stream(space: Space, *, seed: int) -> Iterator[Configuration]:
    """Different configurations at random, the same ones for the same seed; it ends when a finite space does.

    A space of more than :data:`_MAX_ENUMERATED` configurations is given up after :data:`_MAX_MISSES` draws in a row
    that were all there before: next to nothing is left of it then.
    """
    total = size(space)
    rng = np.random.default_rng(seed)
    if total <= _MAX_ENUMERATED:
        yield from (nth(space, int(i)) for i in rng.permutation(int(total)))
        return
    drawn: set[tuple[Scalar, ...]] = set()
    misses = 0
    while misses < _MAX_MISSES:
        configuration = {key: dimension.draw(rng) for key, dimension in space.items()}
        values = tuple(configuration.values())
        misses += 1
        if values not in drawn:
            drawn.add(values)
            misses = 0
            yield configuration


def nth(space: Space, i: int) -> Configuration:
    """Configuration ``i`` of :func:`grid`, counted from 0, without the ones before it."""
    values: list[Scalar] = []
    for dimension in reversed(list(space.values())):
        everything = dimension.all_values()
        i, position = divmod(i, len(everything))
        values.append(everything[position])
    return dict(zip(space, reversed(values), strict=True))


def configure(base: MethodConfig, values: Mapping[str, Any]) -> MethodConfig:
    """``base`` with the settings of one configuration, checked as a whole.

    Raises
    ------
    ConfigError : a value lies outside the setting's own bounds.
    """
    data = base.model_dump(mode="python")
    for key, value in values.items():
        *path, last = key.split(".", 2)
        section = data
        for part in path:
            section = section[part]
        section[last] = value
    return validate(MethodConfig, data)


def show(value: object) -> str:
    """Human-readable value of a setting: four significant digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def describe(configuration: Mapping[str, object]) -> str:
    """``stage1.p=8 stage2.lr=0.0021``"""
    return " ".join(f"{key}={show(value)}" for key, value in configuration.items())


def _checked(kind: str, values: list[Any]) -> list[Scalar]:
    if kind == "choice":
        if not values:
            raise ValueError("choice: no value given")
        strange = [v for v in values if not isinstance(v, bool | int | float | str | None)]
        if strange:
            raise ValueError(f"choice: expected plain values, got {strange[0]!r}")
        if any(isinstance(v, float) and not math.isfinite(v) for v in values):
            raise ValueError("choice: expected finite numbers")
        return list(dict.fromkeys(values))
    wanted = int if kind in ("int", "logint") else int | float
    if len(values) != 2 or any(isinstance(v, bool) or not isinstance(v, wanted) for v in values):
        numbers = "two integers" if wanted is int else "two numbers"
        raise ValueError(f"{kind}: expected {numbers} [low, high], got {values!r}")
    low, high = values
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"{kind}: expected finite bounds, got {values!r}")
    if low > high:
        raise ValueError(f"{kind}: the lower bound {low} is above the upper bound {high}")
    if kind.startswith("log") and low <= 0:
        raise ValueError(f"{kind}: the lower bound must be above 0, got {low}")
    # Floats, so that an integer setting refuses a continuous range already at its bounds.
    return [low, high] if wanted is int else [float(low), float(high)]
