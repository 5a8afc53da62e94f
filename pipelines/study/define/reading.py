"""How a study's definition is read, overridden and checked: all that is wrong is said at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jmml.config import MethodConfig, load_yaml, validate
from jmml.errors import ConfigError
from pipelines.definitions.shipped import ready_made, resolve
from pipelines.definitions.study_overrides import override
from pipelines.study.define.checks import (
    contradictions,
    method_problems,
    method_sections,
    part_of,
    settings_problems,
    space_problems,
)
from pipelines.study.define.model import StudyDefinition


def load_definition(
    source: str | Path, *, overrides: Sequence[str] = (), base: MethodConfig | None = None
) -> StudyDefinition:
    """Read, override and check a definition.

    Parameters
    ----------
    source : a YAML file, or the name of a definition that ships with the project (:data:`READY_MADE`).
    overrides : texts for :func:`pipelines.definitions.study_overrides.override`.
    base : the method of ``params.yaml``, to find out at once what contradicts it.

    Raises
    ------
    ConfigError : everything that is wrong with it, at once.
    """
    path = resolve(source, READY_MADE, what="study")
    data = load_yaml(path)
    if not isinstance(data, dict):
        held = {type(None): "is empty", list: "holds a list"}.get(type(data), "holds a single value")
        example = f"Start from {READY_MADE['quick']}, or from the example in {GUIDE}"
        raise ConfigError([f"the file {held}; expected a mapping with name and tasks. {example}"], where=path)
    problems = [
        problem for text in overrides if (problem := override(data, text, keys=StudyDefinition.model_fields))
    ]
    definition = check(data, where=path, problems=problems)
    if base is not None and (problems := settings_problems(definition, base, overrides)):
        raise ConfigError(problems, where=path)
    return definition


def check(data: dict[str, Any], *, where: object = None, problems: Sequence[str] = ()) -> StudyDefinition:
    """The definition in ``data``, or one :class:`ConfigError` with ``problems`` and all its own."""
    found = list(problems)
    definition: StudyDefinition | None = None
    try:
        definition = validate(StudyDefinition, data)
    except ConfigError as error:
        found += error.problems
    found += space_problems(part_of(data, "tuning", "space"))
    for place, entry in method_sections(data):
        found += method_problems(place, entry)
    if definition is not None:
        found += contradictions(definition)
    if found or definition is None:
        raise ConfigError(found, where=where)
    return definition


# Definitions that come with the project, by name.
READY_MADE: dict[str, Path] = ready_made(str(Path(__file__).parent))
GUIDE = "docs/studies.md"
