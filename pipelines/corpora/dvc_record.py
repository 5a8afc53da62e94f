"""DVC's record of a corpus: tracking it, the hash it keeps, the listing behind that hash. Nothing else asks DVC.

All that jmml uses of DVC beyond its public interfaces stands here. It may change with any release, hence the upper
bound in ``pyproject.toml`` and the contract in ``tests/pipelines/corpora/test_dvc_record.py``. The public ways that
were tried with DVC 3.67:

``Repo.add``, ``Repo.scm_context``
    `dvc add` in a process of its own takes a second more, and shows either its progress or, in a line of ours, why it
    failed.
``Repo.find_outs_by_path``, ``Output.hash_info``, ``Output.get_obj`` (a ``dvc_data`` ``Tree``), ``Repo.dvcignore``
    ``dvc.api.DVCFileSystem`` asks the project's remotes even for what is on this disk, raises where the cache has lost
    the listing of a folder, and takes a folder without DVC for one; `dvc data status --json` trusts modification times.
``Output.use_cache``, ``Stage.dump``
    No option of `dvc add` tracks a folder by its hash alone, as ``cache: false`` does for an output of a stage.
``scmrepo.exceptions.SCMError``
    What ``Repo`` raises where there is no git; it is not a ``DvcException``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException, OutputNotFoundError
from dvc.repo import Repo
from dvc_data.hashfile.tree import Tree
from scmrepo.exceptions import SCMError

from jmml.errors import DataError, JMMLError, ProjectError
from pipelines.workspace.project import Project

LONGEST = 300  # characters of what others have to say


@contextmanager
def errors_reported() -> Iterator[None]:
    """Failures of DVC, git and the file system as one line of ours."""
    try:
        yield
    except JMMLError:
        raise
    except (SCMError, DvcException) as error:
        said = " ".join(str(error).split())  # a list of all files, maybe
        raise ProjectError(
            f"DVC: {said[:LONGEST]}{' ...' if len(said) > LONGEST else ''}",
            fix="run `git init` and `dvc init` in a new project, or repair what DVC names",
        ) from error
    except OSError as error:  # shutil.Error, of a folder that cannot be copied, is one too
        reason = (error.strerror or str(error))[:LONGEST]
        raise DataError(reason, where=error.filename, fix="repair that; nothing was changed") from error


def track(project: Project, target: Path, *, keep: bool = True) -> str:
    """``dvc add``; the hash that DVC gives the data.

    With ``keep`` False no file is put into DVC's cache: changes are seen, and nothing can be restored.
    """
    with Repo(str(project.root)) as repo:
        repo.scm_context.quiet = True  # its advice on what to commit goes to stdout, where JSON may be wanted
        (stage,) = repo.add(str(target), no_commit=not keep)
        if not keep:
            stage.outs[0].use_cache = False
            stage.dump()
        return str(stage.outs[0].hash_info.value)


class DvcRecord:
    """DVC's record of the data of a project; paths are absolute."""

    def __init__(self, repo: Repo) -> None:
        self._repo = repo

    @classmethod
    @contextmanager
    def of(cls, project: Project) -> Iterator[DvcRecord]:
        """The record of a project, failures reported as one line."""
        with errors_reported(), Repo(str(project.root)) as repo:
            yield cls(repo)

    def hash_of(self, path: Path) -> str | None:
        """The hash that DVC recorded for a corpus, None where it was never tracked or produced."""
        out = self._output(path)
        return None if out is None or not out.hash_info else str(out.hash_info.value)

    def files(self, folder: Path) -> list[Path]:
        """The files below ``folder`` that DVC would track, sorted."""
        return sorted(Path(file) for file in self._repo.dvcignore.find(self._repo.fs, str(folder)))

    def changes(self, folder: Path, new: Mapping[str, str]) -> list[str]:
        """Which files differ from the recorded folder, as far as DVC's cache still holds its listing.

        ``new`` holds the MD5 of each file as it is, by its path below ``folder``.
        """
        before = self._output(folder).get_obj()
        if not isinstance(before, Tree):
            return ["its files differ from those DVC recorded"]
        old = {"/".join(key): info.value for key, _, info in before}
        return (
            [f"{path}: file is gone" for path in sorted(old.keys() - new.keys())]
            + [f"{path}: file was added" for path in sorted(new.keys() - old.keys())]
            + [
                f"{path}: file was changed"
                for path in sorted(old.keys() & new.keys())
                if old[path] != new[path]
            ]
        )

    def _output(self, path: Path) -> Any:
        try:
            return self._repo.find_outs_by_path(str(path))[0]
        except OutputNotFoundError:
            return None


def hash_of_folder(files: Mapping[str, str]) -> str:
    """DVC's hash of a folder with these files, path below it -> MD5: that of the listing that its cache keeps."""
    listing = [{"md5": md5, "relpath": path} for path, md5 in sorted(files.items())]
    return hashlib.md5(json.dumps(listing).encode(), usedforsecurity=False).hexdigest() + ".dir"
