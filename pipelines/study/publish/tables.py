"""The tables of a study: CSV with every figure, Markdown and LaTeX with the main ones."""

from __future__ import annotations

import pandas as pd

from jmml.evaluation.contrast import LABEL_ONLY
from jmml.evaluation.evidence import per_speaker
from pipelines.reporting.comparison import COLUMNS, TESTS, ComparisonTable, escape_latex
from pipelines.reporting.wording import sentence_case
from pipelines.study.publish.results import StudyResults, TaskResults
from pipelines.study.publish.verdict import INTERVALS, RULE, difference, words

ALL = tuple(key for key in COLUMNS if key not in ("gain", "tested_gain"))


def table(task: TaskResults, confidence: float, columns: tuple[str, ...] = ALL) -> ComparisonTable:
    """One row per method, with what its cells needed."""
    made = _made(task)[["val_uar", "n_parameters"]]
    rows = task.table.merge(made, left_on="method", right_index=True, how="left").to_dict("records")
    named = [{str(key): value for key, value in row.items()} for row in rows]
    claim = task.primary["claim"]
    return ComparisonTable.of(named, columns, confidence=confidence, claim=claim, primary=True)


def csv(study: StudyResults) -> str:
    """Every column of every task's table, and how the cells were made."""
    parts = []
    for task in study.tasks:
        merged = task.table.merge(_made(task), left_on="method", right_index=True, how="left")
        parts.append(merged.assign(task=task.name, chance=task.chance))
    whole = pd.concat(parts, ignore_index=True)
    first = ["task", "method", "label", "kind", "primary"]
    return str(
        whole[first + [c for c in whole.columns if c not in first]].to_csv(index=False, float_format="%.6g")
    )


def speakers_csv(study: StudyResults) -> str:
    """Task, method, group (speaker) and UAR, the mean of seeds."""
    parts = [per_speaker(task.evidence, task.classes).assign(task=task.name) for task in study.tasks]
    whole = pd.concat(parts, ignore_index=True)[["task", "method", "group", "uar"]]
    return str(whole.to_csv(index=False, float_format="%.6g"))


def markdown(study: StudyResults) -> str:
    """One section per task: the verdict and how it is reached, the table, the notes."""
    lines = [f"# {study.name}", "", study.description or "", ""]
    for task in study.tasks:
        shown = table(task, study.confidence)
        lines += [
            f"## {task.title}",
            "",
            f"**{sentence_case(words(task.primary, study.confidence))}.** {contrast(study, task)}",
            "",
            *([RULE, ""] if task.primary["outcome"] != "missing" else []),
            *shown.markdown(),
            "",
            *(f"- {note}" for note in (*shown.notes(), INTERVALS)),
            "",
        ]
    return "\n".join(lines).rstrip() + "\n"


def latex(study: StudyResults) -> str:
    """One booktabs table per task; needs ``\\usepackage{booktabs}`` and ``\\usepackage{graphicx}``."""
    return "% needs booktabs and graphicx\n" + "\n".join(_latex_table(study, task) for task in study.tasks)


def contrast(study: StudyResults, task: TaskResults) -> str:
    """The figures of the primary contrast as a sentence; empty where there is none."""
    found = task.primary
    if found["outcome"] == "missing":
        return ""
    family = int(task.table["p"].notna().sum())
    return (
        f"UAR of {found['claim_label']} minus that of the {found['reference_label']}: "
        f"{difference(found, study.confidence, family=family)}."
    )


def _latex_table(study: StudyResults, task: TaskResults) -> str:
    shown = table(task, study.confidence, TESTS)
    rule = RULE if task.primary["outcome"] != "missing" else ""
    verdict = sentence_case(words(task.primary, study.confidence))
    parts = (f"{task.title}.", f"{verdict}.", contrast(study, task), rule, *shown.notes(), INTERVALS)
    *body, last = shown.latex()
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{escape_latex(' '.join(filter(None, parts)))}}}",
            rf"\label{{tab:{''.join(c if c.isalnum() else '-' for c in f'{study.name}-{task.name}')}}}",
            r"\resizebox{\textwidth}{!}{%",
            *body,
            f"{last}}}",
            r"\end{table}",
            "",
        ]
    )


def _made(task: TaskResults) -> pd.DataFrame:
    """By method: mean inner-fold UAR, parameters and epochs, total seconds; the composite has none of them."""
    frame = pd.DataFrame(
        [(c.method, c.val_uar, c.n_parameters, c.epochs, c.seconds) for c in task.cells],
        columns=["method", "val_uar", "n_parameters", "epochs", "seconds"],
    )
    made = frame.groupby("method").agg(
        {"val_uar": "mean", "n_parameters": "median", "epochs": "median", "seconds": "sum"}
    )
    return made.drop(index=LABEL_ONLY, errors="ignore")
