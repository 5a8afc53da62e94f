"""The folder of a study's results: what lies in it, and where it goes when another study takes its place."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from jmml.errors import DataError
from jmml.files import sha256_file
from pipelines.study.publish.summary import FILE, Summary


def checksums(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of a study's folder but the summary, by its path there."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != FILE)
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in paths}


def kept_as(folder: Path, digest: str) -> str:
    """The name under which what lies in ``folder`` is to be kept when a study with ``digest`` is published there.

    ``<name>-<first 8 digits of its digest>``, ``<name>-damaged`` where its summary cannot be read; with a number when
    another study has that name. Empty when nothing lies there, or a study of the same digest.
    """
    if not folder.is_dir() or not any(folder.iterdir()):
        return ""
    try:
        found = Summary.load(folder).digest
    except DataError:
        found = ""
    if found == digest:
        return ""
    stem, number = f"{folder.name}-{found[:8] or 'damaged'}", 1
    while (place := folder.with_name(stem if number == 1 else f"{stem}-{number}")).exists():
        with suppress(DataError):
            if Summary.load(place).digest == found:
                break  # the same results, kept before
        number += 1
    return place.name


def keep(folder: Path, name: str) -> None:
    """Rename ``folder`` to ``name``, its summary too; an earlier copy of the same study gives way."""
    target = folder.with_name(name)
    with suppress(DataError):  # a damaged one is kept as it is
        replace(Summary.load(folder), name=name).save(folder)
    if target.exists():
        shutil.rmtree(target)
    folder.rename(target)
