"""`jmml data add` as all or nothing: what it does outside of its own folder is noted first, and can be taken back.

While it works, ``data/raw/.NAME.adding`` holds its lock, the files that were copied so far, and a journal. A failure
takes everything back at once. After kill -9 the next start of `jmml data add` or of a stage does so (:func:`sweep`);
the copied files stay for a day, so that adding the same folder again goes on where it was.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from jmml.config import load_params
from jmml.errors import CorpusError, JMMLError
from jmml.files import atomic_path, remove_idle
from jmml.files import sweep as sweep_folder
from pipelines.workspace.project import Project

KEPT_S = 24 * 3600.0  # for which copied files wait for the next attempt
_SUFFIX = ".adding"
_JOURNAL, _LOCK, _CORPUS = "journal.json", "lock", "corpus"
# Names by which earlier versions left what they had not finished.
_OLD_RAW = re.compile(r"\.[A-Za-z][A-Za-z0-9_-]{0,63}\.[a-z0-9_]{8}")
_OLD_PARAMS = re.compile(r"\.params\.yaml\.[a-z0-9_]{8}\.yaml")


class Adding:
    """One `jmml data add` at work. ``files`` is where its copy of the corpus grows."""

    def __init__(self, project: Project, name: str) -> None:
        self.project, self.name = project, name
        self.target = project.raw_dir / name
        self.folder = project.raw_dir / f".{name}{_SUFFIX}"
        self.files = self.folder / _CORPUS

    def note(self, changed: Sequence[Path], *, moves: bool) -> None:
        """Write down what is about to change: small files as they are, and whether ``files`` becomes the corpus."""
        before = {
            path.relative_to(self.project.root).as_posix(): path.read_text("utf-8", "surrogateescape")
            if path.exists()
            else None
            for path in changed
        }
        self._write({**self._read(), "before": before, "moves": moves})

    def take_back(self) -> None:
        """Make everything as it was, but for ``files``; nothing where the corpus has been entered in params.yaml."""
        found = self._read()
        if "before" not in found or self._is_entered():
            return
        if found["moves"] and self.target.exists():
            if self.files.exists():
                shutil.rmtree(self.target)
            else:
                self.target.replace(self.files)
        for place, text in found["before"].items():
            path = self.project.root / place
            if text is None:
                path.unlink(missing_ok=True)
            elif not path.exists() or path.read_text("utf-8", "surrogateescape") != text:
                path.write_text(text, "utf-8", "surrogateescape")
        with suppress(OSError):  # the disk may be full
            self._write({"source": found.get("source")})

    def begin(self, source: Path) -> None:
        """Take back what a killed attempt did; its copied files stay where they are of the same source."""
        self.take_back()
        if self._read().get("source") != str(source) or self._is_entered():
            shutil.rmtree(self.files, ignore_errors=True)
        self._write({"source": str(source)})

    @property
    def age_s(self) -> float:
        """Seconds since somebody worked on it."""
        return time.time() - max(path.stat().st_mtime for path in (self.folder, self.folder / _LOCK))

    def _is_entered(self) -> bool:
        try:
            return self.name in load_params(self.project.params_path).corpora
        except JMMLError:
            return False

    def _read(self) -> dict[str, Any]:
        try:
            found = json.loads((self.folder / _JOURNAL).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _write(self, content: dict[str, object]) -> None:
        with atomic_path(self.folder / _JOURNAL) as temporary:
            temporary.write_text(json.dumps(content), encoding="utf-8")


@contextmanager
def adding(project: Project, name: str, source: Path) -> Iterator[Adding]:
    """The one `jmml data add` of a name: what it noted is taken back where the block fails.

    Raises
    ------
    CorpusError : another process is at work on it.
    """
    work = Adding(project, name)
    with _locked(work.folder) as free:
        if not free:
            raise CorpusError(
                f"another `jmml data add {name}` is at work", where=work.folder, fix="wait until it has ended"
            )
        try:
            work.begin(source)
            yield work
        except BaseException:
            work.take_back()
            raise
        finally:
            shutil.rmtree(work.folder, ignore_errors=True)


@contextmanager
def one_at_a_time(project: Project) -> Iterator[None]:
    """For the length of a block, no other process enters a corpus into this project."""
    descriptor = os.open(project.raw_dir, os.O_RDONLY)
    try:
        with suppress(OSError):  # no locks here
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def sweep(project: Project) -> None:
    """Take back, and remove, what killed processes have left in a project and nobody is at work on."""
    results = (
        project.data_dir,
        project.manifests_dir,
        project.features_dir,
        project.models_dir,
        project.results_dir,
    )
    for folder in (project.root, project.raw_dir, *results):
        sweep_folder(folder)
    for folder, form in ((project.root, _OLD_PARAMS), (project.raw_dir, _OLD_RAW)):
        for path in _entries(folder):
            if form.fullmatch(path.name):
                remove_idle(path)
    for path in _entries(project.raw_dir):
        if path.name.startswith(".") and path.name.endswith(_SUFFIX) and path.is_dir():
            with suppress(OSError), _locked(path) as free:
                work = Adding(project, path.name[1 : -len(_SUFFIX)])
                if free:
                    work.take_back()
                    if not work.files.exists() or work.age_s > KEPT_S:
                        shutil.rmtree(path, ignore_errors=True)


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Whether this process alone may work in ``folder``, which it makes."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        except FileNotFoundError:
            continue  # another one has just removed it
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            except OSError:
                pass  # no locks here
            if not (folder / _LOCK).exists():
                continue
            yield True
            return
        finally:
            os.close(descriptor)
