"""Text from outside as a terminal may have it: names of files, classes, speakers, users, and messages of others."""

from __future__ import annotations

_LOST = "\N{REPLACEMENT CHARACTER}"
_PICTURES = 0x2400  # the Unicode block that has a picture of each control character
_DELETE = 0x7F
_TURNING = [
    *range(0x202A, 0x202F),
    *range(0x2066, 0x206A),
    0x200E,
    0x200F,
    0x061C,
]  # the direction of what follows
_BREAKING = [0x2028, 0x2029]  # begin a line, where they are heeded
_SURROGATES = range(0xD800, 0xE000)  # bytes of file names that are not UTF-8

_SHOWN: dict[int, str] = (
    {code: chr(_PICTURES + code) for code in range(0x20)}
    | {_DELETE: "\N{SYMBOL FOR DELETE}"}
    | dict.fromkeys([*range(0x80, 0xA0), *_TURNING, *_BREAKING, *_SURROGATES], _LOST)
)


def is_utf8(text: object) -> bool:
    """Whether ``text`` can be written as UTF-8, which names of files on Linux need not be."""
    return not any(ord(character) in _SURROGATES for character in str(text))


def printable(text: object) -> str:
    """``text`` on one line, every character as wide as before, nothing in it that a terminal obeys.

    Control characters become their pictures (the escape character ``U+241B``, the end of a line ``U+240A``); those that
    have none, those that turn the direction of writing and bytes that are not text become ``U+FFFD``.

    >>> printable("take\\x1b[2J.wav")
    'take\\u241b[2J.wav'
    """
    return str(text).translate(_SHOWN)
