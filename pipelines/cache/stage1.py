"""Stage-1 results on disk, shared by all trials, sweeps and users: each is computed once.

``<folder>/<2 hex digits>/<key>/`` holds one fitted JEC-SSL model (safetensors and JSON) and its seal, the digests of
these files. The key covers what the recogniser says a model depends on (data, settings, seed, kind of device), the code
of stage 1 and the versions of its libraries. An entry appears at once, as a whole, and is never changed. One that does
not fit its seal counts as absent, is computed anew and replaced.

Whoever computes a key holds its lock, a file beside the entry that the operating system releases when the holder ends,
however it ends. Others who need the key do first what nobody else does, and wait then. A folder that is full, not
writable or without locks costs the sharing, never the training. It may be deleted at any time, even in use.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

import jmml.memo
from jmml.config import digest
from jmml.errors import JMMLError
from jmml.files import atomic_folder, sha256_file
from jmml.fingerprint import fingerprint
from jmml.memo import Job
from jmml.models.jec_ssl import JECSSL
from jmml.models.persistence import MODEL, load_state

SEAL = "seal.json"
MODELS_IN_MEMORY = 64
POLL_SECONDS = 0.05
LEFT_OVER_SECONDS = 3600.0
COUNTS = ("computed", "loaded", "waited", "unsaved")


class Stage1Store:
    """A memo (:class:`jmml.memo.Stage1Memo`) in ``folder``; several processes may use one folder at once.

    Parameters
    ----------
    code : digest of the code and libraries that compute; default: those of :mod:`jmml.memo` as it is here. Results of
        others are not used.
    models : how many models are kept in memory, those used last.

    Attributes
    ----------
    counts : since the last :meth:`take_counts`, how many models were ``computed`` here, ``loaded`` (from memory or
        disk), loaded once another process had computed them (``waited``), and computed but ``unsaved``, as the folder
        could not be written.

    Example
    -------
    >>> store = Stage1Store(Path(tempfile.mkdtemp()), code="4f2a")
    >>> X, y = [[0.0, 1.0], [1.0, 0.0], [2.0, 5.0], [3.0, 4.0]], ["calm", "calm", "fear", "fear"]
    >>> jobs = {"key": lambda: JECSSL(p=2, r=1, epochs=1).fit(X, y)}
    >>> first, second = store.obtain(jobs), store.obtain(jobs)
    >>> store.take_counts()
    {'computed': 1, 'loaded': 1, 'waited': 0, 'unsaved': 0}
    """

    def __init__(self, folder: Path, *, code: str | None = None, models: int = MODELS_IN_MEMORY) -> None:
        self.folder, self.models = folder, models
        self.code = fingerprint(jmml.memo.__name__).digest if code is None else code
        self.counts = dict.fromkeys(COUNTS, 0)
        self._recent: OrderedDict[str, JECSSL] = OrderedDict()

    def obtain(self, jobs: Mapping[str, Job]) -> dict[str, JECSSL]:
        """The fitted model of every key.

        What is kept is loaded. Of the rest, the keys that nobody works on are computed here; those that another process
        computes are loaded once it is done, or computed here if it ended without a result. Errors of a job are passed
        on.
        """
        found: dict[str, JECSSL] = {}
        for key in jobs:
            model = self._kept(self._name(key))
            if model is not None:
                found[key] = self._count("loaded", model)
        missing = [key for key in jobs if key not in found]
        elsewhere: set[str] = set()
        while missing:
            busy = []
            for key in missing:
                model = self._try(key, jobs[key], waited=key in elsewhere)
                if model is None:
                    busy.append(key)
                else:
                    found[key] = model
            elsewhere |= set(busy)
            if len(busy) == len(missing):  # nothing is left to do but to wait
                key = busy.pop(0)
                found[key] = self._wait(key, jobs[key])
            missing = busy
        return {key: found[key] for key in jobs}

    def take_counts(self) -> dict[str, int]:
        """The counts since the last call, for instance those of a trial."""
        taken, self.counts = self.counts, dict.fromkeys(COUNTS, 0)
        return taken

    # ------------------------------------------------------------------ one key

    def _try(self, key: str, job: Job, *, waited: bool) -> JECSSL | None:
        """The model of ``key``, computed unless it is there by now; None while another process works on it."""
        name = self._name(key)
        try:
            with self._lock(name, timeout=0):
                return self._settle(name, job, waited=waited)
        except Timeout:
            return None

    def _wait(self, key: str, job: Job) -> JECSSL:
        name = self._name(key)
        with self._lock(name, timeout=-1):
            return self._settle(name, job, waited=True)

    def _settle(self, name: str, job: Job, *, waited: bool) -> JECSSL:
        """With the lock of an entry in hand: load what another process has made, else make it."""
        model = self._kept(name)
        if model is not None:
            return self._count("waited" if waited else "loaded", model)
        model = self._count("computed", job())
        self._remember(name, model)
        try:
            self._store(name, model)
        except OSError:
            self.counts["unsaved"] += 1
        return model

    @contextmanager
    def _lock(self, name: str, *, timeout: float) -> Iterator[None]:
        """Hold the lock of an entry; :class:`filelock.Timeout` where another process does."""
        path = self._path(name).with_name(f"{name}.lock")
        lock: FileLock | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(path, mode=0o666)
            lock.acquire(timeout=timeout, poll_interval=POLL_SECONDS)
        except Timeout:
            raise
        except (OSError, NotImplementedError):
            lock = None  # a folder without locks: nobody is told that the entry is being made
        try:
            yield
        finally:
            if lock is not None:
                lock.release()

    def _count(self, what: str, model: JECSSL) -> JECSSL:
        self.counts[what] += 1
        return model

    # ------------------------------------------------------------------ memory and disk

    def _name(self, key: str) -> str:
        return digest([key, self.code], length=32)

    def _path(self, name: str) -> Path:
        return self.folder / name[:2] / name

    def _kept(self, name: str) -> JECSSL | None:
        """The model from memory or disk; None where there is none, or a damaged one."""
        model = self._recent.get(name)
        if model is None:
            model = _load(self._path(name))
        if model is not None:
            self._remember(name, model)
            with suppress(OSError):
                os.utime(self._path(name))
        return model

    def _remember(self, name: str, model: JECSSL) -> None:
        self._recent[name] = model
        self._recent.move_to_end(name)
        while len(self._recent) > self.models:
            self._recent.popitem(last=False)

    def _store(self, name: str, model: JECSSL) -> None:
        path = self._path(name)
        for left_over in path.parent.glob(f".{name}.*"):  # of a process that was killed while it wrote
            shutil.rmtree(left_over, ignore_errors=True)
        with atomic_folder(path) as folder:
            model.save(folder)
            files = sorted(item.name for item in folder.iterdir())
            seal = {"entry": name, "files": {file: sha256_file(folder / file) for file in files}}
            (folder / SEAL).write_text(json.dumps(seal, indent=1) + "\n", encoding="utf-8")

    def __reduce__(self) -> tuple[Callable[..., Stage1Store], tuple[Any, ...]]:
        # Another process gets the folder, not the models in memory.
        return _rebuild, (self.folder, self.code, self.models)


def _rebuild(folder: Path, code: str, models: int) -> Stage1Store:
    return Stage1Store(folder, code=code, models=models)


def _load(path: Path) -> JECSSL | None:
    """The model of an entry; None where it is missing, or not as it was written."""
    try:
        seal = json.loads((path / SEAL).read_text(encoding="utf-8"))
        if seal["entry"] != path.name or not seal["files"]:
            return None
        if any(sha256_file(path / file) != expected for file, expected in seal["files"].items()):
            return None
        arrays, meta = load_state(path, MODEL)
        return JECSSL.from_state(arrays, meta, device=str(meta["params"]["device"]).partition(":")[0])
    except (OSError, JMMLError, ValueError, KeyError, TypeError, AttributeError):
        return None


# ---------------------------------------------------------------------- size


def prune(folder: Path, max_bytes: int) -> int:
    """Delete stage-1 entries below ``folder``, those not used for longest first; the number of bytes deleted.

    Entries that somebody is about to write or read are left. What processes that were killed have left half-written
    goes after an hour.
    """
    for left_over in folder.glob("[0-9a-f][0-9a-f]/.*"):
        with suppress(OSError):
            if time.time() - left_over.stat().st_mtime > LEFT_OVER_SECONDS:
                shutil.rmtree(left_over)
    entries = sorted(_entries(folder))
    size = sum(size for _, size, _ in entries)
    deleted = 0
    for _, own, path in entries:
        if size - deleted <= max_bytes:
            break
        lock = path.with_name(f"{path.name}.lock")
        with suppress(OSError, Timeout), FileLock(lock, timeout=0):
            # Moved first, so that nobody reads half of it.
            away = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
            path.replace(away / path.name)
            shutil.rmtree(away, ignore_errors=True)
            deleted += own
            lock.unlink(missing_ok=True)
    return deleted


def _entries(folder: Path) -> Iterable[tuple[float, int, Path]]:
    """``(last use, bytes, path)`` of every entry."""
    for path in folder.glob("[0-9a-f][0-9a-f]/*"):
        if path.is_dir() and not path.name.startswith("."):
            with suppress(OSError):
                size = sum(file.stat().st_size for file in path.iterdir())
                yield path.stat().st_mtime, size, path
