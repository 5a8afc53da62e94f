"""What a sweep may vary: one dimension per setting of the method, by its dotted name.

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
from difflib import get_close_matches
from typing import Any, Literal

import numpy as np
from pydantic import model_validator

from jmml.config import MethodConfig, Section, validate
from jmml.errors import ConfigError, nearest

Scalar = bool | int | float | str | None
Kind = Literal["choice", "int", "logint", "uniform", "loguniform"]
DISTRIBUTIONS: dict[str, str] = {
    "choice": "[value, value, ...]",
    "int": "[low, high]",
    "logint": "[low, high], low above 0",
    "uniform": "[low, high]",
    "loguniform": "[low, high], low above 0",
}
OPTIONS = "classifier.options."

# PyYAML reads 1e-4 (no dot) as text; in a search space it can only be meant as a number.
_EXPONENT = re.compile(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+")
_MAX_ENUMERATED = 100_000
_MAX_CORNERS = 4096
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


def valid_keys() -> list[str]:
    """Every setting of the method that can be searched, by its dotted name."""
    keys = []
    for section, field in MethodConfig.model_fields.items():
        assert isinstance(field.annotation, type)
        assert issubclass(field.annotation, Section)
        keys += [f"{section}.{name}" for name in field.annotation.model_fields if name != "options"]
    return [*keys, f"{OPTIONS}NAME"]


def key_problem(key: object) -> str | None:
    """Why ``key`` cannot be searched, None when it can."""
    text = str(key)
    if text in valid_keys() or (text.startswith(OPTIONS) and text != OPTIONS):
        return None
    return f"space: unknown setting '{text}'; {suggestion(text)}"


def suggestion(key: str) -> str:
    """The setting of its section that is nearest to ``key``, or all of these; where there is no such section, settings
    of that name, or the sections."""
    section, _, name = key.rpartition(".")
    own = {
        valid.removeprefix(f"{section}."): valid for valid in valid_keys() if valid.startswith(f"{section}.")
    }
    if section and own:
        near = get_close_matches(name, own, n=1)
        return f"did you mean '{own[near[0]]}'?" if near else f"valid: {', '.join(own.values())}"
    named = [valid for valid in valid_keys() if valid.rpartition(".")[2] == name]
    if named:
        return f"did you mean {' or '.join(repr(valid) for valid in named)}?"
    return f"expected a setting of {', '.join(MethodConfig.model_fields)}"


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


def bound_problems(space: Space) -> list[str]:
    """Settings that leave their own bounds somewhere in ``space``, each with its first such value."""
    problems = []
    for key, dimension in space.items():
        for value in dimension.corners():
            own = [text for text in _problems(MethodConfig(), {key: value}) if text.startswith(f"{key}:")]
            if own:
                problems.append(f"space.{own[0]}")
                break
    return problems


def corner_problems(space: Space, base: MethodConfig) -> list[str]:
    """Settings that contradict each other, or ``base``, at some corner of ``space``.

    The first contradiction between settings, and every classifier that does not know an option searched for.
    """
    problems = []
    for corner in _corners(space):
        if found := _problems(base, corner):
            return [f"space: it allows {found[0]}; narrow one of the two"]
    if any(key.startswith("classifier.") for key in space):
        from jmml.models.classifier import make_classifier

        first = {key: dimension.corners()[0] for key, dimension in space.items()}
        searched = space.get("classifier.name")
        for name in searched.values if searched else (base.classifier.name,):
            try:
                make_classifier(configure(base, {**first, "classifier.name": name}).classifier, seed=0)
            except ConfigError as error:
                problems.append(f"space: {'; '.join(error.problems)}")
    return list(dict.fromkeys(problems))


def _problems(base: MethodConfig, values: Configuration) -> list[str]:
    try:
        configure(base, values)
    except ConfigError as error:
        return error.problems
    return []


def _corners(space: Space) -> Iterator[Configuration]:
    """All corners of a space, or a random part of them where there are too many to try."""
    corners = [dimension.corners() for dimension in space.values()]
    if math.prod(map(len, corners)) <= _MAX_CORNERS:
        combinations: Iterator[tuple[Scalar, ...]] = itertools.product(*corners)
    else:
        rng = np.random.default_rng(0)
        picks = ([int(rng.integers(len(c))) for c in corners] for _ in range(_MAX_CORNERS))
        combinations = (tuple(c[i] for c, i in zip(corners, pick, strict=True)) for pick in picks)
    return (dict(zip(space, combination, strict=True)) for combination in combinations)


def show(value: object) -> str:
    """A setting's value for people: four significant digits."""
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
