"""Whether a corpus may enter the project under a name, and which adapter reads it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from jmml.config import AdapterName, Modality
from jmml.data.corpora import ADAPTERS, detect_adapter, get_corpus
from jmml.errors import CorpusError, nearest
from pipelines.workspace.project import Project

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")


def check_name(project: Project, name: str, source: Path, *, in_place: bool) -> None:
    """Refuse a name that is invalid or taken, and a source that does not exist or would be copied into itself."""
    if not _NAME.fullmatch(name):
        raise CorpusError(
            f"'{name}' cannot name a corpus",
            expected="a letter, then at most 63 letters, digits, hyphens or underscores",
        )
    target = project.raw_dir / name
    if name in project.params.corpora:
        raise CorpusError(
            f"there is a corpus '{name}' already",
            where=project.params_path,
            fix=f"choose another name, or remove its entry and {target.relative_to(project.root)} first",
        )
    if not source.exists():
        raise CorpusError("no such file or folder", where=source, fix="check the path")
    relative = target.relative_to(project.root)
    if target.exists() and not in_place:
        raise CorpusError(
            "the folder exists, yet params.yaml has no such corpus",
            where=relative,
            fix=f"remove it, or add it where it is with `jmml data add {name} {relative}`",
        )
    if source.resolve() in target.resolve().parents:
        raise CorpusError("the folder contains the project it would be copied into", where=source)


def choose_adapter(name: str, source: Path, adapter: str | None) -> AdapterName:
    """The adapter asked for, else that of the corpus' name, else the one that recognises the files."""
    if adapter is not None:
        get_corpus(adapter)
        chosen: str | None = adapter
    else:
        chosen = name if name in ADAPTERS else detect_adapter(source)
    if chosen is None:
        empty = source.is_dir() and not any(source.iterdir())
        raise CorpusError(
            "the folder is empty" if empty else "no adapter recognises these files",
            where=source,
            expected="; ".join(f"{key}: {get_corpus(key).layout}" for key in ADAPTERS),
            fix="name the adapter with --adapter",
        )
    return next(known for known in get_args(AdapterName) if known == chosen)


def choose_modality(adapter: AdapterName, modality: str | None) -> Modality:
    """What the adapter reads, or what was asked for where the adapter leaves it open (tables)."""
    known = get_corpus(adapter).modality
    wanted = modality or known
    if wanted is None:
        raise CorpusError(
            f"adapter '{adapter}' does not say what it holds", fix="add --modality speech or eeg"
        )
    if wanted not in get_args(Modality):
        raise CorpusError(f"unknown modality '{wanted}'; {nearest(wanted, get_args(Modality))}")
    return next(valid for valid in get_args(Modality) if valid == wanted)
