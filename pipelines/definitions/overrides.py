"""Changing a definition by ``key=value`` texts, before it is checked; which keys there are follows from its model."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import yaml

from jmml.config import MethodConfig, Section, parse_yaml
from jmml.errors import nearest
from pipelines.definitions.checks import OPTIONS, valid_keys
from pipelines.definitions.spaces import DISTRIBUTIONS

_CALL = re.compile(r"(\w+)\((.*)\)")


@dataclass(frozen=True)
class Keys:
    """The keys of one kind of definition.

    Attributes
    ----------
    model : of the definition; sections, lists and texts are told from its annotations.
    space : key of the search space.
    example : two overrides for messages.
    short : keys that stand for others.
    settings : whether a setting of the method by itself (``stage2.k=3,4``) is one of the space.
    """

    model: type[Section]
    space: str
    example: str
    short: Mapping[str, str] = field(default_factory=dict)
    settings: bool = False

    def names(self) -> list[str]:
        """Every key that can be overridden, the settings of the method apart."""
        return [*self.short, *(name for name in _names(self.model) if name != self.space)]

    def completions(self) -> list[str]:
        """Every key that can be overridden, settings of the method included."""
        settings = [key for key in valid_keys() if not key.startswith(OPTIONS)]
        places = [""] if self.settings else [f"{self.space}."]
        places += ["method."] if "method" in self.model.model_fields else []
        plain = [name for name in self.names() if name not in self.short]
        return sorted({*plain, *(f"{place}{key}" for place in places for key in settings)})


def override(data: dict[str, Any], text: str, keys: Keys) -> str | None:
    """Change a definition by one text; what is wrong with the text, or None.

    ``algorithm=random`` sets a key of the definition, ``budget.trials=20`` a part of a section, ``scheduler=none`` a
    section by its name, ``seeds=0,1`` a list, ``budget.hours=null`` nothing; of sections that have names of their own,
    ``tasks=a,b`` keeps these two and ``tasks.a.pairing=class`` changes one.

    Of the search space, ``stage2.k=3,4,8`` makes a setting a choice, ``stage2.lr=loguniform(1e-4,1e-2)`` gives it
    another distribution; a single value, ``stage2.k=4``, fixes it, and ``stage2.k=null`` takes it out, so that it keeps
    the value of ``params.yaml`` (``choice(null)`` is the value null). Where :attr:`Keys.settings` is not set, the key
    is written in full: ``tuning.space.stage2.k=3,4``.
    """
    key, equals, value = (part.strip() for part in text.partition("="))
    if not (key and equals and value):
        return f"override '{text}': expected KEY=VALUE, for example {keys.example}"
    key = keys.short.get(key, key)
    head, _, rest = key.partition(".")
    setting = key.removeprefix(f"{keys.space}.") if key.startswith(f"{keys.space}.") else ""
    if keys.settings and head in MethodConfig.model_fields and rest:
        setting = key
    if setting:
        return _set_dimension(data, text, keys, setting, value)
    if key == keys.space:
        return f"override '{text}': unknown key '{key}'; expected {key}.SETTING=VALUES, for example {key}.stage2.k=3,4"
    return _set_key(data, text, keys, key, value)


def _set_key(data: dict[str, Any], text: str, keys: Keys, key: str, value: str) -> str | None:
    path = key.split(".")
    current: type[Section] | None = keys.model
    annotation: Any = keys.model
    inner: dict[str, Any] | None = data
    for number, part in enumerate(path):
        last = number == len(path) - 1
        named = _named_sections(annotation)
        if named is not None:
            if problem := _unknown_name(inner, text, key, part):
                return problem
            annotation, current = named, named
        elif current is not None and (part in current.model_fields):
            annotation = _bare(current.model_fields[part].annotation)
            current = annotation if _is_section(annotation) else None
        elif number == 0 or (current is None and annotation is not Any and not _is_free(annotation)):
            return f"override '{text}': unknown key '{key}'; {_suggestion(key, keys)}"
        else:
            annotation, current = (
                Any,
                None,
            )  # a part that is not known: the check says it, with the nearest one
        if last:
            break
        inner = _inner(inner, part, current)
    if inner is None:
        return None  # a section that is not a mapping is reported where the definition is checked
    for short, long in keys.short.items():
        if key == long:
            data.pop(short, None)
    if _named_sections(annotation) is not None:
        return _keep(inner, text, key, path[-1], [name.strip() for name in value.split(",")])
    inner[path[-1]] = _value(annotation, value)
    return None


def _inner(data: dict[str, Any] | None, part: str, section: type[Section] | None) -> dict[str, Any] | None:
    """The section ``part`` of ``data``, a copy that can be changed; None where something else stands there."""
    if data is None:
        return None
    inner = data.get(part)
    if isinstance(inner, str) and section is not None and "name" in section.model_fields:
        inner = {"name": inner}  # by its bare name, as in ``scheduler: asha``
    if inner is not None and not isinstance(inner, dict):
        return None
    copied: dict[str, Any] = dict(inner or {})
    data[part] = copied
    return copied


def _unknown_name(sections: Mapping[str, Any] | None, text: str, key: str, name: str) -> str | None:
    if sections is None or name in sections:
        return None
    what = key.partition(".")[0].removesuffix("s")
    return f"override '{text}': no {what} '{name}'; {nearest(name, map(str, sections))}"


def _keep(data: dict[str, Any], text: str, key: str, last: str, names: list[str]) -> str | None:
    sections = data.get(last)
    if isinstance(sections, dict):
        for name in names:
            if problem := _unknown_name(sections, text, key, name):
                return problem
        data[last] = {name: sections[name] for name in names}
    return None


def _set_dimension(data: dict[str, Any], text: str, keys: Keys, setting: str, value: str) -> str | None:
    *path, last = keys.space.split(".")
    inner: dict[str, Any] | None = data
    for part in path:
        inner = _inner(inner, part, None)
    space = None if inner is None else inner.get(last)
    if inner is None or not isinstance(space, dict | NoneType):
        return None  # reported where the definition is checked
    space = space or {}
    if value == "null":
        if setting not in space:
            return f"override '{text}': {setting} is not in the space; {nearest(setting, map(str, space))}"
        inner[last] = {other: entry for other, entry in space.items() if other != setting}
        return None
    call = _CALL.fullmatch(value)
    if call is None and re.match(r"\w+\(", value):
        return f"override '{text}': ')' is missing; expected for example {setting}=loguniform(1e-4,1e-2)"
    kind, items = (call[1], call[2]) if call else ("choice", value)
    if kind not in DISTRIBUTIONS:
        return f"override '{text}': unknown distribution '{kind}'; {nearest(kind, DISTRIBUTIONS)}"
    inner[last] = {**space, setting: {kind: [_scalar(item) for item in items.split(",")]}}
    return None


def _suggestion(key: str, keys: Keys) -> str:
    """The nearest key; where none is near, the keys of a definition."""
    if not keys.settings and key in valid_keys():
        return f"did you mean 'method.{key}' (fixed) or '{keys.space}.{key}' (searched)?"
    names = keys.names()
    found = nearest(key, [*names, *(valid_keys() if keys.settings else ())])
    if found.startswith("valid"):
        settings = f", and settings of {', '.join(MethodConfig.model_fields)}" if keys.settings else ""
        found = f"valid: {', '.join(name for name in names if '.' not in name)}{settings}"
    return found


# What a model says of its keys ---------------------------------------------------------------------------------


def _names(model: type[Section], prefix: str = "") -> Iterator[str]:
    for name, info in model.model_fields.items():
        yield f"{prefix}{name}"
        annotation = _bare(info.annotation)
        if _is_section(annotation):
            yield from _names(annotation, f"{prefix}{name}.")


def _bare(annotation: Any) -> Any:
    """An annotation without its constraints, and without None as an alternative."""
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        others = [item for item in get_args(annotation) if item is not NoneType]
        return _bare(others[0]) if len(others) == 1 else annotation
    return annotation


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Section)


def _is_free(annotation: Any) -> bool:
    """Whether the parts of a key are settings that another check knows, as those of ``method``."""
    return get_origin(annotation) is dict


def _named_sections(annotation: Any) -> type[Section] | None:
    """The section of which a mapping holds several by their names."""
    if get_origin(annotation) is not dict:
        return None
    item = _bare(get_args(annotation)[1])
    return item if _is_section(item) else None


def _value(annotation: Any, value: str) -> Any:
    if value == "null":
        return None
    if get_origin(annotation) is list:
        kind = _bare(get_args(annotation)[0])
        return [item.strip() if kind is str else _scalar(item) for item in value.split(",")]
    by_name = _is_section(annotation) and "name" in annotation.model_fields
    return value if annotation is str or by_name else _scalar(value)  # a version of digits stays text


def _scalar(text: str) -> Any:
    try:
        return parse_yaml(text) if text.strip() else ""
    except yaml.YAMLError:
        return text
