"""Stand-ins for ``search_trial`` that workers can import: quick, failing or talkative trials."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import ray
import torch

from jmml.config import MethodConfig
from jmml.errors import ModelError
from jmml.experiment import search_trial
from jmml.search import Folds
from tests.waiting import until

EPOCHS = 4


def score(config: MethodConfig, epoch: int) -> float:
    """Rises to epoch 3, then falls; larger for larger ``p``."""
    return config.stage1.p / 20 + 0.1 * min(epoch, 3) - 0.05 * max(0, epoch - 3)


def points(config: MethodConfig) -> Iterator[dict[str, Any]]:
    for epoch in range(1, config.stage2.epochs + 1):
        value = score(config, epoch)
        result: dict[str, Any] = {"epoch": epoch, "val_uar": value, "val_uar_low": value - 0.01 * epoch}
        result["edcc_cae/loss"] = 1 / epoch
        if epoch == 1:
            result["history"] = {"jec_ssl/speech/loss": [3.0, 2.0]}
        yield result


def fails_for_p4(folds: Folds, config: MethodConfig, **_: Any) -> Iterator[dict[str, Any]]:
    """The others report a loss that is not a number once."""
    if config.stage1.p == 4:
        raise ModelError("no such width", where="stage1.p", expected="3")
    for result in points(config):
        yield result | ({"edcc_cae/loss": float("nan")} if result["epoch"] == 2 else {})


def always_fails(folds: Folds, config: MethodConfig, **_: Any) -> Iterator[dict[str, Any]]:
    yield from list(points(config))[:1]
    raise ValueError(f"bad p={config.stage1.p}\nsecond line")


class Witness:
    """The real search, which first writes down what a worker sees, one file per trial."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, folds: Folds, config: MethodConfig, **options: Any) -> Iterator[dict[str, Any]]:
        training = folds.training
        seen = {
            "process": os.getpid(),
            "speech": sorted(set(training.speech.groups)),
            "eeg": sorted(set(training.eeg.groups)) if training.eeg else [],
            "folds": [folds.n_folds, folds.seed],
            "options": {name: value for name, value in options.items() if name != "memo"},
            "threads": torch.get_num_threads(),
            "cwd": str(Path.cwd()),
            "MLFLOW_RUN_ID": os.environ.get("MLFLOW_RUN_ID"),
            "draws": [float(np.random.random()), float(torch.rand(1))],  # noqa: NPY002 - the global generators
            "writable": bool(training.speech.X.flags.writeable),
        }
        (self.folder / f"{uuid4()}.json").write_text(json.dumps(seen))
        return search_trial(folds, config, **options)


def plain(folds: Folds, config: MethodConfig, **_: Any) -> Iterator[dict[str, Any]]:
    return points(config)


def first_fails_late(folds: Folds, config: MethodConfig, **_: Any) -> Iterator[dict[str, Any]]:
    """p = 5, the best, fails after its first epochs; all others are behind it."""
    for result in points(config):
        if config.stage1.p == 5 and result["epoch"] == 3:
            raise ModelError("no more", where="stage1.p")
        yield result


class FailsLate:
    """The real search, which fails for large ``lam_c`` at its third epoch."""

    def __call__(self, folds: Folds, config: MethodConfig, **options: Any) -> FailsLate:
        self.config, self.run = config, search_trial(folds, config, **options)
        return self

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for result in self.run:
            if result["epoch"] == 3 and self.config.stage2.lam_c > 2:
                raise ModelError("too much", where="stage2.lam_c")
            yield result

    def state(self) -> Any:
        return self.run.state()


class Uneven:
    """The real search with other scores, so that some trials are better than earlier ones and some are not."""

    def __init__(self, run: Any = None, spread: float = 0.0) -> None:
        self.run, self.spread = run, spread

    def __call__(self, folds: Folds, config: MethodConfig, **options: Any) -> Uneven:
        return Uneven(search_trial(folds, config, **options), (37 * config.stage2.lam_c) % 1)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for result in self.run:
            yield result | {"val_uar": 0.01 * result["val_uar"] + self.spread + 0.01 * result["epoch"]}

    def state(self) -> Any:
        return self.run.state()


class Meets:
    """The real search, whose first trials wait until ``wanted`` of them are at work; then there is a file ``met``."""

    def __init__(self, folder: Path, wanted: int) -> None:
        self.folder, self.wanted = folder, wanted

    def __call__(self, folds: Folds, config: MethodConfig, **options: Any) -> Iterator[dict[str, Any]]:
        met = self.folder / "met"
        if not met.exists():
            (self.folder / f"here-{uuid4()}").touch()
            until(lambda: met.exists() or len(list(self.folder.glob("here-*"))) >= self.wanted, "all at work")
            met.touch()
        return search_trial(folds, config, **options)


class Places:
    """Trials that write down on which node they are and how many of them are at work.

    While there is a file ``hold`` in the folder they go no further.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, folds: Folds, config: MethodConfig, **_: Any) -> Iterator[dict[str, Any]]:
        own = self.folder / f"here-{uuid4()}"
        own.touch()
        together = len(list(self.folder.glob("here-*")))
        seen = {"node": ray.get_runtime_context().get_node_id(), "together": together}
        (self.folder / f"{uuid4()}.json").write_text(json.dumps(seen))
        try:
            until(lambda: not (self.folder / "hold").exists(), "let go", seconds=300)
            yield from points(config)
        finally:
            own.unlink()
