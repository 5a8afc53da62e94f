"""Outcome of a finished sweep, human-readable and as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from jmml.config import MethodConfig
from pipelines.definitions.spaces import describe
from pipelines.reporting.comparison import ComparisonTable
from pipelines.reporting.wording import many
from pipelines.sweep.definition.plan import Plan
from pipelines.sweep.record.journal import Event
from pipelines.sweep.record.state import SweepState, Trial
from pipelines.sweep.record.words import unsaved_text

COLUMNS = ("method", "uar", "interval", "accuracy", "macro_f1", "gain")
_SCORES = (
    "uar",
    "ci_low",
    "ci_high",
    "accuracy",
    "macro_f1",
    "ece",
    "diff",
    "diff_low",
    "diff_high",
    "p_holm",
)


@dataclass(frozen=True)
class SweepResult:
    """A finished sweep, as its journal has it.

    Attributes
    ----------
    state : every trial, and how the sweep came to its end; ``state.run_id`` is its run in the tracking store.
    refit : the last ``refit`` event: the comparison on the outer fold, its metrics, the logged model.
    config : the configuration that was refitted: the best trial's, with its best epoch as stage-2 epochs.
    """

    plan: Plan
    state: SweepState
    best: Trial
    refit: Event
    config: MethodConfig

    @classmethod
    def of(cls, plan: Plan, state: SweepState, config: MethodConfig) -> SweepResult:
        """The outcome of a sweep whose best configuration has been refitted."""
        refit = state.refits[-1]
        return cls(plan, state, state.trials[refit["trial"]], refit, config)

    @property
    def run_id(self) -> str:
        """The sweep's run in the tracking store; its trials are the runs below it."""
        return str(self.state.run_id)

    @property
    def trials(self) -> list[Trial]:
        """Every trial, by number."""
        return [self.state.trials[number] for number in sorted(self.state.trials)]

    @property
    def comparison(self) -> pd.DataFrame:
        """One row per method on the outer fold (``jmml.evaluation.evidence.compare``)."""
        found = pd.DataFrame(self.refit["comparison"])
        unknown = found.columns[found.isna().all()]  # figures that no row has, as there are too few speakers
        return found.astype(dict.fromkeys(unknown, np.float64))

    @property
    def metrics(self) -> dict[str, float]:
        """The figures of the sweep's run."""
        return dict(self.refit["metrics"])

    @property
    def model_uri(self) -> str:
        """Address of the logged model."""
        return str(self.refit["model_uri"])

    @property
    def table(self) -> ComparisonTable:
        """One row per method; the level of the intervals is that at which they were computed."""
        rows = [{**row, "label": row["method"]} for row in self.refit["comparison"]]
        level = self.refit.get("confidence", self.plan.params.evaluation.confidence)
        return ComparisonTable.of(rows, COLUMNS, confidence=level)

    @property
    def title(self) -> str:
        speech, _ = self.plan.split.fold(self.plan.definition.protocol.outer_fold)
        seeds = many(len(self.plan.params.protocol.seeds), "seed")
        return f"Best configuration on speakers {', '.join(speech.test)}, unseen by the search ({seeds})"

    def lines(self) -> list[str]:
        """Further remarks, and the next step."""
        counts = ", ".join(f"{count} {state}" for state, count in self.counts().items())
        failed = next((trial for trial in self.trials if trial.error), None)
        return [
            *self.table.notes(),
            f"best of {many(len(self.trials), 'trial')} ({counts}): trial {self.best.number}, inner-fold UAR "
            f"{self.best.best_val_uar:.3f} at epoch {self.best.best_epoch}: {describe(self.best.chosen)}",
            *([f"trial {failed.number} failed: {failed.error}"] if failed else []),
            *([closing] if (closing := self._closing()) else []),
            *self._stage1(),
            f"sweep {self.state.name}, run {self.run_id}, {self.state.seconds:.0f} s. Next: jmml model register",
        ]

    def _closing(self) -> str:
        """Why fewer trials ran than were wanted, or why the outer fold was opened again; empty otherwise."""
        reason = str(self.state.closed["reason"]) if self.state.closed else ""
        if self.refit["opened"] > 1:
            reason += f"{'; ' if reason else ''}the outer fold has been opened {self.refit['opened']} times"
        return reason

    def _stage1(self) -> list[str]:
        memo, rate = self.state.memo(), self.state.hit_rate
        if rate is None:
            return []
        unsaved = f"; {unsaved_text(self.state.unsaved)}" if self.state.unsaved else ""
        return [
            f"stage 1: {many(sum(memo.values()), 'model')} needed, {memo['computed']} computed "
            f"({rate:.0%} were there already){unsaved}"
        ]

    @property
    def held_out(self) -> dict[str, list[str]]:
        """Speakers and EEG subjects of the outer fold, which no trial and no part of the model saw."""
        speech, eeg = self.plan.split.fold(self.plan.definition.protocol.outer_fold)
        return {"speech": list(speech.test), "eeg": list(eeg.test) if eeg else []}

    def counts(self) -> dict[str, int]:
        """Number of trials by state."""
        return self.state.counts()

    def as_dict(self) -> dict[str, Any]:
        """The outcome as JSON."""
        states = dict.fromkeys(("finished", "stopped", "failed"), 0)
        return {
            "run_id": self.run_id,
            "name": self.state.name,
            "outer_fold": self.plan.definition.protocol.outer_fold,
            "held_out": self.held_out,
            "trials": states | self.counts(),
            "best": {
                "trial": self.best.number,
                "score": self.best.best_score,
                "val_uar": self.best.best_val_uar,
                "epoch": self.best.best_epoch,
                "configuration": self.best.chosen,
            },
            "method": self.config.model_dump(mode="json"),
            "methods": [
                {"method": row["method"], **{key: row[key] for key in _SCORES}} for row in self.table.rows
            ],
            "metrics": self.metrics,
            "model_uri": self.model_uri,
            "outer_fold_opened": self.refit["opened"],
            "stage1": {**self.state.memo(), "hit_rate": self.state.hit_rate},
            "seconds": round(self.state.seconds, 1),
        }
