"""What git knows of a corpus: its pointer at a revision, and the revisions at which it changed."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from jmml.config import CorpusConfig
from jmml.errors import DataError, ProjectError
from pipelines.workspace.pointer import Pointer
from pipelines.workspace.project import CORPORA_PIPELINE, Project

SHORT = 12
# What DVC has recorded of the stages; those of corpora had been among the others.
LOCKS = (Path(CORPORA_PIPELINE).with_suffix(".lock").as_posix(), "dvc.lock")


@dataclass(frozen=True)
class Change:
    """A revision at which other bytes of a corpus were recorded than before; ``md5`` is None where it was removed.

    ``tags`` are those at which it still was so.
    """

    commit: str
    time: str
    author: str
    subject: str
    md5: str | None
    tags: tuple[str, ...] = ()


class Recorded:
    """A corpus as git has it at one revision; paths are those of that revision.

    Parameters
    ----------
    rev : a commit, tag or branch.

    Raises
    ------
    DataError : there is no such revision.
    """

    def __init__(self, project: Project, name: str, rev: str) -> None:
        self.project, self.name, self.rev = project, name, rev
        self.commit = resolve(project, rev)

    @property
    def what(self) -> str:
        """``nemo at v1.2``: for messages."""
        return f"{self.name} at {self.rev}"

    @cached_property
    def entry(self) -> CorpusConfig | None:
        """Its entry of ``params.yaml`` then; None where there was none that can be read now."""
        found = _parsed(contents(self.project, [f"{self.commit}:./params.yaml"])[0])
        corpora = found.get("corpora") if isinstance(found, dict) else None
        data = corpora.get(self.name) if isinstance(corpora, dict) else None
        try:
            return CorpusConfig.model_validate(data)
        except ValidationError:
            return None

    def added(self) -> list[str]:
        """Names of all corpora that were under DVC by a pointer then."""
        found = _parsed(contents(self.project, [f"{self.commit}:./params.yaml"])[0])
        corpora = found.get("corpora") if isinstance(found, dict) else None
        if not isinstance(corpora, dict):
            return []
        paths = {
            str(name): entry["path"]
            for name, entry in corpora.items()
            if isinstance(entry, dict) and "path" in entry
        }
        texts = contents(self.project, [f"{self.commit}:./{path}.dvc" for path in paths.values()])
        return [name for name, text in zip(paths, texts, strict=True) if text is not None]

    @cached_property
    def path(self) -> str:
        """Where it lay, below the project."""
        if self.entry is not None:
            return self.entry.path
        now = self.project.params.corpora.get(self.name)
        return f"data/raw/{self.name}" if now is None else now.path

    @cached_property
    def pointer(self) -> bytes | None:
        """The text of its pointer."""
        return contents(self.project, [f"{self.commit}:./{self.path}.dvc"])[0]

    @cached_property
    def md5(self) -> str:
        """DVC's hash of its bytes.

        Raises
        ------
        DataError : git had no record of them.
        """
        if self.pointer is not None:
            return Pointer.parse(self.pointer, where=f"{self.path}.dvc at {self.rev}").md5
        locks = contents(self.project, [f"{self.commit}:./{lock}" for lock in LOCKS])
        found = made_by_stages(*locks).get(self.path)
        if found is None:
            raise DataError(
                f"there was no corpus '{self.name}' under DVC",
                where=f"revision {self.rev}",
                fix=f"`jmml data history {self.name}` lists the revisions that have it",
            )
        return found


def resolve(project: Project, rev: str) -> str:
    """The commit that a revision names.

    Raises
    ------
    DataError : there is none; :class:`ProjectError` without git.
    """
    found = git(
        project, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{rev}^{{commit}}", check=False
    )
    if not re.fullmatch(rb"[0-9a-f]{40,64}\n", found):  # of a range it names two
        raise DataError(
            f"git knows no revision '{rev}'",
            expected="a commit, tag or branch",
            fix="`git tag` and `jmml data history NAME` list them; `git fetch --tags` gets those of others",
        )
    return found.decode().strip()


def changes(project: Project, name: str, path: str) -> list[Change]:
    """The revisions at which the bytes of a corpus changed, oldest first, over this branch and all tags."""
    places = [f"{path}.dvc", *LOCKS]
    # Records end with NUL: subjects may hold anything else.
    log = git(
        project,
        "log",
        "-z",
        "--format=%H%x1f%cI%x1f%an%x1f%s",
        "--date-order",
        "--reverse",
        "HEAD",
        "--tags",
        "--",
        *(f":(top){prefix(project)}{place}" for place in places),
        check=False,
    )
    commits = [
        line.split("\x1f") for line in log.decode("utf-8", "replace").split("\0") if line.count("\x1f") == 3
    ]
    hashes = _hashes(project, [commit[0] for commit in commits], path)
    tags = git(project, "tag", "--list", check=False).decode("utf-8", "replace").split()
    of_tags = dict(zip(tags, _hashes(project, [f"refs/tags/{tag}" for tag in tags], path), strict=True))
    found: list[Change] = []
    for (commit, time, author, subject), md5 in zip(commits, hashes, strict=True):
        if md5 == (found[-1].md5 if found else None):
            continue
        named = tuple(tag for tag, other in of_tags.items() if other == md5 and md5 is not None)
        found.append(Change(commit, time, author, subject, md5, named))
    return found


def _hashes(project: Project, revisions: Sequence[str], path: str) -> list[str | None]:
    """DVC's hash of a corpus at each revision, None where git has no record of it."""
    places = (f"{path}.dvc", *LOCKS)
    texts = contents(project, [f"{rev}:./{place}" for rev in revisions for place in places])
    found = []
    for at in range(0, len(texts), len(places)):
        pointer, *locks = texts[at : at + len(places)]
        try:
            md5 = None if pointer is None else Pointer.parse(pointer, where=path).md5
        except DataError:
            md5 = None  # what somebody once committed
        found.append(md5 or made_by_stages(*locks).get(path))
    return found


def made_by_stages(*locks: bytes | None) -> dict[str, str]:
    """Path -> hash of what stages made, by the texts of DVC's lock files; the first one that names a path counts."""
    found: dict[str, str] = {}
    for lock in locks:
        data = _parsed(lock)
        with suppress(KeyError, TypeError, AttributeError):
            outs = [out for stage in data["stages"].values() for out in stage.get("outs", [])]
            found = {str(out["path"]): str(out["md5"]) for out in outs if "md5" in out} | found
    return found


def contents(project: Project, objects: Sequence[str]) -> list[bytes | None]:
    """The bytes of files as git has them (``COMMIT:./path``), None for those that it has not."""
    if not objects:
        return []
    asked = "".join(f"{name}\n" for name in objects).encode()
    answer = git(project, "cat-file", "--batch", input=asked)
    return list(_answers(answer, len(objects)))


def _answers(answer: bytes, number: int) -> Iterator[bytes | None]:
    at = 0
    for _ in range(number):
        end = answer.index(b"\n", at)
        header, at = answer[at:end], end + 1
        *_, kind, last = (b"", *header.rsplit(b" ", 2))  # a file: ``HASH blob SIZE``; else ``NAME missing``
        size = int(last) if last.isdigit() else None
        yield answer[at : at + size] if size is not None and kind == b"blob" else None
        if size is not None:
            at += size + 1


def prefix(project: Project) -> str:
    """The project's folder below the top of its repository, with a slash at its end; nothing at the top."""
    return git(project, "rev-parse", "--show-prefix").decode().strip()


def git(project: Project, *arguments: str, input: bytes | None = None, check: bool = True) -> bytes:
    """The output of git, run in the project; :class:`ProjectError` where it is missing or fails."""
    try:
        done = subprocess.run(
            ["git", "-C", str(project.root), *arguments], input=input, capture_output=True, check=False
        )
    except FileNotFoundError:
        raise ProjectError("git is missing", fix="install git") from None
    if check and done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise ProjectError(
            f"git: {said[0] if said else 'failed'}", where=project.root, fix="run `git init` in a new project"
        )
    return done.stdout


def _parsed(text: bytes | None) -> Any:
    try:
        return None if text is None else yaml.safe_load(text)
    except yaml.YAMLError:
        return None
