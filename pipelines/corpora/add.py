"""``jmml data add``: bring a corpus into the project under a name, or leave everything as it was."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from jmml.config import CorpusConfig, validate
from jmml.data.corpora import ADAPTERS, Corpus, Manifest, detect_adapter, files_in
from jmml.data.corpora.eeg.bids import BidsCorpus
from jmml.data.corpora.files import FilesCorpus
from jmml.data.listing.recordings import FILE, Recordings
from jmml.data.listing.tables import SUFFIXES
from jmml.errors import CorpusError, DataError, ProjectError
from jmml.files import atomic_path
from pipelines.corpora.choosing import (
    choose_adapter,
    choose_modality,
    refuse_parent,
    refuse_pointers,
    unrecognised,
)
from pipelines.corpora.confounding import classes_of, label_warnings, of_manifest, warnings
from pipelines.corpora.copying import bring
from pipelines.corpora.describing import Description, Preview, files_of, reader_of, understood, write_table
from pipelines.corpora.dvc_record import errors_reported, track
from pipelines.corpora.scan import admit, features_line, features_of, keep, open_corpus
from pipelines.corpora.taking import check_complete, check_place, copied, links_out, refuse_links, used_files
from pipelines.corpora.unfinished import Adding, adding, one_at_a_time, sweep
from pipelines.reporting.progress import progress_bar
from pipelines.reporting.wording import many
from pipelines.workspace.project import Project
from pipelines.workspace.settings_file import with_corpus
from pipelines.workspace.withdrawn import refuse_withdrawn

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
MOST = 12  # features that are listed
LINKED = (
    "linked, not copied: DVC notices changes by hash, and cannot restore or push the files; add the corpus without "
    "--link for that"
)


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
    link: bool = False,
    follow_links: bool = False,
) -> AddResult:
    """Bring a corpus into the project: check it, copy it to data/raw/NAME, track it, enter it in params.yaml.

    Every recording is opened before anything is written. A failure at any later point, an interruption
    included, takes back all that was done; what kill -9 leaves is taken back at the next start, and files that were
    copied by then are not copied again (:mod:`pipelines.corpora.unfinished`). A corpus that lies in data/raw/NAME
    already is tracked in place.

    Parameters
    ----------
    path : folder of the corpus, or one feature table.
    adapter : by default ``name`` where an adapter is called so, else recognised by the files.
    modality : needed for feature tables, and where a folder holds speech and EEG; else known.
    use : make it the task's corpus for its modality; its labels must then fit the task's label space.
    skip_bad : leave unreadable recordings out, here and in every later stage, instead of refusing the corpus.
    description : a table, a pattern of names or columns, for recordings in no layout that an adapter knows; they are
        copied alone, with a table of what was understood.
    link : symbolic links to the files in place of copies; DVC keeps their hashes alone.
    follow_links : take what links that lead out of the folder point to.
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
    _check_form(name)
    _refuse_links(project, target)
    sweep(project)
    with errors_reported(), adding(project, name, source) as work:
        _check_name(project, name, source, in_place=in_place)
        described = _described(
            name, source, adapter, replace(description or Description(), modality=modality)
        )
        chosen = choose_adapter(name, source, adapter) if described is None else described.adapter
        reads = choose_modality(chosen, modality, source) if described is None else described.modality
        place = target.relative_to(project.root).as_posix()
        settings = {"adapter": chosen, "modality": reads, "path": place, "skip_bad": skip_bad}
        settings |= asdict(columns or Columns())
        entry = validate(CorpusConfig, settings, where=f"corpora.{name}")
        corpus = open_corpus(name, entry) if described is None else reader_of(described)
        files = used_files(corpus, source) if described is None else files_of(described, source)
        refused = {} if follow_links else links_out(source, files)
        if in_place:
            check_place(source, link=link, refused=refused)
        elif not skip_bad:
            refuse_links(source, files, refused)
            refuse_pointers(_folder(source), files)
        with progress_bar(f"check {name}", "file") as progress:
            manifest = admit(name, corpus, source, skip_bad=skip_bad, progress=progress, refused=refused)
        placeless = _placeless(corpus, manifest)
        if placeless:
            entry = entry.model_copy(update={"unmapped": "drop"})
        refuse_withdrawn(project, name, manifest.frame["id"], manifest.frame["content_hash"])
        with_corpus(project.params_path, name, entry, use=use)  # fails now, if it will
        if use:
            classes_of(manifest, entry, project.params.task.label_space)
        if not in_place:
            files = copied(source, files, refused)
            bring(_folder(source), work.files, files, link=link, label=f"copy to {name}")
            if described is None:
                check_complete(corpus, work.files, manifest)
        dvc_hash = _enter(project, work, entry, described, in_place=in_place, link=link, use=use)
    with suppress(OSError):  # the corpus is added; what was heard in it is read again by its stage
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
        notes=(
            *manifest.notes,
            *(
                f"{what}: no task has them (unmapped: drop); corpora.{name}.labels gives them a place"
                for what in placeless
            ),
            *(f"left out {bad}" for bad in manifest.skipped),
            *([LINKED] if link else []),
        ),
        understood=() if described is None else tuple(understood(replace(described, notes=[], problems=[]))),
        features=features_of(corpus, source),
        confounds=tuple(one.as_dict() for one in found),
        warnings=(
            *label_warnings(replace(manifest, corpus=name), entry, project.params.task.label_space),
            *warnings(found),
        ),
        checks=manifest.checks,
    )


def _enter(
    project: Project,
    work: Adding,
    entry: CorpusConfig,
    described: Recordings | None,
    *,
    in_place: bool,
    link: bool,
    use: bool,
) -> str:
    """Put the checked files in their place, track them and name them in params.yaml; DVC's hash."""
    target = work.target
    with one_at_a_time(project):
        table = [target / FILE] if described is not None and in_place else []
        pointer, ignore = target.with_name(f"{work.name}.dvc"), target.with_name(".gitignore")
        work.note([pointer, ignore, *table], moves=not in_place)
        if described is not None:
            with atomic_path((target if in_place else work.files) / FILE) as temporary:
                write_table(described, temporary)
        if not in_place:
            work.files.replace(target)
        dvc_hash = track(project, target, keep=not link)
        text = with_corpus(project.params_path, work.name, entry, use=use)
        with atomic_path(project.params_path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return dvc_hash


def _placeless(corpus: Corpus, manifest: Manifest) -> list[str]:
    """The labels found of which the adapter says that no emotion of ours stands for them: ``1849 frustrated (fru)``."""
    known: Mapping[str, str] = getattr(corpus, "placeless", {})
    counts = manifest.frame["label"].value_counts()
    return [f"{counts[label]} {word} ({label})" for label, word in known.items() if label in counts]


def preview(name: str, path: Path, *, adapter: str | None = None, description: Description) -> Preview:
    """What :func:`add` would take for what; nothing is written.

    Raises
    ------
    CorpusError, DataError : as :func:`add`; or an adapter reads the files and there is nothing to guess.
    """
    source = Path(path).expanduser().absolute()
    recordings = _described(name, source, adapter, description)
    if recordings is None:
        chosen = choose_adapter(name, source, adapter)
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
    if not any(entry.suffix.lower() in SUFFIXES for entry in files_in(source)):
        refuse_parent(
            name, source
        )  # before a table of the corpus in it is taken for one of all that lies here
    try:
        return description.read(source)
    except DataError as error:
        raise unrecognised(name, source, error) from None


def _folder(source: Path) -> Path:
    """Where the files of a corpus lie: the folder itself, or that of a single table."""
    return source if source.is_dir() else source.parent


def _check_form(name: str) -> None:
    if not _NAME.fullmatch(name) or name == "None":  # as DVC spells a task without EEG
        raise CorpusError(
            f"'{name}' cannot name a corpus",
            expected="a letter, then at most 63 letters, digits, hyphens or underscores",
        )


def _check_name(project: Project, name: str, source: Path, *, in_place: bool) -> None:
    """Refuse a name that is taken, and a source that does not exist or would be copied into itself."""
    target = project.raw_dir / name
    if name in project.params.corpora:
        raise CorpusError(
            f"there is a corpus '{name}' already",
            where=project.params_path,
            fix=f"choose another name, give it new recordings (`jmml data update {name} PATH`), or take it out "
            f"(`jmml data remove {name}`)",
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
