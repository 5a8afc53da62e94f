"""Changing a study's definition by ``key=value`` texts, before it is checked."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import yaml

from jmml.config import parse_yaml
from jmml.errors import nearest
from pipelines.definitions.spaces import DISTRIBUTIONS

_CALL = re.compile(r"(\w+)\((.*)\)")


def override(data: dict[str, Any], text: str, *, keys: Collection[str]) -> str | None:
    """Change a definition by one text; what is wrong with the text, or None.

    ``seeds=0,1,2`` and ``methods=jmml,one-hot`` give lists, ``tuning.trials=1`` a part of a section,
    ``tasks=mine`` keeps the tasks of these names, ``tasks.mine.pairing=class`` changes one of them.
    ``tuning.space.stage2.k=3,4`` searches these values and ``tuning.space.stage2.lr=loguniform(1e-3,1e-2)`` a
    range; ``method.stage2.epochs=10`` fixes a setting for every method. ``keys`` are those of a definition.
    """
    key, equals, value = (part.strip() for part in text.partition("="))
    if not (key and equals and value):
        return f"override '{text}': expected KEY=VALUE, for example seeds=0,1,2 or tuning.trials=1"
    head, _, rest = key.partition(".")
    if head not in keys:
        return f"override '{text}': unknown key '{head}'; {nearest(head, keys)}"
    if key == "tasks":
        return _keep_tasks(data, text, value)
    if head == "tasks" and (problem := _unknown_task(data, text, rest.partition(".")[0])):
        return problem
    if key.startswith("tuning.space."):
        return _set_dimension(data, text, key.removeprefix("tuning.space."), value)
    items = [_scalar(item) for item in value.split(",")]
    listed = key in ("methods", "seeds")
    return _set(data, text, key.split(".") if rest else [head], items if listed else _scalar(value))


def _keep_tasks(data: dict[str, Any], text: str, value: str) -> str | None:
    tasks = data.get("tasks")
    names = [name.strip() for name in value.split(",")]
    for name in names:
        if problem := _unknown_task(data, text, name):
            return problem
    if isinstance(tasks, dict):
        data["tasks"] = {name: tasks[name] for name in names}
    return None


def _unknown_task(data: Mapping[str, Any], text: str, name: str) -> str | None:
    tasks = data.get("tasks")
    if not isinstance(tasks, dict) or name in tasks:
        return None  # tasks that are no mapping are reported where the definition is checked
    return f"override '{text}': no task '{name}'; {nearest(name, map(str, tasks))}"


def _set_dimension(data: dict[str, Any], text: str, key: str, value: str) -> str | None:
    call = _CALL.fullmatch(value)
    kind, items = (call[1], call[2]) if call else ("choice", value)
    if kind not in DISTRIBUTIONS:
        return f"override '{text}': unknown distribution '{kind}'; {nearest(kind, DISTRIBUTIONS)}"
    return _set(data, text, ["tuning", "space", key], {kind: [_scalar(item) for item in items.split(",")]})


def _set(data: dict[str, Any], text: str, path: Sequence[str], value: Any) -> str | None:
    *sections, last = path
    for part in sections:
        data = data.setdefault(part, {})
        if not isinstance(data, dict):
            return f"override '{text}': '{part}' has no parts"
    data[last] = value
    return None


def _scalar(text: str) -> Any:
    try:
        return parse_yaml(text)
    except yaml.YAMLError:
        return text
