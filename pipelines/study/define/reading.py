"""How a study's definition is read and checked; see :mod:`pipelines.definitions.reading`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from jmml.config import MethodConfig
from pipelines.definitions import checks, reading
from pipelines.definitions.overrides import Keys
from pipelines.definitions.reading import Kind
from pipelines.definitions.shipped import ready_made
from pipelines.study.define.checks import (
    contradictions,
    method_problems,
    method_sections,
    pairing_problems,
    settings_problems,
)
from pipelines.study.define.model import StudyDefinition

# Definitions that come with the project, by name.
READY_MADE: dict[str, Path] = ready_made(str(Path(__file__).parent))
KEYS = Keys(StudyDefinition, space="tuning.space", example="seeds=0,1,2 or tuning.trials=1")
GUIDE = "docs/studies.md"


def form(data: dict[str, Any]) -> tuple[StudyDefinition | None, list[str]]:
    """The definition in ``data``, and what is wrong with its form."""
    definition, found = checks.form(StudyDefinition, data, space="tuning.space")
    found += pairing_problems(checks.part_of(data, "tuning", "space"))
    for place, entry in method_sections(data):
        found += method_problems(place, entry)
    return definition, found


KIND = Kind("study", "name and tasks", GUIDE, READY_MADE, KEYS, form)


def load_definition(
    source: str | Path, *, overrides: Sequence[str] = (), base: MethodConfig | None = None
) -> StudyDefinition:
    """Read, override and check a definition.

    Parameters
    ----------
    source : a YAML file, or the name of a definition that ships with the project (:data:`READY_MADE`).
    overrides : texts for :func:`pipelines.definitions.overrides.override`.
    base : the method of ``params.yaml``, to find out at once what contradicts it.

    Raises
    ------
    ConfigError : everything that is wrong with it, at once.
    """

    return reading.load(KIND, source, together=partial(_together, base=base), overrides=overrides)


def change(
    definition: StudyDefinition, overrides: Sequence[str], *, base: MethodConfig | None = None
) -> StudyDefinition:
    """``definition`` with overrides, checked; :class:`ConfigError` with everything that is wrong."""
    together, place = partial(_together, base=base), f"study {definition.name}"
    return reading.change(KIND, definition.plain(), place=place, together=together, overrides=overrides)


def at_revision(definition: StudyDefinition, rev: str) -> StudyDefinition:
    """``definition`` with its tasks at a revision of the corpora; worlds have none, and what names one keeps it."""
    data = definition.plain()
    for name, task in definition.tasks.items():
        if task.world is None:
            data["tasks"][name].setdefault("rev", rev)
    return reading.check(KIND, data, together=contradictions)


def check(data: dict[str, Any]) -> StudyDefinition:
    """The definition in ``data``, or one :class:`ConfigError` with all that is wrong with it."""
    return reading.check(KIND, data, together=contradictions)


def _together(definition: StudyDefinition, *, base: MethodConfig | None) -> list[str]:
    """Contradictions within the definition and with the method of ``params.yaml``."""
    found = contradictions(definition)
    return found if base is None else found + settings_problems(definition, base)
