"""Journals to ship, what MLflow must have of them, and a process that ships until it is killed."""

from __future__ import annotations

import contextlib
import math
import random
from collections.abc import Iterator
from multiprocessing.synchronize import Event as Signal
from pathlib import Path
from typing import Any

from jmml.config import MethodConfig
from pipelines.sweep.record import journal
from pipelines.sweep.record.folder import SweepFolder
from pipelines.sweep.sync import mlflow_sync
from pipelines.sweep.sync.mlflow_sync import Shipper
from pipelines.sweep.sync.run_updates import trial_name
from pipelines.tracking.tracker import Tracker
from pipelines.workspace.project import Project
from tests.pipelines.tracked import make_lineage

RUN = "f" * 32
STATUSES = {"finished": "FINISHED", "stopped": "FINISHED", "failed": "FAILED", "break": "KILLED"}
Key = tuple[str, str, float, int, int]  # trial, metric, value, step, ms


def opening(name: str = "demo", *, total: int = 3, **changes: Any) -> list[dict[str, Any]]:
    """The first events of a sweep."""
    definition = {
        "name": name,
        "description": "A purpose.",
        "seed": 7,
        "protocol": {"outer_fold": 1, "inner_folds": None},
        "objective": {"score": "mean", "cost": None},
        "space": {"stage2.k": {"choice": [2, 3]}},
    } | changes
    return [
        {"e": "sweep", "t": 1_000, "id": name, "name": name, "definition": definition, "total": total, "user": "eva"}
        | {"base": MethodConfig().model_dump(mode="json"), "fingerprint": {}, "team": "lab", "version": "0.1"},
        session(1_001),
    ]  # fmt: skip


def session(at: int, mode: str = "run") -> dict[str, Any]:
    return {"e": "session", "t": at, "user": "eva", "host": "lab3", "pid": 1, "mode": mode, "concurrent": 2}


def start(trial: int, at: int, *, attempt: int = 1, epochs: int = 3, **configuration: Any) -> dict[str, Any]:
    return {"e": "start", "t": at, "trial": trial, "configuration": configuration or {"stage1.p": 4}} | {
        "epochs": epochs,
        "attempt": attempt,
        "host": "lab3",
    }


def report(trial: int, epoch: int, at: int, uar: float, **more: Any) -> dict[str, Any]:
    points = {"val_uar": uar, **more.pop("points", {})}
    return {"e": "report", "t": at, "trial": trial, "epoch": epoch, "score": uar, "points": points, **more}


def end(trial: int, at: int, state: str = "finished", **more: Any) -> dict[str, Any]:
    return {"e": "end", "t": at, "trial": trial, "state": state, **more}


def work(
    trials: int, epochs: int, *, metrics: int = 4, at_once: int = 3, seed: int = 0
) -> Iterator[dict[str, Any]]:
    """Trials side by side, as workers report them; one in eight fails, one in eight is broken off and runs again."""
    rng = random.Random(seed)
    now, waiting, running = 2_000, list(range(1, trials + 1)), {}
    while waiting or running:
        now += 1
        if waiting and len(running) < at_once:
            running[waiting[0]] = 0
            yield start(waiting.pop(0), now, epochs=epochs)
            continue
        trial = rng.choice(sorted(running))
        if trial % 8 == 5 and running[trial] == epochs // 2:
            yield {"e": "break", "t": now, "trial": trial}
            yield start(trial, now + 1, attempt=2, epochs=epochs)
            now += 1
        if running[trial] == epochs or (trial % 8 == 2 and running[trial] == epochs // 2):
            failed = running.pop(trial) < epochs
            yield end(trial, now, "failed" if failed else "finished", **({"error": "no"} if failed else {}))
            continue
        running[trial] += 1
        points = {f"m{i}": rng.random() for i in range(metrics - 1)}
        more = {"history": {"stage1/loss": [rng.random() for _ in range(5)]}} if running[trial] == 1 else {}
        yield report(trial, running[trial], now, rng.random(), points=points, **more)


def append(folder: SweepFolder, events: list[dict[str, Any]]) -> None:
    """Write events with their own times."""
    folder.path.mkdir(parents=True, exist_ok=True)
    with folder.journal.open("ab") as handle:
        handle.writelines(journal.encode(event) for event in events)


def open_run(tracker: Tracker, name: str = "demo") -> str:
    return tracker.start_sweep(name, params={}, tags={}, lineage=make_lineage(), sweep_id=name)


def expected(folder: SweepFolder) -> tuple[set[Key], dict[str, str]]:
    """Every point and the status of every trial, straight from the journal."""
    points: set[Key] = set()
    statuses: dict[str, str] = {}
    best: dict[int, tuple[float, int]] = {}
    for event in journal.read(folder.journal):
        kind, at = event["e"], event["t"]
        if "trial" not in event:
            continue
        name = trial_name(event["trial"])
        if kind == "start":
            statuses[name] = "RUNNING"
        elif kind == "report":
            found = [(key, value, event["epoch"]) for key, value in event["points"].items()]
            for key, values in event.get("history", {}).items():
                found += [(key, value, step) for step, value in enumerate(values, 1)]
            points |= {(name, key, value, step, at) for key, value, step in found if math.isfinite(value)}
            if event["score"] > best.get(event["trial"], (-1.0, 0))[0]:
                best[event["trial"]] = (event["score"], event["epoch"])
        elif kind in ("end", "break"):
            statuses[name] = STATUSES[event.get("state", kind)]
            if kind == "end" and event["trial"] in best:
                points.add((name, "best_val_uar", *best[event["trial"]], at))
    return points, statuses


def stored(tracker: Tracker, run_id: str) -> tuple[list[Key], list[tuple[str, str]]]:
    """What MLflow has, with everything that it should not have."""
    points: list[Key] = []
    statuses = []
    for run in tracker.runs(kind="trial", parent=run_id):
        name = run.data.tags["jmml.trial_id"]
        statuses.append((name, run.info.status))
        for key in run.data.metrics:
            history = tracker.client.get_metric_history(run.info.run_id, key)
            points += [(name, m.key, m.value, m.step, m.timestamp) for m in history]
    return points, statuses


def assert_arrived(tracker: Tracker, run_id: str, folder: SweepFolder) -> None:
    """Nothing is missing, nothing is there twice."""
    points, statuses = stored(tracker, run_id)
    wanted_points, wanted_statuses = expected(folder)
    assert sorted(statuses) == sorted(wanted_statuses.items())
    assert len(points) == len(set(points))
    assert set(points) == wanted_points


def ship(root: Path, name: str, ready: Signal, chunk: int = mlflow_sync.CHUNK) -> None:
    """Ship the journal of a project's sweep, in a process of its own."""
    mlflow_sync.CHUNK = chunk
    project = Project(root)
    tracker = Tracker.connect(project)
    shipping = mlflow_sync.Shipper(
        SweepFolder.of(project, name), tracker, open_run(tracker, name), every=0.05, pause=0.2
    )
    ready.set()
    shipping.drain()
    shipping.stop()


@contextlib.contextmanager
def shipping_to(folder: SweepFolder, runs: Any, run_id: str = RUN, **options: Any) -> Iterator[Shipper]:
    ship = Shipper(folder, runs, run_id, **{"every": 0.02, "pause": 0.05, **options})
    ship.start()
    try:
        yield ship
    finally:
        ship.stop()


class Counting:
    """A store that keeps nothing but how many points it was given, and how trials ended."""

    uri = "http://host"

    def __init__(self) -> None:
        self.points = 0
        self.ended: dict[str, str] = {}

    def start_trial(
        self, sweep_run_id: str, trial_id: str, params: Any, *, started: int | None = None
    ) -> str:
        return trial_id

    def find_trial(self, sweep_run_id: str, trial_id: str) -> str:
        return trial_id

    def write(
        self, run_id: str, *, points: Any = (), params: Any = (), tags: Any = (), size: int = 1
    ) -> None:
        self.points += len(points)

    def finish(self, run_id: str, status: str, *, ended: int | None = None) -> None:
        self.ended[run_id] = status

    def is_active(self, run_id: str) -> bool:
        return True

    def trial_names(self, run_id: str, status: str) -> dict[str, str]:
        return {}
