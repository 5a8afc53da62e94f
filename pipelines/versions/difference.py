"""What differs between two versions of a corpus, recording by recording; a pure function of two manifests."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from jmml.data.manifest import CONTEXT_COLUMNS

# In the order in which they are listed. Of one recording several may hold.
KINDS = ("added", "removed", "replaced", "relabelled", "re-attributed", "redescribed", "renamed")
_LABEL, _PERSON = ("label", "valence", "arousal"), ("group",)
_SHOWN = ("path", *_PERSON, *_LABEL, *CONTEXT_COLUMNS, "duration_s", "content_hash")


@dataclass(frozen=True)
class Row:
    """One recording that differs.

    Attributes
    ----------
    id : that of the later version, or of the earlier one where it was removed.
    kinds : of :data:`KINDS`.
    before, after : what the manifests say of it, known values alone; None on the side that does not have it.
    """

    id: str
    kinds: tuple[str, ...]
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None

    def as_dict(self) -> dict[str, Any]:
        return {"id": self.id, "kinds": list(self.kinds), "before": self.before, "after": self.after}

    def line(self) -> str:
        """``relabelled: 03/1 (label anger -> calm)``."""
        told = []
        if self.before is not None and self.after is not None:
            told = [
                f"{key} {self.before.get(key, '-')} -> {self.after.get(key, '-')}"
                for key in ("id", *_PERSON, *_LABEL, *CONTEXT_COLUMNS)
                if self.before.get(key) != self.after.get(key)
            ]
        else:
            side = self.after if self.before is None else self.before
            assert side is not None
            told = [str(side[key]) for key in ("group", "label") if key in side]
        return f"{', '.join(self.kinds)}: {self.id}" + (f" ({', '.join(told)})" if told else "")


def compared(before: pd.DataFrame, after: pd.DataFrame) -> list[Row]:
    """The recordings that differ between the manifests of two versions, by kind and id.

    Recordings are the same by their id. One that is gone and one that is new are the same by their bytes as well, so
    that a file that was renamed, as label and speaker stand in the names of many corpora, was relabelled or
    re-attributed, and not removed and added.
    """
    old, new = _rows(before), _rows(after)
    rows = [_differing(old[name], new[name]) for name in old.keys() & new.keys()]
    gone, come = (
        {n: r for n, r in old.items() if n not in new},
        {n: r for n, r in new.items() if n not in old},
    )
    for name, other in _moved(gone, come):
        rows.append(_differing(gone.pop(name), come.pop(other)))
    rows += [Row(name, ("removed",), row, None) for name, row in gone.items()]
    rows += [Row(name, ("added",), None, row) for name, row in come.items()]
    return sorted((row for row in rows if row.kinds), key=lambda row: (KINDS.index(row.kinds[0]), row.id))


def counts(rows: list[Row]) -> dict[str, int]:
    """How many recordings are of each kind, all kinds in their order."""
    found = Counter(kind for row in rows for kind in row.kinds)
    return {kind: found[kind] for kind in KINDS}


def _rows(frame: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """By id, what is known of each recording; without NaN, which would differ from itself."""
    found = {}
    for row in frame.to_dict("records"):
        known = {key: row[key] for key in ("id", *_SHOWN) if not _unknown(row[key])}
        found[str(row["id"])] = known
    return found


def _unknown(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _moved(
    gone: Mapping[str, Mapping[str, Any]], come: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[str, str]]:
    """Recordings of the same bytes under another id; of several copies, in the order of their ids."""
    by: dict[str, list[str]] = defaultdict(list)
    for name in sorted(come, reverse=True):
        by[come[name]["content_hash"]].append(name)
    for name in sorted(gone):
        if found := by.get(gone[name]["content_hash"]):
            yield name, found.pop()


def _differing(before: dict[str, Any], after: dict[str, Any]) -> Row:
    def differs(keys: tuple[str, ...]) -> bool:
        return any(before.get(key) != after.get(key) for key in keys)

    kinds = [
        kind
        for kind, keys in (
            ("replaced", ("content_hash",)),
            ("relabelled", _LABEL),
            ("re-attributed", _PERSON),
            ("redescribed", CONTEXT_COLUMNS),
            ("renamed", ("id",)),
        )
        if differs(keys)
    ]
    return Row(after["id"], tuple(kinds), before, after)
