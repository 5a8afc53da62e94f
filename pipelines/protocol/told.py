"""Who speaks what in the samples of somebody's lists: told by a corpus of the project, or by the names of the files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from jmml.data.corpora import ADAPTERS
from jmml.data.listing.naming import Naming, naming_of
from jmml.data.manifest import Manifest
from jmml.data.protocol.lists import Lists, read_lists
from jmml.data.protocol.overlap import KEYS
from jmml.errors import ProtocolError, nearest
from pipelines.corpora.scan import open_corpus, read_manifest, scan
from pipelines.reporting.progress import progress_bar
from pipelines.reporting.wording import many
from pipelines.workspace.project import Project

# Key -> column of a manifest.
_COLUMNS = {"sample": "id", "person": "group", "content": "content_hash"} | {
    key: key for key in ("text", "session", "recording", "device")
}


@dataclass(frozen=True)
class Told:
    """Lists, and all that is known of their samples.

    Attributes
    ----------
    frame : that of the lists, with further keys, and ``sample``, the id in the corpus where one was named.
    sources : key -> what told its values.
    """

    lists: Lists
    frame: pd.DataFrame
    sources: Mapping[str, str]
    notes: Sequence[str]


def tell(
    path: Path,
    *,
    project: Project | None = None,
    corpus: str | None = None,
    pattern: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> Told:
    """Read lists and find out who speaks what in them; see :func:`pipelines.protocol.audit.audit`."""
    lists = read_lists(path, columns)
    frame, notes = lists.frame, list(lists.notes)
    sources = {key: f"column {lists.columns[key]}" for key in KEYS if key in frame and key in lists.columns}
    if corpus is not None and project is not None and corpus in project.params.corpora:
        frame, read, more = with_corpus(frame, project, corpus)
        sources |= dict.fromkeys(read, f"corpus {corpus}")
        notes += more
        corpus = project.corpus(corpus).adapter
    if "path" in frame:
        naming = naming_for(frame, corpus, pattern, needed="person" not in frame)
        if naming is not None:
            frame, read = with_names(frame, naming)
            sources |= dict.fromkeys(read, f"file names as in {naming.name}")
    return Told(lists, frame, sources, notes)


def naming_for(
    frame: pd.DataFrame, corpus: str | None, pattern: str | None, *, needed: bool
) -> Naming | None:
    """How the files are named: as someone says, else as in the corpus whose names all of them have."""
    if pattern is not None:
        return naming_of(pattern)
    known = {name: naming for name in ADAPTERS if (naming := getattr(ADAPTERS[name](), "naming", None))}
    paths = list(dict.fromkeys(frame["path"].dropna()))
    if corpus is not None:
        if corpus not in known:
            if corpus in ADAPTERS and not needed:
                return None
            raise ProtocolError(
                f"there is no corpus '{corpus}' here, and no adapter whose file names tell who speaks; "
                f"{nearest(corpus, known)}",
                fix="describe the names with --pattern",
            )
        return known[corpus] if needed or known[corpus].covers(paths) else None
    fitting = [naming for naming in known.values() if naming.covers(paths)]
    if len(fitting) > 1 and needed:
        raise ProtocolError(
            f"the files could be of {' or '.join(naming.name for naming in fitting)}",
            fix="say which with --corpus",
        )
    return fitting[0] if len(fitting) == 1 else None


def with_names(frame: pd.DataFrame, naming: Naming) -> tuple[pd.DataFrame, list[str]]:
    """Fields that file names tell and no column; those fields."""
    paths = frame["path"].dropna().unique()
    fields = {path: naming.fields(path) for path in paths}
    strange = [path for path, found in fields.items() if found is None]
    if strange:
        raise ProtocolError(
            f"{len(strange)} of {many(len(paths), 'file')} are not named as in {naming.name}, such as '{strange[0]}'",
            fix="correct --corpus or --pattern",
        )
    aliases = getattr(ADAPTERS[naming.name](), "aliases", {}) if naming.name in ADAPTERS else {}
    told = {name for found in fields.values() for name in found or {}}
    new = [name for name in (*KEYS, "label") if name in told and name not in frame]
    columns = {name: [(fields.get(path) or {}).get(name) for path in frame["path"]] for name in new}
    if "person" in columns:
        columns["person"] = [aliases.get(person, person) for person in columns["person"]]
    return _with(frame, columns), [name for name in new if name in KEYS]


def with_corpus(
    frame: pd.DataFrame, project: Project, name: str
) -> tuple[pd.DataFrame, list[str], list[str]]:
    """All that a corpus of the project knows of the samples that it has, and their ids as ``sample``; the keys that it
    told, and remarks."""
    if "path" not in frame:
        return frame, [], [f"these lists name no files: corpus {name} tells nothing of them"]
    told = _manifest(project, name).frame
    rows: dict[str, list[int]] = {}
    for number, (place, identity) in enumerate(zip(told["path"], told["id"], strict=True)):
        for key in dict.fromkeys((place, PurePosixPath(place).name, identity)):
            rows.setdefault(key, []).append(number)
    matched = {path: _row_of(path, rows) for path in frame["path"].dropna().unique()}
    missing = [path for path, row in matched.items() if row is None]
    if len(missing) == len(matched):
        raise ProtocolError(f"no file of the lists is in corpus '{name}', such as '{missing[0]}'")
    notes = (
        [f"{len(missing)} of {many(len(matched), 'file')} are not in corpus {name}, such as {missing[0]}"]
        if missing
        else []
    )
    found = [matched.get(path) for path in frame["path"]]
    columns: dict[str, list[Any]] = {}
    for key, column in _COLUMNS.items():
        if key in ("sample", "person", "content") or (key not in frame and told[column].notna().any()):
            values = told[column].tolist()
            columns[key] = [None if row is None else values[row] for row in found]
    return _with(frame, columns), [key for key in columns if key in KEYS], notes


def _manifest(project: Project, name: str) -> Manifest:
    """The manifest of a corpus: that of the stage ``ingest``, or a scan where it has not run."""
    config, manifest = project.corpus(name), read_manifest(project, name)
    if manifest is not None:
        return manifest
    corpus = open_corpus(name, config)
    with progress_bar(f"read {name}", "file") as progress:
        return scan(name, corpus, project.corpus_dir(name), skip_bad=config.skip_bad, progress=progress)


def _with(frame: pd.DataFrame, columns: Mapping[str, list[str | None]]) -> pd.DataFrame:
    more = {name: pd.Series(values, index=frame.index, dtype=object) for name, values in columns.items()}
    return frame.assign(**more)


def _row_of(path: str, rows: Mapping[str, list[int]]) -> int | None:
    """Row of the recording that a path of a list means: by its whole place, its name, or its id."""
    pure = PurePosixPath(path)
    for key in (path, *("/".join(pure.parts[n:]) for n in range(1, len(pure.parts))), pure.stem):
        if len(found := rows.get(key, [])) == 1:
            return found[0]
    return None
