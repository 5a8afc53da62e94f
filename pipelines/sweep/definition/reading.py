"""How a sweep's definition is read, overridden and checked: all that is wrong is said at once, before anything starts.

What can be checked is checked even where other parts are wrong, so that a person mends a file once. Settings can be
overridden by ``key=value`` texts, see :func:`pipelines.definitions.overrides.override`.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from jmml.config import load_yaml, validate
from jmml.errors import ConfigError
from pipelines.definitions import spaces
from pipelines.definitions.overrides import override
from pipelines.definitions.shipped import ready_made, resolve
from pipelines.definitions.spaces import Dimension
from pipelines.sweep.definition import checks
from pipelines.sweep.definition.model import KEYS, SECTIONS, SweepDefinition

if TYPE_CHECKING:
    from pipelines.workspace.project import Project


def load_definition(
    source: str | Path,
    *,
    overrides: Sequence[str] = (),
    name: str | None = None,
    project: Project | None = None,
) -> SweepDefinition:
    """Read, override and check a definition.

    Parameters
    ----------
    source : a YAML file, or the name of a definition that ships with the project (:data:`READY_MADE`).
    overrides : texts for :func:`pipelines.definitions.overrides.override`.
    name : name of the sweep instead of the definition's.
    project : where it is to run. A definition that is wrong is compared with it as well, as far as can be; one that
        is right is compared when it is planned (:func:`pipelines.sweep.definition.plan.plan`).

    Raises
    ------
    ConfigError : everything that is wrong with it, at once.
    """
    path = resolve(source, READY_MADE, what="sweep")
    data = load_yaml(path)
    if not isinstance(data, dict):
        raise ConfigError(["expected a sweep definition with name, budget and space"], where=path)
    written = copy.deepcopy(data)
    problems = [problem for text in overrides if (problem := override(data, text, keys=KEYS))]
    if name is not None:
        data["name"] = name
    try:
        return check(data, problems=problems, project=project)
    except ConfigError as error:
        raise _blamed(error.problems, _problems(written, project), path, name) from None


def _problems(data: dict[str, Any], project: Project | None) -> list[str]:
    try:
        check(data, project=project)
    except ConfigError as error:
        return error.problems
    return []


def _blamed(problems: Sequence[str], written: Sequence[str], path: Path, name: str | None) -> ConfigError:
    """Problems of a definition with overrides: ``written`` are those that the file has by itself."""

    def blamed(problem: str) -> str:
        if problem in written:
            return str(path)
        return "--name" if name is not None and problem.startswith("name:") else "-s"

    origins = {blamed(problem) for problem in problems}
    if len(origins) == 1:
        return ConfigError(problems, where=origins.pop())
    return ConfigError([f"{blamed(problem)}: {problem}" for problem in problems])


def check(
    data: dict[str, Any],
    *,
    where: object = None,
    problems: Sequence[str] = (),
    project: Project | None = None,
) -> SweepDefinition:
    """The definition in ``data``, or one :class:`ConfigError` with ``problems`` and all its own.

    A ``project`` is asked only where something is wrong, so that all of it is said together.
    """
    data, found = _spelt_out(data)
    found += problems
    space = data.get("space")
    named = space if isinstance(space, dict) else {}
    found += [problem for key in named if (problem := spaces.key_problem(key))]
    if space == {}:
        found.append("space: empty, nothing to search; add a setting, e.g. stage2.k: {choice: [2, 4]}")
        data = {**data, "space": _ANY_SPACE}
    definition: SweepDefinition | None = None
    keys: set[str] = set()
    try:
        definition = validate(SweepDefinition, data)
    except ConfigError as error:
        found += [problem for problem in error.problems if ".[key]:" not in problem]  # said above
        keys = {problem.partition(":")[0] for problem in error.problems}
    wrong = {key.partition(".")[0] for key in keys}
    # What can be checked is checked even where other parts are wrong: those take their defaults meanwhile.
    valid = {
        key: dimension
        for key, entry in named.items()
        if spaces.key_problem(key) is None and (dimension := _parsed(entry)) is not None
    }
    beyond = spaces.bound_problems(valid)
    found += beyond
    keys |= {problem.partition(":")[0] for problem in beyond}
    if len(valid) < len(named) or not named:
        wrong.add("space")
        keys.add("space.")
    stand_in = definition or _stand_in(data, keys, valid)
    found += checks.contradictions(stand_in, wrong)
    if project is not None and (found or definition is None):
        from pipelines.sweep.definition.fit import misfits

        found += misfits(project, stand_in, keys)
    if found or definition is None:
        raise ConfigError(list(dict.fromkeys(found)), where=where)
    return definition


# Definitions that come with the project, by name.
READY_MADE: dict[str, Path] = ready_made(str(Path(__file__).parent))

_ANY_SPACE: dict[str, Any] = {"stage2.k": {"choice": [2, 4]}}


def _spelt_out(data: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """``trials`` as ``budget.trials``, sections that say nothing left out; what cannot be read."""
    data = {
        key: value
        for key, value in data.items()
        if value is not None or key not in SECTIONS or key == "space"
    }
    found = []
    trials = data.pop("trials", None)
    if trials is not None:
        budget = data.get("budget", {})
        if isinstance(budget, dict) and budget.get("trials") is not None:
            found.append("trials: given twice, here and in budget; keep one")
        elif isinstance(budget, dict):
            data["budget"] = {**budget, "trials": trials}
    if "outer_fold" in data:
        found.append(
            f"outer_fold: belongs to protocol; write protocol: {{outer_fold: {data.pop('outer_fold')}}}"
        )
    return data, found


def _stand_in(data: dict[str, Any], wrong: Collection[str], valid: dict[str, Dimension]) -> SweepDefinition:
    """A definition of all that is right in one whose keys ``wrong`` are not; sections that stay wrong are left out."""
    space = {key: {d.kind: list(d.values)} for key, d in valid.items()} or _ANY_SPACE
    right = {key: value for key, value in data.items() if key in SECTIONS and key not in wrong}
    right |= {"space": space, "name": "stand-in"}
    for key in wrong:
        if key.partition(".")[0] not in ("space", "name"):
            _drop(right, key.split("."))
    try:
        return SweepDefinition.model_validate(right)
    except ValidationError as error:
        still = {item["loc"][0] for item in error.errors() if item["loc"]}
        return SweepDefinition.model_validate({k: v for k, v in right.items() if k not in still})


def _drop(data: dict[str, Any], path: Sequence[str]) -> None:
    """Take the entry at ``path`` out, or the innermost one on the way that is there; copies what it changes."""
    head, *rest = path
    inner = data.get(head)
    if rest and isinstance(inner, dict) and rest[0] in inner:
        data[head] = dict(inner)
        _drop(data[head], rest)
    else:
        data.pop(head, None)


def _parsed(entry: object) -> Dimension | None:
    try:
        return Dimension.model_validate(entry)
    except ValueError:
        return None
