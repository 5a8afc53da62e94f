"""The report of a study: tables, figures, and one HTML page that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from jmml import methods
from jmml.evaluation.contrast import LABEL_ONLY, label_of
from jmml.evaluation.wording import DASH, number
from jmml.files import atomic_folder, atomic_path
from pipelines.reporting import pages
from pipelines.reporting.figures import embedded
from pipelines.reporting.wording import many, sentence_case
from pipelines.study.publish import tables
from pipelines.study.publish.figures import Figure, draw
from pipelines.study.publish.results import CertificateSummary, StudyResults, TaskResults
from pipelines.study.publish.verdict import INTERVALS, RULE, words

TEMPLATES = Path(__file__).parent / "templates"

# How to read what a control scores; shown for those that were run.
CONTROLS: Mapping[str, str] = {
    "one-hot": "The bare label takes the place of EEG. Whoever beats only methods without a second view, and not "
    "this one, has shown that labels help.",
    "prototypes": "Each class has one random vector in place of EEG: the label again, in as many dimensions as "
    "EEG has.",
    "class-means": "Each class has the mean of its EEG: the label and the geometry of the classes, nothing of a "
    "single recording.",
    "noise": "Noise in place of EEG. What it gains over stage 1 alone, a second network gives without any "
    "information.",
    "shuffled-labels": "Real EEG, paired across classes. It should do no better than noise; where it does, "
    "something other than emotion is shared.",
    "frozen-pairs": "Real EEG, each pair drawn once and kept: what redrawing the pairs in every epoch is worth.",
    LABEL_ONLY: "For each outer fold the best of the label-only controls, chosen on inner folds before the outer "
    "fold is opened. The claim is measured against this one: what labels alone give does not count as a gain from EEG.",
}


def write_report(folder: Path, results: StudyResults) -> None:
    """Write table.csv, table.md, table.tex, per_speaker.csv, figures/ and report.html into ``folder``.

    Everything is drawn and rendered first, then each file takes its place as a whole, the page last. Other files in
    ``folder`` stay. Equal results give equal bytes.
    """
    with TemporaryDirectory() as name:
        drawn = {task.name: draw(Path(name), results, task) for task in results.tasks}
        images = {path.name: path.read_bytes() for path in sorted(Path(name).glob("*.png"))}
    texts = {
        "table.csv": tables.csv(results),
        "table.md": tables.markdown(results),
        "table.tex": tables.latex(results),
        "per_speaker.csv": tables.speakers_csv(results),
        "report.html": render(results, drawn, images),
    }
    with atomic_folder(folder / "figures") as figures:
        for file, image in images.items():
            (figures / file).write_bytes(image)
    for file, text in texts.items():
        with atomic_path(folder / file) as temporary:
            temporary.write_text(text, encoding="utf-8")


def render(results: StudyResults, drawn: Mapping[str, list[Figure]], images: Mapping[str, bytes]) -> str:
    """The HTML page; ``drawn`` are the figures by task, ``images`` their bytes by file name."""
    return pages.render(
        TEMPLATES,
        "report.html.jinja",
        kind="Study report",
        heading=results.name,
        lead=results.description,
        about="",
        tasks=[_task(results, task, drawn[task.name]) for task in results.tasks],
        sources={file: embedded(image) for file, image in images.items()},
        about_eeg=methods.method(results.claim).eeg,
        asked=_asked(results),
        rule=RULE,
        intervals=INTERVALS,
        controls=_controls(results),
        certificates=[_certificate(task.title, task.certificate) for task in results.tasks],
        transductive=any(task.certificate.transductive for task in results.tasks),
        provenance=_provenance(results).items(),
        settings_name="Settings",
        settings=yaml.safe_dump(results.settings, sort_keys=False, allow_unicode=True),
    )


def _task(results: StudyResults, task: TaskResults, drawn: list[Figure]) -> dict[str, Any]:
    found, shown = task.primary, tables.table(task, results.confidence)
    people, folds = many(found["n_groups"], "speaker"), len({cell.fold for cell in task.cells})
    return {
        "name": task.name,
        "title": task.title,
        "facts": {
            **task.description,
            "classes": f"{', '.join(task.classes)} (chance {number(task.chance)})",
            "evaluated": f"{people}, {many(int(task.table['n_samples'].max()), 'utterance')}, "
            f"{many(folds, 'outer fold')}, {many(found['n_seeds'], 'seed')}",
        },
        "outcome": found["outcome"],
        "verdict": sentence_case(words(found, results.confidence)),
        "contrast": tables.contrast(results, task),
        "warnings": [
            f"{sentence_case(note)}."
            for row in shown.rows
            if row["method"] == shown.claim
            for note in row["note"].split("; ")
            if note
        ],
        "table": shown.html(),
        "notes": shown.notes(),
        "chosen": _chosen(task.chosen),
        "figures": drawn,
    }


def _asked(results: StudyResults) -> dict[str, str]:
    """Human-readable claim and what it is measured against."""
    references = {task.primary["reference"] for task in results.tasks} - {None}
    against = "the best control that has bare labels for a second view"
    if references and references != {LABEL_ONLY}:
        against = " or ".join(sorted(label_of(name) for name in references))
    return {"claim": label_of(results.claim), "reference": against}


def _chosen(chosen: Mapping[int, str]) -> str:
    """``one-hot labels in folds 0, 2; random prototypes in fold 1``."""
    by_method: dict[str, list[int]] = {}
    for fold, method in sorted(chosen.items()):
        by_method.setdefault(method, []).append(fold)
    return "; ".join(
        f"{label_of(method)} in fold{'' if len(folds) == 1 else 's'} {', '.join(map(str, folds))}"
        for method, folds in by_method.items()
    )


def _controls(results: StudyResults) -> list[tuple[str, str]]:
    run = {method for task in results.tasks for method in task.table["method"]}
    return [(label_of(method), text) for method, text in CONTROLS.items() if method in run]


def _certificate(title: str, certificate: CertificateSummary) -> dict[str, Any]:
    objects: dict[str, list[str]] = {}
    for (name, modality), count in sorted(certificate.objects.items()):
        objects.setdefault(name, []).append(f"{modality} in {many(count, 'cell')}")
    return {
        "title": title,
        "cells": certificate.cells,
        "audited": certificate.audited,
        "objects": [(name, ", ".join(seen)) for name, seen in objects.items()],
    }


def _provenance(results: StudyResults) -> dict[str, str]:
    minutes, seconds = divmod(round(results.seconds), 60)
    spent = f"{minutes} min {seconds} s" if minutes else f"{results.seconds:.1f} s"
    return {
        "Study digest": results.digest or DASH,
        **results.provenance,
        "Cells": str(results.n_cells),
        "Computation": f"{spent}, summed over cells",
        "Bootstrap": f"{results.bootstrap:,} resamples of speakers".replace(",", " "),
    }
