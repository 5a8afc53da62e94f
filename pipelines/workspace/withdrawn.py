"""Who has withdrawn: ``data/withdrawn.jsonl``, one withdrawal a line, kept in git for good.

It names recordings by the hash of their bytes, so that they are known wherever they come from again, and people by the
name that the corpus gives them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from jmml.errors import DataError
from pipelines.workspace.project import Project

SHOWN = 3


@dataclass(frozen=True)
class Withdrawal:
    """One person of one corpus.

    Attributes
    ----------
    recordings : SHA-256 of each recording, as manifests have it.
    files : MD5 of each file that was removed, as DVC's caches and remotes name it.
    time, by : when, in UTC, and who wrote it down.
    """

    person: str
    corpus: str
    modality: str
    time: str
    by: str
    recordings: tuple[str, ...]
    files: tuple[str, ...] = ()


def ledger(project: Project) -> Path:
    """Where it is written down."""
    return project.data_dir / "withdrawn.jsonl"


def withdrawals(project: Project) -> list[Withdrawal]:
    """All of them, oldest first.

    Raises
    ------
    DataError : a line cannot be read. Nothing is passed over: what cannot be read may be somebody's withdrawal.
    """
    path = ledger(project)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise DataError(f"cannot be read ({error})", where=path, fix="restore it with git") from None
    found = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            data = json.loads(line)
            for key in ("recordings", "files"):
                data[key] = tuple(map(str, data.get(key, ())))
            found.append(Withdrawal(**data))
        except (ValueError, TypeError, AttributeError):
            raise DataError(
                "is not a withdrawal", where=f"{path}, line {number}", fix="restore it with git"
            ) from None
    return found


def write_down(project: Project, found: Iterable[Withdrawal]) -> None:
    """Add withdrawals, on disk before this returns."""
    path = ledger(project)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(asdict(one), ensure_ascii=False) + "\n" for one in found)
    with path.open("a", encoding="utf-8") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())


def refuse_withdrawn(project: Project, name: str, ids: Iterable[str], hashes: Iterable[str]) -> None:
    """:class:`DataError` where a recording is one that somebody has withdrawn, from whatever corpus.

    Parameters
    ----------
    name : what is read, for the message.
    hashes : SHA-256 of each recording.
    """
    gone = {one: which for which in withdrawals(project) for one in which.recordings}
    back = [(identity, gone[one]) for identity, one in zip(ids, hashes, strict=True) if one in gone]
    if back:
        named = ", ".join(identity for identity, _ in back[:SHOWN])
        people = ", ".join(sorted({which.person for _, which in back})[:SHOWN])
        raise DataError(
            f"{len(back)} recordings were withdrawn by {people} ({back[0][1].time[:10]}): {named}"
            + (", ..." if len(back) > SHOWN else ""),
            where=name,
            fix="leave them out; `data/withdrawn.jsonl` says who wrote it down",
        )
