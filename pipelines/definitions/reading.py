"""How a definition is read, overridden and checked, of a sweep or of a study: all that is wrong is said at once.

First its form is checked, key by key. Only where that is sound its parts are compared with each other and with the
project, so that nothing is said that merely follows from a mistyped key. Each problem comes with its place: file and
line, the override, or the option that brought it about.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import yaml

from jmml.config import Section, load_yaml
from jmml.errors import ConfigError
from pipelines.definitions.overrides import Keys, override
from pipelines.definitions.shipped import resolve

D = TypeVar("D", bound=Section)


@dataclass(frozen=True)
class Kind(Generic[D]):
    """A kind of definition.

    Attributes
    ----------
    what : ``sweep`` or ``study``.
    holds : its main keys, in words.
    guide : the documentation with an example.
    shipped : files that come with the project, by name; ``quick`` is one to start from.
    form : the definition in plain values, and what is wrong with their form.
    """

    what: str
    holds: str
    guide: str
    shipped: Mapping[str, Path]
    keys: Keys
    form: Callable[[dict[str, Any]], tuple[D | None, list[str]]]


Together = Callable[[D], list[str]]


def load(
    kind: Kind[D],
    source: str | Path,
    *,
    together: Together[D],
    overrides: Sequence[str] = (),
    name: str | None = None,
) -> D:
    """Read, override and check a definition.

    Parameters
    ----------
    source : a YAML file, or a name among those that are shipped.
    together : what is wrong with a definition of sound form: contradictions, what does not fit the project.
    overrides : texts for :func:`pipelines.definitions.overrides.override`.
    name : in place of that of the definition.

    Raises
    ------
    ConfigError : everything that is wrong with it, at once.
    """
    path = resolve(source, kind.shipped, what=kind.what)
    data = load_yaml(path)
    if not isinstance(data, dict):
        held = {type(None): "is empty", list: "holds a list"}.get(type(data), "holds a single value")
        example = f"Start from {kind.shipped['quick']}, or from the example in {kind.guide}"
        raise ConfigError(
            [f"the file {held}; expected a {kind.what} definition, a mapping with {kind.holds}. {example}"],
            where=path,
        )
    return change(kind, data, place=path, together=together, overrides=overrides, name=name)


def change(
    kind: Kind[D],
    data: dict[str, Any],
    *,
    place: Path | str,
    together: Together[D],
    overrides: Sequence[str] = (),
    name: str | None = None,
) -> D:
    """The definition in plain ``data`` with ``overrides``, checked; ``place`` is where the data are from.

    Raises
    ------
    ConfigError : everything that is wrong with it, at once.
    """
    changed = copy.deepcopy(data)
    wrong = [problem for text in overrides if (problem := override(changed, text, kind.keys))]
    if name is not None:
        changed["name"] = name
    definition, problems = _examine(kind, changed, together, wrong)
    if definition is not None and not problems:
        return definition
    own = _examine(kind, data, together)[1] if overrides or name is not None else problems
    raise _with_places(problems, own, place, overrides, name)


def check(kind: Kind[D], data: dict[str, Any], *, together: Together[D]) -> D:
    """The definition in plain ``data``, or one :class:`ConfigError` with all that is wrong."""
    definition, problems = _examine(kind, data, together)
    if definition is None or problems:
        raise ConfigError(problems)
    return definition


def _examine(
    kind: Kind[D], data: dict[str, Any], together: Together[D], wrong: Sequence[str] = ()
) -> tuple[D | None, list[str]]:
    definition, found = kind.form(data)
    problems = [*wrong, *found]
    if definition is not None and not problems:
        problems = together(definition)
    return definition, list(dict.fromkeys(problems))


# Where a problem is --------------------------------------------------------------------------------------------


def _with_places(
    problems: Sequence[str], own: Sequence[str], place: Path | str, overrides: Sequence[str], name: str | None
) -> ConfigError:
    """One error for ``problems``; ``own`` are those that the data have without overrides."""
    lines = _lines(place) if isinstance(place, Path) else {}

    def origin(problem: str) -> str:
        if problem in own:
            line = _line(problem, lines)
            return str(place) if line is None else f"{place}:{line}"
        if name is not None and problem.startswith("name:"):
            return "--name"
        texts = [] if problem.startswith("override ") else [t for t in overrides if _names(problem, t)]
        return " ".join(f"-s {text}" for text in texts) or "-s"

    origins = [origin(problem) for problem in problems]
    if len(set(origins)) == 1:
        return ConfigError(problems, where=origins[0])
    return ConfigError([f"{at}: {problem}" for at, problem in zip(origins, problems, strict=True)])


def _names(problem: str, text: str) -> bool:
    """Whether a problem names the key of an override."""
    key = re.escape(text.partition("=")[0].strip())
    return re.search(rf"(?<![\w-]){key}(?![\w-])", problem) is not None


def _line(problem: str, lines: Mapping[str, int]) -> int | None:
    """The line of the key that a problem is about, or of the section that it should be in."""
    key = problem.partition(":")[0]
    while key and key not in lines:
        key = key.rpartition(".")[0]
    return lines.get(key)


def _lines(path: Path) -> dict[str, int]:
    """The line of every key of a YAML file, by its dotted name."""
    root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    found: dict[str, int] = {}
    seen: set[int] = set()  # an alias leads to the same node again
    waiting: list[tuple[yaml.Node | None, str]] = [(root, "")]
    while waiting:
        node, prefix = waiting.pop()
        if not isinstance(node, yaml.MappingNode) or id(node) in seen:
            continue
        seen.add(id(node))
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                at = f"{prefix}{key.value}"
                found.setdefault(at, key.start_mark.line + 1)
                waiting.append((value, f"{at}."))
    return found
