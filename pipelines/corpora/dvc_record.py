"""What DVC records of a corpus: tracking it, the hash it keeps, the listing behind that hash. Nothing else asks DVC."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException, OutputNotFoundError
from dvc.repo import Repo
from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.tree import Tree
from scmrepo.exceptions import SCMError

from jmml.errors import DataError, JMMLError, ProjectError
from pipelines.workspace.project import Project


@contextmanager
def errors_reported() -> Iterator[None]:
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


def track(project: Project, target: Path) -> str:
    """``dvc add``; the hash that DVC gives the data."""
    with Repo(str(project.root)) as repo:
        repo.scm_context.quiet = True  # its advice on what to commit goes to stdout, where JSON may be wanted
        (stage,) = repo.add(str(target))
        return str(stage.outs[0].hash_info.value)


class DvcRecord:
    """What DVC knows of the data of a project; paths are absolute."""

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
    """DVC's hash of a folder with these files: path below it -> MD5."""
    tree = Tree()  # type: ignore[no-untyped-call]
    for path, md5 in files.items():
        tree.add(tuple(path.split("/")), None, HashInfo("md5", md5))
    tree.digest()
    return str(tree.hash_info.value)
