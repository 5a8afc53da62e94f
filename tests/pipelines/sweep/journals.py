"""Journals as drivers write them, for what reads them: trials with curves, early stops, failures, resumed sessions."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.definitions.spaces import Configuration, Dimension
from pipelines.sweep.record import journal
from pipelines.sweep.record.journal import Event, Journal
from pipelines.sweep.record.state import SweepState

SPACE: dict[str, dict[str, Any]] = {
    "stage1.p": {"kind": "choice", "values": [4, 8, 16]},
    "stage1.lr": {"kind": "loguniform", "values": [1e-4, 1e-2]},
    "stage2.k": {"kind": "int", "values": [2, 8]},
    "stage2.lam_x": {"kind": "uniform", "values": [0.0, 2.0]},
    "stage2.imagined": {"kind": "choice", "values": [True, False]},
    "classifier.name": {"kind": "choice", "values": ["logistic-regression", "linear-svm"]},
}
START = 1_790_000_000_000  # ms since 1970
EPOCHS = 12
GRACE = 4
ERRORS = ("LinAlgError: leading minor 3 is not positive definite", "loss is NaN at epoch 2")


def header(name: str, trials: int, **values: Any) -> dict[str, Any]:
    """The values of a ``sweep`` event."""
    definition = {
        "name": name,
        "description": "widths, learning rates and the classifier",
        "corpora": {
            "speech": {"name": "nemo", "version": "a1b2c3"},
            "eeg": {"name": "deap", "version": None},
        },
        "protocol": {"label_space": "quadrants", "inner_folds": 3, "seeds": [0, 1, 2], "outer_fold": 1},
        "seed": 7,
        "algorithm": "tpe",
        "scheduler": {"name": "asha", "grace_epochs": GRACE, "reduction": 3},
        "budget": {"trials": trials, "hours": None, "epochs": None},
        "resources": {"cpus": 1.0, "gpus": 0.0},
        "objective": {"score": "mean", "cost": None},
        "space": SPACE,
    }
    fingerprint = {
        "code": "9f8e7d6c5b4a",
        "data": {"nemo/speech": "0123456789abcdef.dir", "deap/eeg": "fedcba9876543210.dir"},
        "held_out": {"speech": ["s03", "s07"], "eeg": ["p11"]},
    }
    return {
        "id": f"{name}-1",
        "name": name,
        "definition": definition,
        "base": {"stage2": {"epochs": EPOCHS}},
        "fingerprint": fingerprint,
        "user": "eva",
        "team": "affect",
        "version": "0.1.0",
        "total": trials,
        **values,
    }


def session(mode: str = "run", **values: Any) -> dict[str, Any]:
    """The values of a ``session`` event."""
    return {"user": "eva", "host": "lab3", "pid": 4711, "mode": mode, "concurrent": 4, "cpus": 4, "gpus": 0,
            "address": None, **values}  # fmt: skip


def events(trials: int = 40, *, seed: int = 0, cost: bool = False, epochs: int = EPOCHS) -> list[Event]:
    """A sweep of ``trials``: every tenth fails, the worst half stops early, the middle is broken off and resumed."""
    rng = np.random.default_rng(seed)
    space = {key: Dimension.model_validate(data) for key, data in SPACE.items()}
    clock = START
    found: list[Event] = []

    def add(kind: str, after_ms: int = 0, **values: Any) -> None:
        nonlocal clock
        clock += after_ms
        found.append({"e": kind, "t": clock, **values})

    first = header("quick", trials)
    if cost:
        first["definition"]["objective"]["cost"] = "inference"
    add("sweep", **first)
    add("session", 20, **session())
    add("run", 300, run_id="0123abcd")
    for number in range(1, trials + 1):
        configuration: Configuration = {key: dimension.draw(rng) for key, dimension in space.items()}
        if number == trials // 2:
            add("start", 50, trial=number, configuration=configuration, epochs=epochs, attempt=1, host="lab3")
            add("break", 900, trial=number)
            add("close", 10, state="stopped", reason="Ctrl-C")
            add("session", 3_600_000, **session("resume", user="adam", host="box", address="ray://h:10001"))
            add("start", 50, trial=number, configuration=configuration, epochs=epochs, attempt=2, host="box")
            add("differs", 500, trial=number, epoch=1)
        else:
            add("start", 50, trial=number, configuration=configuration, epochs=epochs, attempt=1, host="lab3")
        if number % 10 == 0:
            add("end", 700, trial=number, state="failed", error=ERRORS[number // 10 % 2])
            continue
        peak = quality(configuration) + rng.normal(0, 0.01)
        stopped = peak < 0.49 and number % 2 == 1
        for epoch in range(1, (GRACE if stopped else epochs) + 1):
            value = 0.25 + (peak - 0.25) * (1 - math.exp(-epoch / 3)) + rng.normal(0, 0.004)
            points = {"val_uar": value, "edcc_cae/loss": math.nan if number == 3 else 2.0 / epoch}
            extra: dict[str, Any] = {"cost": 1e4 * int(configuration["stage1.p"] or 1) ** 2} if cost else {}
            if epoch == 1:
                extra["memo"] = {
                    "computed": int(number < 7) * 6,
                    "loaded": int(number >= 7) * 5,
                    "waited": int(number >= 7),
                }
                extra["history"] = {"speech/jec_ssl/loss": [3.0, 2.0, 1.5]}
            add("report", 400, trial=number, epoch=epoch, points=points, score=value, **extra)
        add("end", 20, trial=number, state="stopped" if stopped else "finished")
    best = SweepState.of(found).best
    if best is not None:
        add("refit", 9000, **refit(best.configuration, trial=best.number))
    add("close", 500, state="finished", reason="")
    return found


def quality(configuration: Configuration) -> float:
    """The true score of a configuration: stage1.lr matters most, by far."""
    lr, k = configuration["stage1.lr"], configuration["stage2.k"]
    assert isinstance(lr, float)
    assert isinstance(k, int)
    return (
        0.5 - 0.12 * (math.log10(lr) + 3) ** 2 + 0.006 * k + (0.02 if configuration["stage2.imagined"] else 0)
    )


def refit(configuration: Configuration, *, trial: int, opened: int = 1) -> dict[str, Any]:
    """The values of a ``refit`` event."""
    scores = {"n_samples": 412, "n_groups": 9, "n_seeds": 3, "modality": "speech", "reference": "one-hot"}

    def row(method: str, uar: float, diff: float, p: float) -> dict[str, Any]:
        return {"method": method, "uar": uar, "ci_low": uar - 0.041, "ci_high": uar + 0.043, "accuracy": uar + 0.02,
                "macro_f1": uar - 0.01, "ece": 0.081, "diff": diff, "diff_low": diff - 0.03, "diff_high": diff + 0.03,
                "p": p, "p_holm": 3 * p, "dz": 0.4, "note": "only 9 speakers: the interval is rough",
                **scores}  # fmt: skip

    comparison = [row("jmml", 0.4471, 0.0213, 0.0391), row("one-hot", 0.4258, math.nan, math.nan),
                  row("jec-ssl", 0.4012, -0.0246, 0.0781)]  # fmt: skip
    metrics = {"test_uar": 0.4471, "test_uar_ci_low": 0.4061, "test_uar_ci_high": 0.4901}
    return {"trial": trial, "epoch": 9, "configuration": configuration, "metrics": metrics, "comparison": comparison,
            "model_uri": "models:/m-1", "opened": opened}  # fmt: skip


def write(path: Path, found: list[Event]) -> Path:
    """The journal of ``found`` at ``path``, with their own times."""
    Journal(path).close()  # makes it, or finds it sound
    path.write_bytes(b"".join(journal.encode(event) for event in found))
    return path
