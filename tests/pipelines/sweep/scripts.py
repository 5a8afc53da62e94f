"""What happens in a sweep, told event by event: for a state, or as the journal of a sweep's folder."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from jmml.config import MethodConfig
from pipelines.sweep.record.folder import SweepFolder
from pipelines.sweep.record.journal import Event, Journal
from pipelines.sweep.record.state import SweepState
from pipelines.workspace.project import Project

START = 1_780_000_000_000  # ms since 1970
DEFINITION: dict[str, Any] = {
    "name": "tiny",
    "description": "stage 2 at several widths",
    "algorithm": "tpe",
    "scheduler": {"name": "asha", "grace_epochs": 1, "reduction": 3},
    "seed": 0,
    "budget": {"trials": 4, "hours": None, "epochs": None},
    "objective": {"score": "mean", "cost": None},
    "space": {"stage1.p": {"choice": [3, 4]}, "stage2.k": {"int": [1, 9]}, "stage2.hidden": {"choice": [8]}},
}


class Script:
    """Events with a clock of their own; :attr:`state` is what they sum up to.

    >>> script = Script(total=2)
    >>> script.trial(1, [0.3, 0.5]).counts()
    {'finished': 1}
    """

    def __init__(
        self,
        *,
        total: int = 4,
        name: str = "tiny",
        session: bool = True,
        team: str = "lab",
        **definition: Any,
    ) -> None:
        self.now = START
        self.events: list[Event] = []
        self.state = SweepState()
        self(
            "sweep",
            id="0123456789abcdef",
            name=name,
            definition=DEFINITION | {"name": name} | definition,
            base=MethodConfig().model_dump(mode="json"),
            fingerprint={},
            user="eva",
            team=team,
            version="1",
            total=total,
        )
        if session:
            self.session()

    def __call__(self, kind: str, *, after: float = 0.0, **values: Any) -> Event:
        """One event, ``after`` seconds later."""
        self.now += int(1000 * after)
        event = {"e": kind, "t": self.now, **values}
        self.events.append(event)
        self.state.apply(event)
        return event

    def session(self, mode: str = "run", user: str = "eva", after: float = 0.0, **values: Any) -> None:
        values = {
            "host": "lab3",
            "pid": 4711,
            "concurrent": 2,
            "cpus": 2,
            "gpus": 0,
            "address": None,
        } | values
        self("session", after=after, mode=mode, user=user, **values)

    def start(self, number: int, *, epochs: int = 3, attempt: int = 1, **values: Any) -> None:
        values.setdefault("configuration", {"stage1.p": 3, "stage2.k": number})
        self("start", trial=number, epochs=epochs, attempt=attempt, host="lab3", **values)

    def report(self, number: int, *scores: float, after: float = 1.0, **values: Any) -> None:
        for score in scores:
            epoch = self.state.trials[number].epoch + 1
            extra = {"points": {"val_uar": score}} | values
            self("report", trial=number, epoch=epoch, score=score, after=after, **extra)

    def end(self, number: int, state: str = "finished", **values: Any) -> None:
        self("end", trial=number, state=state, **values)

    def trial(self, number: int, scores: list[float], state: str = "finished", **values: Any) -> SweepState:
        """A whole trial."""
        error = values.pop("error", None)
        self.start(number, **values)
        self.report(number, *scores)
        self.end(number, state, **({"error": error} if error else {}))
        return self.state

    def write(self, project: Project) -> SweepFolder:
        """Put the events into the journal of the sweep's folder."""
        folder = SweepFolder.of(project, self.state.name)
        write_events(folder.journal, self.events)
        return folder


def bare_project(root: Path) -> Project:
    """A project folder without data, enough for what reads journals."""
    for name in ("params.yaml", "dvc.yaml"):
        (root / name).touch()
    return Project(root)


def write_events(path: Path, events: list[Event]) -> None:
    """Events as a journal, at the times that they have."""
    journal = Journal(path)
    for event in events:
        journal.append(event["e"], **{key: value for key, value in event.items() if key != "e"})
    journal.close()


def long_sweep(
    trials: int, *, epochs: int = 5, running: int = 4, seed: int = 0, name: str = "long"
) -> Script:
    """Many trials, some of them stopped or failed, the last ``running`` of them at work."""
    rng = random.Random(seed)
    space = {
        "stage1.p": {"choice": [4, 8, 16]},
        "stage2.k": {"int": [2, 8]},
        "stage2.hidden": {"logint": [16, 128]},
        "stage2.lr": {"loguniform": [1e-4, 1e-2]},
        "stage2.lam_x": {"uniform": [0.0, 2.0]},
        "classifier.name": {"choice": ["linear-svm", "logistic-regression"]},
    }
    script = Script(total=trials + 10, name=name, space=space)
    for number in range(1, trials + 1):
        configuration = {
            "stage1.p": rng.choice([4, 8, 16]),
            "stage2.k": rng.randint(2, 8),
            "stage2.hidden": rng.randint(16, 128),
            "stage2.lr": 10 ** rng.uniform(-4, -2),
            "stage2.lam_x": rng.uniform(0, 2),
            "classifier.name": rng.choice(["linear-svm", "logistic-regression"]),
        }
        script.start(number, epochs=epochs, configuration=configuration)
        level = rng.gauss(0.45, 0.06)
        at_work = number > trials - running
        upto = rng.randint(0, epochs - 1) if at_work else rng.choice([1, 2, epochs, epochs, epochs])
        computed = 2 if number % 3 == 0 else 0
        memo = {"computed": computed, "loaded": 6 - computed, "waited": 0}
        for epoch in range(1, upto + 1):
            gain = 0.1 * (1 - 0.6**epoch)
            script.report(number, round(level + gain + rng.gauss(0, 0.005), 6), after=0.8, memo=memo)
        if at_work:
            continue
        if rng.random() < 0.01:
            script.end(number, "failed", error="ModelError: stage2.k = 9 is wider than stage1.r = 8")
        else:
            script.end(number, "finished" if upto == epochs else "stopped")
    return script
