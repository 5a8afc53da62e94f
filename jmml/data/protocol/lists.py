"""Train and test lists as people publish them: one table, or a folder with a file per part and fold.

Read are CSV (commas, semicolons or tabs), Parquet, JSON Lines, JSON, plain lists of paths, and the splits of a project.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import pandas as pd

from jmml.data.listing.columns import clean, guess, part_of
from jmml.data.listing.tables import SUFFIXES, read_text
from jmml.errors import ProtocolError

_FOLD = re.compile(r"(?:fold|cv|split|session|part)[ _-]?(\d+)", re.IGNORECASE)
_WIDE = re.compile(r"(?:fold|cv|split)[ _-]?(\d+)", re.IGNORECASE)
_EXPECTED = (
    "a table with the columns path and part (train, test), and fold where there are several; or a folder of files "
    "named like x_train_fold_1.csv and x_test_fold_1.csv"
)


@dataclass(frozen=True)
class Lists:
    """Rows of all folds.

    Attributes
    ----------
    frame : one row per sample and fold; ``fold`` and ``part`` (train, valid, test), and of the other
        :data:`~jmml.data.listing.columns.FIELDS` those that were found. Text in NFC; missing values are None.
    columns : field -> the column it was read from.
    notes : remarks on what was not read.
    """

    frame: pd.DataFrame
    columns: Mapping[str, str]
    notes: list[str] = field(default_factory=list)

    @property
    def folds(self) -> list[str]:
        return list(dict.fromkeys(self.frame["fold"]))


def read_lists(path: Path, columns: Mapping[str, str] | None = None) -> Lists:
    """The lists in a file or folder.

    Parameters
    ----------
    columns : field -> column where :func:`~jmml.data.listing.columns.guess` would be wrong.

    Raises
    ------
    ProtocolError : no such file, nothing that can be read as lists, a part of another name, no test part.
    """
    if not path.exists():
        raise ProtocolError("no such file or folder", where=path, expected=_EXPECTED)
    lists = _folder(path, columns or {}) if path.is_dir() else _one_table(path, columns or {})
    if not lists.folds:
        raise ProtocolError("holds no rows", where=path, expected=_EXPECTED)
    for fold in lists.folds:
        parts = set(lists.frame.loc[lists.frame["fold"] == fold, "part"])
        for part in ("train", "test"):
            if part not in parts:
                raise ProtocolError(f"fold {fold} has no {part} part", where=path, expected=_EXPECTED)
    plain = lists.frame.astype(object)  # whatever pandas makes of text
    return replace(lists, frame=plain.where(plain.notna(), None))


def _one_table(path: Path, columns: Mapping[str, str]) -> Lists:
    table = _of_project(path) if path.suffix.lower() == ".json" else None
    table = read_text(path) if table is None else table
    chosen = guess(table.columns, columns, where=path)
    wide = {
        column: named[1]
        for column in table.columns
        if (named := _WIDE.fullmatch(column)) and all(map(_is_part, table[column].unique()))
    }
    if wide:
        pieces = [
            _fields(table, {**chosen, "part": column}, path).assign(fold=fold)
            for column, fold in wide.items()
        ]
        return Lists(pd.concat(pieces, ignore_index=True), {**chosen, "part": ", ".join(wide)})
    if "part" in chosen and "fold" not in chosen and not any(map(_is_part, table[chosen["part"]].unique())):
        chosen["fold"] = chosen.pop("part")  # "split" is the number of a fold as often as the name of a part
    if "part" in chosen:
        frame = _fields(table, chosen, path)
        return Lists(frame if "fold" in frame else frame.assign(fold="1"), chosen)
    if "fold" in chosen:
        return Lists(_each_fold_once(_fields(table, chosen, path), path), chosen)
    raise ProtocolError(
        f"no column says what is trained on and what tested; columns: {', '.join(map(str, table.columns[:12]))}",
        where=path,
        expected=_EXPECTED,
        fix="name it with --map part=COLUMN or --map fold=COLUMN",
    )


def _folder(path: Path, columns: Mapping[str, str]) -> Lists:
    files = [file for file in sorted(path.rglob("*")) if file.suffix.lower() in SUFFIXES and file.is_file()]
    best: dict[Path, Path] = {}
    for file in files:
        rank = SUFFIXES.index(file.suffix.lower())
        other = best.get(file.with_suffix(""))
        if other is None or rank < SUFFIXES.index(other.suffix.lower()):
            best[file.with_suffix("")] = file
    parts = {file: part for file in best.values() if (part := _part_in(file.relative_to(path))) is not None}
    if not parts:
        if len(best) == 1:
            return _one_table(next(iter(best.values())), columns)
        raise ProtocolError(
            f"none of {len(files)} lists says in its name which part it is" if files else "holds no list",
            where=path,
            expected=_EXPECTED,
        )
    pieces: list[pd.DataFrame] = []
    shown: dict[str, str] = {}
    for file, part in parts.items():
        table = read_text(file)
        chosen = guess(table.columns, columns, where=file)
        if "path" not in chosen and "person" not in chosen:
            raise ProtocolError(
                f"no column names the files; columns: {', '.join(map(str, table.columns[:12]))}",
                where=file,
                fix="name it with --map path=COLUMN",
            )
        wanted = {name: column for name, column in chosen.items() if name not in ("part", "fold")}
        shown |= wanted
        fold = _FOLD.search(file.relative_to(path).as_posix())
        pieces.append(_fields(table, wanted, file).assign(part=part, fold=fold[1] if fold else "1"))
    left = len(best) - len(parts)
    notes = [f"{left} other files were not read: their names say no part"] if left else []
    frame = pd.concat(pieces, ignore_index=True).sort_values("fold", key=_numbers_first, kind="stable")
    return Lists(frame.reset_index(drop=True), shown, notes)


def _part_in(path: Path) -> str | None:
    """The part that the name of a file says, or else of the folder it lies in."""
    for name in (path.stem, *reversed(path.parts[:-1])):
        found = {part for word in re.split(r"[^a-z]+", name.casefold()) if word and (part := part_of(word))}
        if len(found) == 1:
            return found.pop()
    return None


def _each_fold_once(frame: pd.DataFrame, where: Path) -> pd.DataFrame:
    """Where each sample has the number of the fold that tests it: the others train that fold."""
    names = sorted(set(frame["fold"]), key=_number)
    if len(names) < 2:
        raise ProtocolError(
            f"all samples are of fold {names[0]}, so that nothing is trained on",
            where=where,
            expected=_EXPECTED,
        )
    tested = frame["fold"]
    return pd.concat(
        [
            frame.assign(fold=name, part=["test" if one == name else "train" for one in tested])
            for name in names
        ],
        ignore_index=True,
    )


def _fields(table: pd.DataFrame, chosen: Mapping[str, str], where: Path) -> pd.DataFrame:
    """The chosen columns under the names of their fields, cleaned; parts under their own names."""
    frame = pd.DataFrame(
        {name: table[column].map(_place if name == "path" else clean) for name, column in chosen.items()},
        dtype=object,
    )
    for name in ("part", "fold"):
        if name in frame and frame[name].isna().any():
            at = int(frame[name].isna().to_numpy().argmax()) + 1
            raise ProtocolError(f"sample {at} has no {name}", where=where)
    if "part" in frame:
        parts = {value: part_of(value) for value in frame["part"].unique()}
        unknown = [value for value, part in parts.items() if part is None]
        if unknown:
            raise ProtocolError(
                f"'{unknown[0]}' in column '{chosen['part']}' is not a part",
                where=where,
                expected="train, valid or test",
                fix="name another column with --map part=COLUMN",
            )
        frame["part"] = frame["part"].map(parts)
    return frame


def _is_part(value: object) -> bool:
    return part_of(str(value)) is not None


def _place(value: object) -> str | None:
    """A path in one spelling, whatever separators and ``./`` it is written with."""
    text = clean(value)
    return None if text is None else PurePosixPath(text.replace("\\", "/")).as_posix()


def _number(name: str) -> tuple[int, str]:
    return (int(name), "") if name.isdecimal() else (1 << 62, name)


def _numbers_first(names: pd.Series) -> pd.Series:
    order = {name: rank for rank, name in enumerate(sorted(set(names), key=_number))}
    return names.map(order)


def _of_project(path: Path) -> pd.DataFrame | None:
    """``splits.json`` of a project: the people of each fold, speech and EEG apart; None for other JSON."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or not isinstance(found.get("speech"), list):
        return None
    try:
        if any(fold.get("aside") for modality in ("speech", "eeg") for fold in found.get(modality, [])):
            raise ProtocolError(
                "sets recordings aside, which a list of people cannot say",
                where=path,
                fix="audit it in its project (`jmml protocol audit` without lists), and set protocol.disjoint here",
            )
        rows = [
            {"fold": f"{modality} {int(fold['index'])}", "part": part, "person": str(person)}
            for modality in ("speech", "eeg")
            for fold in found.get(modality, [])
            for part in ("train", "test")
            for person in fold[part]
        ]
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ProtocolError(
            "is not a split", where=path, expected='{"speech": [{"index": 0, "train": [...], "test": [...]}]}'
        ) from None
    return pd.DataFrame(rows, columns=["fold", "part", "person"], dtype=object)
