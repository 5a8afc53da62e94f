"""DVC's record of a corpus: tracking it, its hash, the listing behind that, its cache. Nothing else asks DVC.

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
``Repo.cache``, ``Repo.cloud``, ``HashInfo``
    ``dvc.api`` and ``Repo.fetch(revs=)`` read the settings of the revision, so that a revision older than the remote
    cannot be fetched; neither says what is on this disk. Which file of the cache holds a hash is said nowhere else.
``Repo.checkout``, ``Repo.remove``
    As ``Repo.add``. On a file that is missing `dvc checkout` removes the whole folder: everything is fetched before.
``scmrepo.exceptions.SCMError``
    What ``Repo`` raises where there is no git; it is not a ``DvcException``.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from dvc.exceptions import DvcException, OutputNotFoundError
from dvc.repo import Repo
from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.tree import Tree
from scmrepo.exceptions import SCMError

from jmml.errors import DataError, JMMLError, ProjectError
from pipelines.workspace.pointer import Pointer, pointer_path
from pipelines.workspace.project import Project
from pipelines.workspace.values import without_secrets

LONGEST = 300  # characters of what others have to say
FOLDER = ".dir"  # with which DVC's hash of a folder ends
_HASH = re.compile(r"[0-9a-f]{32}(\.dir)?")


def hash_of(text: str) -> str:
    """``text`` where it is a hash of DVC's; pointers and listings come from others, and a hash names a place on disk.

    Raises
    ------
    DataError : it is none.
    """
    if not _HASH.fullmatch(text):
        raise DataError(
            f"'{text[:LONGEST]}' is not a hash of DVC", expected="32 hexadecimal digits, .dir of a folder"
        )
    return text


@contextmanager
def errors_reported() -> Iterator[None]:
    """Failures of DVC, git and the file system as one line of ours."""
    try:
        yield
    except JMMLError:
        raise
    except (SCMError, DvcException) as error:
        said = without_secrets(" ".join(str(error).split()))  # a list of all files, maybe
        raise ProjectError(
            f"DVC: {said[:LONGEST]}{' ...' if len(said) > LONGEST else ''}",
            fix="run `git init` and `dvc init` in a new project, or repair what DVC names",
        ) from error
    except OSError as error:  # shutil.Error, of a folder that cannot be copied, is one too
        reason = (error.strerror or str(error))[:LONGEST]
        raise DataError(reason, where=error.filename, fix="repair that; nothing was changed") from error


def track(project: Project, target: Path, *, keep: bool = True) -> str:
    """``dvc add``, and the data accepted in the pointer; the hash that DVC gives them.

    With ``keep`` False no file is put into DVC's cache: changes are seen, and nothing can be restored.
    """
    with Repo(str(project.root)) as repo:
        repo.scm_context.quiet = True  # its advice on what to commit goes to stdout, where JSON may be wanted
        (stage,) = repo.add(str(target), no_commit=not keep)
        if not keep:
            stage.outs[0].use_cache = False
            stage.dump()
    pointer = Pointer.read(pointer_path(target))
    assert pointer is not None
    pointer.as_accepted().write(pointer_path(target))
    return pointer.md5


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

    def is_output(self, path: Path) -> bool:
        """Whether a pointer or a stage speaks of a corpus, made or not."""
        return self._output(path) is not None

    def hash_now(self, path: Path) -> str | None:
        """The hash of the files as they are, from DVC's memory of those that have not changed since; None without files
        or where it was never tracked."""
        out = self._output(path)
        return None if out is None or not path.exists() else str(out.get_hash().value)

    def files(self, folder: Path) -> list[Path]:
        """The files below ``folder`` that DVC would track, sorted."""
        return sorted(Path(file) for file in self._repo.dvcignore.find(self._repo.fs, str(folder)))

    def hashes_below(self, path: Path) -> dict[str, str]:
        """MD5 of every file that DVC would track, from its bytes, by its place; of a single file, by ``""``."""
        files = (
            {"": path} if path.is_file() else {f.relative_to(path).as_posix(): f for f in self.files(path)}
        )
        return {place: _md5(file) for place, file in files.items()}

    def listing(self, md5: str) -> dict[str, str] | None:
        """MD5 of each file of a folder that was recorded; see :meth:`DvcCache.listing`."""
        return DvcCache(self._repo).listing(md5)

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


class DvcCache:
    """DVC's cache on this disk, which holds every file by its MD5, and the remotes from which it is filled."""

    def __init__(self, repo: Repo) -> None:
        self._repo = repo

    @classmethod
    @contextmanager
    def of(cls, project: Project) -> Iterator[DvcCache]:
        """The cache of a project, failures reported as one line."""
        with errors_reported(), Repo(str(project.root)) as repo:
            repo.scm_context.quiet = True
            yield cls(repo)

    def path(self, md5: str) -> Path:
        """Where the file of a hash lies, whether it is there or not."""
        return Path(self._repo.cache.local.oid_to_path(hash_of(md5)))

    def holds(self, md5: str) -> bool:
        return self.path(md5).is_file()

    def listing(self, md5: str) -> dict[str, str] | None:
        """MD5 of each file of a folder, by its path below it; of a single file, by ``""``. None if it is not here.

        Raises
        ------
        DataError : the listing is damaged, or leads out of its folder.
        """
        if not md5.endswith(FOLDER):
            return {"": md5}
        path = self.path(md5)
        try:
            text = path.read_bytes()
            found = {str(item["relpath"]): str(item["md5"]) for item in json.loads(text)}
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError):
            raise DataError(
                "is not a listing of DVC", where=path, fix="remove it, then `dvc fetch`"
            ) from None
        for name in found:
            pure = PurePosixPath(name)
            if pure.is_absolute() or ".." in pure.parts or name in ("", "."):
                raise DataError(f"lists '{name}', which leaves its folder", where=path)
        return found

    def missing(self, md5: str) -> list[str]:
        """Hashes that are not here of those behind ``md5``: its own listing, or files that it lists."""
        listed = self.listing(md5)
        if listed is None:
            return [md5]
        return sorted({one for one in listed.values() if not self.holds(one)})

    def bring(self, md5: str, *, what: str) -> dict[str, str]:
        """Fetch what is missing of ``md5`` from the remote; its listing.

        Raises
        ------
        DataError : some of it is neither here nor there.
        ProjectError : DVC fails, or there is no remote.
        """
        missing: list[str] = []
        for _ in range(2):  # the listing first, then what it lists
            if not (missing := self.missing(md5)):
                break
            try:
                self._repo.cloud.pull([HashInfo("md5", one) for one in missing])
            except DvcException as error:
                raise DataError(
                    f"{len(missing)} of its files are not in DVC's cache on this disk, and from the remote: {error}",
                    where=what,
                    fix="`dvc push` where they are, or set a remote with `dvc remote add --default NAME ADDRESS`",
                ) from error
        missing = self.missing(md5)
        listed = self.listing(md5)
        if listed is None or missing:
            raise DataError(
                f"{len(missing)} of its files are neither in DVC's cache on this disk nor in the remote",
                where=what,
                fix="`dvc push` where they are; files that were linked and withdrawn ones are in no cache",
            )
        return listed

    def checkout(self, pointer: Path) -> None:
        """Make the folder of a pointer what the pointer says; whatever else is in it is removed."""
        self._repo.checkout([str(pointer)], force=True)

    def untrack(self, pointer: Path) -> None:
        """Remove a pointer and its line in ``.gitignore``; the data stay."""
        self._repo.remove(str(pointer))

    def forget(self, hashes: Iterable[str]) -> list[str]:
        """Remove files from the cache on this disk; those that were there."""
        gone = []
        for md5 in hashes:
            path = self.path(md5)
            if path.is_file():
                path.chmod(0o644)
                path.unlink()
                gone.append(md5)
        return gone


def hash_of_folder(files: Mapping[str, str]) -> str:
    """DVC's hash of a folder with these files, path below it -> MD5: that of the listing that its cache keeps."""
    listing = [{"md5": md5, "relpath": path} for path, md5 in sorted(files.items())]
    return hashlib.md5(json.dumps(listing).encode(), usedforsecurity=False).hexdigest() + ".dir"


def _md5(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
