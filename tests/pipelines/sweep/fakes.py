"""Stand-ins for ``search_trial`` that workers can import: quick, failing, slow or talkative trials."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import torch

from jmml.config import MethodConfig
from jmml.errors import ModelError
from jmml.task import TaskData

EPOCHS = 4


def score(config: MethodConfig, epoch: int) -> float:
    """Rises to epoch 3, then falls; larger for larger ``p``."""
    return config.stage1.p / 20 + 0.1 * min(epoch, 3) - 0.05 * max(0, epoch - 3)


def points(config: MethodConfig) -> Iterator[dict[str, Any]]:
    for epoch in range(1, config.stage2.epochs + 1):
        result: dict[str, Any] = {"epoch": epoch, "val_uar": score(config, epoch), "edcc_cae/loss": 1 / epoch}
        if epoch == 1:
            result["history"] = {"jec_ssl/speech/loss": [3.0, 2.0]}
        yield result


def fails_for_p4(training: TaskData, config: MethodConfig, **_: Any) -> Iterator[dict[str, Any]]:
    """The others report a loss that is not a number once."""
    if config.stage1.p == 4:
        raise ModelError("no such width", where="stage1.p", expected="3")
    for result in points(config):
        yield result | ({"edcc_cae/loss": float("nan")} if result["epoch"] == 2 else {})


def always_fails(training: TaskData, config: MethodConfig, **_: Any) -> Iterator[dict[str, Any]]:
    yield from list(points(config))[:1]
    raise ValueError(f"bad p={config.stage1.p}\nsecond line")


def slow_after_the_first(training: TaskData, config: MethodConfig, **_: Any) -> Iterator[dict[str, Any]]:
    """p = 3 ends at once; every other trial would take minutes."""
    for result in points(config):
        yield result
        if config.stage1.p != 3:
            time.sleep(60)


class Witness:
    """Writes down what a worker sees, one file per trial."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, training: TaskData, config: MethodConfig, **options: Any) -> Iterator[dict[str, Any]]:
        seen = {
            "speech": sorted(set(training.speech.groups)),
            "eeg": sorted(set(training.eeg.groups)) if training.eeg else [],
            "options": options,
            "threads": torch.get_num_threads(),
            "cwd": str(Path.cwd()),
            "MLFLOW_RUN_ID": os.environ.get("MLFLOW_RUN_ID"),
            "draws": [float(np.random.random()), float(torch.rand(1))],  # noqa: NPY002 - the global generators
            "writable": bool(training.speech.X.flags.writeable),
        }
        (self.folder / f"{uuid4()}.json").write_text(json.dumps(seen))
        return points(config)
