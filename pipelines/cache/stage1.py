"""Stage-1 results on disk, shared by all trials, sweeps, studies and users: each is computed once.

An entry (:mod:`pipelines.cache.content`) holds one fitted JEC-SSL model, safetensors and JSON, and ``seal.json``. The
key covers what the recogniser says a model depends on (data, settings, seed, kind of device), the code of stage 1 and
the versions of its libraries.

Whoever computes a key holds its lock. Others who need the key do first what nobody else does, and wait then. A folder
that is full, not writable or without locks costs the sharing, never the training. It may be deleted at any time, even
in use.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from filelock import Timeout

import jmml.memo
from jmml.config import digest
from jmml.errors import JMMLError
from jmml.fingerprint import fingerprint
from jmml.memo import Job
from jmml.models.jec_ssl import JECSSL
from jmml.models.persistence import MODEL, load_state
from pipelines.cache.content import ContentStore

SEAL = "seal.json"
MODELS_IN_MEMORY = 64
COUNTS = ("computed", "loaded", "waited", "unsaved")


class Stage1Store:
    """A memo (:class:`jmml.memo.Stage1Memo`) in ``folder``; several processes may use one folder at once.

    Parameters
    ----------
    code : digest of the code and libraries that compute; default: those of :mod:`jmml.memo` as it is here. Results of
        others are not used.
    threads : of the processes that compute, which decide the last digits: results of other numbers are not used.
    models : how many models are kept in memory, those used last.

    Attributes
    ----------
    counts : since the last :meth:`take_counts`, how many models were ``computed`` here, ``loaded`` (from memory or
        disk), loaded once another process had computed them (``waited``), and computed but ``unsaved``, as the folder
        could not be written.

    Example
    -------
    >>> from tempfile import mkdtemp
    >>> store = Stage1Store(Path(mkdtemp()))
    >>> X, y = [[0.0, 1.0], [1.0, 0.0], [2.0, 5.0], [3.0, 4.0]], ["calm", "calm", "fear", "fear"]
    >>> jobs = {"key": lambda: JECSSL(p=2, r=1, epochs=1).fit(X, y)}
    >>> first, second = store.obtain(jobs), store.obtain(jobs)
    >>> store.take_counts()
    {'computed': 1, 'loaded': 1, 'waited': 0, 'unsaved': 0}
    """

    def __init__(
        self, folder: Path, *, code: str | None = None, threads: int = 1, models: int = MODELS_IN_MEMORY
    ) -> None:
        self.folder, self.threads, self.models = folder, threads, models
        self.code = fingerprint(jmml.memo.__name__).digest if code is None else code
        self.content = ContentStore(folder, manifest=SEAL, again="it is computed anew")
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
            with self.content.lock(name, timeout=0):
                return self._settle(name, job, waited=waited)
        except Timeout:
            return None

    def _wait(self, key: str, job: Job) -> JECSSL:
        name = self._name(key)
        with self.content.lock(name, timeout=-1):
            return self._settle(name, job, waited=True)

    def _settle(self, name: str, job: Job, *, waited: bool) -> JECSSL:
        """With the lock of an entry in hand: load what another process has made, else make it."""
        model = self._kept(name)
        if model is not None:
            return self._count("waited" if waited else "loaded", model)
        model = self._count("computed", job())
        self._remember(name, model)
        try:
            self.content.put({"entry": name}, model.save)
        except OSError:
            self.counts["unsaved"] += 1
        return model

    def _count(self, what: str, model: JECSSL) -> JECSSL:
        self.counts[what] += 1
        return model

    # ------------------------------------------------------------------ memory and disk

    def _name(self, key: str) -> str:
        return digest([key, self.code, *([self.threads] if self.threads > 1 else [])], length=32)

    def _kept(self, name: str) -> JECSSL | None:
        """The model from memory or disk; None where there is none, or a damaged one."""
        model = self._recent.get(name)
        if model is None:
            model = self._load(name)
        if model is not None:
            self._remember(name, model)
            self.content.used(name)
        return model

    def _load(self, name: str) -> JECSSL | None:
        """The model of an entry; None where it is missing, or not as it was written."""
        try:
            self.content.record(name)
            arrays, meta = load_state(self.content.path(name), MODEL)
            return JECSSL.from_state(arrays, meta, device=str(meta["params"]["device"]).partition(":")[0])
        except (OSError, JMMLError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def _remember(self, name: str, model: JECSSL) -> None:
        self._recent[name] = model
        self._recent.move_to_end(name)
        while len(self._recent) > self.models:
            self._recent.popitem(last=False)

    def __reduce__(self) -> tuple[Callable[..., Stage1Store], tuple[Any, ...]]:
        # Another process gets the folder, not the models in memory.
        return _rebuild, (self.folder, self.code, self.threads, self.models)


def _rebuild(folder: Path, code: str, threads: int, models: int) -> Stage1Store:
    return Stage1Store(folder, code=code, threads=threads, models=models)
