"""``jmml protocol audit``: what the train and test parts of someone's lists share, without training anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from jmml.data.listing.columns import field_of
from jmml.data.protocol.lists import Lists
from jmml.data.protocol.overlap import KEYS, SELECTING, Overlap, overlaps
from jmml.errors import ProtocolError, nearest
from pipelines.protocol.told import Told, tell
from pipelines.reporting.wording import many
from pipelines.workspace.project import Project

# One of these on both sides is a leak, whatever the protocol asks for.
ALWAYS = ("path", "content", "recording")
WORDS = {
    "person": ("person", "people"),
    "text": ("text", "texts"),
    "session": ("session", "sessions"),
    "recording": ("recording", "recordings"),
    "device": ("device", "devices"),
    "path": ("file", "files"),
    "content": ("recording of equal bytes", "recordings of equal bytes"),
}
SHOWN = 8


@dataclass(frozen=True)
class Audit:
    """What was found.

    Attributes
    ----------
    sources : key -> what told its values.
    asked, disjoint : keys that the protocol asks for, and with these all that may not be shared.
    found : every key of every fold.
    """

    where: str
    samples: int
    sources: Mapping[str, str]
    asked: Sequence[str]
    disjoint: Sequence[str]
    found: Sequence[Overlap]
    notes: Sequence[str]

    @property
    def leaks(self) -> list[Overlap]:
        """Keys that must be disjoint and are not, in a test part."""
        return [one for one in self.found if one.part == "test" and one.key in self.disjoint and one.shared]

    @property
    def unproven(self) -> list[Overlap]:
        """What the protocol asks for and some samples do not say: nobody can tell whether it is shared."""
        return [one for one in self.found if one.part == "test" and one.key in self.asked and one.unknown]

    @property
    def passed(self) -> bool:
        """No leak, and nothing that could not be told."""
        return not self.leaks and not self.unproven

    def as_dict(self) -> dict[str, Any]:
        rows = [{**one._asdict(), "names": list(one.names), "share": one.share} for one in self.found]
        return {
            **{key: value for key, value in asdict(self).items() if key != "found"},
            "disjoint": list(self.disjoint),
            "leak": bool(self.leaks),
            "passed": self.passed,
            "overlaps": rows,
        }

    @property
    def title(self) -> str:
        folds = len({one.fold for one in self.found})
        return f"{self.where}: {many(folds, 'fold')}, {many(self.samples, 'sample')}"

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Headings and rows: one per fold, with shared of all values and the share of samples for every key."""
        keys = [key for key in KEYS if any(one.key == key for one in self.found)]
        rows: dict[str, list[str]] = {}
        for one in self.found:
            if one.part == "test":
                row = rows.setdefault(one.fold, [one.fold, str(one.samples)])
                row.append(f"{one.shared} of {one.values} ({one.share:.0%})")
        return ["fold", "tested", *(f"{WORDS[key][1]} shared" for key in keys)], list(rows.values())

    def lines(self) -> list[str]:
        """Where the values are from, every leak, and what else one should know."""
        told = [f"{WORDS[key][1]} from {source}" for key, source in self.sources.items()]
        lines = [f"read: {'; '.join(told)}"]
        for one in self.leaks:
            verb = "is" if one.shared == 1 else "are"
            lines.append(
                f"leak: fold {one.fold}: {one.shared} of {_counted(one.values, one.key)} of the test part "
                f"{verb} in {self._others(one.fold)} too ({one.share:.1%} of its samples): {_some(one.names)}"
            )
        lines += [
            f"unproven: fold {one.fold}: nothing tells the {WORDS[one.key][0]} of some samples "
            f"({one.unknown} of {many(one.samples, 'test sample')} concerned)"
            for one in self.unproven
        ]
        lines += [f"note: {note}" for note in (*self._shared_by_design(), *self._selection(), *self.notes)]
        names = " and ".join(WORDS[key][1] for key in self.disjoint if key in self.sources)
        if self.leaks:
            lines.append(f"{many(len({one.fold for one in self.leaks}), 'fold')} with a leak")
        elif self.unproven:
            lines.append(
                "no leak was found, and none can be ruled out: name who is missing, or leave them out"
            )
        else:
            lines.append(f"no leak: {names} are disjoint in every fold")
        return lines

    def _others(self, fold: str) -> str:
        """What the test part of a fold is held against."""
        parted = any(one.part == SELECTING and one.fold == fold for one in self.found)
        return "the training or validation part" if parted else "the training part"

    def _shared_by_design(self) -> list[str]:
        """Keys that the protocol lets both sides have, and how many samples have them."""
        notes = []
        for key in KEYS:
            rows = [one for one in self.found if one.key == key and one.part == "test" and one.shared]
            if not rows or key in self.disjoint:
                continue
            samples, total = sum(one.shared_samples for one in rows), sum(one.samples for one in rows)
            labelled = [one.with_label for one in rows if one.with_label is not None]
            also = f", {sum(labelled) / total:.1%} with the same label" if labelled else ""
            stricter = ",".join((*(one for one in self.disjoint if one not in ALWAYS), key))
            notes.append(
                f"{samples / total:.1%} of the test samples have a {WORDS[key][0]} that is trained on{also}; "
                f"--disjoint {stricter} counts it as a leak"
            )
        return notes

    def _selection(self) -> list[str]:
        rows = [
            one for one in self.found if one.part == SELECTING and one.key in self.disjoint and one.shared
        ]
        return [
            f"fold {one.fold}: {one.shared} of {_counted(one.values, one.key)} of the validation part are in training "
            "too, so that selection sees a better score than the test"
            for one in rows
        ]


def audit(
    path: Path,
    *,
    project: Project | None = None,
    corpus: str | None = None,
    pattern: str | None = None,
    columns: Mapping[str, str] | None = None,
    disjoint: Sequence[str] = ("person",),
) -> Audit:
    """Read lists, find out who speaks what in them, and compare the parts of every fold.

    Parameters
    ----------
    path : file or folder of :func:`~jmml.data.protocol.lists.read_lists`.
    corpus : a corpus of the project, whose manifest tells people and contents; or an adapter, whose files tell by
        their names.
    pattern : of :func:`~jmml.data.listing.naming.naming_of`, for lists of other names.
    columns : field -> column of the lists.
    disjoint : keys that no test part may share; files, recordings and equal contents are always among them.

    Raises
    ------
    ProtocolError : the lists cannot be read; no one can tell the people; a key of ``disjoint`` is not known.
    """
    asked = [key_of(name) for name in disjoint]
    return of_told(path, tell(path, project=project, corpus=corpus, pattern=pattern, columns=columns), asked)


def of_told(path: Path, told: Told, asked: Sequence[str]) -> Audit:
    """The audit of lists that were read already; ``asked`` are keys."""
    frame = told.frame
    unknown = [key for key in asked if key not in frame]
    if unknown:
        raise ProtocolError(
            f"nothing tells the {WORDS[unknown[0]][1]} of these samples",
            where=path,
            expected=f"a column (--map {unknown[0]}=COLUMN), file names (--pattern '{{{unknown[0]}}}_{{label}}.wav') "
            "or a corpus (--corpus NAME)",
        )
    wanted = tuple(key for key in KEYS if key in asked or key in ALWAYS)
    found = overlaps(frame, [key for key in KEYS if key in frame])
    return Audit(
        where=str(path),
        samples=_samples(frame),
        sources={key: told.sources.get(key, "the lists") for key in KEYS if key in frame},
        asked=asked,
        disjoint=wanted,
        found=found,
        notes=[*told.notes, *_remarks(told.lists, frame, asked)],
    )


def key_of(name: str) -> str:
    """The key that a word means; :class:`ProtocolError` for one that means none."""
    key = field_of(name)
    if key not in KEYS:
        raise ProtocolError(f"'{name}' is not a key; {nearest(name, KEYS)}", where="--disjoint")
    return key


def _samples(frame: pd.DataFrame) -> int:
    return int(frame["path"].nunique()) if "path" in frame else len(frame)


def _remarks(lists: Lists, frame: pd.DataFrame, asked: Sequence[str]) -> list[str]:
    """What is odd about lists besides what their parts share."""
    notes = []
    for key in asked:
        plain = frame[key].dropna().drop_duplicates()
        alike = plain.groupby(plain.str.casefold().str.split().str.join(" ")).agg(list)
        for names in alike[alike.map(len) > 1]:
            notes.append(
                f"{_some(sorted(names))} differ in case or blanks alone: one {WORDS[key][0]} or several?"
            )
    if "path" not in frame:
        return notes
    keys = ["fold", "part", "path"]
    twice = frame[frame.duplicated(keys) & frame["path"].notna()]
    if len(twice):
        first = twice.iloc[0]
        notes.append(
            f"{many(len(twice), 'repeated row')} in one part, such as {first['path']} in fold {first['fold']}"
        )
    tested = frame[frame["part"] == "test"].drop_duplicates(keys)
    if len(lists.folds) > 1:
        often = int((tested["path"].value_counts() > 1).sum())
        never = frame["path"].nunique() - tested["path"].nunique()
        if often:
            notes.append(f"{many(often, 'file')} tested in more than one fold")
        if never:
            notes.append(f"{many(never, 'file')} tested in no fold")
    if "label" in frame:
        for fold, rows in frame.groupby("fold", sort=False):
            trained = set(rows.loc[rows["part"] == "train", "label"].dropna())
            only = sorted(set(rows.loc[rows["part"] == "test", "label"].dropna()) - trained)
            if only:
                notes.append(f"fold {fold} tests {_some(only)}, which it never trains")
    return notes


def _counted(count: int, key: str) -> str:
    return many(count, *WORDS[key])


def _some(names: Sequence[str]) -> str:
    more = f", ... ({len(names)} in all)" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
