"""The part that speech corpora share whose labels stand in lists beside the recordings."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

import pandas as pd

from jmml.errors import CorpusError

_NO_WORD = re.compile(r"[^\w']+")
_APOSTROPHES = str.maketrans({"\u2019": "'", "\u0092": "'"})  # the second is Windows' own, as MELD has it
_MARKS = re.compile(r"\[[^\]]*\]|<[^>]*>")  # [LAUGHTER], <noise>


def list_of(path: Path, columns: Sequence[str], expected: str) -> pd.DataFrame:
    """A table with these columns among others, every value as it is written: NA and null are words like others.

    Raises
    ------
    CorpusError : it cannot be read as a table, or lacks a column.
    """
    try:
        table = pd.read_csv(
            path, dtype=str, keep_default_na=False, encoding="utf-8-sig", encoding_errors="replace"
        )
    except (OSError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise CorpusError(f"is not a table ({error})", where=path, expected=expected) from None
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise CorpusError(f"columns missing: {', '.join(missing)}", where=path, expected=expected)
    return table


def by_stem(root: Path, folders: Iterable[Path], suffixes: Sequence[str]) -> dict[str, str]:
    """Files below ``folders`` by their names without suffix: their places below ``root``, with forward slashes.

    Of several with one name the one with the first of ``suffixes`` is taken; hidden files and folders are left out.
    """
    found: dict[str, str] = {}
    for top in folders:
        for folder, inside, names in os.walk(top):
            inside[:] = sorted(name for name in inside if not name.startswith("."))
            for name in sorted(names):
                pure = PurePosixPath(name)
                suffix = pure.suffix.lower()
                if name.startswith(".") or suffix not in suffixes:
                    continue
                place = Path(folder, name).relative_to(root).as_posix()
                before = found.get(pure.stem)
                if before is None or suffixes.index(suffix) < suffixes.index(
                    PurePosixPath(before).suffix.lower()
                ):
                    found[pure.stem] = place
    return found


def spoken(text: str) -> str | None:
    """What is said, in small letters without punctuation, so that equal words are one text; None for nothing."""
    plain = unicodedata.normalize("NFC", text).casefold().translate(_APOSTROPHES)
    plain = _NO_WORD.sub(" ", _MARKS.sub(" ", plain))
    return " ".join(plain.split()) or None


def left_out(what: Counter[str]) -> list[str]:
    """Notes on what is left out: ``2507 utterances labelled xxx, without agreement, left out``."""
    return [f"{count} utterances {why} left out" for why, count in what.items() if count]
