"""``jmml data add``: bring a corpus into the project under a name, or leave everything as it was."""

from __future__ import annotations

import os
import re
import shutil
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

from jmml.config import CorpusConfig, Modality, validate
from jmml.data.corpora import ADAPTERS, EitherCorpus, detect_adapter, get_corpus
from jmml.data.corpora.eeg.bids import BidsCorpus
from jmml.data.corpora.files import FilesCorpus
from jmml.data.labels import map_labels
from jmml.data.listing.recordings import FILE, Recordings
from jmml.errors import CorpusError, DataError, ProjectError, nearest
from jmml.files import atomic_folder, atomic_path
from jmml.printable import is_utf8
from pipelines.corpora.confounding import of_manifest, warnings
from pipelines.corpora.describing import (
    Description,
    Preview,
    copy_described,
    reader_of,
    understood,
    what_lies_in,
)
from pipelines.corpora.dvc_record import errors_reported, track
from pipelines.corpora.scan import admit, features_line, features_of, keep, open_corpus
from pipelines.reporting.progress import progress_bar
from pipelines.reporting.wording import many
from pipelines.workspace.project import Project
from pipelines.workspace.settings_file import with_corpus

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
MOST = 12  # features that are listed
_LEFT_BEHIND = shutil.ignore_patterns(".*", "__pycache__")  # version control and desktop litter are not data


@dataclass(frozen=True)
class Columns:
    """How ``jmml data add --feature|--leave-out|--windows`` is used, for tables of features."""

    features: list[str] = field(default_factory=list)
    leave_out: list[str] = field(default_factory=list)
    windows: bool | None = None


@dataclass(frozen=True)
class AddResult:
    """A corpus that is now part of the project."""

    name: str
    adapter: str
    modality: str
    path: str
    samples: int
    groups: int
    dvc_hash: str
    used: bool
    notes: tuple[str, ...] = ()
    understood: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    confounds: tuple[dict[str, Any], ...] = ()
    warnings: tuple[str, ...] = ()
    checks: dict[str, dict[str, str]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def lines(self) -> list[str]:
        what = f"{many(self.samples, f'{self.modality} sample')} of {many(self.groups, 'person', 'people')}"
        use = f"task.{self.modality} in params.yaml names it now" if self.used else (
            f"to use it, set task.{self.modality}: {self.name} in params.yaml"
        )  # fmt: skip
        return [
            f"{self.name}: {what}, read as '{self.adapter}', in {self.path} (DVC {self.dvc_hash})",
            *self.understood,
            *features_line(self.features, MOST),
            *(f"note: {note}" for note in self.notes),
            *(f"warning: {line}" for line in self.warnings),
            f"next: {use}; `git add {self.path}.dvc params.yaml`, then `dvc repro`",
        ]


def add(
    project: Project,
    name: str,
    path: Path,
    *,
    adapter: str | None = None,
    modality: str | None = None,
    use: bool = False,
    skip_bad: bool = False,
    description: Description | None = None,
    columns: Columns | None = None,
) -> AddResult:
    """Bring a corpus into the project: check it, copy it to data/raw/NAME, track it, enter it in params.yaml.

    Every recording is opened before anything is written. A failure at any later point, an interruption
    included, takes back all that was done. A corpus that lies in data/raw/NAME already is tracked in place.

    Parameters
    ----------
    path : folder of the corpus, or one feature table.
    adapter : by default ``name`` where an adapter is called so, else recognised by the files.
    modality : needed for feature tables, and where a folder holds speech and EEG; else known.
    use : make it the task's corpus for its modality; its labels must then fit the task's label space.
    skip_bad : leave unreadable recordings out, here and in every later stage, instead of refusing the corpus.
    description : a table, a pattern of names or columns, for recordings in no layout that an adapter knows; they are
        copied alone, with a table of what was understood.
    columns : what a table of features has features in, where its columns do not say so.

    Raises
    ------
    CorpusError, RecordingError, LabelError, UnsafeFileError
        The name is taken or invalid, the layout is not recognised, or recordings cannot be used.
    ProjectError
        The project is not under git and DVC, or DVC fails.
    """
    source, target = Path(path).expanduser().absolute(), project.raw_dir / name
    in_place = source.resolve() == target.resolve()
    _check_name(project, name, source, in_place=in_place)
    _refuse_links(project, target)
    recordings = _described(name, source, adapter, replace(description or Description(), modality=modality))
    chosen = _choose_adapter(name, source, adapter) if recordings is None else recordings.adapter
    reads = _choose_modality(chosen, modality, source) if recordings is None else recordings.modality
    place = target.relative_to(project.root).as_posix()
    settings = {"adapter": chosen, "modality": reads, "path": place, "skip_bad": skip_bad}
    settings |= asdict(columns or Columns())
    entry = validate(CorpusConfig, settings, where=f"corpora.{name}")
    corpus = open_corpus(name, entry) if recordings is None else reader_of(recordings)
    if recordings is None:
        _check_names(source)
    with progress_bar(f"check {name}", "file") as progress:
        manifest = admit(name, corpus, source, skip_bad=skip_bad, progress=progress)
    params_text = with_corpus(project.params_path, name, entry, use=use)
    if use:
        map_labels(manifest.frame, chosen, project.params.task.label_space, where=name)
    with errors_reported(), ExitStack() as undo:
        if recordings is not None and in_place:
            table = target / FILE
            undo.callback(_put_back, table, table.read_bytes() if table.exists() else None)
        elif not in_place:
            undo.callback(shutil.rmtree, target, ignore_errors=True)
        if recordings is not None:
            copy_described(source, target, recordings, in_place=in_place)
        elif not in_place:
            _copy(source, target)
        dvc_hash = _track(project, target, undo)
        with atomic_path(project.params_path) as temporary:
            temporary.write_text(params_text, encoding="utf-8")
        undo.pop_all()
    keep(project, manifest)
    found = of_manifest(manifest, entry, project.params.task.label_space)
    return AddResult(
        name=name,
        adapter=chosen,
        modality=reads,
        path=place,
        samples=len(manifest),
        groups=int(manifest.frame["group"].nunique()),
        dvc_hash=dvc_hash,
        used=use,
        notes=(*manifest.notes, *(f"left out {bad}" for bad in manifest.skipped)),
        understood=()
        if recordings is None
        else tuple(understood(replace(recordings, notes=[], problems=[]))),
        features=features_of(corpus, source),
        confounds=tuple(one.as_dict() for one in found),
        warnings=tuple(warnings(found)),
        checks=manifest.checks,
    )


def preview(name: str, path: Path, *, adapter: str | None = None, description: Description) -> Preview:
    """What :func:`add` would take for what; nothing is written.

    Raises
    ------
    CorpusError, DataError : as :func:`add`; or an adapter reads the files and there is nothing to guess.
    """
    source = Path(path).expanduser().absolute()
    recordings = _described(name, source, adapter, description)
    if recordings is None:
        chosen = _choose_adapter(name, source, adapter)
        raise CorpusError(
            f"is read as '{chosen}', where nothing is guessed", where=source, fix="leave --dry-run out"
        )
    return Preview(name, recordings)


def _described(name: str, source: Path, adapter: str | None, description: Description) -> Recordings | None:
    """What is said of the recordings, where someone says it or no adapter knows them; None where one does."""
    if adapter not in (None, FilesCorpus.name, *((BidsCorpus.name,) if description else ())):
        if description:
            raise CorpusError(
                f"--table, --pattern, --map, --event and --trial-s describe files, not '{adapter}'",
                fix="leave one out",
            )
        return None
    if description or (adapter == FilesCorpus.name and source.is_dir()):
        return description.read(source)
    found = name if name in ADAPTERS else detect_adapter(source)
    if found == FilesCorpus.name and source.is_dir():
        return description.read(source)
    if found is not None or not source.is_dir():
        return None
    try:
        return description.read(source)
    except DataError as error:
        found = what_lies_in(source)
        raise CorpusError(
            f"no adapter recognises {found} (`jmml data adapters` lists the layouts), and {error.what}"
            if found
            else "the folder is empty",
            where=source,
            fix=error.fix,
        ) from None


def _put_back(path: Path, content: bytes | None) -> None:
    if content is None:
        path.unlink(missing_ok=True)
    else:
        path.write_bytes(content)


def _check_name(project: Project, name: str, source: Path, *, in_place: bool) -> None:
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


def _check_names(source: Path) -> None:
    """Refuse names that DVC cannot record, in all that it is given."""
    foreign = [] if is_utf8(source.name) or source.is_dir() else [source.name]
    for folder, folders, files in os.walk(source):
        folders[:] = [entry for entry in folders if not entry.startswith(".")]
        names = [*folders, *(entry for entry in files if not entry.startswith("."))]
        foreign += [str(Path(folder, entry).relative_to(source)) for entry in names if not is_utf8(entry)]
    if foreign:
        found = f"{many(len(foreign), 'name')} in another encoding than UTF-8, such as {min(foreign)}"
        raise CorpusError(found, where=source, fix="rename what is called so")


def _choose_adapter(name: str, source: Path, adapter: str | None) -> str:
    """The adapter asked for, else that of the corpus' name, else the one that recognises the files."""
    if adapter is not None:
        get_corpus(adapter)
        chosen: str | None = adapter
    else:
        chosen = name if name in ADAPTERS else detect_adapter(source)
    if chosen is None:
        found = what_lies_in(source)
        raise CorpusError(
            f"no adapter recognises {found}" if found else "the folder is empty",
            where=source,
            expected="one of the layouts that `jmml data adapters` lists",
            fix="point at the folder that holds one of them, or name the adapter with --adapter",
        )
    return chosen


def _choose_modality(adapter: str, modality: str | None, source: Path) -> Modality:
    """The modality that the adapter reads, or the one asked for where the adapter leaves it open."""
    corpus = get_corpus(adapter)
    known: Modality | None = corpus.modality
    if isinstance(corpus, EitherCorpus) and len(corpus.modalities) > 1:
        known = corpus.held_in(source)
    wanted = modality or known
    if wanted is None:
        raise CorpusError(
            f"adapter '{adapter}' does not say what it holds"
            if corpus.modality is None
            else f"'{adapter}' holds speech and EEG",
            fix="add --modality speech or eeg"
            + ("" if corpus.modality is None else "; each is a corpus of its own, under a name of its own"),
        )
    if wanted not in get_args(Modality):
        raise CorpusError(f"unknown modality '{wanted}'; {nearest(wanted, get_args(Modality))}")
    return next(valid for valid in get_args(Modality) if valid == wanted)


def _refuse_links(project: Project, target: Path) -> None:
    """DVC tracks nothing behind a symbolic link: say so before anything is read, and how data get onto another disk.

    Raises
    ------
    ProjectError : ``data``, ``data/raw`` or the corpus's own folder is a link.
    """
    for folder in (target, *target.parents):
        if folder == project.root:
            return
        if folder.is_symlink():
            raise ProjectError(
                f"is a symbolic link (to {folder.readlink()}), and DVC tracks nothing behind one",
                where=folder,
                expected="a folder",
                fix="put a folder in its place; `dvc cache dir PATH` and `dvc config cache.type symlink` keep the "
                "files on another disk",
            )


def _copy(source: Path, target: Path) -> None:
    """Copy a folder (or put one file into a folder) so that ``target`` appears whole or not at all."""
    files = 1 if source.is_file() else sum(1 for entry in source.rglob("*") if entry.is_file())
    with atomic_folder(target) as temporary, progress_bar(f"copy to {target.name}", "file") as progress:
        done = 0

        def copy(a: str, b: str) -> str:
            nonlocal done
            done += 1
            progress(done, files)
            return shutil.copy2(a, b)

        if source.is_file():
            copy(str(source), str(temporary / source.name))
        else:
            shutil.copytree(source, temporary, dirs_exist_ok=True, ignore=_LEFT_BEHIND, copy_function=copy)


def _track(project: Project, target: Path, undo: ExitStack) -> str:
    """``dvc add``; registers with ``undo`` what takes it back. Returns DVC's hash."""
    pointer, ignore = target.with_name(f"{target.name}.dvc"), target.with_name(".gitignore")
    ignored = ignore.read_bytes() if ignore.exists() else None
    undo.callback(lambda: ignore.unlink(missing_ok=True) if ignored is None else ignore.write_bytes(ignored))
    undo.callback(pointer.unlink, missing_ok=True)
    return track(project, target)
