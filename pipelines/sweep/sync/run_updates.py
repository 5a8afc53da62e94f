"""Translation of a sweep's events into updates of its MLflow runs; the part of the shipper that knows no store."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from jmml.config import MethodConfig, validate
from pipelines.definitions.spaces import configure, describe
from pipelines.reporting.wording import many
from pipelines.sweep.definition.model import SweepDefinition
from pipelines.sweep.definition.recorded import recorded
from pipelines.sweep.record.journal import Event, Follower

Point = tuple[str, float, int, int]  # key, value, step, ms since 1970
Status = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]

STATUS: dict[str, Status] = {"finished": "FINISHED", "stopped": "FINISHED", "failed": "FAILED"}
NOTE = "mlflow.note.content"  # what MLflow shows as the description of a run
MAX_TEXT = 2000  # characters of an error or a list in a tag
MAX_NOTES = 40  # changes of configuration that a trial's description has, the latest ones


def trial_name(number: int) -> str:
    """The tag ``jmml.trial_id`` of a trial's run."""
    return f"{number:03d}"


@dataclass
class Shipment:
    """Update of one trial's run, written in one go.

    Attributes
    ----------
    status, at : the status it has afterwards, since when (ms since 1970); None leaves it.
    """

    params: dict[str, Any] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    points: list[Point] = field(default_factory=list)
    status: Status | None = None
    started: int | None = None
    at: int | None = None


@dataclass
class OpenTrial:
    """State of a trial that is needed until it is over."""

    running: bool = False
    best_score: float | None = None
    best_val_uar: float | None = None
    best_epoch: int = 0
    dropped: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Manifest:
    """Turns events into shipments; its memory is that of the trials at work, however long the journal is.

    What it remembers of the events before the shipper's place can be written down (:meth:`as_dict`) and taken up
    again.

    Attributes
    ----------
    shipments : what the events since the last :meth:`clear` ask for, by trial, in the order of their first event.
    size : how many values that is.
    """

    def __init__(self, journal: Path, data: Mapping[str, Any] | None = None) -> None:
        """With ``data``, the result of :meth:`as_dict`, go on where that manifest was."""
        data = data or {}
        self._journal = journal
        self.shipments: dict[int, Shipment] = {}
        self.size = 0
        self.open = {int(number): OpenTrial(**trial) for number, trial in data.get("open", {}).items()}
        self._over: Counter[str] = Counter(data.get("over", {}))
        self._total: int = data.get("total", 0)
        self._best: list[float] | None = data.get("best")  # score and trial
        self._driver: str = data.get("driver", "")
        self._state: str = data.get("state", "running")
        self._settings_at: int | None = data.get("settings_at")
        self._definition: SweepDefinition | None = None
        self._base = MethodConfig()
        if self._settings_at is not None:
            for event in Follower(journal, self._settings_at).read(1):
                self._use(event)

    def as_dict(self) -> dict[str, Any]:
        return {
            "settings_at": self._settings_at,
            "open": {number: asdict(trial) for number, trial in self.open.items()},
            "over": dict(self._over),
            "total": self._total,
            "best": self._best,
            "driver": self._driver,
            "state": self._state,
        }

    def clear(self) -> None:
        """The shipments have arrived."""
        self.shipments, self.size = {}, 0

    def apply(self, event: Event, at: int) -> None:
        """Take in one event, which begins at byte ``at``; kinds that say nothing about trials are passed over."""
        if event["e"] in ("sweep", "accept"):
            self._use(event)
            self._settings_at = at
            self._total = event["total"]
        handler = getattr(self, f"_on_{event['e']}", None)
        if handler is not None:
            handler(event)
        self.size += 1

    @property
    def closed(self) -> bool:
        """Whether the last session has ended."""
        return self._state != "running"

    def note(self) -> str:
        """The description of the sweep's run: its purpose, and how far it is."""
        over = sum(self._over.values())
        detail = ", ".join(f"{count} {state}" for state, count in sorted(self._over.items()))
        lines = [
            f"**{self._state}**: {over} of {many(self._total, 'trial')} over"
            + (f" ({detail})" if detail else "")
        ]
        if self._best is not None:
            lines.append(f"best score {self._best[0]:.4f}, trial {int(self._best[1])}")
        lines.append(f"last driven by {self._driver}")
        purpose = self._definition.description.strip() if self._definition else ""
        return (f"{purpose[:MAX_TEXT]}\n\n" if purpose else "") + "; ".join(lines)

    # One method per kind of event -------------------------------------------------------------------

    def _use(self, event: Event) -> None:
        self._definition = recorded(event["definition"], sweep=self._journal.parent.name)
        self._base = validate(MethodConfig, event["base"])

    def _on_session(self, event: Event) -> None:
        self._driver, self._state = f"{event['user']} on {event['host']}", "running"
        self._break_all(event)  # of a driver that died

    def _on_close(self, event: Event) -> None:
        self._state = event["state"]
        self._break_all(event)

    def _break_all(self, event: Event) -> None:
        for number, trial in self.open.items():
            if trial.running:
                self._on_break({**event, "trial": number})

    def _on_extend(self, event: Event) -> None:
        self._total += event["trials"]

    def _on_start(self, event: Event) -> None:
        number = event["trial"]
        # Later attempts may run with other settings; MLflow keeps the first value of a parameter.
        params = {} if number in self.open else self._params(event["configuration"])
        shipment = self._shipment(number)
        self.open.setdefault(number, OpenTrial())
        shipment.params |= params
        self.open[number].running = True
        shipment.started = event["t"] if shipment.started is None else shipment.started
        shipment.status, shipment.at = "RUNNING", event["t"]
        shipment.tags |= {
            "jmml.state": "running",
            "jmml.attempt": str(event["attempt"]),
            "jmml.host": event["host"],
        }

    def _params(self, configuration: Mapping[str, Any]) -> dict[str, Any]:
        assert self._definition is not None  # of the first event
        protocol = self._definition.protocol
        common = {
            "seed": self._definition.seed,
            "outer_fold": protocol.outer_fold,
            "inner_folds": protocol.inner_folds,
        }
        method = configure(self._base, configuration).model_dump(mode="json")
        return {**method, **{key: value for key, value in common.items() if value is not None}}

    def _on_report(self, event: Event) -> None:
        trial, epoch, score = self.open[event["trial"]], event["epoch"], event["score"]
        values = dict(event["points"])
        if "val_uar" not in values or self._objective != "mean":
            values["score"] = score
        if event.get("cost") is not None:
            values["cost"] = event["cost"]
        values |= {f"stage1_{key}": count for key, count in event.get("memo", {}).items()}
        points = [(key, float(value), epoch, event["t"]) for key, value in values.items()]
        for key, history in event.get("history", {}).items():
            points += [(key, float(value), step, event["t"]) for step, value in enumerate(history, 1)]
        self._add(event["trial"], points)
        if math.isfinite(score) and (trial.best_score is None or score > trial.best_score):
            trial.best_score, trial.best_epoch = score, epoch
            trial.best_val_uar = event["points"].get("val_uar", score)

    def _add(self, number: int, points: list[Point]) -> None:
        """Keep what MLflow can: it would store another number in place of NaN and of infinities."""
        dropped = {key for key, value, _, _ in points if not math.isfinite(value)}
        trial, shipment = self.open[number], self._shipment(number)
        if not dropped <= set(trial.dropped):
            trial.dropped = sorted(dropped | set(trial.dropped))
            shipment.tags["jmml.not_finite"] = ", ".join(trial.dropped)[:MAX_TEXT]
        shipment.points += [point for point in points if math.isfinite(point[1])]
        self.size += len(points)

    def _on_mutate(self, event: Event) -> None:
        trial, source = self.open.get(event["trial"]), event.get("source")
        if trial is None:  # of a trial that has not been started: its parameters will say it
            return
        origin = f" from trial {source}" if source else ""
        trial.notes.append(f"After epoch {event['epoch']}{origin}: {describe(event['configuration'])}")
        trial.notes = trial.notes[-MAX_NOTES:]
        self._shipment(event["trial"]).tags |= {
            "jmml.configuration": json.dumps(event["configuration"])[:MAX_TEXT],
            NOTE: "\n\n".join(trial.notes)[-3 * MAX_TEXT :],
        }

    def _on_differs(self, event: Event) -> None:
        self._shipment(event["trial"]).tags["jmml.differs"] = (
            f"epoch {event['epoch']} had another score before"
        )

    def _on_break(self, event: Event) -> None:
        if event["trial"] not in self.open:  # it is over, which a driver that was terminated did not know
            return
        shipment = self._shipment(event["trial"])
        shipment.tags["jmml.state"] = "waiting"
        if "rung" in event:  # it goes on as soon as others are there
            return
        self.open[event["trial"]].running = False
        shipment.status, shipment.at = "KILLED", event["t"]

    def _on_end(self, event: Event) -> None:
        number, state = event["trial"], event["state"]
        trial, shipment = self.open[number], self._shipment(number)
        shipment.status, shipment.at = STATUS[state], event["t"]
        shipment.tags |= {"jmml.state": state, "jmml.best_epoch": str(trial.best_epoch)}
        if event.get("error"):
            shipment.tags["jmml.error"] = event["error"][:MAX_TEXT]
        if trial.best_val_uar is not None and trial.best_score is not None:
            points = [("best_val_uar", trial.best_val_uar, trial.best_epoch, event["t"])]
            if self._objective != "mean":
                points.append(("best_score", trial.best_score, trial.best_epoch, event["t"]))
            self._add(number, points)
            best = (trial.best_score, -number)  # the earliest of equals, as everywhere
            if state != "failed" and (self._best is None or best > (self._best[0], -self._best[1])):
                self._best = [trial.best_score, number]
        self._over[state] += 1
        del self.open[number]

    @property
    def _objective(self) -> str:
        return "mean" if self._definition is None else self._definition.objective.score

    def _shipment(self, number: int) -> Shipment:
        return self.shipments.setdefault(number, Shipment())
