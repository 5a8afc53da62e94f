"""The comparison of methods that ``dvc repro`` computed, as people and machines read it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pandas as pd

from jmml.errors import DataError
from jmml.evaluation.contrast import about_eeg, outcome
from jmml.evaluation.shares import in_words
from jmml.evaluation.wording import DASH, MINUS, interval, number, p_in_view
from pipelines.corpora.confounding import of_corpora
from pipelines.reporting.comparison import ComparisonTable, plain
from pipelines.reporting.wording import many
from pipelines.stages.summary import CLAIM, CONTROL, settings_of
from pipelines.workspace.project import Project

NEXT = "run `dvc repro`"
SHOWN = ("speech", "eeg", "label_space", "groups_per_fold", "confidence")
COLUMNS = ("method", "uar", "interval", "accuracy", "macro_f1", "ece", "tested_gain")
NAMES = {"raw": "raw speech", "jec-ssl": "JEC-SSL only", "jmml": "JMML", "one-hot": "one-hot control"}


@dataclass(frozen=True)
class Comparison:
    """Scores of every method on speakers it never saw, and the primary contrast.

    Attributes
    ----------
    rows : one per method and modality (``jmml.evaluation.evidence.compare``); EEG-only inference last.
    metrics : the content of ``results/metrics.json``.
    speech, eeg, label_space, groups_per_fold, confidence : the settings of the evaluation, stored with it.
    stale : which of them are no longer those of ``params.yaml``.
    warnings : what goes along with the labels in the data, besides how people sound.
    """

    rows: list[dict[str, Any]]
    metrics: dict[str, Any]
    speech: str
    eeg: str | None
    label_space: str
    groups_per_fold: int
    confidence: float
    stale: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        first = self.rows[0]
        return (
            f"UAR on unseen speakers of {self.speech}{f' with {self.eeg}' if self.eeg else ''}: {self.label_space}, "
            f"{many(first['n_groups'], 'speaker')}, leave {self.groups_per_fold} out, "
            f"{many(first['n_seeds'], 'seed')}, chance {self.metrics['chance']:.3f}"
        )

    @property
    def table(self) -> ComparisonTable:
        """One row per method, EEG-only inference last."""
        named = [{**row, "label": _name(row)} for row in self.rows]
        return ComparisonTable(named, COLUMNS, confidence=self.confidence)

    def notes(self) -> list[str]:
        """The primary contrast in words, and what to read with caution."""
        old = f"These are old results: {', '.join(self.stale)} changed since. Run `dvc repro`."
        shared = [
            f"{line}: these are scores on new people, and not on new {key}s"
            for key, of in self.metrics.get("shared", {}).items()
            for line in in_words({key: of})
        ]
        told = [f"Warning: {line}." for line in self.warnings]
        return [*([old] if self.stale else []), *self._contrast(), *told, *shared, *self.table.notes()]

    def _contrast(self) -> list[str]:
        found, groups = self.metrics.get(f"{CLAIM}_minus_{CONTROL}"), int(self.rows[0]["n_groups"])
        if not found:
            return []
        found = plain({**found, "n_groups": groups})
        low, high = (float("nan") if found[key] is None else found[key] for key in ("diff_low", "diff_high"))
        dz = float("nan") if found["dz"] is None else found["dz"]
        said = outcome({**found, "low": low, "high": high, "dz": dz}, self.confidence)
        span = interval(low, high, signed=True)
        text = (
            f"Primary contrast, JMML - one-hot control: {number(found['diff'], signed=True)}, "
            f"{'no interval' if span == DASH else f'{100 * self.confidence:g} % interval {span}'}, "
            f"{p_in_view(found['p'], groups)}: {about_eeg(said, groups)}."
        )
        return [text.replace(MINUS, "-")]

    def as_dict(self) -> dict[str, Any]:
        return {
            "speech": self.speech,
            "eeg": self.eeg,
            "label_space": self.label_space,
            "stale": list(self.stale),
            "warnings": list(self.warnings),
            "chance": self.metrics["chance"],
            "shared": self.metrics.get("shared", {}),
            "methods": [
                {key: value for key, value in row.items() if key != "modality"}
                for row in self.rows
                if row["modality"] == "speech"
            ],
            "eeg_only": self.metrics.get("eeg_only"),
            "primary_contrast": self.metrics.get(f"{CLAIM}_minus_{CONTROL}"),
        }


def _name(row: dict[str, Any]) -> str:
    name = NAMES.get(row["method"], row["method"])
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
        raise DataError("is not an evaluation", where=project.results_dir, fix=NEXT) from None
    stale = tuple(name for name, value in settings_of(project.params).items() if settings.get(name) != value)
    rows = [plain({str(key): value for key, value in row.items()}) for row in table.to_dict("records")]
    warnings = of_corpora(project, (settings["speech"], settings["eeg"]), settings["label_space"])
    return Comparison(
        rows, metrics, **{name: settings[name] for name in SHOWN}, stale=stale, warnings=tuple(warnings)
    )
