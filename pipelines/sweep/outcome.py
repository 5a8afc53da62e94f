"""What a finished sweep tells people and machines."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, ClassVar

import pandas as pd

from jmml.config import MethodConfig
from pipelines.sweep.board import Trial
from pipelines.sweep.plan import Plan
from pipelines.sweep.spaces import describe

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
    """A finished sweep.

    Attributes
    ----------
    run_id : the sweep's run in the tracking store; its trials are the runs below it.
    trials : every trial, in the order of their numbers.
    config : the configuration that was refitted: the best trial's, with its best epoch as stage-2 epochs.
    comparison : one row per method on the outer fold (``jmml.evaluation.evidence.compare``).
    model_uri : address of the logged model.
    """

    run_id: str
    plan: Plan
    trials: list[Trial]
    best: Trial
    config: MethodConfig
    comparison: pd.DataFrame
    metrics: dict[str, float]
    model_uri: str
    seconds: float

    columns: ClassVar[tuple[str, ...]] = (
        "method",
        "UAR",
        "interval",
        "accuracy",
        "macro F1",
        "UAR - one-hot",
    )

    @property
    def title(self) -> str:
        speech, _ = self.plan.split.fold(self.plan.definition.outer_fold)
        seeds = len(self.plan.params.protocol.seeds)
        return (
            f"Best configuration on speakers {', '.join(speech.test)}, unseen by the search ({seeds} seeds)"
        )

    def rows(self) -> list[tuple[str, ...]]:
        """One row per method, in the order of :attr:`columns`."""
        return [
            (
                str(row["method"]),
                f"{row['uar']:.3f}",
                "-" if pd.isna(row["ci_low"]) else f"[{row['ci_low']:.3f}, {row['ci_high']:.3f}]",
                f"{row['accuracy']:.3f}",
                f"{row['macro_f1']:.3f}",
                "" if pd.isna(row["diff"]) else f"{row['diff']:+.3f}",
            )
            for row in self.comparison.to_dict("records")
        ]

    def lines(self) -> list[str]:
        """What else is worth knowing, and the next step."""
        counts = ", ".join(f"{count} {state}" for state, count in self.counts().items())
        notes = sorted({part for note in self.comparison["note"] for part in note.split("; ") if part})
        failed = next((trial for trial in self.trials if trial.error), None)
        return [
            *notes,
            f"best of {len(self.trials)} trials ({counts}): trial {self.best.number}, inner-fold UAR "
            f"{self.best.best_val_uar:.3f} at epoch {self.best.best_epoch}: {describe(self.best.configuration)}",
            *([f"trial {failed.number} failed: {failed.error}"] if failed else []),
            f"run {self.run_id}, {self.seconds:.0f} s. Next: jmml model register",
        ]

    @property
    def held_out(self) -> dict[str, list[str]]:
        """Speakers and EEG subjects of the outer fold, which no trial and no part of the model saw."""
        speech, eeg = self.plan.split.fold(self.plan.definition.outer_fold)
        return {"speech": list(speech.test), "eeg": list(eeg.test) if eeg else []}

    def counts(self) -> dict[str, int]:
        """Number of trials by state."""
        return dict(Counter(trial.state for trial in self.trials))

    def as_dict(self) -> dict[str, Any]:
        """The outcome for machines."""
        states = dict.fromkeys(("finished", "stopped", "failed"), 0)
        return {
            "run_id": self.run_id,
            "name": self.plan.definition.name,
            "outer_fold": self.plan.definition.outer_fold,
            "held_out": self.held_out,
            "trials": states | self.counts(),
            "best": {
                "trial": self.best.number,
                "val_uar": self.best.best_val_uar,
                "epoch": self.best.best_epoch,
                "configuration": self.best.configuration,
            },
            "method": self.config.model_dump(mode="json"),
            "methods": [
                {"method": row["method"], **{key: row[key] for key in _SCORES}}
                for row in self.comparison.to_dict("records")
            ],
            "metrics": self.metrics,
            "model_uri": self.model_uri,
            "seconds": round(self.seconds, 1),
        }
