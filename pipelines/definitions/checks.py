"""Checks that definitions of sweeps and of studies share: their form, and the search space in it.

The form is what can be said of each key by itself, without a project. What parts of a definition say together, and
what a project adds, is looked at where the form is sound: see :func:`pipelines.definitions.reading.load`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, TypeVar

import numpy as np

from jmml.config import MethodConfig, Section, validate
from jmml.errors import ConfigError
from pipelines.definitions import spaces
from pipelines.definitions.spaces import Dimension

OPTIONS = "classifier.options."
_MAX_CORNERS = 4096
_OF_A_KEY = ".[key]:"  # in pydantic's place of a key that is not text; key_problem says what it should be

D = TypeVar("D", bound=Section)


def form(model: type[D], data: Mapping[str, Any], *, space: str) -> tuple[D | None, list[str]]:
    """The definition in ``data`` and what is wrong with its form: all of it, or the definition is sound.

    Parameters
    ----------
    space : key of the search space, ``tuning.space`` for one in a section.
    """
    definition: D | None = None
    found = space_problems(part_of(data, *space.split(".")), prefix=space.removesuffix("space"))
    try:
        definition = validate(model, data)
    except ConfigError as error:
        found += [problem for problem in error.problems if _OF_A_KEY not in problem]
    return definition, found


def part_of(data: object, *path: str) -> Any:
    """The value at ``path`` in nested mappings; None where there is nothing."""
    for part in path:
        data = data.get(part) if isinstance(data, dict) else None
    return data


def space_problems(space: object, *, prefix: str = "") -> list[str]:
    """Unknown settings of a search space as it was written, and those that can leave their own bounds.

    Entries that are not distributions are left to the check of the model.
    """
    if not isinstance(space, dict):
        return []
    found = [f"{prefix}{problem}" for key in space if (problem := key_problem(key))]
    valid: dict[str, Dimension] = {}
    for key, entry in space.items():
        if key_problem(key) is None:
            try:
                valid[key] = Dimension.model_validate(entry)
            except ValueError:
                continue
    return found + [f"{prefix}{problem}" for problem in bound_problems(valid)]


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


def bound_problems(space: spaces.Space) -> list[str]:
    """Settings that leave their own bounds somewhere in ``space``, each with its first such value."""
    problems = []
    for key, dimension in space.items():
        for value in dimension.corners():
            own = [text for text in _problems(MethodConfig(), {key: value}) if text.startswith(f"{key}:")]
            if own:
                problems.append(f"space.{own[0]}")
                break
    return problems


def corner_problems(space: spaces.Space, base: MethodConfig) -> list[str]:
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
                make_classifier(spaces.configure(base, {**first, "classifier.name": name}).classifier, seed=0)
            except ConfigError as error:
                problems.append(f"space: {'; '.join(error.problems)}")
    return list(dict.fromkeys(problems))


def _problems(base: MethodConfig, values: spaces.Configuration) -> list[str]:
    try:
        spaces.configure(base, values)
    except ConfigError as error:
        return error.problems
    return []


def _corners(space: spaces.Space) -> Iterator[spaces.Configuration]:
    """All corners of a space, or a random part of them where there are too many to try."""
    corners = [dimension.corners() for dimension in space.values()]
    if math.prod(map(len, corners)) <= _MAX_CORNERS:
        combinations: Iterator[tuple[spaces.Scalar, ...]] = itertools.product(*corners)
    else:
        rng = np.random.default_rng(0)
        picks = ([int(rng.integers(len(c))) for c in corners] for _ in range(_MAX_CORNERS))
        combinations = (tuple(c[i] for c, i in zip(corners, pick, strict=True)) for pick in picks)
    return (dict(zip(space, combination, strict=True)) for combination in combinations)
