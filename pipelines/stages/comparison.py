"""The comparison of methods as people read it: what ``dvc repro`` computed, laid out as a table."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, ClassVar

import pandas as pd

from jmml.errors import DataError
from pipelines.stages.summary import CLAIM, CONTROL, settings_of
from pipelines.workspace.project import Project

NEXT = "run `dvc repro`"
SHOWN = ("speech", "eeg", "label_space", "groups_per_fold", "confidence")


@dataclass(frozen=True)
class Comparison:
    """Scores of every method on speakers it never saw, and the primary contrast.

    Attributes
    ----------
    table : one row per method and modality (``jmml.evaluation.evidence.compare``).
    metrics : the content of ``results/metrics.json``.
    speech, eeg, label_space, groups_per_fold, confidence : the settings of the evaluation, stored with it.
    stale : which of them are no longer those of ``params.yaml``.
    """

    table: pd.DataFrame
    metrics: dict[str, Any]
    speech: str
    eeg: str | None
    label_space: str
    groups_per_fold: int
    confidence: float
    stale: tuple[str, ...] = ()

    names: ClassVar[dict[str, str]] = {
        "raw": "raw speech",
        "jec-ssl": "JEC-SSL only",
        "jmml": "JMML",
        "one-hot": "one-hot control",
    }

    @property
    def title(self) -> str:
        first = self.table.iloc[0]
        return (
            f"UAR on unseen speakers of {self.speech}{f' with {self.eeg}' if self.eeg else ''}: {self.label_space}, "
            f"{first['n_groups']} speakers, leave {self.groups_per_fold} out, {first['n_seeds']} "
            f"seed{'' if first['n_seeds'] == 1 else 's'}, chance {self.metrics['chance']:.3f}"
        )

    @property
    def columns(self) -> list[str]:
        return [
            "method",
            "UAR",
            f"{100 * self.confidence:g} % interval",
            "accuracy",
            "macro F1",
            "ECE",
            "UAR - raw",
        ]

    def rows(self) -> list[tuple[str, ...]]:
        """One row per method, in the order of :attr:`columns`; EEG-only inference last."""
        records: list[dict[str, Any]] = self.table.to_dict("records")  # type: ignore[assignment]
        return [
            (
                self._name(row),
                f"{row['uar']:.3f}",
                "-" if pd.isna(row["ci_low"]) else f"{row['ci_low']:.3f} to {row['ci_high']:.3f}",
                f"{row['accuracy']:.3f}",
                f"{row['macro_f1']:.3f}",
                f"{row['ece']:.3f}",
                "" if pd.isna(row["diff"]) else f"{row['diff']:+.3f} (p {row['p_holm']:.2f})",
            )
            for row in records
        ]

    def notes(self) -> list[str]:
        """The primary contrast in words, and what to read with caution."""
        lines = []
        if self.stale:
            lines.append(f"These are old results: {', '.join(self.stale)} changed since. Run `dvc repro`.")
        contrast = self.metrics.get(f"{CLAIM}_minus_{CONTROL}")
        if contrast and contrast["diff_low"] is not None:
            verdict = (
                "EEG added more than labels do"
                if contrast["diff_low"] > 0
                else "worse than bare labels"
                if contrast["diff_high"] < 0
                else "no evidence that EEG added more than labels do"
            )
            lines.append(
                f"Primary contrast, JMML - one-hot control: {contrast['diff']:+.3f} "
                f"({contrast['diff_low']:+.3f} to {contrast['diff_high']:+.3f}, p {contrast['p']:.2f}): {verdict}."
            )
        remarks = {note for note in self.table["note"].dropna().astype(str) if note}
        return lines + [f"Note: {note}." for note in sorted(remarks)]

    def as_dict(self) -> dict[str, Any]:
        methods = self.table[self.table["modality"] == "speech"].drop(columns="modality")
        return {
            "speech": self.speech,
            "eeg": self.eeg,
            "label_space": self.label_space,
            "stale": list(self.stale),
            "chance": self.metrics["chance"],
            "methods": methods.to_dict("records"),
            "eeg_only": self.metrics.get("eeg_only"),
            "primary_contrast": self.metrics.get(f"{CLAIM}_minus_{CONTROL}"),
        }

    def _name(self, row: dict[str, Any]) -> str:
        name = self.names.get(row["method"], row["method"])
        return name if row["modality"] == "speech" else f"{name}, EEG only"


def load_comparison(project: Project) -> Comparison:
    """Read ``results/``; :class:`~jmml.errors.DataError` when the evaluation has not run."""
    table_path, metrics_path = project.results_dir / "comparison.csv", project.results_dir / "metrics.json"
    try:
        table = pd.read_csv(table_path)
        metrics = json.loads(metrics_path.read_text(encoding="utf-8"))
        settings = metrics["settings"]
        table["uar"], metrics["chance"]
    except FileNotFoundError as error:
        raise DataError("nothing has been evaluated yet", where=error.filename, fix=NEXT) from None
    except (ValueError, KeyError):
        raise DataError("is no evaluation", where=project.results_dir, fix=NEXT) from None
    stale = tuple(name for name, value in settings_of(project.params).items() if settings.get(name) != value)
    return Comparison(table, metrics, **{name: settings[name] for name in SHOWN}, stale=stale)
