"""Description of one sweep, read from its folder: human-readable and as JSON."""

from __future__ import annotations

import heapq
import json
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from rich.console import RenderableType

from pipelines.definitions.spaces import describe, size
from pipelines.reporting.terminal import Column
from pipelines.reporting.wording import duration, grouped, many
from pipelines.sweep.definition.model import SweepDefinition
from pipelines.sweep.record.best import trial_dict
from pipelines.sweep.record.folder import SweepFolder, status
from pipelines.sweep.record.state import SweepState, Trial
from pipelines.sweep.record.words import now_ms, score_name, search_over
from pipelines.sweep.show.listing import moment
from pipelines.sweep.show.table import table
from pipelines.sweep.show.watch import driver_text
from pipelines.sweep.show.words import CLOSING, best_text, counts_text, memo_text

_ERRORS = 3  # kinds of failure that are shown
_MORE = 50  # trials to add that are proposed


@dataclass(frozen=True)
class Description:
    """A sweep with everything that its folder says about it."""

    folder: SweepFolder
    state: SweepState
    status: str

    @classmethod
    def of(cls, folder: SweepFolder) -> Description:
        """Read the journal; :class:`SweepError` when it is damaged."""
        state = folder.state()
        return cls(folder, state, status(folder, state))

    def top(self, count: int | None) -> list[Trial]:
        """The best trials, best first, then those without a score; None: all."""
        trials = list(self.state.trials.values())
        return heapq.nsmallest(len(trials) if count is None else count, trials, key=_rank)

    def table(self, count: int | None, width: int) -> RenderableType:
        """The best trials."""
        chosen = self.top(count)
        hidden = len(self.state.trials) - len(chosen)
        at_work = self.status == "running"
        now = now_ms() if at_work or not self.state.sessions else self.state.sessions[-1].last
        return table(self.state, chosen, width=width, now=now, hidden=hidden, at_work=at_work)

    def rows(self) -> list[tuple[str, str]]:
        """Human-readable labels and texts."""
        state, d = self.state, self.state.definition
        driver = driver_text(self.folder, state, self.status)
        fixed = {key: dimension.values[0] for key, dimension in d.space.items() if dimension.size == 1}
        varying = "; ".join(f"{key} {found}" for key, found in d.space.items() if key not in fixed)
        counts = counts_text(state.counts(), at_work=self.status == "running")
        closing = self.status == "running" and search_over(state, open_trials=bool(state.unfinished))
        rows = [
            ("sweep", f"{state.name}: {d.description}" if d.description else state.name),
            (
                "status",
                driver
                if driver.startswith(self.status)
                else ", ".join(t for t in (self.status, driver) if t),
            ),
            *([("now", CLOSING)] if closing else []),
            ("by", f"{state.user}{f', team {state.team}' if state.team else ''}, {moment(state.created)}"),
            ("search", search_text(d, total=state.total)),
            *([("space", varying)] if varying else []),
            *([("fixed", describe(fixed))] if fixed else []),
            ("trials", f"{counts}; {grouped(state.over)} of {grouped(state.total)} over"),
            ("time", f"{duration(state.seconds)} at work, {many(state.epochs_done, 'epoch')} of stage 2"),
        ]
        if reuse := memo_text(state.memo(), state.unsaved):
            rows.append(("stage 1", reuse))
        if best := state.best:
            rows.append(("best", f"{best_text(state, best)}, {describe(best.chosen)}"))
        rows += [("failed", text) for text in self.failures()]
        if differing := sum(trial.differs for trial in state.trials.values()):
            rows.append(("differs", f"{many(differing, 'repeated epoch')} had another score than before"))
        rows += [("changed", change) for changes in state.accepted for change in changes]
        rows += [("refit", refit_text(event)) for event in state.refits[-1:]]
        return [
            *rows,
            ("MLflow", self.tracking()),
            ("journal", str(self.folder.journal)),
            ("next", self.next_step()),
        ]

    def failures(self) -> list[str]:
        """``3 trials, first 7 (stage2.k=9): ModelError: ...``, the most frequent errors first."""
        failed = [trial for trial in self.state.trials.values() if trial.status == "failed"]
        kinds = Counter(trial.error for trial in failed)
        lines = []
        for error, number in kinds.most_common(_ERRORS):
            first = min((t for t in failed if t.error == error), key=lambda t: t.number)
            who = f"trial {first.number}" if number == 1 else f"{many(number, 'trial')}, first {first.number}"
            lines.append(f"{who} ({describe(first.configuration)}): {error}")
        if len(kinds) > _ERRORS:
            lines.append(f"{len(kinds) - _ERRORS} other errors; see them with --json --trials all")
        return lines

    def sessions(self) -> list[Column]:
        """Who drove it, when, how long and with what, and how many trials ended meanwhile."""
        sessions = self.state.sessions
        events = [session.event for session in sessions]
        return [
            Column("session", [event["user"] for event in events], 0, "left"),
            Column("", [event["mode"] for event in events], 0, "left"),
            Column("on", [event["host"] for event in events], 3, "left"),
            Column("began", [moment(event["t"]) for event in events], 1, "left"),
            Column("lasted", [duration(session.seconds) for session in sessions], 1),
            Column("trials", [grouped(session.over) for session in sessions], 0),
            Column("resources", [_resources(event) for event in events], 2, "left"),
        ]

    def tracking(self) -> str:
        """The run in MLflow, and what of the journal is not there yet."""
        run = f"run {self.state.run_id}" if self.state.run_id else "no run yet"
        if waiting := self.waiting:
            return f"{run}, {grouped(waiting)} bytes of the journal not yet written"
        if self.status == "interrupted":
            return f"{run}, left open; `jmml sweep stop {self.folder.name}` closes it"
        return f"{run}, {'complete' if self.status == 'finished' else 'up to date'}"

    @property
    def waiting(self) -> int:
        """Bytes of the journal that are not in MLflow."""
        try:
            size = self.folder.journal.stat().st_size
        except OSError:
            return 0
        with suppress(OSError, ValueError, TypeError, KeyError):
            shipped = json.loads(self.folder.shipped.read_text())
            if shipped["run_id"] == self.state.run_id:
                return max(0, size - int(shipped["offset"]))
        return size

    def next_step(self) -> str:
        """The command that comes next."""
        name = self.folder.name
        if self.status == "running":
            return f"jmml sweep watch {name}"
        if self.status != "finished":
            return f"jmml sweep resume {name}"
        if not self.state.refits:
            return f"jmml sweep best {name}"
        more = _more(self.state)
        return "jmml model register" + (
            f"; more trials: jmml sweep extend {name} --trials {more}" if more else ""
        )

    def as_dict(self, trials: int | None) -> dict[str, Any]:
        """The same as JSON, with at most ``trials`` trials."""
        state = self.state
        return {
            "name": state.name,
            "id": state.id,
            "status": self.status,
            "holder": self.folder.holder() if self.status == "running" else None,
            "user": state.user,
            "team": state.team,
            "created_ms": state.created,
            "definition": state.definition.plain(),
            "fingerprint": state.fingerprint,
            "total": state.total,
            "counts": state.counts(),
            "seconds": state.seconds,
            "epochs": state.epochs_done,
            "trials_per_hour": state.trials_per_hour(),
            "stage1": {**state.memo(), "hit_rate": state.hit_rate},
            "objective": score_name(state),
            "best": None if state.best is None else trial_dict(state.best),
            "trials": [trial_dict(trial) for trial in self.top(trials)],
            "failures": self.failures(),
            "sessions": [
                {**{k: v for k, v in s.event.items() if k not in ("e", "t")}, "started_ms": s.event["t"]}
                | {"seconds": s.seconds, "trials": s.over}
                for s in state.sessions
            ],
            "accepted": state.accepted,
            "closed": state.closed,
            "refits": state.refits,
            "mlflow": {"run_id": state.run_id, "waiting_bytes": self.waiting},
            "journal": self.folder.journal,
            "next": self.next_step(),
        }


def search_text(definition: SweepDefinition, *, total: int | None = None) -> str:
    """``tpe with asha, seed 0, at most 12 trials and 2 hours; val_uar on inner folds, outer fold 0 held out``

    Parameters
    ----------
    total : trials wanted, extensions included; default: those of the definition.
    """
    scheduler, objective = definition.scheduler.name, definition.objective
    budget = definition.budget.model_dump(exclude_none=True)
    if total is not None and "trials" in budget:
        budget["trials"] = total
    limits = [f"{value:g} {unit}" for unit, value in budget.items()]
    aims = "lower bound of val_uar" if objective.score == "lower-bound" else "val_uar"
    if objective.cost is not None:
        aims += f" at little {objective.cost} cost"
    parts = [definition.algorithm if scheduler == "none" else f"{definition.algorithm} with {scheduler}"]
    parts.append(f"seed {definition.seed}")
    if limits:
        parts.append(f"at most {' and '.join(limits)}")
    return f"{', '.join(parts)}; {aims} on inner folds, outer fold {definition.protocol.outer_fold} held out"


def refit_text(event: Mapping[str, Any]) -> str:
    """The result on the outer fold, one line."""
    rows = {row.get("method"): row for row in event.get("comparison") or ()}
    ours = rows.get("jmml", {})
    text = f"trial {event['trial']} at epoch {event['epoch']}"
    if "uar" in ours:
        text += f": UAR {ours['uar']:.3f} on the outer fold"
        others = [f"{name} {row['uar']:.3f}" for name, row in rows.items() if name != "jmml" and "uar" in row]
        text += f" ({', '.join(others)})" if others else ""
    opened = event.get("opened", 1)
    return text + (
        f"; the fold has been opened {opened} times" if opened > 1 else "; the fold was opened once"
    )


def _rank(trial: Trial) -> tuple[bool, float, int]:
    scored = trial.best_score is not None and trial.status != "failed"
    return (not scored, -(trial.best_score or 0.0), trial.number)


def _resources(event: Mapping[str, Any]) -> str:
    if event["mode"] == "stop":
        return ""
    gpus = f", {many(event['gpus'], 'GPU')}" if event.get("gpus") else ""
    where = f" at {event['address']}" if event.get("address") else ""
    return f"{event['concurrent']} at a time, {many(event['cpus'], 'CPU')}{gpus}{where}"


def _more(state: SweepState) -> int:
    """How many trials to propose to add: none to a population, and no more than the space holds."""
    if state.definition.pbt is not None:
        return 0
    return int(min(_MORE, size(state.definition.space) - state.total))
