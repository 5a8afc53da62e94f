"""Checks of a study's definition beyond its form: contradictions, settings that do not exist."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from jmml.config import MethodConfig, validate
from jmml.errors import ConfigError
from jmml.methods import label_only
from pipelines.definitions import spaces
from pipelines.definitions.checks import part_of
from pipelines.reporting.wording import many
from pipelines.study.define.model import StudyDefinition

PAIRING = "stage2.pairing"  # a property of the data, set per task
_SETTING = re.compile(r"\b(?:stage1|stage2|peers|classifier)\.\w+")


def merged(base: MethodConfig, *overrides: Mapping[str, Any]) -> MethodConfig:
    """``base`` with the settings of ``overrides``, the last one winning, checked as a whole.

    Raises
    ------
    ConfigError : a setting is unknown, out of its bounds or contradicts another.
    """
    data: dict[str, Any] = base.model_dump(mode="python")
    for entry in overrides:
        for section, settings in entry.items():
            known = isinstance(settings, Mapping) and isinstance(data.get(section), dict)
            data[section] = {**data[section], **settings} if known else settings
    return validate(MethodConfig, data)


def settings_problems(definition: StudyDefinition, base: MethodConfig) -> list[str]:
    """Settings of the method that contradict each other, or ``base``; each names its section."""
    sections = {
        "method": [definition.method],
        **{f"tasks.{name}.method": [definition.method, t.method] for name, t in definition.tasks.items()},
    }
    found: dict[str, str] = {}  # the study's own contradictions are not repeated for its tasks
    for place, entries in sections.items():
        try:
            merged(base, *entries)
        except ConfigError as error:
            for problem in error.problems:
                found.setdefault(problem, place)
    return [_with_next_step(problem, place) for problem, place in found.items()]


def contradictions(definition: StudyDefinition) -> list[str]:
    """Contradictions in a definition, whatever the data."""
    problems = []
    if definition.claim not in definition.methods:
        problems.append(
            f"claim: '{definition.claim}' is not among the methods ({', '.join(definition.methods)}); "
            "add it to methods, or claim one of them"
        )
    if not label_only(definition.methods):
        problems.append(
            "methods: no label-only control to compare the claim with; "
            f"add one of {', '.join(label_only())}, or `controls`"
        )
    tuning, total = definition.tuning, spaces.size(definition.tuning.space)
    if tuning.trials > 1 and not tuning.space:
        problems.append(
            f"tuning.trials: {tuning.trials}, but tuning.space is empty; name settings to vary, or set trials to 1"
        )
    elif tuning.trials - 1 > total:
        problems.append(
            f"tuning.trials: {tuning.trials}, but the space holds {many(total, 'configuration')} besides the defaults; "
            f"set trials to {total + 1:g} or less, or widen the space"
        )
    return problems


def _with_next_step(problem: str, place: str) -> str:
    """``problem`` with the section in which its settings were written, and what to change."""
    settings = list(dict.fromkeys(_SETTING.findall(problem)))
    keys = " or ".join(f"{place}.{name}" for name in settings) or place
    return f"{place}: {problem}; change {keys} (what is not set there is that of params.yaml)"


def pairing_problems(space: object) -> list[str]:
    """Problem with a search space that varies the pairing, which belongs to the data."""
    if isinstance(space, dict) and PAIRING in space:
        return [f"tuning.space: {PAIRING} belongs to the data; set pairing on the task"]
    return []


def method_sections(data: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Every ``method`` entry of a definition with its place, valid or not."""
    found = [("method", data.get("method"))]
    tasks = data.get("tasks")
    if isinstance(tasks, dict):
        found += [(f"tasks.{name}.method", part_of(tasks, name, "method")) for name in tasks]
    return found


def method_problems(place: str, entry: object) -> list[str]:
    """Unknown and impossible settings; contradictions with ``params.yaml`` are found with the project."""
    if not isinstance(entry, dict):
        return []
    if isinstance(entry.get("stage2"), dict) and "pairing" in entry["stage2"]:
        return [f"{place}.{PAIRING}: belongs to the data; set pairing on the task"]
    try:
        merged(MethodConfig(), entry)
    except ConfigError as error:
        return [f"{place}.{problem}" for problem in error.problems if re.match(r"[\w.]+: ", problem)]
    return []
