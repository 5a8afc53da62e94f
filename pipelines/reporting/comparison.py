"""The comparison of methods as a table: one set of columns, rendered for terminals, HTML, Markdown and LaTeX.

Rows are those of :func:`jmml.evaluation.evidence.compare` or :func:`jmml.evaluation.contrast.study_table`, as records.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jmml.evaluation.contrast import label_of
from jmml.evaluation.statistics import MIN_SPEAKERS, smallest_p
from jmml.evaluation.wording import DASH, MINUS, about_p, interval, number, p_value, speakers
from pipelines.reporting.wording import sentence_case

Row = Mapping[str, Any]
BOUNDS = ("ci_low", "ci_high", "diff_low", "diff_high")
_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    MINUS: "$-$", DASH: "--",
}  # fmt: skip


def plain(row: Row) -> dict[str, Any]:
    """A row with None for what does not exist: figures that are not finite, and the bounds of intervals of fewer than
    four speakers, which earlier versions had."""
    found = {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in row.items()
    }
    groups = found.get("n_groups")
    if groups is not None and groups < MIN_SPEAKERS:
        found |= {key: None for key in BOUNDS if key in found}
    return found


def _difference(row: Row) -> str:
    return "reference" if row["method"] == row.get("reference") else number(row.get("diff"), signed=True)


def _gain(row: Row) -> str:
    return "" if row.get("diff") is None else number(row["diff"], signed=True)


def _tested_gain(row: Row) -> str:
    return f"{_gain(row)} (Holm p {p_value(row['p_holm'])})" if row.get("p_holm") is not None else _gain(row)


def _count(value: float | None) -> str:
    return f"{value:,.0f}".replace(",", " ") if value else DASH


# Heading, with {level} for "95 % interval" and {reference}, and the text of a cell.
COLUMNS: Mapping[str, tuple[str, Callable[[Row], str]]] = {
    "method": ("Method", lambda row: str(row.get("label") or label_of(str(row["method"])))),
    "uar": ("UAR", lambda row: number(row.get("uar"))),
    "interval": ("{level}", lambda row: interval(row.get("ci_low"), row.get("ci_high"))),
    "difference": ("Difference", _difference),
    "gain": ("UAR - {reference}", _gain),
    "tested_gain": ("UAR - {reference}", _tested_gain),
    "difference_interval": (
        "{level}",
        lambda row: interval(row.get("diff_low"), row.get("diff_high"), signed=True),
    ),
    "p": ("p", lambda row: p_value(row.get("p"))),
    "p_holm": ("Holm p", lambda row: p_value(row.get("p_holm"))),
    "dz": ("dz", lambda row: number(row.get("dz"), signed=True)),
    "accuracy": ("Accuracy", lambda row: number(row.get("accuracy"))),
    "macro_f1": ("Macro F1", lambda row: number(row.get("macro_f1"))),
    "ece": ("ECE", lambda row: number(row.get("ece"))),
    "val_uar": ("Inner UAR", lambda row: number(row.get("val_uar"))),
    "n_parameters": ("Parameters", lambda row: _count(row.get("n_parameters"))),
}
TESTS = ("method", "uar", "interval", "difference", "difference_interval", "p", "p_holm", "dz")


@dataclass(frozen=True)
class ComparisonTable:
    """Methods compared on the same people.

    Attributes
    ----------
    rows : records (:func:`plain`); ``label`` is the display name, ``note`` what to read with care.
    columns : keys of :data:`COLUMNS`.
    confidence : level of the intervals, None where nobody wrote it down.
    claim : the method whose row is set apart.
    primary : whether the claim's difference was fixed beforehand as the primary contrast.
    """

    rows: Sequence[Row]
    columns: Sequence[str]
    confidence: float | None = None
    claim: str | None = None
    primary: bool = False

    @classmethod
    def of(cls, rows: Iterable[Row], columns: Sequence[str], **options: Any) -> ComparisonTable:
        """The table of these rows."""
        return cls([plain(row) for row in rows], columns, **options)

    @property
    def reference(self) -> str | None:
        """The method that the others are compared with."""
        return next((row["reference"] for row in self.rows if row.get("reference")), None)

    @property
    def groups(self) -> int | None:
        """How many speakers there are: those of the tests, where there are tests."""
        known = [row for row in self.rows if row.get("n_groups") is not None]
        tested = [row for row in known if row.get("p") is not None]
        return max((int(row["n_groups"]) for row in tested or known), default=None)

    @property
    def family(self) -> int:
        """How many comparisons Holm's p is corrected for."""
        return sum(row.get("p") is not None for row in self.rows)

    def head(self) -> list[str]:
        """The headings."""
        level = "Interval" if self.confidence is None else f"{100 * self.confidence:g} % interval"
        return [COLUMNS[key][0].format(level=level, reference=self.reference) for key in self.columns]

    def cells(self) -> list[list[str]]:
        """One row per method, in the order of :meth:`head`."""
        return [[COLUMNS[key][1](row) for key in self.columns] for row in self.rows]

    def notes(self) -> list[str]:
        """Notes on what the figures mean and why some should be read with care, a sentence each."""
        few = self.groups is not None and self.groups < MIN_SPEAKERS
        by_note: dict[str, list[str]] = {}
        for row in self.rows:
            for note in filter(None, str(row.get("note") or "").split("; ")):
                if not (note.startswith("p cannot be below") or (few and "interval" in note)):
                    by_note.setdefault(note, []).append(COLUMNS["method"][1](row))
        lines = [
            f"{sentence_case(note)}."
            if len(names) >= (self.family or len(self.rows))
            else f"{', '.join(names)}: {note}."
            for note, names in by_note.items()
        ]
        if few:
            lines.insert(0, f"{sentence_case(speakers(self.groups or 0))}: no interval below four.")
        if self.groups and self.family and not {"p", "p_holm", "tested_gain"}.isdisjoint(self.columns):
            lines.append(about_p(self.groups, self.family))
            decides = self.family * smallest_p(self.groups) <= 1 - (self.confidence or 1) + 1e-9
            if self.primary and not decides:
                lines.append(
                    "Beside the primary contrast, which was named beforehand, the table describes and decides nothing."
                )
        return lines

    def terminal(self) -> tuple[list[str], list[list[str]]]:
        """Headings and rows in plain characters; the row of the claim has a star."""
        head = [
            text[0].lower() + text[1:] if text[1:2].islower() and text != "Holm p" else text
            for text in self.head()
        ]
        rows = [[text.replace(MINUS, "-").replace(DASH, "-") for text in cells] for cells in self.cells()]
        for row, cells in zip(self.rows, rows, strict=True):
            cells[0] += " *" if self.claim is not None and row["method"] == self.claim else ""
        return head, rows

    def html(self) -> dict[str, Any]:
        """Variables of the template ``comparison.html.jinja``."""
        return {
            "head": self.head(),
            "rows": [
                {"cells": cells, "primary": row["method"] == self.claim, "kind": row.get("kind", "")}
                for row, cells in zip(self.rows, self.cells(), strict=True)
            ],
        }

    def markdown(self) -> list[str]:
        """Lines; the row of the claim is bold."""
        bold = [row["method"] == self.claim for row in self.rows]
        return [
            _markdown(self.head()),
            _markdown(["---"] + ["---:"] * (len(self.columns) - 1)),
            *(_markdown(cells, "**" if flag else "") for cells, flag in zip(self.cells(), bold, strict=True)),
        ]

    def latex(self) -> list[str]:
        """A booktabs ``tabular``; a rule between kinds of methods, the row of the claim bold."""
        body, kind = [], None
        for row, texts in zip(self.rows, self.cells(), strict=True):
            if kind not in (None, row.get("kind")):
                body.append(r"\midrule")
            kind = row.get("kind")
            cells = [escape_latex(text) for text in texts]
            body.append(
                " & ".join(
                    [rf"\textbf{{{cell}}}" for cell in cells] if row["method"] == self.claim else cells
                )
                + r" \\"
            )
        return [
            rf"\begin{{tabular}}{{l{'r' * (len(self.columns) - 1)}}}",
            r"\toprule",
            " & ".join(escape_latex(name) for name in self.head()) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
        ]


def escape_latex(text: str) -> str:
    """``text`` as LaTeX shows it."""
    return "".join(_LATEX.get(character, character) for character in text)


def _markdown(cells: Sequence[str], mark: str = "") -> str:
    return "| " + " | ".join(f"{mark}{cell}{mark}".replace("|", "\\|") for cell in cells) + " |"
