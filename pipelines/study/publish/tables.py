"""The tables of a study: CSV for machines with every figure, Markdown and LaTeX for people with the main ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from jmml.evaluation.contrast import LABEL_ONLY
from jmml.evaluation.evidence import per_speaker
from pipelines.reporting.wording import DASH, MINUS, interval, many, number, p_value, sentence_case
from pipelines.study.publish.results import StudyResults, TaskResults
from pipelines.study.publish.verdict import INTERVALS, RULE, words

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    MINUS: "$-$", DASH: "--",
}  # fmt: skip


def columns(confidence: float) -> list[str]:
    """Headings of :func:`rows`."""
    level = f"{100 * confidence:g} % interval"
    return ["Method", "UAR", level, "Difference", level, "p", "Holm p", "dz", "Accuracy", "Macro F1", "ECE",
            "Inner UAR", "Parameters"]  # fmt: skip


def rows(task: TaskResults) -> list[list[str]]:
    """The cells of the table as text, one list per method."""
    made = _made(task)
    return [
        [
            row["label"],
            number(row["uar"]),
            interval(row["ci_low"], row["ci_high"]),
            "reference" if row["method"] == row["reference"] else number(row["diff"], signed=True),
            interval(row["diff_low"], row["diff_high"], signed=True),
            p_value(row["p"]),
            p_value(row["p_holm"]),
            number(row["dz"], signed=True),
            number(row["accuracy"]),
            number(row["macro_f1"]),
            number(row["ece"]),
            number(made["val_uar"].get(row["method"])),
            _count(made["n_parameters"].get(row["method"])),
        ]
        for row in task.table.to_dict("records")
    ]


def notes(task: TaskResults, confidence: float) -> list[str]:
    """Why figures of the table should be read with care: a method's own notes, or once what holds for all."""
    by_note: dict[str, list[str]] = {}
    for row in task.table.to_dict("records"):
        for note in filter(None, str(row["note"]).split("; ")):
            by_note.setdefault(note, []).append(row["label"])
    tested = int(task.table["p"].notna().sum())
    lines = [
        f"{sentence_case(note)}." if len(labels) >= tested else f"{', '.join(labels)}: {note}."
        for note, labels in by_note.items()
    ]
    people = int(task.table["n_groups"].max())
    smallest = tested * 2.0 ** (1 - people)
    if smallest > 1 - confidence:
        lines.append(
            f"With {many(people, 'speaker')} and {many(tested, 'comparison')} no Holm-corrected p can be below "
            f"{min(smallest, 1):.2g}: beside the primary contrast, which was named beforehand, the table describes "
            "and decides nothing."
        )
    return lines


def csv(study: StudyResults) -> str:
    """Every column of every task's table, and how the cells were made."""
    parts = []
    for task in study.tasks:
        table = task.table.merge(_made(task), left_on="method", right_index=True, how="left")
        parts.append(table.assign(task=task.name, chance=task.chance))
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
        head = columns(study.confidence)
        lines += [
            f"## {task.title}",
            "",
            f"**{sentence_case(words(task.primary, study.confidence))}.** {contrast(study, task)}",
            "",
            *([RULE, ""] if task.primary["outcome"] != "missing" else []),
        ]
        lines += [_md(head), _md(["---"] + ["---:"] * (len(head) - 1))]
        lines += [
            _md(row, bold=bool(flag)) for row, flag in zip(rows(task), task.table["primary"], strict=True)
        ]
        lines += ["", *(f"- {note}" for note in (*notes(task, study.confidence), INTERVALS)), ""]
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
    text = (
        f"UAR of {found['claim_label']} minus that of the {found['reference_label']}: "
        f"{number(found['diff'], signed=True)} "
        f"({100 * study.confidence:g} % interval {interval(found['low'], found['high'], signed=True)}; "
        f"p {_is(found['p'])}"
    )
    if family > 1:
        text += f", {p_value(found['p_holm'])} as one of {family} comparisons (Holm)"
    return (
        f"{text}; dz = {number(found['dz'], signed=True)}), over {many(found['n_groups'], 'speaker')} and "
        f"{many(found['n_seeds'], 'seed')}."
    )


def _latex_table(study: StudyResults, task: TaskResults) -> str:
    keep = [0, 1, 2, 3, 4, 5, 6, 7]
    head = [columns(study.confidence)[i] for i in keep]
    verdict = sentence_case(words(task.primary, study.confidence))
    rule = RULE if task.primary["outcome"] != "missing" else ""
    caption = " ".join(
        filter(None, (f"{task.title}.", f"{verdict}.", contrast(study, task), rule, INTERVALS))
    )
    body, kind = [], None
    for row, text in zip(task.table.to_dict("records"), rows(task), strict=True):
        if kind not in (None, row["kind"]):
            body.append(r"\midrule")
        kind = row["kind"]
        cells = [escape_latex(text[i]) for i in keep]
        body.append(" & ".join([rf"\textbf{{{c}}}" for c in cells] if row["primary"] else cells) + r" \\")
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{escape_latex(caption)}}}",
            rf"\label{{tab:{''.join(c if c.isalnum() else '-' for c in f'{study.name}-{task.name}')}}}",
            r"\resizebox{\textwidth}{!}{%",
            rf"\begin{{tabular}}{{l{'r' * (len(keep) - 1)}}}",
            r"\toprule",
            " & ".join(escape_latex(name) for name in head) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}}",
            r"\end{table}",
            "",
        ]
    )


def escape_latex(text: str) -> str:
    """``text`` as LaTeX shows it."""
    return "".join(_LATEX.get(character, character) for character in text)


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


def _md(cells: Sequence[str], *, bold: bool = False) -> str:
    mark: Callable[[str], str] = (lambda text: f"**{text}**") if bold else str
    return "| " + " | ".join(mark(cell.replace("|", "\\|")) for cell in cells) + " |"


def _count(value: Any) -> str:
    return (
        DASH if value is None or not math.isfinite(value) or value == 0 else f"{value:,.0f}".replace(",", " ")
    )


def _is(p: float) -> str:
    return p_value(p) if p < 0.001 else f"= {p_value(p)}"
