"""Stand-ins for ``run_cell`` that workers can import: quick, failing, dying, slow or leaking cells."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from jmml.cell import CellResult
from jmml.config import MethodConfig
from jmml.data.splits import Split, mask
from jmml.errors import ModelError
from jmml.evaluation.evidence import evidence_frame
from jmml.evaluation.leakage import Certificate
from jmml.methods import METHODS
from jmml.task import TaskData
from pipelines.cache.cells import CellStore
from pipelines.study.publish.certificates import expected_objects
from tests.waiting import until

STRENGTH = {"raw": 0.3, "jec-ssl": 0.4, "jmml": 0.5, "one-hot": 0.6, "prototypes": 0.45}


def quick(
    task: TaskData,
    split: Split,
    fold: int,
    method: str,
    candidates: Sequence[MethodConfig],
    *,
    seed: int,
    inner_folds: int = 3,
    device: str = "cpu",
    memo: dict[str, Any] | None = None,
    audited: bool = False,
) -> CellResult:
    """Random predictions that are right more often for stronger methods, with a true certificate."""
    rng = np.random.default_rng([fold, seed, list(METHODS).index(method)])
    speech, eeg = split.fold(fold)
    test = task.speech.rows(mask(task.speech.groups, speech.test))
    proba = rng.dirichlet(np.ones(len(task.classes)), size=len(test))
    right = rng.random(len(test)) < STRENGTH.get(method, 0.35)
    proba[right] = 0.9 * np.eye(len(task.classes))[test.y[right]] + 0.1 * proba[right]
    certificate = Certificate()
    for name, modality in expected_objects(method):
        view, part = (task.speech, speech) if modality == "speech" else (task.eeg, eeg)
        training = view.rows(mask(view.groups, part.train))
        certificate.add(name, modality, training.groups, ids=training.ids)
    return CellResult(
        evidence=evidence_frame(
            method=method,
            fold=fold,
            seed=seed,
            modality="speech",
            ids=test.ids,
            groups=test.groups,
            y_true=np.asarray(task.classes)[test.y],
            proba=proba,
            classes=task.classes,
        ),
        certificate=certificate,
        config=candidates[-1],
        candidate=len(candidates) - 1,
        search=[
            {"candidate": number, "epoch": 2, "val_uar": 0.4 + 0.01 * number, "val_uar_std": 0.02}
            for number in range(len(candidates))
        ],
        metrics={
            "test_uar": float((proba.argmax(axis=1) == test.y).mean()),
            "val_uar": 0.4 + 0.1 * (method == "one-hot"),
            "test_rho": float("nan"),
            "seconds": 2.0,
        },
        history=[
            {"epoch": epoch, "loss": 1 / epoch, "rho_train": 0.5, "rho_held_out": 0.3, "rho_permuted": 0.1}
            for epoch in (1, 2)
        ]
        if METHODS[method].two_view
        else [],
        embedding=rng.normal(size=(len(test), 3)).astype(np.float32),
    )


def without_certificate(*args: Any, **options: Any) -> CellResult:
    return replace(quick(*args, **options), certificate=None)  # type: ignore[arg-type]


def leaking(task: TaskData, split: Split, fold: int, *args: Any, **options: Any) -> CellResult:
    """The classifier saw a person of the outer fold."""
    cell = quick(task, split, fold, *args, **options)
    cell.certificate.add("classifier/speech", "speech", split.fold(fold)[0].test)
    return cell


def leaking_eeg(task: TaskData, split: Split, fold: int, *args: Any, **options: Any) -> CellResult:
    """An encoder saw the EEG of a subject of the outer fold."""
    cell = quick(task, split, fold, *args, **options)
    cell.certificate.add("jec_ssl/eeg/encoders", "eeg", split.fold(fold)[1].test)
    return cell


def incomplete(*args: Any, **options: Any) -> CellResult:
    """What the search saw is not entered."""
    cell = quick(*args, **options)
    cell.certificate.entries = [e for e in cell.certificate.entries if e.name != "search/selection"]
    return cell


def other_rows(task: TaskData, split: Split, fold: int, *args: Any, **options: Any) -> CellResult:
    """The classifier was fitted on half of the training part."""
    cell = quick(task, split, fold, *args, **options)
    cell.certificate.entries = [e for e in cell.certificate.entries if e.name != "classifier/speech"]
    train = mask(task.speech.groups, split.fold(fold)[0].train)
    half = slice(None, None, 2)
    groups, ids = task.speech.groups[train][half], task.speech.ids[train][half]
    cell.certificate.add("classifier/speech", "speech", groups, ids=ids)
    return cell


def other_people(task: TaskData, split: Split, fold: int, *args: Any, **options: Any) -> CellResult:
    """The evidence is of one of the fold's two people."""
    cell = quick(task, split, fold, *args, **options)
    keep = (cell.evidence["group"] == split.fold(fold)[0].test[0]).to_numpy()
    return replace(cell, evidence=cell.evidence[keep], embedding=cell.embedding[keep])


class Recorder:
    """Leaves one file per cell it computed: method, fold, seed, process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def __call__(
        self, task: Any, split: Any, fold: int, method: str, *args: Any, **options: Any
    ) -> CellResult:
        name = f"{method}.{fold}.{options['seed']}.{options['audited']}.{os.getpid()}.{time.monotonic_ns()}"
        (self.folder / name).write_text("")
        return quick(task, split, fold, method, *args, **options)

    @property
    def calls(self) -> list[list[str]]:
        paths = sorted(self.folder.iterdir(), key=lambda path: int(path.name.rpartition(".")[2]))
        return [path.name.split(".") for path in paths]


class Fails(Recorder):
    """Cannot fit one method."""

    def __init__(self, folder: Path, method: str, error: Exception | None = None) -> None:
        super().__init__(folder)
        self.method, self.error = method, error or ModelError("no such width", where="stage1.p", expected="3")

    def __call__(
        self, task: Any, split: Any, fold: int, method: str, *args: Any, **options: Any
    ) -> CellResult:
        if method == self.method:
            raise self.error
        return super().__call__(task, split, fold, method, *args, **options)


class Dies(Recorder):
    """Kills its worker over one method, the first ``times`` times.

    With ``saved``, a cell store, only once raw and jec-ssl of the block have been saved there, which come before.
    """

    def __init__(self, folder: Path, method: str, times: int, *, saved: CellStore | None = None) -> None:
        super().__init__(folder / "calls")
        self.method, self.times, self.deaths, self.saved = method, times, folder / "deaths", saved
        self.deaths.mkdir()

    def __call__(
        self,
        task: Any,
        split: Any,
        fold: int,
        method: str,
        *args: Any,
        seed: int,
        **options: Any,
    ) -> CellResult:
        if method == self.method and len(list(self.deaths.iterdir())) < self.times:
            if self.saved is not None:
                self._wait(self.saved, fold, seed)
            (self.deaths / str(time.monotonic_ns())).write_text("")
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(task, split, fold, method, *args, seed=seed, **options)

    def _wait(self, store: CellStore, fold: int, seed: int) -> None:
        before = {"raw", "jec-ssl"}

        def saved() -> bool:
            cells = store.newest(100)
            return before <= {
                cell["method"] for cell in cells if (cell["fold"], cell["seed"]) == (fold, seed)
            }

        until(saved, f"{sorted(before)} of fold {fold}, seed {seed} are saved", poll_s=0.05)


class SlowFrom(Recorder):
    """Every method from ``method`` on takes a minute, all before it none."""

    def __init__(self, folder: Path, method: str) -> None:
        super().__init__(folder)
        self.first = list(METHODS).index(method)

    def __call__(
        self, task: Any, split: Any, fold: int, method: str, *args: Any, **options: Any
    ) -> CellResult:
        if list(METHODS).index(method) >= self.first:
            time.sleep(60)
        return super().__call__(task, split, fold, method, *args, **options)
