"""The figures of a study's report, with what each of them says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from jmml.evaluation import plots
from jmml.evaluation.contrast import label_of, order
from jmml.evaluation.evidence import confusion_counts, per_speaker
from jmml.evaluation.wording import NO_INTERVAL
from pipelines.study.publish.results import StudyResults, TaskResults


@dataclass(frozen=True)
class Figure:
    """A drawn figure; ``alt`` is for those who cannot see it, a ``wide`` one is scrolled on a phone."""

    file: str
    title: str
    caption: str
    alt: str
    wide: bool = True


def draw(folder: Path, study: StudyResults, task: TaskResults) -> list[Figure]:
    """Draw what the task's data allow into ``folder``; the names begin with that of the task."""
    speakers = per_speaker(task.evidence, task.classes)
    drawn = [_differences(folder, study, task, speakers)]
    if task.primary["outcome"] != "missing":
        drawn.append(_paired(folder, task, speakers))
    drawn.append(_confusions(folder, task))
    if any(column.startswith("rho_") for column in task.histories.columns):
        drawn.append(_correlations(folder, task))
    if task.embeddings:
        drawn.append(_embeddings(folder, task))
    return drawn


def _differences(folder: Path, study: StudyResults, task: TaskResults, speakers: pd.DataFrame) -> Figure:
    file, level = f"{task.name}-differences.png", f"{100 * study.confidence:g} %"
    if task.table["diff"].notna().any():
        plots.forest(task.table, folder / file, confidence=study.confidence, title=task.title)
        spans = task.table["diff_low"].notna().any()
        interval = f"its {level} interval over speakers" if spans else NO_INTERVAL
        caption = (
            f"UAR of each method minus that of the reference on the same utterances, with {interval}, its p by the "
            "sign-flip test over speakers, and that p corrected for all comparisons (Holm). "
            "Diamond: the primary contrast, which its own interval and p decide."
        )
        return Figure(file, "Differences to the reference", caption, "Forest plot of the table above.")
    plots.method_comparison(
        task.table.assign(method=task.table["label"]),
        speakers.assign(method=[label_of(name) for name in speakers["method"]]),
        folder / file,
        chance=task.chance,
        confidence=study.confidence,
    )
    spans = task.table["ci_low"].notna().any()
    caption = (
        f"UAR with {level} interval; dots are speakers."
        if spans
        else f"UAR; dots are speakers; {NO_INTERVAL}."
    )
    return Figure(file, "Scores", caption, "The table above, drawn.")


def _paired(folder: Path, task: TaskResults, speakers: pd.DataFrame) -> Figure:
    found = task.primary
    file = f"{task.name}-speakers.png"
    labels = (found["reference_label"], found["claim_label"])
    plots.paired_speakers(
        speakers,
        folder / file,
        reference=found["reference"],
        claim=found["claim"],
        labels=labels,
        chance=task.chance,
    )
    caption = (
        f"Each line is the UAR of one speaker: {labels[0]} on the left, {labels[1]} on the right. Solid: higher on the "
        "right; dashed: lower; dotted: equal."
    )
    return Figure(
        file, "Speaker by speaker", caption, f"Paired lines, {labels[0]} against {labels[1]}.", wide=False
    )


def _confusions(folder: Path, task: TaskResults) -> Figure:
    present = [name for name in order() if name in set(task.table["method"])]
    shown = [name for name in (task.primary["claim"], task.primary["reference"]) if name] or present[-1:]
    speech = task.evidence[task.evidence["modality"] == "speech"]
    panels = [
        (label_of(name), confusion_counts(speech[speech["method"] == name], task.classes)[1].sum(axis=(0, 1)))
        for name in shown
    ]
    file = f"{task.name}-confusion.png"
    plots.confusion_matrices(panels, task.classes, folder / file)
    seeds = int(task.table["n_seeds"].max())
    counted = "" if seeds == 1 else f", added up over {seeds} seeds"
    caption = f"Rows are true classes: share and number of utterances of all folds{counted}."
    return Figure(
        file, "Confusions", caption, f"Confusion matrices of {' and '.join(label for label, _ in panels)}."
    )


def _correlations(folder: Path, task: TaskResults) -> Figure:
    present = set(task.histories["method"])
    histories = {
        label_of(name): task.histories[task.histories["method"] == name]
        for name in order()
        if name in present
    }
    file = f"{task.name}-correlation.png"
    plots.correlation_panels(histories, folder / file)
    caption = (
        "Mean canonical correlation of the speech code and the code of its partner; line: mean, band: range over folds "
        "and seeds. Only what held-out pairs reach above permuted ones was learned. Each panel ends at the last epoch "
        "that at least half of the method's runs reached. Held-out pairs are those of the search's inner folds. "
        "Controls without EEG as it was recorded have no such line: their partners are made of labels, class means, "
        "noise or shuffled recordings, and no held-out sample has one of its own."
    )
    return Figure(
        file, "Correlation over training", caption, "Small multiples, one per method trained on pairs."
    )


def _embeddings(folder: Path, task: TaskResults) -> Figure:
    file = f"{task.name}-embedding.png"
    fold = next(iter(task.embeddings.values())).fold
    named = {
        f"{label_of(name)}\n(label-only control of this fold)"
        if name == task.chosen.get(fold)
        else label_of(name): embedding
        for name, embedding in task.embeddings.items()
    }
    plots.embedding_projection(named, folder / file)
    caption = (
        "Principal component analysis, per method, of what its classifier sees of the test speakers of outer fold "
        f"{fold} (first seed). The axes are fitted on these very utterances: a picture, from which nothing is computed."
    )
    return Figure(file, "Embeddings of unseen speakers", caption, "Scatter plots by class and by speaker.")
