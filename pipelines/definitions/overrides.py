"""Changing a sweep's definition by ``key=value`` texts, before it is checked."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

import yaml

from jmml.config import MethodConfig, parse_yaml
from jmml.errors import nearest
from pipelines.definitions import spaces
from pipelines.definitions.spaces import DISTRIBUTIONS

TEXTS = ("name", "description", "corpora")  # never read as numbers, as a version of digits would be
LISTS = ("protocol.seeds",)
_CALL = re.compile(r"(\w+)\((.*)\)")


def override(data: dict[str, Any], text: str, *, keys: Mapping[str, Collection[str]]) -> str | None:
    """Change a definition by one text; what is wrong with the text, or None.

    ``algorithm=random`` sets a setting of the definition, ``budget.trials=20`` one of its parts (``trials=20`` is
    short for it), ``scheduler=none`` and ``corpora.speech=nemo`` a part by its name, ``protocol.seeds=0,1`` a list,
    ``budget.hours=null`` nothing. ``stage2.k=3,4,8`` makes a setting of the method a choice,
    ``stage2.lr=loguniform(1e-4,1e-2)`` gives it another distribution; a single value, ``stage2.k=4``, fixes it, and
    ``stage2.k=null`` takes it out of the space, so that it keeps the value of ``params.yaml`` (``choice(null)`` is the
    value null).

    Parameters
    ----------
    keys : the sections of a definition with the names of their parts; none for plain settings.
    """
    key, equals, value = (part.strip() for part in text.partition("="))
    if not (key and equals and value):
        return f"override '{text}': expected KEY=VALUE, for example budget.trials=20 or stage2.k=3,4,8"
    key = "budget.trials" if key == "trials" else key
    head, _, rest = key.removeprefix("space.").partition(".")
    if head in MethodConfig.model_fields and rest:
        return _set_dimension(data, text, f"{head}.{rest}", value)
    head, _, rest = key.partition(".")
    if head not in keys or head == "space" or (rest and not keys[head]):
        return f"override '{text}': unknown key '{key}'; {_suggestion(key, keys)}"
    if key == "budget.trials":
        data.pop("trials", None)
    parsed: Any = value if head in TEXTS and value != "null" else _scalar(value)
    if key in LISTS:
        parsed = [_scalar(item) for item in value.split(",")]
    *sections, last = key.split(".", 2)
    for part in sections:
        inner = data.get(part)
        # A section may be there as nothing, or as a bare name (``scheduler: asha``, ``speech: nemo``).
        inner = {"name": inner} if isinstance(inner, str) else dict(inner or {})
        data[part] = inner
        data = inner
    data[last] = parsed
    return None


def _set_dimension(data: dict[str, Any], text: str, key: str, value: str) -> str | None:
    space = data.get("space") or {}
    if not isinstance(space, dict):
        return None  # reported where the definition is checked
    if value == "null":
        if key not in space:
            return f"override '{text}': {key} is not in the space; {nearest(key, space)}"
        data["space"] = {other: entry for other, entry in space.items() if other != key}
        return None
    call = _CALL.fullmatch(value)
    if call is None and re.match(r"\w+\(", value):
        return f"override '{text}': ')' is missing; expected for example {key}=loguniform(1e-4,1e-2)"
    kind, items = (call[1], call[2]) if call else ("choice", value)
    if kind not in DISTRIBUTIONS:
        return f"override '{text}': unknown distribution '{kind}'; {nearest(kind, DISTRIBUTIONS)}"
    data["space"] = {**space, key: {kind: [_scalar(item) for item in items.split(",")]}}
    return None


def _suggestion(key: str, keys: Mapping[str, Collection[str]]) -> str:
    """The nearest key; where none is near, the keys of a definition."""
    named = [f"{section}.{part}" for section, parts in keys.items() for part in parts]
    plain = ["trials", *(section for section in keys if section != "space")]
    found = nearest(key, [*plain, *named, *spaces.valid_keys()])
    if found.startswith("valid"):
        found = f"valid: {', '.join(plain)}, and settings of {', '.join(MethodConfig.model_fields)}"
    return found


def _scalar(text: str) -> Any:
    try:
        return parse_yaml(text) if text.strip() else ""
    except yaml.YAMLError:
        return text
