"""Fields of a file name, such as speaker, text and label, by a pattern like ``{person}_{text}_{label}.wav``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from jmml.data.listing.columns import FIELDS, field_of
from jmml.errors import DataError, nearest

_FIELD = re.compile(r"\{(?P<name>[^{}:]*)(?::(?P<shape>[^{}]*))?\}")
_SHAPES = {"": r"[^/]+?", "d": r"\d+", "a": r"[^\W\d_]+"}


@dataclass(frozen=True)
class Naming:
    """How the files of a corpus are named.

    Attributes
    ----------
    name : of the corpus, or the pattern itself, for messages.
    expression : regular expression; its named groups are fields of :data:`~jmml.data.listing.columns.FIELDS`, others
        are ignored.
    folders : whether it covers the path below the corpus, with forward slashes, instead of the file name.
    """

    name: str
    expression: re.Pattern[str]
    folders: bool = False

    def fields(self, path: str) -> dict[str, str] | None:
        """What the name of one file says; None where it is not named so."""
        text = path if self.folders else PurePosixPath(path).name
        found = self.expression.search(text) if self.folders else self.expression.fullmatch(text)
        if found is None:
            return None
        return {name: value for name, value in found.groupdict().items() if name in FIELDS and value}

    def covers(self, paths: Iterable[str]) -> bool:
        """Whether every file is named so."""
        return all(self.fields(path) is not None for path in paths)


def naming_of(pattern: str) -> Naming:
    """A pattern as people write it.

    ``{speaker}`` stands for one field, as short as what follows allows; ``{text:d}`` takes digits alone, ``{label:a}``
    letters alone, ``{text:3}`` exactly three characters, ``{}`` or an unknown number of characters that mean nothing.
    ``*`` stands for anything within a name. With a slash the pattern covers the end of the path, else the file name.

    Raises
    ------
    DataError : an unknown field or shape, a field that stands twice, braces that do not match, no field at all.

    Example
    -------
    >>> naming_of("{speaker}_{label:a}{text:d}.wav").fields("SAVEE/DC_sa07.wav")
    {'person': 'DC', 'label': 'sa', 'text': '07'}
    """
    parts, position, seen = [], 0, set()
    for found in _FIELD.finditer(pattern):
        parts.append(_literal(pattern[position : found.start()], pattern))
        position = found.end()
        shape = _shape(found["shape"] or "", pattern)
        if not found["name"]:
            parts.append(shape)
            continue
        name = field_of(found["name"])
        if name is None:
            raise DataError(
                f"unknown field '{found['name']}'; {nearest(found['name'], FIELDS)}",
                where=f"pattern '{pattern}'",
                fix="write {} for what means nothing",
            )
        if name in seen:
            raise DataError(f"the field '{name}' stands twice", where=f"pattern '{pattern}'")
        seen.add(name)
        parts.append(f"(?P<{name}>{shape})")
    parts.append(_literal(pattern[position:], pattern))
    if not seen:
        raise DataError(
            "names no field",
            where=f"pattern '{pattern}'",
            expected="for example '{speaker}_{text}_{label}.wav'",
        )
    folders = "/" in pattern
    expression = "".join(parts)
    return Naming(pattern, re.compile(f"(?:^|/){expression}$" if folders else expression), folders)


def _literal(text: str, pattern: str) -> str:
    if "{" in text or "}" in text:
        raise DataError(
            "the braces do not match", where=f"pattern '{pattern}'", expected="{field} or {field:shape}"
        )
    return r"[^/]*".join(re.escape(part) for part in text.split("*"))


def _shape(shape: str, pattern: str) -> str:
    if shape.isdecimal() and int(shape):
        return f"[^/]{{{int(shape)}}}"
    if shape not in _SHAPES:
        raise DataError(
            f"unknown shape ':{shape}'",
            where=f"pattern '{pattern}'",
            expected=":d (digits), :a (letters) or a number of characters",
        )
    return _SHAPES[shape]
