"""``jmml data remove NAME``: a corpus out of the project; its versions stay in git and in DVC's cache."""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass
from typing import Any

from jmml.errors import CorpusError
from jmml.files import atomic_path
from pipelines.corpora.dvc_record import DvcCache
from pipelines.versions.keeping import check_nothing_lost, tracked
from pipelines.versions.update import recover
from pipelines.workspace.project import Project
from pipelines.workspace.settings_file import without_corpus


@dataclass(frozen=True)
class Removed:
    """What was removed, as paths below the project."""

    name: str
    dvc_hash: str
    paths: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def lines(self) -> list[str]:
        return [
            f"{self.name}: removed {', '.join(self.paths)} and its entry in params.yaml",
            f"its bytes are still in DVC's cache and remotes (DVC {self.dvc_hash}): `jmml data checkout {self.name} "
            "REVISION` brings it back, `dvc gc` forgets it for good",
            "next: `git commit params.yaml` and its pointer's removal, then `dvc repro`",
        ]


def remove(project: Project, name: str, *, force: bool = False) -> Removed:
    """Take a corpus, its pointer, its manifest and features, and its entry in ``params.yaml`` out of the work tree.

    Parameters
    ----------
    force : lose files and a version that nothing else has.

    Raises
    ------
    CorpusError : the task uses it, it was not added, or something would be lost.
    """
    recover(project, name)
    corpus, task = tracked(project, name), project.params.task
    if name in (task.speech, task.eeg):
        modality = "speech" if name == task.speech else "eeg"
        raise CorpusError(
            f"the task uses it (task.{modality})",
            where=name,
            fix=f"set task.{modality} in params.yaml to another corpus first",
        )
    if not force:
        check_nothing_lost(project, corpus)
    text = without_corpus(project.params_path, name)
    made = [path for path in (project.manifest_path(name), project.features_path(name)) if path.is_file()]
    with DvcCache.of(project) as cache:
        # Once the entry is gone, nothing reads the rest: a killed command leaves files, and no half corpus.
        with atomic_path(project.params_path) as temporary:
            temporary.write_text(text, encoding="utf-8")
        cache.untrack(corpus.path)
        if corpus.folder.is_dir():
            shutil.rmtree(corpus.folder)
        else:
            corpus.folder.unlink(missing_ok=True)
        for path in made:
            path.unlink()
    gone = [corpus.folder, corpus.path, *made]
    paths = tuple(path.relative_to(project.root).as_posix() for path in gone)
    return Removed(name, corpus.pointer.md5, paths)
