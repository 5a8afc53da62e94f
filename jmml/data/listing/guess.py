"""How files seem to be named: which part of their names tells who speaks, which emotion it is, what is said.

A first guess for a person to put right: names are cut at separators and between letters and digits, the commonest form
is taken, and its parts are told apart by their values. A part whose values are words for emotions is the label; the
first other part, folders before names, whose values come with several labels each is the person; the next is the text.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import pandas as pd

from jmml.data.listing.columns import guess
from jmml.data.listing.naming import naming_of

# Words for the emotions in a few languages, and codes in use, without accents.
WORDS: Mapping[str, tuple[str, ...]] = {
    "anger": ("anger", "angry", "ang", "wut", "aerger", "colere", "rabbia", "ira", "enojo", "zlosc", "raiva"),
    "fear": ("fear", "fearful", "fea", "afraid", "scared", "angst", "peur", "paura", "miedo", "strach", "medo"),
    "happiness": ("happiness", "happy", "hap", "joy", "joyful", "freude", "joie", "gioia", "felicidad", "alegria",
                  "radosc", "elation"),
    "sadness": ("sadness", "sad", "trauer", "traurig", "tristesse", "tristezza", "tristeza", "smutek", "sorrow"),
    "surprise": ("surprise", "surprised", "sur", "ps", "pleasantsurprise", "ueberraschung", "sorpresa", "zaskoczenie",
                 "surpresa"),
    "disgust": ("disgust", "disgusted", "dis", "ekel", "degout", "disgusto", "asco", "wstret", "nojo"),
    "neutral": ("neutral", "neutrality", "neu", "neutre", "neutrale", "neutro", "neutralny", "normal"),
    "calm": ("calm", "calmness", "relaxed", "ruhe", "calme", "calma"),
    "boredom": ("boredom", "bored", "bor", "langeweile", "ennui", "noia", "aburrimiento", "nuda"),
}  # fmt: skip
OTHERS = (
    "contempt",
    "excited",
    "excitement",
    "frustration",
    "frustrated",
    "other",
    "sarcastic",
    "sleepy",
    "amused",
)
_PERSON = re.compile(
    r"(actor|speaker|spkr?|subject|subj|sub|participant|person|proband|vp|p|s|f|m|s[fm]|(fe)?male)[ _-]?\d+",
    re.IGNORECASE,
)
_SESSION = re.compile(r"(session|sess|ses|day|visit)[ _-]?\d+", re.IGNORECASE)
_PARTS = re.compile(r"[^\W\d_]+|\d+|[\W_]")
_SHORTEST = 3  # letters of a word for an emotion that is cut off
_MOST_LABELS = 16
_ROWS = 20_000  # of a table that are looked at
_FEWEST = 0.5  # share of the files that must be named in one form
_KNOWN = 0.5  # share of the values of a part that must be words for emotions


@dataclass(frozen=True)
class Guess:
    """What names seem to say.

    Attributes
    ----------
    pattern : as :func:`~jmml.data.listing.naming.naming_of` takes it; None where nothing was found.
    values : field -> its values, the commonest first.
    fitting : how many files are named so.
    other : files that are not, the first of them.
    """

    pattern: str | None
    values: dict[str, Counter[str]]
    fitting: int
    other: tuple[str, ...] = ()


def emotion_of(word: str) -> str | None:
    """The emotion that a word or a usual code stands for; None for any other."""
    plain = "".join(char for char in word.casefold() if char.isalpha())
    found = next((emotion for emotion, words in WORDS.items() if plain in words), None)
    if found is None and len(plain) >= _SHORTEST:
        begun = {emotion for emotion, words in WORDS.items() if any(word.startswith(plain) for word in words)}
        found = begun.pop() if len(begun) == 1 else None
    return found


def guess_naming(paths: Sequence[str]) -> Guess:
    """How files seem to be named.

    Parameters
    ----------
    paths : below one folder, with forward slashes.

    Example
    -------
    >>> names = [f"{who}/{n}_{what}.wav" for who in ("ann", "bob") for n in (1, 2) for what in ("joy", "fear")]
    >>> guess_naming(names).pattern
    '{person:a}/{text:d}_{label:a}.wav'
    """
    cut = {path: _cut(path) for path in paths}
    forms = Counter(_form(parts) for parts in cut.values())
    if not forms or forms.most_common(1)[0][1] < _FEWEST * len(paths):
        return Guess(None, {}, 0, tuple(paths))
    common = forms.most_common(1)[0][0]
    named = {path: parts for path, parts in cut.items() if _form(parts) == common}
    columns = _joined([list(column) for column in zip(*named.values(), strict=True)])
    fields = _fields(columns)
    pattern = _pattern(columns, fields)
    if not fields:
        return Guess(None, {}, 0, tuple(paths))
    naming = naming_of(pattern)
    said = {path: naming.fields(path) for path in paths}
    values: dict[str, Counter[str]] = defaultdict(Counter)
    for found in said.values():
        for name, value in (found or {}).items():
            values[name][value] += 1
    other = tuple(path for path, found in said.items() if found is None)
    return Guess(pattern, dict(values), len(paths) - len(other), other)


def guess_columns(table: pd.DataFrame, find: Callable[[str], str | None]) -> dict[str, str]:
    """Field -> column of a table about recordings: by the names of the columns, else by what stands in them.

    Parameters
    ----------
    table : a row per recording, as text.
    find : the recording that a value means, None for a value that means none.
    """
    columns = {
        str(column): ["" if value is None else str(value) for value in table[column][:_ROWS]]
        for column in table
    }

    def names_files(values: list[str]) -> float:
        return sum(find(value) is not None for value in values) / max(len(values), 1)

    chosen = guess(columns)
    if "path" not in chosen or names_files(columns[chosen["path"]]) < _KNOWN:
        best = max(columns, key=lambda column: names_files(columns[column]), default=None)
        if best is None or names_files(columns[best]) < _KNOWN:
            return {}
        chosen = {field: column for field, column in chosen.items() if column != best and field != "path"}
        chosen["path"] = best
    words = dict(enumerate(columns.values()))
    free = [place for place, column in enumerate(columns) if column not in chosen.values()]
    if "label" not in chosen and not {"valence", "arousal"} <= set(chosen):
        label = _label({place: words[place] for place in free if _tells(words[place])})
        if label is not None:
            chosen["label"] = list(columns)[label]
            free.remove(label)
    if "person" not in chosen:
        labels = columns.get(chosen.get("label", ""))
        person = _person(words, [place for place in free if _tells(words[place])], labels)
        if person is not None:
            chosen["person"] = list(columns)[person]
    return chosen


def _cut(path: str) -> tuple[str, ...]:
    """Folders whole, then runs of letters, runs of digits and single other characters of the name, then the suffix."""
    pure = PurePosixPath(path)
    folders = [part for folder in pure.parts[:-1] for part in (folder, "/")]
    return (*folders, *_PARTS.findall(pure.stem), pure.suffix)


def _joined(columns: list[list[str]]) -> list[list[str]]:
    """Letters and the number behind them in one part where they name people: ``SM5``, ``F_01``."""
    for place in range(len(columns) - 2):
        for width in (2, 3):
            both = ["".join(parts) for parts in zip(*columns[place : place + width], strict=True)]
            letters = {value.casefold() for value in columns[place]}
            if (
                len(letters) > 1
                and "/" not in "".join(both)
                and all(_PERSON.fullmatch(value) for value in set(both))
            ):
                return [*columns[:place], both, *columns[place + width :]]
    return columns


def _form(parts: tuple[str, ...]) -> str:
    """What names of one form have in common: how many folders, the separators, where letters and digits are."""
    return " ".join(
        "/"
        if part == "/"
        else "d"
        if part.isdecimal()
        else "a"
        if part.isalpha()
        else part
        if len(part) == 1
        else "x"
        for part in (*parts[:-1],)
    )


def _fields(columns: list[list[str]]) -> dict[int, str]:
    """Place of a part -> the field that it seems to be."""
    words = {place: values for place, values in enumerate(columns[:-1]) if _tells(values)}
    fields: dict[int, str] = {}
    label = _label(words)
    if label is not None:
        fields[label] = "label"
    labels = columns[label] if label is not None else None
    free = [place for place in words if place not in fields]
    for place in free:
        if len(set(words[place])) > 1 and all(_SESSION.fullmatch(value) for value in set(words[place])):
            fields[place] = "session"
            break
    person = _person(words, [place for place in free if place not in fields], labels)
    if person is not None:
        fields[person] = "person"
        people = columns[person]
        text = next(
            (
                p
                for p in free
                if p not in fields and labels and _shared(words[p], people) and not _by(labels, words[p])
            ),
            None,
        )
        if text is not None:
            fields[text] = "text"
    return fields


def _tells(values: list[str]) -> bool:
    return len(set(values)) > 1 and all(value not in "/_-. " for value in set(values))


def _label(words: Mapping[int, list[str]]) -> int | None:
    """The part with the most words for emotions, else one of a few short codes of letters in the file's name."""
    shares = {}
    for place, values in words.items():
        distinct = {value.casefold() for value in values}
        if len(distinct) <= _MOST_LABELS:
            known = sum(emotion_of(value) is not None or value in OTHERS for value in distinct)
            shares[place] = known / len(distinct)
    best = max(shares, key=lambda place: (shares[place], place), default=None)
    if best is not None and shares[best] >= _KNOWN:
        return best
    codes = [
        place
        for place, values in words.items()
        if 2 < len(set(values)) <= 10 and all(value.isalpha() and len(value) <= 4 for value in set(values))
    ]
    return codes[-1] if codes else None


def _person(words: Mapping[int, list[str]], free: list[int], labels: list[str] | None) -> int | None:
    """A part that is called like a person, else the first whose values come with more than one label each; numbers
    of one digit last, which count."""
    fitting = []
    for place in free:
        values = words[place]
        if len(set(values)) > len(values) / 2:
            continue
        if all(_PERSON.fullmatch(value) for value in set(values)):
            return place
        if labels is None or _shared(labels, values):
            fitting.append(place)
    return min(
        fitting, key=lambda place: all(len(v) == 1 and v.isdecimal() for v in words[place]), default=None
    )


def _shared(values: list[str], others: list[str]) -> bool:
    """Whether most of ``others`` come with more than one of ``values``, and most of ``values`` with several others."""
    by: dict[str, set[str]] = defaultdict(set)
    for value, other in zip(values, others, strict=True):
        by[other].add(value)
    return sum(len(several) > 1 for several in by.values()) > len(by) / 2 and len(set(values)) < len(values)


def _folder(columns: list[list[str]], place: int) -> bool:
    return columns[place + 1][0] == "/"


def _by(values: list[str], others: list[str]) -> bool:
    """Whether each of ``values`` comes with one of ``others`` alone: it says the same in another way."""
    return len(set(zip(values, others, strict=True))) == len(set(values))


def _pattern(columns: list[list[str]], fields: Mapping[int, str]) -> str:
    parts = []
    for place, values in enumerate(columns[:-1]):
        distinct = set(values)
        if len(distinct) == 1:
            parts.append(values[0].replace("{", "*").replace("}", "*"))
        else:
            shape = (
                ":d"
                if all(v.isdecimal() for v in distinct)
                else ":a"
                if all(v.isalpha() for v in distinct)
                else ""
            )
            parts.append("{" + fields.get(place, "") + shape + "}")
    return "".join(parts) + (columns[-1][0] if len(set(columns[-1])) == 1 else ".*")
