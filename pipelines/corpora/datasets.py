"""Corpora under DVC: what ``jmml data add``, ``list``, ``show`` and ``verify`` do."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException, OutputNotFoundError
from dvc.repo import Repo
from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.tree import Tree
from scmrepo.exceptions import SCMError

from jmml.config import CorpusConfig, validate
from jmml.data.labels import map_labels
from jmml.data.manifest import Manifest
from jmml.data.synthetic import write_utterance as synthesise_utterance
from jmml.errors import DataError, JMMLError, ProjectError
from jmml.files import atomic_folder, atomic_path
from pipelines.corpora.admission import check_name, choose_adapter, choose_modality
from pipelines.corpora.progress import progress_bar
from pipelines.corpora.reports import (
    AddResult,
    CorpusCheck,
    CorpusEntry,
    CorpusSummary,
    VerifyReport,
    manifest_changes,
    summarise,
)
from pipelines.corpora.scan import admit, open_corpus, scan
from pipelines.workspace.project import Project
from pipelines.workspace.settings_file import with_corpus

_LEFT_BEHIND = shutil.ignore_patterns(".*", "__pycache__")  # version control and desktop litter are no data


def add(
    project: Project,
    name: str,
    path: Path,
    *,
    adapter: str | None = None,
    modality: str | None = None,
    use: bool = False,
    skip_bad: bool = False,
) -> AddResult:
    """Bring a corpus into the project: check it, copy it to data/raw/NAME, track it, enter it in params.yaml.

    Every recording is opened before anything is written. A failure at any later point, an interruption
    included, takes back all that was done. A corpus that lies in data/raw/NAME already is tracked in place.

    Parameters
    ----------
    path : folder of the corpus, or one feature table.
    adapter : by default ``name`` where an adapter is called so, else recognised by the files.
    modality : needed for feature tables alone; other adapters know it.
    use : make it the task's corpus for its modality; its labels must then fit the task's label space.
    skip_bad : leave unreadable recordings out, here and in every later stage, instead of refusing the corpus.

    Raises
    ------
    CorpusError, RecordingError, LabelError, UnsafeFileError
        The name is taken or invalid, the layout is not recognised, or recordings cannot be used.
    ProjectError
        The project is not under git and DVC, or DVC fails.
    """
    source, target = Path(path).expanduser().absolute(), project.raw_dir / name
    in_place = source.resolve() == target.resolve()
    check_name(project, name, source, in_place=in_place)
    _refuse_links(project, target)
    chosen = choose_adapter(name, source, adapter)
    reads = choose_modality(chosen, modality)
    corpus = open_corpus(name, chosen, reads)
    with progress_bar(f"check {name}", "file") as progress:
        manifest = admit(name, corpus, source, skip_bad=skip_bad, progress=progress)
    place = target.relative_to(project.root).as_posix()
    settings = {"adapter": chosen, "modality": reads, "path": place, "skip_bad": skip_bad}
    entry = validate(CorpusConfig, settings, where=f"corpora.{name}")
    params_text = with_corpus(project.params_path, name, entry, use=use)
    if use:
        map_labels(manifest.frame, chosen, project.params.task.label_space, where=name)
    with _reported(), ExitStack() as undo:
        if not in_place:
            _copy(source, target)
            undo.callback(shutil.rmtree, target, ignore_errors=True)
        dvc_hash = _track(project, target, undo)
        with atomic_path(project.params_path) as temporary:
            temporary.write_text(params_text, encoding="utf-8")
        undo.pop_all()
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
    )


def list_corpora(project: Project) -> list[CorpusEntry]:
    """Every corpus of ``params.yaml`` in its order; counts come from the manifests that exist."""
    task = project.params.task
    entries = []
    with _dvc(project) as repo:
        for name, config in project.params.corpora.items():
            manifest = _manifest(project, name)
            entries.append(
                CorpusEntry(
                    name=name,
                    adapter=config.adapter,
                    modality=config.modality,
                    path=config.path,
                    used=name in (task.speech, task.eeg),
                    present=project.corpus_dir(name).exists(),
                    samples=None if manifest is None else len(manifest),
                    groups=None if manifest is None else int(manifest.frame["group"].nunique()),
                    dvc_hash=_recorded(repo, project.corpus_dir(name)),
                )
            )
    return entries


def show(project: Project, name: str) -> CorpusSummary:
    """What one corpus holds, from its manifest, or from its recordings where there is none yet."""
    config = project.corpus(name)
    manifest = _manifest(project, name)
    if manifest is None:
        corpus = open_corpus(name, config.adapter, config.modality)
        with progress_bar(f"read {name}", "file") as progress:
            folder, skip_bad = project.corpus_dir(name), config.skip_bad
            manifest = scan(name, corpus, folder, skip_bad=skip_bad, progress=progress)
    with _dvc(project) as repo:
        dvc_hash = _recorded(repo, project.corpus_dir(name))
    return summarise(manifest, config, project.params.task, dvc_hash=dvc_hash)


def verify(project: Project, name: str | None = None) -> VerifyReport:
    """Read every byte of one corpus (default: of all) and compare it with what was recorded.

    Two records are checked: the hash DVC keeps of every file, recomputed here and not taken from DVC's own
    cache of modification times; and the content hash of every sample in the manifest.
    """
    names = [name] if name is not None else list(project.params.corpora)
    checks = []
    with _dvc(project) as repo:
        for each in names:
            project.corpus(each)
            checks.append(CorpusCheck(each, *_verify(project, repo, each)))
    return VerifyReport(checks)


def write_utterance(
    project: Project, path: Path, *, emotion: str, speaker_seed: int, force: bool = False
) -> str:
    """Write one synthetic utterance of a voice no corpus holds; returns a line that says so."""
    if path.exists() and not force:
        raise DataError("exists already", where=path, fix="choose another name, or replace it with --force")
    synthesise_utterance(path, emotion, project.params.synthetic, speaker_seed=speaker_seed)
    return f"{path}: '{emotion}', voice {speaker_seed}"


# Work in the project's folder -------------------------------------------------------------------------------


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
    with Repo(str(project.root)) as repo:
        repo.scm_context.quiet = True  # its advice on what to commit goes to stdout, where JSON may be wanted
        (stage,) = repo.add(str(target))
        return str(stage.outs[0].hash_info.value)


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


@contextmanager
def _reported() -> Iterator[None]:
    """Failures of DVC, git and the file system as one line of ours."""
    try:
        yield
    except JMMLError:
        raise
    except (SCMError, DvcException) as error:
        raise ProjectError(
            f"DVC: {error}", fix="run `git init` and `dvc init` in a new project, or repair what DVC names"
        ) from error
    except OSError as error:  # shutil.Error, of a folder that cannot be copied, is one too
        reason = error.strerror or str(error)
        raise DataError(reason, where=error.filename, fix="repair that; nothing was changed") from error


@contextmanager
def _dvc(project: Project) -> Iterator[Repo]:
    with _reported(), Repo(str(project.root)) as repo:
        yield repo


def _output(repo: Repo, path: Path) -> Any:
    try:
        return repo.find_outs_by_path(str(path))[0]
    except OutputNotFoundError:
        return None


def _recorded(repo: Repo, path: Path) -> str | None:
    """The hash that DVC recorded for a corpus, None where it was never tracked or produced."""
    out = _output(repo, path)
    return None if out is None or not out.hash_info else str(out.hash_info.value)


# Verification -----------------------------------------------------------------------------------------------


def _verify(project: Project, repo: Repo, name: str) -> tuple[int, str | None, str | None, list[str]]:
    """Samples, recorded hash, hash of the files as they are, and one line per difference."""
    folder = project.corpus_dir(name)
    recorded = _recorded(repo, folder)
    if not folder.exists():
        return 0, recorded, None, [f"{project.params.corpora[name].path} is missing"]
    files = _hash_files(repo, folder, name)
    current = _hash_of_tree(files) if folder.is_dir() else next(iter(files.values()))
    problems: list[str] = []
    if recorded is None:
        problems.append("DVC has no record of it")
    elif recorded != current:
        problems += _file_changes(_output(repo, folder), files)
    manifest = _manifest(project, name)
    if manifest is None:
        return 0, recorded, current, problems
    config = project.corpus(name)
    try:
        found = scan(name, open_corpus(name, config.adapter, config.modality), folder, skip_bad=True)
    except JMMLError as error:
        return len(manifest), recorded, current, [*problems, str(error)]
    return len(manifest), recorded, current, problems + manifest_changes(manifest, found)


def _hash_files(repo: Repo, path: Path, name: str) -> dict[str, str]:
    """MD5 by file, from the bytes of every file that DVC would track."""
    files = sorted(Path(file) for file in repo.dvcignore.find(repo.fs, str(path)))
    hashes = {}
    with progress_bar(f"verify {name}", "file") as progress:
        for done, file in enumerate(files, start=1):
            with file.open("rb") as handle:
                md5 = hashlib.file_digest(handle, lambda: hashlib.md5(usedforsecurity=False))
            hashes[file.relative_to(path).as_posix()] = md5.hexdigest()
            progress(done, len(files))
    return hashes


def _hash_of_tree(files: dict[str, str]) -> str:
    """DVC's hash of a folder with these files."""
    tree = Tree()  # type: ignore[no-untyped-call]
    for path, md5 in files.items():
        tree.add(tuple(path.split("/")), None, HashInfo("md5", md5))
    tree.digest()
    return str(tree.hash_info.value)


def _file_changes(out: Any, new: dict[str, str]) -> list[str]:
    """Which files differ from the recorded folder, as far as DVC's cache still holds its listing."""
    before = out.get_obj()
    if not isinstance(before, Tree):
        return ["its files differ from those DVC recorded"]
    old = {"/".join(key): info.value for key, _, info in before}
    return (
        [f"{path}: file is gone" for path in sorted(old.keys() - new.keys())]
        + [f"{path}: file was added" for path in sorted(new.keys() - old.keys())]
        + [f"{path}: file was changed" for path in sorted(old.keys() & new.keys()) if old[path] != new[path]]
    )


def _manifest(project: Project, name: str) -> Manifest | None:
    path = project.manifest_path(name)
    return Manifest.load(path) if path.exists() else None
