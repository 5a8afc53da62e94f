"""Whether the files of the corpora that were added are those that were checked: anything else stops ``dvc repro``.

DVC records whatever it finds in a folder, and does so before the stages run. The stage ``code``, which runs first, and
``ingest`` therefore compare: the files with the pointer, and the pointer with the hash in it that was accepted
(:mod:`pipelines.workspace.pointer`). A pointer that DVC has rewritten in the meantime is put back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from jmml.errors import CorpusError
from pipelines.workspace.pointer import Pointer, pointer_path
from pipelines.workspace.project import Project

if TYPE_CHECKING:
    from pipelines.corpora.dvc_record import DvcRecord

SHOWN = 5


def check_accepted(project: Project, names: Iterable[str]) -> None:
    """:class:`CorpusError` with the difference where files of a corpus are not those that were added or updated.

    Corpora that a stage makes, and those whose files are not here, are passed over.
    """
    pointers = {name: pointer_path(project.root / project.corpus(name).path) for name in names}
    there = {name: path for name, path in pointers.items() if path.is_file()}
    if not there:
        return
    from pipelines.corpora.dvc_record import (
        DvcRecord,
    )  # half a second, which projects without such corpora need not pay

    with DvcRecord.of(project) as record:
        for name, path in there.items():
            _check(project, record, name, path)


def _check(project: Project, record: DvcRecord, name: str, path: Path) -> None:
    pointer, folder = Pointer.read(path), project.root / project.corpus(name).path
    now = record.hash_now(folder)
    if pointer is None or now is None:
        return
    accepted = pointer.accepted or pointer.md5
    if now == accepted:
        return
    changes = differences(record.listing(accepted), record.hashes_below(folder))
    if pointer.md5 != accepted:
        pointer.as_before().write(path)
    shown = "; ".join(changes[:SHOWN]) + (
        f"; and {len(changes) - SHOWN} more" if len(changes) > SHOWN else ""
    )
    raise CorpusError(
        f"its files are not those that were added: {shown}",
        where=name,
        fix=f"accept them with `jmml data update {name}`, which checks them, or bring back what was recorded with "
        f"`jmml data checkout {name} --force`",
    )


def differences(before: Mapping[str, str] | None, now: Mapping[str, str]) -> list[str]:
    """One line per file that differs; ``before`` is None where DVC's cache has lost the listing."""
    if before is None:
        return ["DVC's cache has no listing to compare them with"]
    changed = [path for path in before.keys() & now.keys() if before[path] != now[path]]
    return [
        f"{path or 'the file'} {what}"
        for what, paths in (
            ("is gone", before.keys() - now.keys()),
            ("was added", now.keys() - before.keys()),
            ("was changed", changed),
        )
        for path in sorted(paths)
    ]
